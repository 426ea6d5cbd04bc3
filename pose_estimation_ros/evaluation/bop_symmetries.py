"""The rigid transforms that leave a CAD model unchanged, as BOP's metrics take them.

`core.symmetry.Symmetry` holds rotations about the object's origin in closed form; BOP's models
have symmetries about any axis in space, and its metrics are defined on a finite set of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pose_estimation_ros.core.rotation import axis_rotation
from pose_estimation_ros.core.se3 import make_transform
from pose_estimation_ros.core.symmetry import Symmetry
from pose_estimation_ros.datasets.bop_models import SymmetryLine

FloatArray = NDArray[np.float64]

# ceil(pi / 0.01): a point moves by at most 1 % of the diameter from one step to the next.
CONTINUOUS_STEPS = 315


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
    def of(cls, discrete: FloatArray, lines: Sequence[SymmetryLine],
           steps: int = CONTINUOUS_STEPS) -> SymmetryTransforms:
        """Combine the discrete and continuous symmetries of a model.

        Every discrete transform is followed by every turn about a line.

        Args:
            discrete: (D, 4, 4) rigid transforms, metres, the identity left out.
            lines: Axes of continuous symmetry.
            steps: Turns per line.

        Source: specs/mrc_c2f_disp6d.md, section 4 (bop_toolkit cea62d6).
        """
        first = np.concatenate([np.eye(4)[None], discrete])
        if not lines:
            return cls(first)
        turns = np.concatenate([_turns(line, steps) for line in lines])
        return cls((turns[None] @ first[:, None]).reshape(-1, 4, 4))

    @classmethod
    def of_symmetry(cls, symmetry: Symmetry) -> SymmetryTransforms:
        """Return those of rotations about the object's origin."""
        lines = () if symmetry.axis is None else (SymmetryLine(symmetry.axis, (0.0, 0.0, 0.0)),)
        return cls.of(make_transform(symmetry.rotations[1:], np.zeros(3)), lines)


def _turns(line: SymmetryLine, steps: int) -> FloatArray:
    """Return (steps, 4, 4) transforms that turn about a line, equally spaced."""
    R = axis_rotation(line.direction, np.arange(steps) * (2 * np.pi / steps))
    point = np.asarray(line.point, dtype=np.float64)
    return make_transform(R, point - R @ point)
