"""The rigid transforms that leave a CAD model unchanged, as BOP's metrics take them.

`core.symmetry.Symmetry` holds rotations about the object's origin in closed form; BOP's models
have symmetries about any axis in space, and its metrics are defined on a finite set of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pose_estimation_ros.core.errors import InvalidInputError
from pose_estimation_ros.core.rotation import axis_rotation
from pose_estimation_ros.core.se3 import is_rigid, make_transform
from pose_estimation_ros.core.symmetry import Symmetry

FloatArray = NDArray[np.float64]

# ceil(pi / 0.01): a point moves by at most 1 % of the diameter from one step to the next.
CONTINUOUS_STEPS = 315
# models_info.json prints rotations with a handful of digits.
_RIGID_TOLERANCE = 1e-3


@dataclass(frozen=True)
class SymmetryAxis:
    """A line about which a model may be turned by any angle.

    Attributes:
        direction: (x, y, z) of the line, any length but zero.
        point: (x, y, z) of a point on it, metres, object frame (`offset` of models_info.json).
    """

    direction: tuple[float, float, float]
    point: tuple[float, float, float] = (0.0, 0.0, 0.0)

    def __post_init__(self) -> None:
        """Check the direction.

        Raises:
            InvalidInputError: If it has no length.
        """
        if not np.linalg.norm(self.direction) > 0:
            raise InvalidInputError(f'a symmetry axis has direction {self.direction}; give a '
                                    'vector other than zero')


@dataclass(frozen=True, eq=False)
class SymmetryTransforms:
    """The transforms that cannot be told apart from standing still.

    Attributes:
        T: (S, 4, 4) float64 rigid transforms in the object frame, metres, the identity first.
            Poses `T_camera_object` and `T_camera_object @ T[s]` look the same.
    """

    T: FloatArray

    def __len__(self) -> int:
        """Return the number of transforms."""
        return len(self.T)

    @classmethod
    def none(cls) -> SymmetryTransforms:
        """Return the identity alone."""
        return cls(np.eye(4)[None])

    @classmethod
    def of(cls, discrete: Sequence[ArrayLike] = (), axes: Sequence[SymmetryAxis] = (),
           steps: int = CONTINUOUS_STEPS) -> SymmetryTransforms:
        """Combine the discrete and continuous symmetries of a model.

        Every discrete transform is followed by every turn about an axis.

        Args:
            discrete: (4, 4) rigid transforms, metres, the identity left out.
            axes: Lines of continuous symmetry.
            steps: Turns per axis.

        Raises:
            InvalidInputError: If a transform is not rigid.

        Source: specs/mrc_c2f_disp6d.md, section 4 (bop_toolkit cea62d6).
        """
        for T in discrete:
            if not is_rigid(np.asarray(T, dtype=np.float64), _RIGID_TOLERANCE):
                raise InvalidInputError(
                    f'a discrete symmetry is not a rigid transform: {np.asarray(T).tolist()}; '
                    'correct it in models_info.json')
        first = np.stack([np.eye(4), *(np.asarray(T, dtype=np.float64) for T in discrete)])
        if not axes:
            return cls(first)
        turns = np.concatenate([_turns(axis, steps) for axis in axes])
        return cls((turns[None] @ first[:, None]).reshape(-1, 4, 4))

    @classmethod
    def of_symmetry(cls, symmetry: Symmetry) -> SymmetryTransforms:
        """Return those of rotations about the object's origin."""
        axes = () if symmetry.axis is None else (SymmetryAxis(symmetry.axis),)
        return cls.of(make_transform(symmetry.rotations[1:], np.zeros(3)), axes)


def _turns(axis: SymmetryAxis, steps: int) -> FloatArray:
    """Return (steps, 4, 4) transforms that turn about an axis, equally spaced."""
    R = axis_rotation(axis.direction, np.arange(steps) * (2 * np.pi / steps))
    point = np.asarray(axis.point, dtype=np.float64)
    return make_transform(R, point - R @ point)
