"""Folders of data shards: written by several processes, resumable, never half-written."""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from pose_estimation_ros.core.errors import ConfigurationError, InvalidInputError
from pose_estimation_ros.distribution import Report, map_shards, no_report

Arrays = Mapping[str, NDArray[np.generic]]
ShardMaker = Callable[[int], Arrays]

DESCRIPTION = 'description.json'
_PATTERN = 'shard_*.npz'


def list_shards(folder: Path) -> list[Path]:
    """Return the finished shards of a folder, in order."""
    return sorted(Path(folder).glob(_PATTERN))


def read_description(folder: Path, kind: str = '') -> dict[str, Any]:
    """Return what the shards of a folder hold, as it was given to `write_shards`.

    Args:
        folder: The folder.
        kind: What they must hold, such as 'frames'; '' = anything.

    Raises:
        ConfigurationError: If the description is missing or damaged, or of another kind.
    """
    path = Path(folder) / DESCRIPTION
    try:
        found = json.loads(path.read_text(encoding='utf-8'))
        found_kind = str(found['kind'])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ConfigurationError(f'{path} does not say what the shards beside it hold '
                                 f'({error!r}); copy it from where they were made, or make them '
                                 'anew') from error
    if kind and found_kind != kind:
        raise ConfigurationError(f'{folder} holds {found_kind}, but {kind} are needed; give '
                                 f'another folder or make some with: pose-estimation dataset '
                                 f'{kind} <folder>')
    return dict(found)


@contextmanager
def opened_shard(path: Path) -> Iterator[Mapping[str, NDArray[Any]]]:
    """Open a shard and close it in the end; arrays are read when they are asked for.

    Raises:
        InvalidInputError: If the file is damaged, or lacks an array that is asked for.
    """
    try:
        with np.load(path) as stored:
            yield stored
    except (OSError, EOFError, KeyError, ValueError, BadZipFile) as error:
        raise InvalidInputError(f'{path} is damaged or from another program ({error}); delete it '
                                'and give the command that made it again') from error


@dataclass(frozen=True)
class Workers:
    """Who makes the shards.

    Attributes:
        processes: How many shards are made at the same time on this machine.
        cluster: Address of a Dask scheduler whose workers make them instead; '' = this machine.
        report: Called with the finished and the total number of shards after each.
    """

    processes: int = 1
    cluster: str = ''
    report: Report = no_report

    def finish(self, make: Callable[[int], None], missing: Sequence[int], total: int) -> None:
        """Call `make` for the missing ones of `total` shards; see `distribution.map_shards`."""
        done = total - len(missing)
        self.report(done, total)
        map_shards(make, missing, self.cluster, self.processes,
                   lambda finished, _: self.report(done + finished, total))


ALONE = Workers()


def write_shards(folder: Path, count: int, description: Mapping[str, object], make: ShardMaker,
                 workers: Workers = ALONE) -> list[Path]:
    """Make the shards 0 to count - 1 that are not there yet.

    Args:
        folder: Where to write; made if needed. The machines of a cluster must all see it.
        count: Number of shards in all.
        description: What the shards hold, written beside them. A folder is only continued with
            the same description.
        make: Returns the arrays of a shard; a module's function or a `functools.partial` of one.
        workers: Who makes them.

    Returns:
        The paths of all shards, in order.

    Raises:
        ConfigurationError: If the folder holds shards of another description.
    """
    folder = folder.resolve()
    claim(folder, description)
    paths = [_shard_path(folder, number) for number in range(count)]
    missing = [number for number, path in enumerate(paths) if not path.exists()]
    workers.finish(partial(_make_one, make, folder), missing, count)
    # What killed processes left behind; others may still be writing shards that are not there.
    for unfinished in folder.glob(f'{_PATTERN}.*.partial'):
        if (folder / unfinished.name.split('.npz')[0]).with_suffix('.npz').exists():
            unfinished.unlink(missing_ok=True)
    return paths


def _shard_path(folder: Path, number: int) -> Path:
    return folder / _PATTERN.replace('*', f'{number:05d}')


def claim(folder: Path, description: Mapping[str, object]) -> None:
    """Write the description into a folder, or check that it is the one that is there.

    Raises:
        ConfigurationError: If the folder holds data of another description.
    """
    claim_file(folder / DESCRIPTION, description)


def claim_file(path: Path, description: Mapping[str, object]) -> None:
    """Write a description to a file, or check that it is the one that is there.

    Raises:
        ConfigurationError: If it is another one.
    """
    wanted = json.loads(json.dumps(description))
    if path.exists():
        found = json.loads(path.read_text())
        if found != wanted:
            differing = sorted(key for key in found.keys() | wanted.keys()
                               if found.get(key) != wanted.get(key))
            raise ConfigurationError(
                f'{path.parent} holds other data: {path.name} differs in '
                f'{", ".join(_difference(key, found, wanted) for key in differing)}; choose '
                'another folder or delete this one')
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(f'{path.name}.{os.getpid()}.partial')
    unfinished.write_text(json.dumps(wanted, indent=1) + '\n')
    unfinished.replace(path)


def _difference(key: str, found: Mapping[str, Any], wanted: Mapping[str, Any]) -> str:
    there, asked = (json.dumps(side.get(key)) for side in (found, wanted))
    return f'{key} ({there[:60]} there, {asked[:60]} asked for)'


def _make_one(make: ShardMaker, folder: Path, number: int) -> None:
    path = _shard_path(folder, number)
    arrays = make(number)
    # A reader never sees a half-written shard: renaming is atomic.
    unfinished = path.with_name(f'{path.name}.{socket.gethostname()}.{os.getpid()}.partial')
    with unfinished.open('wb') as file:
        np.savez(file, **arrays)  # type: ignore[arg-type]
    unfinished.replace(path)
