"""What the answers of a neural mesh model mean: probabilities, covariances, surfaces.

The numbers are fitted to validation frames by `pose-estimation models calibrate` and stand in
the model's manifest. Without them scores are bounded but no probabilities.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pose_estimation_ros.backends.neural_mesh_solver import Candidate
from pose_estimation_ros.core.errors import ModelError
from pose_estimation_ros.core.pose_covariance import UNKNOWN_ANGLE
from pose_estimation_ros.runtime import ModelManifest

FloatArray = NDArray[np.float64]

PARAMETER = 'calibration'
# What a candidate tells of itself, in the order of the weights.
EVIDENCE: tuple[str, ...] = ('score', 'similarity', 'own share', 'log own cells')
# What is known of a pose whatever the picture shows: a metre, and any angle.
_PRIOR_INFORMATION = np.array([1.0] * 3 + [1.0 / UNKNOWN_ANGLE] * 3)
# No rendering is like the features without any error.
_LEAST_DISSIMILARITY = 0.02
# As a share of the diagonal: how much surfaces differ from cuboids, if nobody has measured it.
_ROUGHNESS = 0.15


@dataclass(frozen=True, eq=False)
class MeshCalibration:
    """From a candidate to what is published of it.

    Attributes:
        mean: (E,) of the evidence in the validation frames.
        deviation: (E,) likewise.
        weights: (1 + E,) of one and the standardised evidence; None = not calibrated, the score
            of the solver counts as it is.
        offsets: By category, added to the log odds.
        least: Candidates with a lower probability are rejected.
        noise: What the inverse of the curvature is multiplied by to be the covariance of a
            pose without any similarity.
        surfaces: By category, the depth of its surface behind its cuboid, and the deviation of
            that from object to object, both in shares of the diagonal.
    """

    mean: FloatArray = field(default_factory=lambda: np.zeros(len(EVIDENCE)))
    deviation: FloatArray = field(default_factory=lambda: np.ones(len(EVIDENCE)))
    weights: FloatArray | None = None
    offsets: Mapping[str, float] = field(default_factory=dict)
    least: float = 0.0
    noise: float = 1.0
    surfaces: Mapping[str, tuple[float, float]] = field(default_factory=dict)

    @classmethod
    def of(cls, manifest: ModelManifest) -> MeshCalibration:
        """Return the calibration in a manifest, that of an uncalibrated model if there is none.

        Raises:
            ModelError: If it is damaged.
        """
        plain: Mapping[str, Any] = manifest.parameters.get(PARAMETER, {})
        if not plain:
            return cls()
        try:
            found = cls(
                _numbers(plain['mean'], len(EVIDENCE)), _numbers(plain['deviation'],
                                                                len(EVIDENCE)),
                _numbers(plain['weights'], 1 + len(EVIDENCE)),
                {str(name): float(value) for name, value in plain['offsets'].items()},
                float(plain['least']), float(plain['noise']),
                {str(name): (float(value[0]), float(value[1]))
                 for name, value in plain['surfaces'].items()})
        except (AttributeError, IndexError, KeyError, TypeError, ValueError) as error:
            raise ModelError(
                f'model {manifest.name!r}: parameters.{PARAMETER} of its manifest is damaged '
                f'({type(error).__name__}: {error}); remove it, and calibrate the model with '
                'pose-estimation models calibrate') from error
        if not (found.deviation > 0).all() or not found.noise > 0:
            raise ModelError(f'model {manifest.name!r}: deviation and noise of its calibration '
                             'must be positive; calibrate the model again')
        return found

    def as_plain(self) -> dict[str, Any]:
        """Return numbers and lists, for a manifest; see `of`."""
        weights = [] if self.weights is None else self.weights
        return {'evidence': list(EVIDENCE),
                **{name: [_short(value) for value in values] for name, values in
                   (('mean', self.mean), ('deviation', self.deviation), ('weights', weights))},
                'offsets': {name: _short(value) for name, value in self.offsets.items()},
                'least': _short(self.least), 'noise': _short(self.noise),
                'surfaces': {name: [_short(value) for value in pair]
                             for name, pair in self.surfaces.items()}}

    def probability(self, candidate: Candidate) -> float:
        """Return how likely the object is there, turned so to within 30 degrees; 0 to 1."""
        return self.probability_of(evidence(candidate), candidate.category)

    def probability_of(self, told: FloatArray, category: str) -> float:
        """Return the probability that (E,) evidence of a candidate of a category gives it."""
        if self.weights is None:
            return float(np.clip(told[EVIDENCE.index('score')], 0.0, 1.0))
        odds = (self.weights[0] + self.weights[1:] @ ((told - self.mean) / self.deviation)
                + self.offsets.get(category, 0.0))
        return float(1.0 / (1.0 + np.exp(-odds)))

    def covariance(self, candidate: Candidate, scale: float = 1.0) -> FloatArray:
        """Return the (6, 6) covariance of a candidate's pose at a known scale.

        It is the inverse of the curvature of the squared difference between rendering and
        features, times how dissimilar they are, times `noise`, which stands for whatever
        neighbouring cells and channels have in common.

        Args:
            candidate: Whose pose it is.
            scale: Of the object, which position and its deviation share.
        """
        curvature = (candidate.hessian + candidate.hessian.T) / 2
        variance = self.noise * max(1.0 - candidate.similarity, _LEAST_DISSIMILARITY)
        covariance = np.linalg.inv(curvature / variance + np.diag(_PRIOR_INFORMATION))
        factor = np.array([scale] * 3 + [1.0] * 3)
        return np.asarray(factor[:, None] * covariance * factor)

    def surface(self, category: str) -> tuple[float, float]:
        """Return depth behind the cuboid and its deviation, in shares of the diagonal."""
        return self.surfaces.get(category, (0.0, _ROUGHNESS))


def evidence(candidate: Candidate) -> FloatArray:
    """Return (E,) what a candidate tells of itself, in the order of `EVIDENCE`."""
    own, whole = int(candidate.mask.sum()), int(candidate.silhouette.sum())
    return np.array([candidate.score, candidate.similarity, own / max(whole, 1),
                     np.log1p(own)])


def _numbers(values: Any, count: int) -> FloatArray:
    numbers = np.asarray(values, dtype=np.float64)
    if numbers.shape != (count,) or not np.isfinite(numbers).all():
        raise ValueError(f'{count} finite numbers are needed, not {values}')
    return numbers


def _short(value: float) -> float:
    return float(f'{value:.6g}')
