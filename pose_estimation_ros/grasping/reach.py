"""Which grasps a gripper can get to: from above the table, and from where the robot is."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pose_estimation_ros.grasping.grasp import GraspLimits, Gripper

FloatArray = NDArray[np.float64]

# An approach whose part along the ground is shorter comes from above, not from a side.
_LEVEL_PART = 0.35


def too_steep(approach: FloatArray, up: FloatArray, limits: GraspLimits) -> NDArray[np.bool_]:
    """Return whether each of (G, 3) approaches is tilted farther from straight down than allowed.

    With a right angle they are those of the half-space above the ground.
    """
    return np.asarray(-(approach @ up) < np.cos(limits.max_tilt) - 1e-9)


def turned_away(approach: FloatArray, up: FloatArray, away: FloatArray,
                limits: GraspLimits) -> NDArray[np.bool_]:
    """Return whether each of (G, 3) approaches comes from too far behind the object.

    Args:
        approach: Unit directions of z.
        up: (3,) unit direction away from the ground.
        away: (3,) from the robot to the object, any length.
        limits: With the largest turn.
    """
    level = approach - np.outer(approach @ up, up)
    length = np.linalg.norm(level, axis=1)
    direction = away - (away @ up) * up
    distance = np.linalg.norm(direction)
    if distance < 1e-6:
        return np.zeros(len(approach), dtype=bool)
    cosine = level @ direction / np.maximum(length * distance, 1e-12)
    return np.asarray((length > _LEVEL_PART) & (cosine < np.cos(limits.max_turn) - 1e-9))


def lowest_heights(R: FloatArray, t: FloatArray, distance: FloatArray, up: FloatArray,
                   gripper: Gripper) -> FloatArray:
    """Return the (G,) height along `up` of the lowest point of each gripper, metres.

    Args:
        R: (G, 3, 3) rotations of the grasp frames.
        t: (G, 3) their origins, metres.
        distance: (G,) between the open fingers, metres.
        up: (3,) unit direction.
        gripper: Its boxes.
    """
    centres, halves = gripper.boxes(0.0)
    along = up @ R
    heights = (t @ up)[:, None] + along @ centres.T - np.abs(along) @ halves.T
    # The fingers stand apart by so much more than those of the closed gripper.
    heights[:, :2] += 0.5 * distance[:, None] * along[:, 1:2] * np.array([-1.0, 1.0])
    return np.asarray(heights.min(axis=1))
