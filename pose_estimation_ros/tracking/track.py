"""What a track is: its name, its states, and what an update answers."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from pose_estimation_ros.core.object_pose import ObjectPose
from pose_estimation_ros.core.symmetry import Symmetry


class TrackState(Enum):
    """Where a track stands.

    TENTATIVE: seen, but not often enough to be published; it has no number yet, and one frame
    without it ends it. TRACKED: published whenever it is seen; it may go unseen for a while.
    LOST: unseen for too long; its outputs are deleted, but it is remembered. REREGISTERED: was
    lost and is seen again in this frame, under its old number.
    """

    TENTATIVE = 'tentative'
    TRACKED = 'tracked'
    LOST = 'lost'
    REREGISTERED = 're-registered'


@dataclass(frozen=True)
class TrackKey:
    """Name of a track: the label of its object and its number, never given twice."""

    label: str
    track_id: int


@dataclass(frozen=True)
class TrackStatus:
    """One track after an update.

    Attributes:
        key: Its name; a tentative track has the number -1.
        state: Where it stands.
        sightings: How often it was seen.
        unseen_ns: Time since its last sighting, nanoseconds.
    """

    key: TrackKey
    state: TrackState
    sightings: int
    unseen_ns: int


@dataclass(frozen=True)
class TrackedPoses:
    """The answer of one update.

    Attributes:
        poses: The poses of tracks that are no longer tentative, in the order given, each with
            its `track_id`.
        lost: Tracks whose outputs end with this update.
        withheld: One sentence for each pose of a tentative track.
        statuses: Of all tracks that are known, lost ones too.
    """

    poses: tuple[ObjectPose, ...]
    lost: tuple[TrackKey, ...]
    withheld: tuple[str, ...]
    statuses: tuple[TrackStatus, ...]


@dataclass
class Track:
    """What of a track is not in arrays; changes while it lives.

    Attributes:
        label: Of its object.
        symmetry: The same, as of its last sighting.
        last_seen_ns: Stamp of its last sighting, nanoseconds.
        sightings: How often it was seen.
        track_id: Its number, -1 while it is tentative.
        state: Where it stands.
        is_doubted: It began where an object of the same label, that has a track, was missing.
    """

    label: str
    symmetry: Symmetry
    last_seen_ns: int
    sightings: int = 0
    track_id: int = -1
    state: TrackState = TrackState.TENTATIVE
    is_doubted: bool = False

    @property
    def key(self) -> TrackKey:
        """Its name."""
        return TrackKey(self.label, self.track_id)

    def see(self, stamp_ns: int, min_sightings: int) -> None:
        """Note a sighting."""
        self.sightings += 1
        self.last_seen_ns = stamp_ns
        if self.state is TrackState.LOST:
            self.state = TrackState.REREGISTERED
        elif self.sightings >= min_sightings:
            self.state = TrackState.TRACKED

    def status(self, stamp_ns: int) -> TrackStatus:
        """Return what others may know."""
        return TrackStatus(self.key, self.state, self.sightings, stamp_ns - self.last_seen_ns)
