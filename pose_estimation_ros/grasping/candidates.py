"""Where a gripper could take hold of an object, before anything is checked.

A candidate says whence the gripper comes, in which direction it closes, and how far its fingers
may reach at most; where exactly they end up follows from the shape (`contacts.py`).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pose_estimation_ros.core.object_pose import ObjectPose
from pose_estimation_ros.grasping.affordances import Affordance
from pose_estimation_ros.grasping.grasp import Gripper, grasp_rotation
from pose_estimation_ros.grasping.shape import ObjectShape

FloatArray = NDArray[np.float64]

# Candidates of these kinds get the name top or side once it is known where up is.
BODY, RIM, HANDLE = 'body', 'rim', 'handle'
_TURNS = 12
_HEIGHTS = 7
_OFFSETS = np.array([-0.7, -0.4, 0.0, 0.4, 0.7])
_BEYOND_AXIS = 0.015
# Along an axis a gripper may go as far as its palm lets it, or take only the end
# of a neck, a cap or a rim.
_END_DEPTHS = (0.012, 0.025)
_RIM_DEPTH = 0.025
_RIM_SPAN = 0.05
_HANDLE_SPAN = 0.06
# Fingers end so far before the far side of a box: there a table may be.
_BEFORE_FAR_SIDE = 0.006
_HANDLE_FROM_AXIS = 1.12
_LEAST_HANDLE_POINTS = 4


@dataclass(frozen=True)
class Candidates:
    """Grasps to be checked, object frame.

    Attributes:
        R: (G, 3, 3) rotations, grasp frame to object frame.
        t: (G, 3) farthest place of the tool centre point, metres.
        span: (G,) width between the fingers within which the surface is to be grasped, metres;
            infinite = whatever is there.
        kind: (G,) BODY, RIM or HANDLE.
    """

    R: FloatArray
    t: FloatArray
    span: FloatArray
    kind: NDArray[np.str_]

    def __len__(self) -> int:
        return len(self.t)

    def take(self, chosen: NDArray[np.intp]) -> Candidates:
        """Return those of some indices, which may repeat."""
        return Candidates(self.R[chosen], self.t[chosen], self.span[chosen], self.kind[chosen])


def candidates_of(pose: ObjectPose, affordance: Affordance, shape: ObjectShape,
                  gripper: Gripper) -> Candidates:
    """Return the candidates of an object; of those that are equal by a turn about y only one.

    Args:
        pose: Size and symmetry of the object; where it is does not matter.
        affordance: What of it can be taken hold of.
        shape: Its surface.
        gripper: That shall hold it.
    """
    middle, size = pose.box()
    if not affordance.is_round:
        parts = list(_box(middle, size))
        if affordance.has_rim:
            parts += _straight_rim(pose.size, shape)
        return _joined(parts)
    turns = 1 if pose.symmetry.axis is not None else _TURNS
    centre = np.array([affordance.axis_x(pose.size), 0.0, 0.0])
    parts = list(_round_body(centre + [0.0, middle[1], 0.0], size[1], turns))
    if affordance.has_rim:
        parts += _round_rim(centre, shape, turns)
    if affordance.has_handle:
        parts += _handle(centre, affordance.radius(pose.size), shape, gripper)
    return _joined(parts)


@dataclass(frozen=True)
class _Part:
    """Some candidates of one kind; approach, closing and t are (3,) or (K, 3)."""

    approach: FloatArray
    closing: FloatArray
    t: FloatArray
    kind: str
    span: float = np.inf

    def __len__(self) -> int:
        return max(len(vectors) for vectors in (self.approach, self.closing, self.t)
                   if vectors.ndim == 2)


def _joined(parts: Sequence[_Part]) -> Candidates:
    counts = [len(part) for part in parts]
    approach, closing, t = (np.concatenate(
        [np.broadcast_to(getattr(part, name), (count, 3))
         for part, count in zip(parts, counts, strict=True)])
        for name in ('approach', 'closing', 't'))
    return Candidates(grasp_rotation(approach, closing), t,
                      np.repeat([part.span for part in parts], counts),
                      np.repeat([part.kind for part in parts], counts))


def _meridians(turns: int, whole: float = 2 * np.pi) -> tuple[FloatArray, FloatArray]:
    """Return (turns, 3) directions away from the y axis and those at right angles to them."""
    angle = whole * np.arange(turns) / turns
    zero = np.zeros(turns)
    return (np.stack([np.cos(angle), zero, -np.sin(angle)], axis=1),
            np.stack([-np.sin(angle), zero, -np.cos(angle)], axis=1))


def _round_body(centre: FloatArray, height: float, turns: int) -> Iterator[_Part]:
    """Yield grasps across a round body from all around, and along its axis."""
    outward, across = _meridians(turns)
    levels = height * (np.arange(_HEIGHTS) + 0.5) / _HEIGHTS - 0.5 * height
    for level in levels:
        axis = centre + [0.0, level, 0.0]
        yield _Part(-outward, across, axis - _BEYOND_AXIS * outward, BODY)
    # Of the gripper turned by half a turn one is enough.
    outward, _ = _meridians(-(-turns // 2), np.pi)
    for up in (1.0, -1.0):
        for depth in (*_END_DEPTHS, height):
            yield _Part(np.array([0.0, -up, 0.0]), outward,
                              centre + [0.0, up * (0.5 * height - depth), 0.0], BODY)


def _box(middle: FloatArray, size: FloatArray) -> Iterator[_Part]:
    """Yield grasps across a box from its six sides, side by side along the third axis."""
    axes = np.eye(3)
    for approach in range(3):
        for closing in ((approach + 1) % 3, (approach + 2) % 3):
            along = 3 - approach - closing
            for sign in (1.0, -1.0):
                reach = 0.5 * size[approach] - min(_BEFORE_FAR_SIDE, 0.5 * size[approach])
                t = (middle + sign * reach * axes[approach]
                     + np.outer(0.5 * size[along] * _OFFSETS, axes[along]))
                yield _Part(sign * axes[approach], axes[closing], t, BODY)


def _wall_line(profile: FloatArray) -> tuple[FloatArray, FloatArray] | None:
    """Return the upper edge of a wall and the unit direction up to it, from its upper part.

    Args:
        profile: (N, 2) sideways and height, metres.
    """
    if len(profile) < 3:
        return None
    middle = profile.mean(axis=0)
    _, _, directions = np.linalg.svd(profile - middle, full_matrices=False)
    upward = directions[0] * np.sign(directions[0, 1] or 1.0)
    if upward[1] < 0.2:
        return None
    return middle + (profile[:, 1].max() - middle[1]) / upward[1] * upward, upward


def _round_rim(centre: FloatArray, shape: ObjectShape, turns: int) -> Iterator[_Part]:
    """Yield grasps over the wall of a vessel, one finger inside."""
    from_axis = shape.points - centre
    profile = np.stack([np.hypot(from_axis[:, 0], from_axis[:, 2]), from_axis[:, 1]], axis=1)
    # What sticks out is not of the wall.
    radius = np.abs(from_axis[:, 2]).max()
    low, high = profile[:, 1].min(), profile[:, 1].max()
    upper = ((profile[:, 1] > low + 0.6 * (high - low)) & (profile[:, 0] > 0.6 * radius)
             & (profile[:, 0] < 1.05 * radius))
    wall = _wall_line(profile[upper])
    if wall is None:
        return
    (rim_radius, rim_height), (outward_part, up_part) = wall
    outward, _ = _meridians(turns)
    y = np.array([0.0, 1.0, 0.0])
    approach = -(outward_part * outward + up_part * y)
    closing = up_part * outward - outward_part * y
    edge = centre + rim_radius * outward + rim_height * y
    yield _Part(approach, closing, edge + _RIM_DEPTH * approach, RIM, _RIM_SPAN)


def _straight_rim(size: FloatArray, shape: ObjectShape) -> Iterator[_Part]:
    """Yield grasps of a screen: over its upper edge and over both sides."""
    profile = shape.points[:, :2]
    low, high = profile[:, 1].min(), profile[:, 1].max()
    wall = _wall_line(profile[profile[:, 1] > low + 0.4 * (high - low)])
    if wall is None:
        return
    edge = np.array([*wall[0], 0.0])
    upward = np.array([*wall[1], 0.0])
    closing = np.array([upward[1], -upward[0], 0.0])
    z = np.array([0.0, 0.0, 1.0])
    t = edge - _RIM_DEPTH * upward + np.outer(0.5 * size[2] * _OFFSETS, z)
    yield _Part(-upward, closing, t, RIM, _RIM_SPAN)
    length = 0.55 * (high - low) / upward[1]
    for sign in (1.0, -1.0):
        t = (edge + sign * (0.5 * size[2] - _RIM_DEPTH) * z
             - np.outer(length * np.array([0.2, 0.5, 0.8]), upward))
        yield _Part(-sign * z, closing, t, RIM, _RIM_SPAN)


def _handle(centre: FloatArray, radius: float, shape: ObjectShape,
            gripper: Gripper) -> Iterator[_Part]:
    """Yield grasps of a handle: both fingers beside it, from outside, from above and between."""
    from_axis = shape.points - centre
    is_handle = ((np.hypot(from_axis[:, 0], from_axis[:, 2]) > _HANDLE_FROM_AXIS * radius)
                 & (from_axis[:, 0] > 0))
    if is_handle.sum() < _LEAST_HANDLE_POINTS:
        return
    points = from_axis[is_handle]
    x_max, (low, high) = points[:, 0].max(), np.percentile(points[:, 1], [10, 90])
    z = np.array([0.0, 0.0, 1.0])
    outer = points[points[:, 0] > 0.5 * (radius + x_max)]
    levels = np.linspace(low, high, 3)
    from_outside = centre + np.array([[radius + 0.25 * (x_max - radius), level, 0.0]
                                      for level in levels])
    yield _Part(np.array([-1.0, 0.0, 0.0]), z, from_outside, HANDLE, _HANDLE_SPAN)
    grip = centre + [outer[:, 0].mean(), np.clip(outer[:, 1].mean(), low, high), 0.0]
    for down in (0.5, np.sqrt(0.5), 1.0):
        approach = np.array([-np.sqrt(1 - down ** 2), -down, 0.0])
        yield _Part(approach, z, grip + [0.25 * gripper.finger_width * approach], HANDLE,
                          _HANDLE_SPAN)
