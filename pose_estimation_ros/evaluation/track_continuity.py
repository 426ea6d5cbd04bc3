"""How well identities and poses hold together over the frames of a sequence.

A published object belongs to the true object of its label whose centre is nearest, at most half a
diagonal away, one to one. Steps are from one sighting of a true object to its next: how the
published rotation turned beyond the true one, and by how much position errors changed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from pose_estimation_ros.core.object_pose import ObjectPose
from pose_estimation_ros.core.rotation import angle_between
from pose_estimation_ros.core.symmetry import Symmetry

FloatArray = NDArray[np.float64]

_REACH = 0.5  # diagonals
# A rotation that turns further than this against the true one has flipped.
_FLIP = np.radians(30.0)
_FAR = 1e6


@dataclass(frozen=True, eq=False)
class TrueObject:
    """One object of a frame.

    Attributes:
        identity: Its own, in all frames.
        label: Its category or name.
        T_camera_object: (4, 4) metres.
        diagonal: Of its box, metres.
        symmetry: Its rotations that change nothing.
    """

    identity: str
    label: str
    T_camera_object: FloatArray
    diagonal: float
    symmetry: Symmetry


@dataclass(frozen=True, eq=False)
class SequenceFrame:
    """What was true and what was published of one frame.

    Attributes:
        seconds: Time since the sequence began.
        truth: The objects.
        poses: Published ones.
        names: Their names, as `Detection3D.id`.
    """

    seconds: float
    truth: Sequence[TrueObject]
    poses: Sequence[ObjectPose]
    names: Sequence[str]


@dataclass
class Continuity:
    """What happened in some sequences; see `measured`.

    Attributes:
        frames: How many there were.
        sightings: Published poses that belong to an object.
        switches: Sightings of an object under another name than before.
        returns: Sightings of an object after it was not to be seen for a while.
        returns_known: Those under the name that it had.
        flips: Steps from one rotation to an equal one.
        turns: Steps to a rotation that is not equal.
        distances: Errors of position, metres.
        angles: Errors of rotation, symmetry considered, radians.
        distance_steps: Changes of the position error, metres, one sighting to the next.
        angle_steps: The same of rotation, without flips and turns, radians.
        delays: Products of position error and true velocity, and squares of that velocity.
    """

    frames: int
    sightings: int
    switches: int
    returns: int
    returns_known: int
    flips: int
    turns: int
    distances: list[float]
    angles: list[float]
    distance_steps: list[float]
    angle_steps: list[float]
    delays: list[tuple[float, float]]

    def per_thousand(self, count: int) -> float:
        """Return how often something happened per 1000 frames."""
        return 1000.0 * count / self.frames if self.frames else float('nan')

    @property
    def lag(self) -> float:
        """How long moving objects are published behind their place, seconds."""
        along, square = np.sum(self.delays, axis=0) if self.delays else (0.0, 0.0)
        return float(-along / square) if square > 0 else float('nan')


@dataclass(frozen=True, eq=False)
class _Sighting:
    seconds: float
    name: str
    truth: TrueObject
    pose: ObjectPose

    @property
    def error(self) -> FloatArray:
        return self.pose.T_camera_object[:3, 3] - self.truth.T_camera_object[:3, 3]


def measured(sequences: Sequence[Sequence[SequenceFrame]], absence: float = 1.0) -> Continuity:
    """Return what happened.

    Args:
        sequences: Each with its own objects.
        absence: Seconds after which an object that is seen again has returned.
    """
    total = Continuity(0, 0, 0, 0, 0, 0, 0, [], [], [], [], [])
    for frames in sequences:
        last: dict[str, _Sighting] = {}
        for frame in frames:
            total.frames += 1
            for sighting in _sightings(frame):
                _count(total, sighting, last.get(sighting.truth.identity), absence)
                last[sighting.truth.identity] = sighting
    return total


def _count(total: Continuity, now: _Sighting, before: _Sighting | None, absence: float) -> None:
    total.sightings += 1
    symmetry = now.truth.symmetry
    R, R_true = now.pose.T_camera_object[:3, :3], now.truth.T_camera_object[:3, :3]
    total.distances.append(float(np.linalg.norm(now.error)))
    total.angles.append(symmetry.rotation_error(R, R_true))
    if before is None:
        return
    seconds = now.seconds - before.seconds
    if seconds > absence:
        total.returns += 1
        total.returns_known += now.name == before.name
        return
    total.switches += now.name != before.name
    T_before, T_true_before = before.pose.T_camera_object, before.truth.T_camera_object
    R_expected = R_true @ T_true_before[:3, :3].T @ T_before[:3, :3]
    least = symmetry.rotation_error(R, R_expected)
    if least > _FLIP:
        total.turns += 1
    elif float(angle_between(R, R_expected)) > _FLIP:
        total.flips += 1
    if least <= _FLIP:
        total.angle_steps.append(least)
    total.distance_steps.append(float(np.linalg.norm(now.error - before.error)))
    velocity = (now.truth.T_camera_object[:3, 3] - T_true_before[:3, 3]) / seconds
    total.delays.append((float(now.error @ velocity), float(velocity @ velocity)))


def _sightings(frame: SequenceFrame) -> list[_Sighting]:
    """Return the published objects that belong to true ones."""
    if not frame.truth or not frame.poses:
        return []
    t_true = np.stack([entry.T_camera_object[:3, 3] for entry in frame.truth])
    t = np.stack([pose.T_camera_object[:3, 3] for pose in frame.poses])
    distance = np.linalg.norm(t_true[:, None] - t[None], axis=2)
    reach = np.array([_REACH * entry.diagonal for entry in frame.truth])
    same = np.array([[entry.label == pose.label for pose in frame.poses]
                     for entry in frame.truth])
    cost = np.where(same & (distance <= reach[:, None]), distance, _FAR)
    return [_Sighting(frame.seconds, frame.names[pose], frame.truth[entry], frame.poses[pose])
            for entry, pose in zip(*linear_sum_assignment(cost), strict=True)
            if cost[entry, pose] < _FAR]
