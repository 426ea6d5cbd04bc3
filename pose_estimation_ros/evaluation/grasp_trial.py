"""Would a grasp hold? The gripper is closed on the true surface of an object.

This is geometry, not physics: nothing moves, and a finger is a box. A trial follows the grasp's
own frame, whatever planned it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pose_estimation_ros.core.se3 import inverse, transform_points
from pose_estimation_ros.grasping import Gripper
from pose_estimation_ros.rendering.mesh import Mesh

FloatArray = NDArray[np.float64]

_SAMPLES = 40_000
# A finger that closes touches all that is so near to what it meets first: it and the skin give.
_GIVE = 0.001


@dataclass(frozen=True)
class Surface:
    """A dense sample of an object's true surface.

    Attributes:
        points: (N, 3) metres, object frame.
        normals: (N, 3) unit, outward.
    """

    points: FloatArray
    normals: FloatArray

    @classmethod
    def of(cls, mesh: Mesh, seed: int = 0) -> Surface:
        """Return the surface of a mesh."""
        samples = mesh.sample_surface(_SAMPLES, np.random.default_rng(seed))
        return cls(samples.points.astype(np.float64), samples.normals.astype(np.float64))


@dataclass(frozen=True)
class Trial:
    """What happened.

    Attributes:
        collides: The open gripper met the object on its way.
        misses: A finger closed without touching anything.
        angle: Between the surface under the finger and the finger, of the finger where it is
            larger, radians; NaN if one misses.
        width: Between the fingers when both touch, metres; NaN if one misses.
    """

    collides: bool
    misses: bool
    angle: float
    width: float

    def holds(self, friction: float) -> bool:
        """Return whether nothing was touched on the way and both contacts are antipodal."""
        return (not self.collides and not self.misses
                and self.angle <= float(np.arctan(friction)) + 1e-9)


def try_grasp(T_object_grasp: FloatArray, opening: float, surface: Surface, gripper: Gripper,
              ) -> Trial:
    """Advance, close, and tell what was touched.

    Args:
        T_object_grasp: (4, 4) grasp frame to the true object frame, metres.
        opening: Distance between the fingers on the way, metres.
        surface: Of the object.
        gripper: Its geometry.
    """
    to_grasp = inverse(T_object_grasp)
    points = transform_points(to_grasp, surface.points)
    across = surface.normals @ to_grasp[1, :3]
    centres, halves = gripper.boxes(opening)
    collides = False
    for centre, half in zip(centres, halves, strict=True):
        within = np.abs(points[:, :2] - centre[:2]) < half[:2]
        collides |= bool((within.all(axis=1) & (points[:, 2] < centre[2] + half[2])).any())
    between = ((np.abs(points[:, 0]) <= 0.5 * gripper.finger_width) & (points[:, 2] <= 0)
               & (points[:, 2] >= -gripper.finger_depth) & (np.abs(points[:, 1]) <= 0.5 * opening))
    if not between.any():
        return Trial(collides, misses=True, angle=float('nan'), width=float('nan'))
    y, across = points[between, 1], across[between]
    right, left = y >= y.max() - _GIVE, y <= y.min() + _GIVE
    # Of all that a finger touches the part that faces it best carries the force.
    cosine = min(float(across[right].max()), float((-across[left]).max()))
    return Trial(collides, misses=False, angle=float(np.arccos(np.clip(cosine, -1, 1))),
                 width=float(y.max() - y.min()))
