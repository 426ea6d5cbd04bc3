"""Folders of data shards: written by several processes, resumable, never half-written."""

from __future__ import annotations

import json
import multiprocessing
import os
from collections.abc import Callable, Mapping
from concurrent.futures import ProcessPoolExecutor, as_completed
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from pose_estimation_ros.core.errors import ConfigurationError

Arrays = Mapping[str, NDArray[np.generic]]
ShardMaker = Callable[[int], Arrays]
Report = Callable[[int, int], None]

_DESCRIPTION = 'description.json'
_PATTERN = 'shard_*.npz'


def list_shards(folder: Path) -> list[Path]:
    """Return the finished shards of a folder, in order."""
    return sorted(Path(folder).glob(_PATTERN))


def read_description(folder: Path) -> dict[str, Any]:
    """Return what the shards of a folder hold, as it was given to `write_shards`."""
    return dict(json.loads((folder / _DESCRIPTION).read_text()))


def no_report(done: int, total: int) -> None:
    """Report progress to nobody."""


def write_shards(folder: Path, count: int, description: Mapping[str, object], make: ShardMaker,
                 processes: int = 1, report: Report = no_report) -> list[Path]:
    """Make the shards 0 to count - 1 that are not there yet.

    Processes are started afresh, so a script that calls this with more than one needs the usual
    `if __name__ == '__main__'`.

    Args:
        folder: Where to write; made if needed.
        count: Number of shards in all.
        description: What the shards hold, written beside them. A folder is only continued with
            the same description.
        make: Returns the arrays of a shard; a module's function or a `functools.partial` of one.
        processes: How many shards are made at the same time.
        report: Called with the finished and the total number after each shard.

    Returns:
        The paths of all shards, in order.

    Raises:
        ConfigurationError: If the folder holds shards of another description.
    """
    folder.mkdir(parents=True, exist_ok=True)
    _claim(folder, description)
    paths = [folder / _PATTERN.replace('*', f'{number:05d}') for number in range(count)]
    missing = [number for number, path in enumerate(paths) if not path.exists()]
    done = count - len(missing)
    if processes <= 1:
        for number in missing:
            _make_one(make, number, paths[number])
            done += 1
            report(done, count)
        return paths
    context = multiprocessing.get_context('spawn')
    with ProcessPoolExecutor(processes, context, _use_one_thread) as pool:
        jobs = [pool.submit(_make_one, make, number, paths[number]) for number in missing]
        for job in as_completed(jobs):
            job.result()
            done += 1
            report(done, count)
    return paths


def _claim(folder: Path, description: Mapping[str, object]) -> None:
    """Write the description, or check that it is the one that is there."""
    path = folder / _DESCRIPTION
    wanted = json.loads(json.dumps(description))
    if path.exists():
        found = read_description(folder)
        if found != wanted:
            raise ConfigurationError(
                f'{folder} holds other data: {found}, but {wanted} was asked for; '
                'choose another folder or delete this one')
    else:
        path.write_text(json.dumps(wanted, indent=1) + '\n')


def _make_one(make: ShardMaker, number: int, path: Path) -> None:
    arrays = make(number)
    # A reader never sees a half-written shard: renaming is atomic.
    partial = path.with_name(f'{path.name}.{os.getpid()}.partial')
    with partial.open('wb') as file:
        np.savez(file, **arrays)  # type: ignore[arg-type]
    partial.replace(path)


def _use_one_thread() -> None:
    cv2.setNumThreads(1)
