"""What the speed benchmarks share: calls that take turns, and how their times are told."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

# Heads of `Times.columns`.
COLUMNS = ('median, ms', '10 % to 90 %, ms', 'CPU of all threads, ms')


@dataclass(frozen=True)
class Times:
    """Times of one call that was repeated, milliseconds.

    Attributes:
        wall: By the clock.
        cpu: Of all threads of the process.
    """

    wall: tuple[float, ...]
    cpu: tuple[float, ...]

    @property
    def median(self) -> float:
        """The median by the clock."""
        return float(np.median(self.wall))

    @property
    def median_cpu(self) -> float:
        """The median of all threads together."""
        return float(np.median(self.cpu))

    def columns(self, calls: int = 1) -> tuple[object, ...]:
        """Return values for `COLUMNS`, of one of several equal parts of the call."""
        low, high = np.percentile(self.wall, (10, 90)) / calls
        return self.median / calls, f'{low:.4g} to {high:.4g}', self.median_cpu / calls


def in_turn(ways: Mapping[str, Callable[[], object]], repeats: int) -> dict[str, Times]:
    """Call each way once to warm up, then all of them in turn.

    What else the machine does meets them alike.
    """
    taken: dict[str, list[tuple[float, float]]] = {name: [] for name in ways}
    for run in ways.values():
        run()
    for _ in range(repeats):
        for name, run in ways.items():
            clock, cores = time.perf_counter(), time.process_time()
            run()
            taken[name].append((1e3 * (time.perf_counter() - clock),
                                1e3 * (time.process_time() - cores)))
    return {name: Times(*map(tuple, zip(*pairs, strict=True))) for name, pairs in taken.items()}


def milliseconds(ways: Mapping[str, Callable[[], object]],
                 repeats: int) -> dict[str, tuple[float, float]]:
    """Return the median times of `in_turn`: by the clock, and of all threads together."""
    return {name: (times.median, times.median_cpu)
            for name, times in in_turn(ways, repeats).items()}
