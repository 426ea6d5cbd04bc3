"""Scores and errors compared over the same instances and seeds, with intervals."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from pose_estimation_ros.core.errors import InvalidInputError

_DRAWS = 2000
_COVERED = (2.5, 97.5)

# Whether an answer is right, or to which share.
Scores = NDArray[np.bool_] | NDArray[np.float64]


@dataclass(frozen=True)
class Interval:
    """A figure with its 95 % interval.

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


def share(hits: Scores) -> Interval:
    """Return the share in percent of right answers, (S, N) of S seeds and N instances."""
    return paired_difference(hits, np.zeros_like(hits))


def paired_difference(hits: Scores, baseline: Scores) -> Interval:
    """Return by how many percentage points more answers are right than those of a baseline.

    Instances and seeds are drawn anew with replacement (bootstrap, percentiles): the interval
    covers other test instances and other trainings. An instance and a seed are drawn for both
    sides at once, so what makes an instance hard does not widen the interval.

    Args:
        hits: (S, N) whether the answer for an instance is right, or to which share from 0 to 1,
            for each seed.
        baseline: (S, N) the same of the baseline, for the same instances and seeds.

    Raises:
        InvalidInputError: If the two are not of the same instances and seeds, or of none.
    """
    _check_comparable(hits, baseline)
    gain = 100.0 * (hits.astype(np.float64) - baseline)
    seeds, instances = gain.shape
    of_seeds, of_instances = _weights(seeds, 1), _weights(instances, 2)
    drawn = ((of_instances @ gain.T) * of_seeds).sum(axis=1)
    return _interval(float(gain.mean()), drawn)


def median(errors: NDArray[np.float64]) -> Interval:
    """Return the median of (S, N) errors of S seeds and N instances."""
    return median_difference(errors, np.zeros_like(errors))


def median_difference(errors: NDArray[np.float64], baseline: NDArray[np.float64]) -> Interval:
    """Return by how much the median of errors is above that of a baseline; see above.

    Args:
        errors: (S, N) of an instance, for each seed.
        baseline: (S, N) the same of the baseline, for the same instances and seeds.

    Raises:
        InvalidInputError: If the two are not of the same instances and seeds, or of none.
    """
    _check_comparable(errors, baseline)
    return _interval(
        float(_apart(np.median(errors), np.median(baseline))),
        _apart(_drawn_medians(errors), _drawn_medians(baseline)))


def _apart(errors: NDArray[np.float64], baseline: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the differences of medians; none where both are infinite: most were missed."""
    with np.errstate(invalid='ignore'):
        return np.where(np.isinf(errors) & (errors == baseline), 0.0, errors - baseline)


def _drawn_medians(errors: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return (D,) the median of (S, N) errors in each draw."""
    seeds, instances = errors.shape
    order = np.argsort(errors, axis=None)
    weights = _weights(seeds, 1)[:, order // instances]
    weights *= _weights(instances, 2)[:, order % instances]
    middle = (np.cumsum(weights, axis=1) < 0.5).sum(axis=1)
    return np.asarray(errors.ravel()[order[np.minimum(middle, errors.size - 1)]])


def _check_comparable(answers: Scores, baseline: Scores) -> None:
    if answers.shape != baseline.shape or answers.ndim != 2 or not answers.size:
        raise InvalidInputError(f'answers of shape {answers.shape} cannot be compared with those '
                                f'of {baseline.shape}; give (seeds, instances) of both')


def _interval(value: float, drawn: NDArray[np.float64]) -> Interval:
    # Of differences some may be infinite, and there is nothing between these and others.
    low, high = np.percentile(drawn, _COVERED,
                              method='linear' if np.isfinite(drawn).all() else 'nearest')
    return Interval(value, float(low), float(high))


@lru_cache(maxsize=4)
def _weights(count: int, stream: int) -> NDArray[np.float64]:
    """Return (D, count) how much each of some items weighs in each draw; the same every time."""
    generator = np.random.default_rng(stream)
    return generator.multinomial(count, np.full(count, 1 / count), _DRAWS) / count
