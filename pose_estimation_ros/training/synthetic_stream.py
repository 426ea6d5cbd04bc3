"""Synthetic samples made while the training runs, by processes of their own.

The samples are a numbered row of shards, each a function of its number. A window moves along the
row as samples are drawn; shards are made ahead of it and deleted behind it. So the training is
the same whatever the speed of the makers: it waits for a shard that is not there yet.
"""

from __future__ import annotations

import multiprocessing
import os
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ProcessPoolExecutor
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pose_estimation_ros.core.errors import ConfigurationError
from pose_estimation_ros.training.batch_plan import Draw

Arrays = Mapping[str, NDArray[np.generic]]
MakeShard = Callable[[int], Arrays]

_POLL_SECONDS = 0.02


class SyntheticStream:
    """A row of shards, of which a window is there at a time."""

    def __init__(self, folder: Path, make: MakeShard, shard_size: int, window: int = 8,
                 reuse: float = 4.0, makers: int = 1) -> None:
        """Start nothing yet: the first `advance` does.

        Args:
            folder: Where the shards of the window lie; emptied behind it.
            make: Returns the arrays of a shard of that number; can be pickled.
            shard_size: Samples of each shard.
            window: Shards to choose among at a time.
            reuse: How often each sample is drawn on average.
            makers: Processes that make shards.
        """
        self._folder, self._make, self._makers = folder, make, makers
        self._shard_size, self._window, self._reuse = shard_size, window, reuse
        self._pool: ProcessPoolExecutor | None = None
        self._asked: set[int] = set()

    def paths(self, draw: Draw) -> list[Path]:
        """Return the shards that a draw chooses among, after waiting for them.

        Raises:
            ConfigurationError: If one could not be made.
        """
        paths = [self._path(number) for number in self._window_at(draw.first)]
        for path in paths:
            while not path.exists():
                fault = path.with_suffix('.failed')
                if fault.exists():
                    raise ConfigurationError(f'no synthetic samples could be made: '
                                             f'{fault.read_text(encoding="utf-8")}')
                time.sleep(_POLL_SECONDS)
        return paths

    def items(self, draw: Draw) -> NDArray[np.intp]:
        """Return which (draw.count,) samples of the joined shards are meant."""
        generator = np.random.default_rng((*draw.seed, draw.first))
        shards = len(self._window_at(draw.first))
        return generator.integers(shards * self._shard_size, size=draw.count)

    def advance(self, now: int, ahead: int) -> None:
        """Make what will be needed and delete what will not.

        Args:
            now: Samples drawn before the present step.
            ahead: Samples drawn before the farthest step that is prepared now.
        """
        if os.environ.get('LOCAL_RANK', '0') != '0':
            return
        first, last = self._first(now), self._first(ahead) + self._window + self._makers
        wanted = set(range(first, last)) - self._asked
        for number in sorted(wanted):
            self._path(number).with_suffix('.failed').unlink(missing_ok=True)
            self._ask(number)
        for number in [number for number in self._asked if number < first]:
            self._path(number).unlink(missing_ok=True)
        self._asked = (self._asked | wanted) - set(range(first))

    def close(self) -> None:
        """End the makers; the window's shards stay, for the run to go on."""
        if self._pool is not None:
            self._pool.shutdown(cancel_futures=True)
            self._pool = None

    def _ask(self, number: int) -> None:
        path = self._path(number)
        if path.exists():
            return
        if self._pool is None:
            self._folder.mkdir(parents=True, exist_ok=True)
            self._pool = ProcessPoolExecutor(
                self._makers, multiprocessing.get_context('spawn'), _use_one_thread)
        self._pool.submit(_write, self._make, number, path).add_done_callback(
            partial(_tell_fault, path.with_suffix('.failed')))

    def _window_at(self, drawn: int) -> range:
        """Return the shards to choose among; early samples need not wait for a whole window."""
        first = self._first(drawn)
        return range(first, first + min(self._window, 1 + drawn // self._shard_size))

    def _first(self, drawn: int) -> int:
        return int(drawn // (self._shard_size * self._reuse))

    def _path(self, number: int) -> Path:
        return self._folder / f'shard_{number:06d}.npz'


def _write(make: MakeShard, number: int, path: Path) -> None:
    partial_path = path.with_name(f'{path.name}.{os.getpid()}.partial')
    with partial_path.open('wb') as file:
        np.savez(file, **make(number))  # type: ignore[arg-type]
    partial_path.replace(path)


def _tell_fault(path: Path, job: Future[None]) -> None:
    """Leave a note for those who wait."""
    if not job.cancelled() and (error := job.exception()) is not None:
        path.write_text(f'{type(error).__name__}: {error}', encoding='utf-8')


def _use_one_thread() -> None:
    import cv2

    cv2.setNumThreads(1)
