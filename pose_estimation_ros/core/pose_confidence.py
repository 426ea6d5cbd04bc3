"""How likely it is that an estimated pose is right.

A pose is right when its rotation is off by at most 10 degrees and its position by at most 2 cm,
symmetries considered. A logistic regression tells it from evidence that the estimate brings
along; `pose-estimation models calibrate` fits it to validation data and writes it into the
model's manifest.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pose_estimation_ros.core.errors import InvalidInputError

FloatArray = NDArray[np.float64]

# A pose is right up to these errors.
DEGREES, CENTIMETRES = 10.0, 2.0
# What only a frame can say, and all evidence in the order of its columns. Residual and deviation
# of the position are relative to the object's diagonal.
FRAME_EVIDENCE: tuple[str, ...] = ('depth violation', 'depth support', 'mask explained')
EVIDENCE: tuple[str, ...] = (
    'log inlier ratio', 'log residual', 'log odds of the placement', 'membership',
    'sharpness of membership', 'log deviation of position', 'log deviation of rotation',
    'entropy', 'coordinate error', *FRAME_EVIDENCE)
# Evidence further off than anything in the validation data says no more than the furthest there.
_FURTHEST = 4.0


def terms(standardised: FloatArray) -> FloatArray:
    """Return (B, T): one, each of the F columns, and each product of two, squares too."""
    first, second = np.triu_indices(standardised.shape[1])
    return np.concatenate([np.ones((len(standardised), 1)), standardised,
                           standardised[:, first] * standardised[:, second]], axis=1)


@dataclass(frozen=True, eq=False)
class ConfidenceModel:
    """A calibration: from evidence to the probability that a pose is right.

    Attributes:
        evidence: F names out of `EVIDENCE`.
        mean: (F,) of the validation data.
        deviation: (F,) their standard deviations.
        weights: (1 + F + F (F + 1) / 2,) of `terms`.
        offsets: By category, added to the log odds; a category without one has 0.
        covariance_scale: What covariances are multiplied by to fit the errors of right poses.
    """

    evidence: tuple[str, ...]
    mean: FloatArray
    deviation: FloatArray
    weights: FloatArray
    offsets: Mapping[str, float]
    covariance_scale: float = 1.0

    def __post_init__(self) -> None:
        """Check that the numbers belong together.

        Raises:
            InvalidInputError: If evidence is unknown, or numbers are missing or not usable.
        """
        count = len(self.evidence)
        if unknown := set(self.evidence) - set(EVIDENCE):
            raise InvalidInputError(f'confidence knows no evidence {sorted(unknown)}; known are '
                                    f'{", ".join(EVIDENCE)}')
        for name, length in (('mean', count), ('deviation', count),
                             ('weights', 1 + count + count * (count + 1) // 2)):
            values = np.asarray(getattr(self, name), dtype=np.float64)
            if values.shape != (length,) or not np.isfinite(values).all():
                raise InvalidInputError(f'{name} of confidence must be {length} finite numbers '
                                        f'for {count} kinds of evidence, it is {values.tolist()}')
            object.__setattr__(self, name, values)
        if not np.isfinite([*self.offsets.values()]).all():
            raise InvalidInputError('offsets of confidence must be finite, they are '
                                    f'{dict(self.offsets)}')
        if not (self.deviation > 0).all() or not 0 < self.covariance_scale < np.inf:
            raise InvalidInputError('deviation and covariance_scale of confidence must be '
                                    f'positive, they are {self.deviation.tolist()} and '
                                    f'{self.covariance_scale}')

    def standardised(self, evidence: FloatArray) -> FloatArray:
        """Return the (B, F) columns that are used, of the (B, E) evidence, in deviations."""
        chosen = evidence[:, [EVIDENCE.index(name) for name in self.evidence]]
        values = np.clip((chosen - self.mean) / self.deviation, -_FURTHEST, _FURTHEST)
        # What is not known counts as average.
        return np.nan_to_num(values)

    def probability(self, evidence: FloatArray, labels: Sequence[str]) -> FloatArray:
        """Return (B,) probabilities that the poses are right.

        Args:
            evidence: (B, E) columns of `EVIDENCE`; NaN = unknown, which counts as average.
            labels: B categories.
        """
        offsets = np.array([self.offsets.get(label, 0.0) for label in labels])
        odds = terms(self.standardised(evidence)) @ self.weights + offsets
        return np.asarray(1.0 / (1.0 + np.exp(-odds)))

    def as_plain(self) -> dict[str, Any]:
        """Return the model as numbers and lists, for YAML; see `from_plain`."""
        return {'evidence': list(self.evidence),
                **{name: [_short(value) for value in getattr(self, name)]
                   for name in ('mean', 'deviation', 'weights')},
                'offsets': {label: _short(value) for label, value in self.offsets.items()},
                'covariance_scale': _short(self.covariance_scale)}

    @classmethod
    def from_plain(cls, plain: Mapping[str, Any]) -> ConfidenceModel:
        """Return the model of a mapping as `as_plain` makes it; further entries are facts.

        Raises:
            InvalidInputError: If something is missing or not usable.
        """
        try:
            return cls(tuple(plain['evidence']), np.asarray(plain['mean'], dtype=np.float64),
                       np.asarray(plain['deviation'], dtype=np.float64),
                       np.asarray(plain['weights'], dtype=np.float64),
                       {str(label): float(value) for label, value in plain['offsets'].items()},
                       float(plain.get('covariance_scale', 1.0)))
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise InvalidInputError(
                f'the confidence of a model is a mapping of evidence, mean, deviation, weights '
                f'and offsets ({type(error).__name__}: {error})') from error


def _short(value: float) -> float:
    return float(f'{value:.6g}')
