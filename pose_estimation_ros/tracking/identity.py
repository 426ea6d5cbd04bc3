"""Stable integer identities: which pose of this frame is which object of the frames before.

Poses of one label are assigned to its tracks by position and size (Hungarian method), at most
one pose per track. A symmetric object has many equal rotations; the one nearest to the track's
last rotation is taken, so that the published pose does not spin.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from pose_estimation_ros.core.errors import ConfigurationError
from pose_estimation_ros.core.object_pose import ObjectPose

_IMPOSSIBLE = 1e6


@dataclass(frozen=True)
class TrackerOptions:
    """When a pose may continue a track, and how long a track waits.

    Attributes:
        max_distance: Farthest step of an object's centre between two sightings, metres.
        max_size_ratio: Largest ratio of the box diagonals of two sightings.
        max_missed_seconds: Time after its last sighting at which a track is lost, seconds.
    """

    max_distance: float = 0.15
    max_size_ratio: float = 2.0
    max_missed_seconds: float = 1.0

    def __post_init__(self) -> None:
        """Check the ranges.

        Raises:
            ConfigurationError: If a limit cannot work.
        """
        if self.max_distance <= 0 or self.max_size_ratio <= 1 or self.max_missed_seconds < 0:
            raise ConfigurationError(
                f'tracker needs max_distance > 0, max_size_ratio > 1, max_missed_seconds >= 0, '
                f'got {self}')


@dataclass(frozen=True)
class TrackKey:
    """Name of a track: the label of its object and its number, never given twice."""

    label: str
    track_id: int


@dataclass(frozen=True)
class TrackedPoses:
    """The answer of one update.

    Attributes:
        poses: The poses in the order given, each with its `track_id`.
        lost: Tracks that ended with this update.
    """

    poses: tuple[ObjectPose, ...]
    lost: tuple[TrackKey, ...]


@dataclass
class _Track:
    pose: ObjectPose
    last_seen_ns: int


class IdentityTracker:
    """Gives every pose the identity of the object it belongs to."""

    def __init__(self, options: TrackerOptions | None = None) -> None:
        self._options = options or TrackerOptions()
        self._tracks: dict[int, _Track] = {}
        self._next_id = 1
        self._last_stamp_ns: int | None = None

    def update(self, stamp_ns: int, poses: Sequence[ObjectPose]) -> TrackedPoses:
        """Continue the tracks with the poses of one frame.

        A stamp before the last one means that time was reset (a bag starts over): all tracks end.

        Args:
            stamp_ns: Stamp of the frame, nanoseconds.
            poses: Poses in the camera frame.

        Returns:
            The same poses with identities, and the tracks that ended.
        """
        lost = self._end_tracks(stamp_ns)
        self._last_stamp_ns = stamp_ns
        identified = list(poses)
        for label in dict.fromkeys(pose.label for pose in poses):
            indices = [i for i, pose in enumerate(poses) if pose.label == label]
            ids = [key for key, track in self._tracks.items() if track.pose.label == label]
            assigned = self._assign([poses[i] for i in indices], ids)
            for index, track_id in zip(indices, assigned, strict=True):
                identified[index] = self._continue(track_id, poses[index], stamp_ns)
        return TrackedPoses(tuple(identified), lost)

    def reset(self) -> tuple[TrackKey, ...]:
        """End all tracks and return their names; numbers are not used again."""
        lost = tuple(TrackKey(track.pose.label, key) for key, track in self._tracks.items())
        self._tracks.clear()
        self._last_stamp_ns = None
        return lost

    def _end_tracks(self, stamp_ns: int) -> tuple[TrackKey, ...]:
        if self._last_stamp_ns is not None and stamp_ns < self._last_stamp_ns:
            return self.reset()
        oldest = stamp_ns - round(self._options.max_missed_seconds * 1e9)
        expired = [key for key, track in self._tracks.items() if track.last_seen_ns < oldest]
        return tuple(TrackKey(self._tracks.pop(key).pose.label, key) for key in expired)

    def _assign(self, poses: list[ObjectPose], ids: list[int]) -> list[int | None]:
        """Return for each pose the track it continues, None = a new one."""
        assigned: list[int | None] = [None] * len(poses)
        if not ids:
            return assigned
        tracked = [self._tracks[key].pose for key in ids]
        cost = _assignment_cost(poses, tracked, self._options)
        for row, column in zip(*linear_sum_assignment(cost), strict=True):
            if cost[row, column] < _IMPOSSIBLE:
                assigned[row] = ids[column]
        return assigned

    def _continue(self, track_id: int | None, pose: ObjectPose, stamp_ns: int) -> ObjectPose:
        if track_id is None:
            track_id = self._next_id
            self._next_id += 1
        else:
            pose = _without_spin(pose, self._tracks[track_id].pose)
        pose = replace(pose, track_id=track_id)
        self._tracks[track_id] = _Track(pose, stamp_ns)
        return pose


def _assignment_cost(poses: list[ObjectPose], tracked: list[ObjectPose],
                     options: TrackerOptions) -> NDArray[np.float64]:
    """Return the (P, T) cost of continuing each track with each pose.

    Distance and size count as shares of their limits; beyond either limit it is impossible.
    """
    centres = np.stack([pose.T_camera_object[:3, 3] for pose in poses])
    last_centres = np.stack([pose.T_camera_object[:3, 3] for pose in tracked])
    distance = np.linalg.norm(centres[:, None] - last_centres[None], axis=-1)
    diagonal = np.array([np.linalg.norm(pose.size) for pose in poses])
    last_diagonal = np.array([np.linalg.norm(pose.size) for pose in tracked])
    log_ratio = np.abs(np.log(diagonal[:, None] / last_diagonal[None]))
    distance_share = distance / options.max_distance
    size_share = log_ratio / np.log(options.max_size_ratio)
    possible = (distance_share <= 1.0) & (size_share <= 1.0)
    return np.asarray(np.where(possible, distance_share + size_share, _IMPOSSIBLE))


def _without_spin(pose: ObjectPose, last: ObjectPose) -> ObjectPose:
    """Return the equivalent of `pose` whose rotation is nearest to that of `last`.

    Points and NOCS coordinates are turned along, so that they stay where they are in the camera
    frame.
    """
    R = pose.T_camera_object[:3, :3]
    nearest = pose.symmetry.nearest_rotation(R, last.T_camera_object[:3, :3])
    spin = (R.T @ nearest).astype(np.float32)
    T = pose.T_camera_object.copy()
    T[:3, :3] = nearest
    return replace(pose, T_camera_object=T,
                   points=None if pose.points is None else pose.points @ spin,
                   nocs=None if pose.nocs is None else pose.nocs @ spin)
