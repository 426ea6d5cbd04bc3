"""Grasps of every object of a frame: candidates, checks, scores, and the best that differ."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pose_estimation_ros.core.categories import category_named
from pose_estimation_ros.core.object_pose import ObjectPose
from pose_estimation_ros.core.rotation import axis_rotation
from pose_estimation_ros.core.se3 import make_transform
from pose_estimation_ros.core.symmetry import Symmetry
from pose_estimation_ros.grasping.affordances import Affordance, affordance_of
from pose_estimation_ros.grasping.candidates import BODY, candidates_of
from pose_estimation_ros.grasping.contacts import TOO_WIDE, find_contacts
from pose_estimation_ros.grasping.given_grasps import GivenGrasp, read_given_grasps
from pose_estimation_ros.grasping.grasp import (
    Grasp,
    GraspLimits,
    Gripper,
    Surroundings,
    shifted,
)
from pose_estimation_ros.grasping.reach import lowest_heights, too_steep, turned_away
from pose_estimation_ros.grasping.shape import ObjectShape, shape_of

FloatArray = NDArray[np.float64]

UP_UNKNOWN = 'no ground is seen, and what has no category has no upper side of its own'
# Grasps that a turn about an axis of symmetry makes equal.
_TURNS = 16
# Weights of the score.
_ALIGNMENT, _CLEARANCE, _BALANCE, _FACING = 0.35, 0.3, 0.2, 0.15
# Free space on both sides of the object with which errors of the pose do no harm, metres; more
# is not taken: the fingers might meet neighbours.
_EASY_CLEARANCE = 0.02
# Grasps nearer to each other than both are the same to a robot.
_SAME_PLACE = 0.02
_SAME_ANGLE = np.cos(np.radians(20.0))


@dataclass(frozen=True)
class GraspPlannerOptions:
    """How grasps are planned.

    Attributes:
        gripper: That shall hold the objects.
        limits: What is acceptable.
        file: YAML file of taught grasps, which take the place of those that are found; empty =
            none.
    """

    gripper: Gripper = field(default_factory=Gripper)
    limits: GraspLimits = field(default_factory=GraspLimits)
    file: str = ''


@dataclass(frozen=True)
class GraspPlan:
    """The grasps of one object.

    Attributes:
        grasps: The best first; may be empty.
        refused: How many candidates were refused for which reason.
    """

    grasps: tuple[Grasp, ...]
    refused: Mapping[str, int]


@dataclass(frozen=True)
class _Checked:
    """Candidates that hold the object, object frame; G of them."""

    R: FloatArray
    t: FloatArray
    width: FloatArray
    opening: FloatArray
    score: FloatArray
    kind: NDArray[np.str_]

    def take(self, chosen: NDArray[np.intp] | NDArray[np.bool_]) -> _Checked:
        return _Checked(self.R[chosen], self.t[chosen], self.width[chosen], self.opening[chosen],
                        self.score[chosen], self.kind[chosen])

    def __len__(self) -> int:
        return len(self.t)


class GraspPlanner:
    """Finds parallel-jaw grasps of objects from their poses, sizes and shapes."""

    def __init__(self, options: GraspPlannerOptions | None = None) -> None:
        """Read the taught grasps, if a file of them is named.

        Raises:
            ConfigurationError: If it is missing or wrong.
        """
        self._options = options or GraspPlannerOptions()
        self._taught = read_given_grasps(Path(self._options.file)) if self._options.file else {}

    def plan(self, poses: Sequence[ObjectPose],
             surroundings: Surroundings | None = None) -> tuple[GraspPlan, ...]:
        """Return the grasps of each object, in the order of the objects.

        Args:
            poses: Objects, camera optical frame.
            surroundings: Where up and the robot are.
        """
        surroundings = surroundings or Surroundings()
        return tuple(self._plan(pose, surroundings) for pose in poses)

    def _plan(self, pose: ObjectPose, surroundings: Surroundings) -> GraspPlan:
        if surroundings.up is None and category_named(pose.label) is None:
            return GraspPlan((), {UP_UNKNOWN: 1})
        R, position = pose.T_camera_object[:3, :3], pose.T_camera_object[:3, 3]
        up = (np.array([0.0, 1.0, 0.0]) if surroundings.up is None else R.T @ surroundings.up)
        away = R.T @ (position - surroundings.robot)
        refused: Counter[str] = Counter()
        affordance = affordance_of(pose)
        shape = shape_of(pose, affordance)
        given = self._taught.get(pose.label)
        found = (self._found(pose, affordance, shape, up, away, refused) if given is None
                 else _given(given, self._options.gripper, refused))
        found = _all_equal(found, pose.symmetry)
        found = self._reachable(found, shape, up, away, refused)
        found = _best(found, self._options.limits.max_grasps)
        return GraspPlan(self._grasps(found, pose, R @ up, up, away), refused)

    def _found(self, pose: ObjectPose, affordance: Affordance, shape: ObjectShape,
               up: FloatArray, away: FloatArray, refused: Counter[str]) -> _Checked:
        """Return the candidates that hold the object; some may be out of reach."""
        gripper, limits = self._options.gripper, self._options.limits
        candidates = candidates_of(pose, affordance, shape, gripper)
        if pose.symmetry.axis is None:
            # Of the others, turned copies may come from where the gripper can.
            approach = candidates.R[:, :, 2]
            wrong = too_steep(approach, up, limits) | turned_away(approach, up, away, limits)
            candidates = candidates.take(np.flatnonzero(~wrong))
        contacts = find_contacts(candidates, shape, gripper, limits)
        refused.update(contacts.faults())
        least = np.cos(np.arctan(limits.friction))
        # What is between the fingers should be near the centre of the object, its weight.
        middle = contacts.t - 0.5 * contacts.depth[:, None] * candidates.R[:, :, 2]
        centre, size = pose.box()
        distance = np.linalg.norm(middle - centre, axis=1)
        score = (_ALIGNMENT * np.clip((contacts.alignment - least) / (1 - least), 0, 1)
                 + _CLEARANCE * np.clip(0.5 * (contacts.opening - contacts.width)
                                        / _EASY_CLEARANCE, 0, 1)
                 + _BALANCE * np.clip(1 - 2 * distance / np.linalg.norm(size), 0, 1))
        opening = np.minimum(contacts.opening, contacts.width + 2 * _EASY_CLEARANCE)
        return _Checked(candidates.R, contacts.t, contacts.width, opening, score,
                        candidates.kind).take(contacts.fault == '')

    def _reachable(self, found: _Checked, shape: ObjectShape, up: FloatArray, away: FloatArray,
                   refused: Counter[str]) -> _Checked:
        """Return the grasps that the gripper can get to; their score is complete."""
        gripper, limits = self._options.gripper, self._options.limits
        approach = found.R[:, :, 2]
        table = float((shape.points @ up).min())
        low = lowest_heights(found.R, found.t, found.opening, up, gripper)
        # The pre-grasp of an approach that rises lies lower.
        low -= limits.pregrasp_distance * np.maximum(approach @ up, 0.0)
        faults = {'the gripper would come from below': too_steep(approach, up, limits),
                  'the gripper would come from behind': turned_away(approach, up, away, limits),
                  'the gripper would touch the table': low < table + limits.clearance}
        wrong = np.zeros(len(found), dtype=bool)
        for fault, which in faults.items():
            refused[fault] += int((which & ~wrong).sum())
            wrong |= which
        kept = found.take(~wrong)
        approach = kept.R[:, :, 2]
        facing = 0.5 * (1 + approach @ (away / max(float(np.linalg.norm(away)), 1e-9)))
        from_above = -(approach @ up) >= np.cos(np.radians(45.0))
        kind = np.where(kept.kind == BODY, np.where(from_above, 'top', 'side'), kept.kind)
        return _Checked(kept.R, kept.t, kept.width, kept.opening,
                        kept.score + _FACING * facing, kind)

    def _grasps(self, found: _Checked, pose: ObjectPose, up_camera: FloatArray, up: FloatArray,
                away: FloatArray) -> tuple[Grasp, ...]:
        limits = self._options.limits
        # Of both half turns the one whose x points up, or, where it is level, from the robot away.
        guide = up + 0.5 * away / max(float(np.linalg.norm(away)), 1e-9)
        turned = found.R[:, :, 0] @ guide < 0
        R = found.R * np.where(turned[:, None, None], [-1.0, -1.0, 1.0], 1.0)
        T = pose.T_camera_object @ make_transform(R, found.t)
        before = shifted(T, -limits.pregrasp_distance * T[:, :3, 2])
        after = shifted(T, limits.retreat_distance * up_camera)
        return tuple(
            Grasp(T[i], float(found.width[i]), float(found.opening[i]),
                  float(np.clip(found.score[i], 0, 1)),
                  str(found.kind[i]), before[i], after[i]) for i in range(len(found)))


def _given(given: Sequence[GivenGrasp], gripper: Gripper, refused: Counter[str]) -> _Checked:
    refused[TOO_WIDE] += sum(grasp.width > gripper.opening for grasp in given)
    given = [grasp for grasp in given if grasp.width <= gripper.opening]
    T = np.array([grasp.T_object_grasp for grasp in given]).reshape(-1, 4, 4)
    # Of a taught grasp only the part of the score is left that tells how it can be reached.
    score = (1 - _FACING) * np.array([grasp.score for grasp in given])
    width = np.array([grasp.width for grasp in given])
    opening = np.minimum(width + 2 * _EASY_CLEARANCE, gripper.opening)
    return _Checked(T[:, :3, :3], T[:, :3, 3], width, opening, score,
                    np.full(len(given), 'given'))


def _all_equal(found: _Checked, symmetry: Symmetry) -> _Checked:
    """Return with every grasp those that the object's symmetry makes equal to it."""
    rotations = symmetry.rotations
    if symmetry.axis is not None:
        spins = axis_rotation(symmetry.axis, 2 * np.pi * np.arange(_TURNS) / _TURNS)
        rotations = (rotations[:, None] @ spins).reshape(-1, 3, 3)
    if len(rotations) == 1:
        return found
    R = (rotations[:, None] @ found.R).reshape(-1, 3, 3)
    t = np.einsum('sij,gj->sgi', rotations, found.t).reshape(-1, 3)
    each = np.tile(np.arange(len(found)), len(rotations))
    return _Checked(R, t, found.width[each], found.opening[each], found.score[each],
                    found.kind[each])


def _best(found: _Checked, most: int) -> _Checked:
    """Return the best grasps that differ, the best first."""
    order = np.argsort(-found.score, kind='stable')
    found = found.take(order)
    remaining = np.ones(len(found), dtype=bool)
    chosen: list[int] = []
    while remaining.any() and len(chosen) < most:
        best = int(np.argmax(remaining))
        chosen.append(best)
        near = np.linalg.norm(found.t - found.t[best], axis=1) < _SAME_PLACE
        approach = found.R[:, :, 2] @ found.R[best, :, 2] > _SAME_ANGLE
        closing = np.abs(found.R[:, :, 1] @ found.R[best, :, 1]) > _SAME_ANGLE
        remaining &= ~(near & approach & closing)
        remaining[best] = False
    return found.take(np.array(chosen, dtype=np.intp))

