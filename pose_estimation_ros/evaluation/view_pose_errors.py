"""Errors of poses in views of known objects, by BOP's measures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pose_estimation_ros.evaluation.bop_average_recall import THRESHOLDS

FloatArray = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class PoseErrors:
    """Errors of N poses.

    Attributes:
        angle: (N,) rotation modulo symmetry, radians.
        surface: (N,) MSSD, as share of the diameter.
        projection: (N,) MSPD, pixels of an image of width 640.
    """

    angle: FloatArray
    surface: FloatArray
    projection: FloatArray

    @property
    def surface_recall(self) -> FloatArray:
        """(N,) at which share of BOP's thresholds each pose is found by MSSD."""
        return np.asarray((self.surface[:, None] < THRESHOLDS['MSSD']).mean(axis=1))

    @property
    def projection_recall(self) -> FloatArray:
        """(N,) at which share of BOP's thresholds each pose is found by MSPD."""
        return np.asarray((self.projection[:, None] < THRESHOLDS['MSPD']).mean(axis=1))

    @property
    def recall(self) -> FloatArray:
        """(N,) the mean of both."""
        return 0.5 * (self.surface_recall + self.projection_recall)

    def summary(self) -> dict[str, float]:
        """Return the figures of a validation; 'error' is 1 - the mean of both recalls."""
        return {'error': 1.0 - float(self.recall.mean()),
                'mssd_recall': float(self.surface_recall.mean()),
                'mspd_recall': float(self.projection_recall.mean()),
                'mean_degrees': float(np.degrees(self.angle).mean()),
                'median_degrees': float(np.degrees(np.median(self.angle)))}


def joined_errors(parts: Sequence[PoseErrors]) -> PoseErrors:
    """Return the errors of all poses of several batches."""
    return PoseErrors(*(np.concatenate([getattr(part, name) for part in parts])
                        for name in PoseErrors.__dataclass_fields__))
