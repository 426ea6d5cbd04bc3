"""The folder of an ablation: what is measured is kept, what is missing is trained and measured."""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict
from multiprocessing import get_context
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from pose_estimation_ros.core.errors import ConfigurationError
from pose_estimation_ros.evaluation.report import write_text

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

    from pose_estimation_ros.training.stages import StageSettings

_WARM_UP_SHARE = 0.08
_HASH_DIGITS = 12

_logger = logging.getLogger(__name__)


class Named(Protocol):
    """Something with a name of its own, which is that of its files."""

    @property
    def name(self) -> str:
        """Short name."""


Entry = TypeVar('Entry', bound=Named)


def plain_settings(settings: DataclassInstance) -> dict[str, Any]:
    """Return the fields of settings in values that JSON keeps as they are."""
    return {name: str(value) if isinstance(value, Path) else
            list(value) if isinstance(value, tuple) else value
            for name, value in asdict(settings).items()}


def short_hash(content: bytes) -> str:
    """Return the beginning of a SHA-256 hash."""
    return hashlib.sha256(content).hexdigest()[:_HASH_DIGITS]


def checkpoint_facts(start_from: Path | None) -> dict[str, str]:
    """Return what all variants began with and its hash, for a report; nothing for nothing."""
    if start_from is None:
        return {}
    return {f'start: {start_from.parent.name}/{start_from.name}':
            short_hash(start_from.read_bytes())}


def stage_of(steps: int, rate: float) -> StageSettings:
    """Return the one stage of every training: a cosine after a short warm-up."""
    from pose_estimation_ros.training.stages import StageSettings

    return StageSettings(steps, rate, 'cosine', round(_WARM_UP_SHARE * steps))


def claim_folder(runs: Path, settings: Mapping[str, Any]) -> None:
    """Note settings in a folder, or compare them with those noted.

    Args:
        runs: The folder.
        settings: Plain values.

    Raises:
        ConfigurationError: If the folder holds results of other settings.
    """
    path = runs / 'settings.json'
    if not path.is_file():
        write_text(path, json.dumps(settings, indent=2) + '\n')
        return
    noted = json.loads(path.read_text(encoding='utf-8'))
    different = [key for key in settings if noted.get(key) != settings[key]]
    if different:
        key = different[0]
        raise ConfigurationError(
            f'{runs} holds an ablation with {key} = {noted.get(key)}, not {settings[key]}; give '
            'another folder as --runs, or the same settings to go on')


def measure_missing(work: Callable[[Entry, int], None], entries: Sequence[Entry], seeds: int,
                    runs: Path, processes: int) -> None:
    """Let every seed of every entry be measured that is not.

    Args:
        work: Measures a seed of an entry and stores it at `result_path`.
        entries: What is measured.
        seeds: How many seeds of each.
        runs: Folder of the results.
        processes: How many are measured at the same time.
    """
    missing = [(entry, seed) for seed in range(seeds) for entry in entries
               if not result_path(runs, entry.name, seed).is_file()]
    if processes == 1:
        for entry, seed in missing:
            work(entry, seed)
            _tell(entry, seed)
        return
    with ProcessPoolExecutor(processes, mp_context=get_context('spawn')) as pool:
        pending = [pool.submit(work, entry, seed) for entry, seed in missing]
        for (entry, seed), done in zip(missing, pending, strict=True):
            done.result()
            _tell(entry, seed)


def result_path(runs: Path, name: str, seed: int) -> Path:
    """Return the file of the result of one seed."""
    return runs / f'{name}_{seed}.json'


def store_result(runs: Path, name: str, seed: int, values: Mapping[str, Any]) -> None:
    """Store plain values as the result of one seed."""
    write_text(result_path(runs, name, seed), json.dumps(values, allow_nan=False))


def stored_result(runs: Path, name: str, seed: int) -> dict[str, Any]:
    """Return the plain values that were stored.

    Raises:
        ConfigurationError: If that seed is not measured yet.
    """
    path = result_path(runs, name, seed)
    if not path.is_file():
        raise ConfigurationError(f'{path} is missing: seed {seed} of {name!r} is not measured; '
                                 'give the command again, it goes on where it stopped')
    stored: dict[str, Any] = json.loads(path.read_text(encoding='utf-8'))
    return stored


def as_plain(errors: NDArray[np.float64]) -> list[float | None]:
    """Return errors for JSON, None for infinite ones."""
    return [round(float(value), 4) if np.isfinite(value) else None for value in errors]


def from_plain(errors: Sequence[float | None]) -> NDArray[np.float64]:
    """Return the errors that `as_plain` described."""
    return np.array([np.inf if value is None else value for value in errors])


def _tell(entry: Named, seed: int) -> None:
    _logger.info('measured %s, seed %d', entry.name, seed)
