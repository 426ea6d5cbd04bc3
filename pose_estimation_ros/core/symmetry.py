"""Symmetry of an object as data: continuous axes and discrete rotations.

Both act in the object frame about its origin: pose `T` and pose `T @ S` look the same for every
symmetry `S`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pose_estimation_ros.core.errors import InvalidInputError
from pose_estimation_ros.core.rotation import angle_between, axis_rotation, nearest_rotation

FloatArray = NDArray[np.float64]

_SAME = 1e-6
# What was written with all its digits is read as it was.
_ROUNDING = 1e-9


@dataclass(frozen=True)
class Symmetry:
    """The rotations that leave an object unchanged.

    Attributes:
        axis: Unit axis of a continuous rotational symmetry in the object frame, or None.
        discrete: Further rotations, each as 9 numbers row by row; the identity is implied.
    """

    axis: tuple[float, float, float] | None = None
    discrete: tuple[tuple[float, ...], ...] = ()

    def as_plain(self) -> dict[str, Any]:
        """Return the symmetry as numbers and lists, for YAML and JSON; see `from_plain`."""
        return {'axis': None if self.axis is None else [float(x) for x in self.axis],
                'discrete': [[float(x) for x in rotation] for rotation in self.discrete]}

    @classmethod
    def from_plain(cls, plain: Mapping[str, Any]) -> Symmetry:
        """Return the symmetry of a mapping as `as_plain` makes it; both entries may be missing.

        Numbers of few digits become the unit vector and the rotations that are nearest to them.

        Raises:
            InvalidInputError: If the axis is not a unit vector or something is no rotation.
        """
        try:
            axis = plain.get('axis')
            axis = None if axis is None else np.asarray(axis, dtype=np.float64)
            discrete = np.asarray(plain.get('discrete') or np.zeros((0, 9)), dtype=np.float64)
        except (AttributeError, TypeError, ValueError) as error:
            raise InvalidInputError(f'a symmetry is a mapping of axis (3 numbers) and discrete '
                                    f'(lists of 9 numbers), not {plain!r}') from error
        # NaN must not pass, and it compares as false.
        if axis is not None and (axis.shape != (3,) or not abs(np.linalg.norm(axis) - 1) <= 1e-3):
            raise InvalidInputError(f'the axis of a symmetry must be a unit vector, not {axis}')
        matrices = discrete.reshape(-1, 3, 3) if discrete.size % 9 == 0 else np.zeros((1, 3, 3))
        deviation = np.abs(matrices @ np.swapaxes(matrices, 1, 2) - np.eye(3)).max(initial=0.0)
        if not deviation <= 1e-3 or (np.linalg.det(matrices) < 0).any():
            raise InvalidInputError(f'the discrete part of a symmetry must be rotations of 9 '
                                    f'numbers each, row by row, not {plain["discrete"]}')
        if deviation > _ROUNDING:
            matrices = nearest_rotation(matrices)
        unit = None if axis is None else _unit(axis)
        return cls(unit, tuple(tuple(map(float, matrix.ravel())) for matrix in matrices))

    def is_close(self, other: Symmetry) -> bool:
        """Return whether another symmetry states the same in the same order.

        Two machines compute rotations with other last digits.
        """
        if (self.axis is None) != (other.axis is None) or len(self.discrete) != len(
                other.discrete):
            return False
        own, its = self.axis or (0.0,) * 3, other.axis or (0.0,) * 3
        return (np.allclose(own, its, atol=_SAME)
                and np.allclose(self.rotations, other.rotations, atol=_SAME))

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
        return np.asarray(self.nearest_rotations(R[None], R_reference[None])[0])

    def nearest_rotations(self, R: FloatArray, R_reference: FloatArray) -> FloatArray:
        """Return for each of N rotations the equivalent that lies nearest to its reference.

        The nearest has the largest trace of R_reference^T R S. With a continuous axis the trace
        of R_reference^T R S spin(a) is A + B cos a + C sin a, so the best angle is closed form.

        Args:
            R: (N, 3, 3) rotations to choose equivalents of.
            R_reference: (N, 3, 3) rotations to be near to.

        Returns:
            (N, 3, 3) rotations `R @ S`.
        """
        relative = np.swapaxes(R_reference, 1, 2) @ R
        if self.axis is None:
            traces = np.einsum('nij,sji->ns', relative, self.rotations)
            return np.asarray(R @ self.rotations[traces.argmax(axis=1)])
        unit = np.asarray(self.axis, dtype=np.float64)
        M = relative[:, None] @ self.rotations
        along = np.einsum('i,nsij,j->ns', unit, M, unit)
        cosine_part = np.trace(M, axis1=2, axis2=3) - along
        skew = np.stack([M[..., 1, 2] - M[..., 2, 1], M[..., 2, 0] - M[..., 0, 2],
                         M[..., 0, 1] - M[..., 1, 0]], axis=-1)
        sine_part = skew @ unit
        best = (along + np.hypot(cosine_part, sine_part)).argmax(axis=1)
        chosen = np.arange(len(R)), best
        spins = axis_rotation(unit, np.arctan2(sine_part[chosen], cosine_part[chosen]))
        return np.asarray(R @ self.rotations[best] @ spins)


def nearest_equivalents(symmetries: Sequence[Symmetry], R: FloatArray,
                        R_reference: FloatArray) -> FloatArray:
    """Return for each rotation the equivalent by its own symmetry nearest to its reference.

    Args:
        symmetries: Of each of the N objects; few of them differ.
        R: (N, 3, 3) rotations to choose equivalents of.
        R_reference: (N, 3, 3) rotations to be near to.

    Returns:
        (N, 3, 3) rotations `R @ S`.
    """
    rows: dict[Symmetry, list[int]] = {}
    for row, symmetry in enumerate(symmetries):
        rows.setdefault(symmetry, []).append(row)
    nearest = np.array(R, dtype=np.float64)
    for symmetry, chosen in rows.items():
        nearest[chosen] = symmetry.nearest_rotations(R[chosen], R_reference[chosen])
    return nearest


def _unit(axis: FloatArray) -> tuple[float, float, float]:
    length = np.linalg.norm(axis)
    x, y, z = (axis if abs(length - 1) <= _ROUNDING else axis / length).tolist()
    return x, y, z


NO_SYMMETRY = Symmetry()
Y_AXIS_SYMMETRY = Symmetry(axis=(0.0, 1.0, 0.0))
