"""What a gripper meets when it advances towards a shape and closes: contacts and collisions.

All candidates of an object are followed at once. The gripper advances along z until it has gone
as far as it may or until its palm would touch, moves sideways until the surface between its
fingers is in the middle, and opens as far as what is beside it allows.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pose_estimation_ros.grasping.candidates import Candidates
from pose_estimation_ros.grasping.grasp import GraspLimits, Gripper
from pose_estimation_ros.grasping.shape import ObjectShape

FloatArray = NDArray[np.float64]
_Array = NDArray[np.float32]
_Mask = NDArray[np.bool_]

NOTHING = 'nothing between the fingers'
TOO_WIDE = 'wider than the gripper opens'
TOUCHES = 'a finger or the palm would touch the object'
SLIPS = 'the surface would slip'
# Points so near to the outermost one are touched by a finger that presses.
_CONTACT_DEPTH = 0.004
# Fingers that meet the surface with less of their ends slip off.
_LEAST_DEPTH = 0.005


@dataclass(frozen=True)
class Contacts:
    """Where the gripper of each of G candidates ends up, and what it touches there.

    Attributes:
        t: (G, 3) tool centre point, metres, object frame.
        width: (G,) between the contacts of both fingers, metres.
        opening: (G,) as far as the fingers may be open on the way, metres: what is beside the
            object's part between them limits it, or the gripper.
        depth: (G,) how far the object reaches between the fingers from their ends, metres.
        alignment: (G,) cosine of the angle between the closing direction and the surface's
            normal under the finger where it is larger, 0 to 1.
        fault: (G,) why a candidate is none; empty = nothing is wrong.
    """

    t: FloatArray
    width: FloatArray
    opening: FloatArray
    depth: FloatArray
    alignment: FloatArray
    fault: NDArray[np.str_]

    def faults(self) -> dict[str, int]:
        """Return how many candidates have which fault."""
        return dict(Counter(fault for fault in self.fault.tolist() if fault))


def find_contacts(candidates: Candidates, shape: ObjectShape, gripper: Gripper,
                  limits: GraspLimits) -> Contacts:
    """Let the gripper advance and close at every candidate.

    Args:
        candidates: G of them.
        shape: M points of the surface.
        gripper: Its geometry.
        limits: Clearance and friction.
    """
    x, y, z = _in_grasp_frames(candidates, shape.points)
    advance = _advance(x, y, z, gripper, limits.clearance)
    z -= advance[:, None]
    between = ((np.abs(x) <= 0.5 * gripper.finger_width) & (z <= 0.0)
               & (z >= -gripper.finger_depth)
               & (np.abs(y) <= 0.5 * candidates.span[:, None].astype(np.float32)))
    y_high = np.where(between, y, -np.inf).max(axis=1, initial=-np.inf)
    y_low = np.where(between, y, np.inf).min(axis=1, initial=np.inf)
    touched = y_high > y_low
    y_high, y_low = np.where(touched, y_high, 0.0), np.where(touched, y_low, 0.0)
    middle, width = 0.5 * (y_high + y_low), y_high - y_low
    depth = -np.where(between, z, 0.0).min(axis=1, initial=0.0)

    slips = np.zeros(len(candidates), dtype=bool)
    touches, alignment = slips.copy(), np.zeros(len(candidates))
    opening = np.zeros(len(candidates))
    empty = depth < _LEAST_DEPTH
    too_wide = width + 2 * limits.clearance > gripper.opening
    # Few are left, of which more is to be seen.
    left = np.flatnonzero(~empty & ~too_wide)
    x, z, between = x[left], z[left], between[left]
    y = np.asarray(y[left] - middle[left, None], np.float32)
    opening[left] = _free_opening(x, y, z, width[left], gripper, limits.clearance)
    touches[left] = ((opening[left] < width[left] + 2 * limits.clearance)
                     | _under_palm(x, y, z, gripper))
    across = candidates.R[left, :, 1].astype(np.float32)
    alignment[left] = _alignment(np.abs(across @ shape.normals.T.astype(np.float32)), y, between,
                                 width[left])
    slips[left] = alignment[left] < np.cos(np.arctan(limits.friction))

    t = (candidates.t + advance[:, None] * candidates.R[:, :, 2]
         + middle[:, None] * candidates.R[:, :, 1])
    fault = np.select([empty, too_wide, touches, slips], [NOTHING, TOO_WIDE, TOUCHES, SLIPS], '')
    return Contacts(t, width.astype(np.float64), opening, depth.astype(np.float64), alignment,
                    fault)


def _in_grasp_frames(candidates: Candidates, points: FloatArray) -> tuple[_Array, ...]:
    """Return x, y and z, each (G, M), of the points in the frame of each candidate."""
    origin = np.einsum('gij,gi->gj', candidates.R, candidates.t).astype(np.float32)
    axes, columns = candidates.R.astype(np.float32), points.T.astype(np.float32)
    return tuple(axes[:, :, axis] @ columns - origin[:, axis, None] for axis in range(3))


def _advance(x: _Array, y: _Array, z: _Array, gripper: Gripper, clearance: float) -> _Array:
    """Return how far (G,), 0 or less, the gripper stays behind for the sake of its palm."""
    below_palm = ((np.abs(x) <= 0.5 * gripper.palm_thickness)
                  & (np.abs(y) <= 0.5 * gripper.palm_width))
    front = np.where(below_palm, z, np.float32(1e3)).min(axis=1, initial=1e3)
    advance = np.minimum(front + (gripper.finger_depth - clearance), 0.0)
    return np.asarray(advance, np.float32)


def _free_opening(x: _Array, y: _Array, z: _Array, width: _Array, gripper: Gripper,
                  clearance: float) -> FloatArray:
    """Return how far (G,) the fingers may be open on their way, metres.

    The first point beyond what is between the fingers would meet the outer side of one.
    """
    y = np.abs(y)
    beside = ((np.abs(x) <= 0.5 * gripper.finger_width + clearance) & (z <= clearance)
              & (y > 0.5 * width[:, None] + clearance))
    obstacle = np.where(beside, y, np.float32(1e3)).min(axis=1, initial=1e3)
    free = 2.0 * (obstacle.astype(np.float64) - gripper.finger_thickness)
    return np.asarray(np.minimum(free, gripper.opening))


def _under_palm(x: _Array, y: _Array, z: _Array, gripper: Gripper) -> _Mask:
    """Return whether moving sideways has brought the palm over something else."""
    under = ((np.abs(x) <= 0.5 * gripper.palm_thickness)
             & (np.abs(y) <= 0.5 * gripper.palm_width) & (z < -gripper.finger_depth))
    return np.asarray(under.any(axis=1))


def _alignment(along: _Array, y: _Array, between: _Mask, width: _Array) -> _Array:
    """Return the mean cosine (G,) of the surface under the finger where it is smaller.

    The surface that faces a finger carries the force, so it weighs by its cosine: the faces beside
    an edge do not count.

    Args:
        along: (G, M) cosines of the normals and the closing direction, 0 to 1.
        y: (G, M) from the middle between the fingers, metres.
        between: (G, M) whether a point lies between them.
        width: (G,) of what is between them, metres.
    """
    edge = (0.5 * width - np.minimum(_CONTACT_DEPTH, 0.3 * width))[:, None]
    means = []
    for side in (between & (y >= edge), between & (y <= -edge)):
        weight = along * side
        means.append((along * weight).sum(axis=1) / np.maximum(weight.sum(axis=1), 1e-6))
    return np.asarray(np.minimum(*means))
