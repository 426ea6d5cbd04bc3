"""Shares of right answers compared over the same instances and seeds, with intervals."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from pose_estimation_ros.core.errors import InvalidInputError

_DRAWS = 2000
_COVERED = (2.5, 97.5)


@dataclass(frozen=True)
class Interval:
    """A figure in percent or percentage points, with its 95 % interval.

    Attributes:
        value: The figure.
        low: Lower end.
        high: Upper end.
    """

    value: float
    low: float
    high: float

    @property
    def excludes_zero(self) -> bool:
        """Whether the sign is certain."""
        return self.low > 0 or self.high < 0


def share(hits: NDArray[np.bool_]) -> Interval:
    """Return the share in percent of right answers, (S, N) of S seeds and N instances."""
    return paired_difference(hits, np.zeros_like(hits))


def paired_difference(hits: NDArray[np.bool_], baseline: NDArray[np.bool_]) -> Interval:
    """Return by how many percentage points more answers are right than those of a baseline.

    Instances and seeds are drawn anew with replacement (bootstrap, percentiles): the interval
    covers other test instances and other trainings. An instance and a seed are drawn for both
    sides at once, so what makes an instance hard does not widen the interval.

    Args:
        hits: (S, N) whether the answer for an instance is right, for each seed.
        baseline: (S, N) the same of the baseline, for the same instances and seeds.

    Raises:
        InvalidInputError: If the two are not of the same instances and seeds, or of none.
    """
    if hits.shape != baseline.shape or hits.ndim != 2 or not hits.size:
        raise InvalidInputError(f'answers of shape {hits.shape} cannot be compared with those of '
                                f'{baseline.shape}; give (seeds, instances) of both')
    gain = 100.0 * (hits.astype(np.float64) - baseline)
    seeds, instances = gain.shape
    of_seeds, of_instances = _weights(seeds, 1), _weights(instances, 2)
    drawn = ((of_instances @ gain.T) * of_seeds).sum(axis=1)
    low, high = np.percentile(drawn, _COVERED)
    return Interval(float(gain.mean()), float(low), float(high))


@lru_cache(maxsize=4)
def _weights(count: int, stream: int) -> NDArray[np.float64]:
    """Return (D, count) how much each of some items weighs in each draw; the same every time."""
    generator = np.random.default_rng(stream)
    return generator.multinomial(count, np.full(count, 1 / count), _DRAWS) / count
