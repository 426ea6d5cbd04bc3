"""Symmetry of an object as data: continuous axes and discrete rotations.

Both act in the object frame about its origin: pose `T` and pose `T @ S` look the same for every
symmetry `S`.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from pose_estimation_ros.core.rotation import angle_between, axis_rotation

FloatArray = NDArray[np.float64]


@dataclass(frozen=True)
class Symmetry:
    """The rotations that leave an object unchanged.

    Attributes:
        axis: Unit axis of a continuous rotational symmetry in the object frame, or None.
        discrete: Further rotations, each as 9 numbers row by row; the identity is implied.
    """

    axis: tuple[float, float, float] | None = None
    discrete: tuple[tuple[float, ...], ...] = ()

    @cached_property
    def rotations(self) -> FloatArray:
        """(S, 3, 3) discrete rotations, the identity first."""
        others = np.array(self.discrete, dtype=np.float64).reshape(-1, 3, 3)
        return np.concatenate([np.eye(3)[None], others])

    def rotation_error(self, R_a: FloatArray, R_b: FloatArray) -> float:
        """Return the smallest angle between two (3, 3) rotations over all symmetries, radians."""
        return float(angle_between(self.nearest_rotation(R_a, R_b), R_b))

    def nearest_rotation(self, R: FloatArray, R_reference: FloatArray) -> FloatArray:
        """Return the equivalent of `R` that lies nearest to `R_reference`.

        Args:
            R: (3, 3) rotation to choose an equivalent of.
            R_reference: (3, 3) rotation to be near to.

        Returns:
            (3, 3) rotation `R @ S`.
        """
        candidates = R @ self.rotations
        if self.axis is not None:
            candidates = np.stack([c @ _best_spin(c, R_reference, self.axis)
                                   for c in candidates])
        return np.asarray(candidates[int(np.argmin(angle_between(candidates, R_reference)))])


def _best_spin(R: FloatArray, R_reference: FloatArray,
               axis: tuple[float, float, float]) -> FloatArray:
    """Return the spin about `axis` that brings `R @ spin` nearest to `R_reference`.

    The trace of R_reference^T R spin(a) is A + B cos a + C sin a, so the best angle is closed
    form.
    """
    unit = np.asarray(axis, dtype=np.float64)
    M = R_reference.T @ R
    along = float(unit @ M @ unit)
    cosine_part = float(np.trace(M)) - along
    skew = np.array([M[1, 2] - M[2, 1], M[2, 0] - M[0, 2], M[0, 1] - M[1, 0]])
    return axis_rotation(unit, np.arctan2(float(skew @ unit), cosine_part))


NO_SYMMETRY = Symmetry()
Y_AXIS_SYMMETRY = Symmetry(axis=(0.0, 1.0, 0.0))
