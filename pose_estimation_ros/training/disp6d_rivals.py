"""What the code of a crop is compared with in training, and how right each answer is.

Not in the paper. There the code of a rotation follows the crop's, by a weight so small that the
crop's is shaped by reconstruction alone: codes come to tell rotations apart only slowly, as far
as pictures of them differ. Choosing the right rotation among others is what codes are for, so it
is trained as such: by a cross entropy over some rotations, of which those that look nearly the
same as the right one are nearly as right. Of objects of categories these are rotations of the
shape's code; of parts, which nobody knows the symmetries of, plain views of a batch.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from pose_estimation_ros.core.rotation import angle_between, axis_angle_to_matrix
from pose_estimation_ros.core.symmetry import Symmetry, nearest_equivalents

FloatArray = NDArray[np.float64]


@dataclass(frozen=True)
class RivalSettings:
    """Which rotations a crop is compared with.

    Attributes:
        count: How many, the true one among them.
        nearest: Least angle of the others from it, radians; their angles are spread evenly by
            ratio from there to half a turn, since the near ones are what is mixed up at the end.
        width: Angle at which a rotation is e^-0.5 times as right as the true one, radians.
    """

    count: int = 96
    nearest: float = np.radians(3.0)
    width: float = np.radians(6.0)


@dataclass(frozen=True)
class AlikeSettings:
    """Which views of one object look the same, by their depth images.

    Attributes:
        side: Side of the images that are compared, pixels.
        most: Difference of two pixels that counts at most, of the object's diagonal; such as
            that of object and background.
        width: Root mean square difference at which a view is e^-0.5 times as right as the
            picture's own, of the diagonal.
    """

    side: int = 32
    most: float = 0.1
    width: float = 0.015


def draw_rivals(R: FloatArray, settings: RivalSettings, generator: np.random.Generator
                ) -> FloatArray:
    """Return (count, 3, 3) rotations, first the given one.

    Args:
        R: (3, 3) true rotation.
        settings: Which ones.
        generator: Source of randomness.
    """
    axes = generator.standard_normal((settings.count, 3))
    axes /= np.linalg.norm(axes, axis=1, keepdims=True)
    angles = settings.nearest * (np.pi / settings.nearest) ** generator.random(settings.count)
    angles[0] = 0.0
    return np.asarray(axis_angle_to_matrix(angles[:, None] * axes) @ R)


def shares(R: FloatArray, rivals: FloatArray, symmetries: Sequence[Symmetry], width: float
           ) -> FloatArray:
    """Return (B, N) how right each rotation is; those of one crop sum to 1.

    Args:
        R: (B, 3, 3) true rotations.
        rivals: (B, N, 3, 3) what they are compared with.
        symmetries: Of each of the B objects: rotations that look the same are equally right.
        width: See `RivalSettings`, radians.
    """
    count = rivals.shape[1]
    true = np.repeat(R, count, axis=0)
    found = rivals.reshape(-1, 3, 3)
    repeated = [symmetry for symmetry in symmetries for _ in range(count)]
    angles = angle_between(nearest_equivalents(repeated, true, found), found).reshape(-1, count)
    right = np.exp(-0.5 * (angles / width) ** 2)
    return np.asarray(right / right.sum(axis=1, keepdims=True))


def alike(depths: Sequence[NDArray[np.uint8]], label: NDArray[np.int64], settings: AlikeSettings
          ) -> FloatArray:
    """Return (B, B) how right each view is for each picture; each row sums to 1.

    Args:
        depths: (S, S) what is decoded of each picture, 255 = no object.
        label: (B,) which object each picture shows; views of others are never right.
        settings: What counts as alike.
    """
    small = np.stack([cv2.resize(depth, (settings.side, settings.side),
                                 interpolation=cv2.INTER_AREA) for depth in depths])
    values = small.reshape(len(small), -1).astype(np.float64) / 255.0
    differences = np.minimum(np.abs(values[:, None] - values[None]), settings.most)
    shown = (values[:, None] < 1.0) | (values[None] < 1.0)
    distance = np.sqrt((differences ** 2).sum(axis=2) / np.maximum(shown.sum(axis=2), 1))
    right = np.exp(-0.5 * (distance / settings.width) ** 2) * (label[:, None] == label[None])
    return np.asarray(right / right.sum(axis=1, keepdims=True))
