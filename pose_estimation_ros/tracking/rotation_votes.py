"""Whether a rotation far from the track's is an outlier, or the object's new rotation.

Every sighting votes for the rotation that it agrees with: the track's, or a rival, which is the
last one that disagreed. Votes fade with time. The rival takes over when it has more than twice
the votes of the track, and the two change places. So one wrong sighting moves nothing, and a
lasting change is followed once it has lasted for about the time in which votes fade.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pose_estimation_ros.core.rotation import angle_between
from pose_estimation_ros.core.symmetry import Symmetry, nearest_equivalents
from pose_estimation_ros.tracking.track_table import TrackTable

FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]

# At slow rates a sighting outweighs the one before it at most so much: three in a row decide.
_LEAST_FADING = 0.6
_MAJORITY = 2.0


@dataclass(frozen=True, eq=False)
class RotationVotes(TrackTable):
    """The votes of N tracks.

    Attributes:
        own: (N,) for the rotation of the track.
        rival_R: (N, 3, 3) the other one.
        rival: (N,) for that.
    """

    own: FloatArray
    rival_R: FloatArray
    rival: FloatArray


def first_votes(R: FloatArray) -> RotationVotes:
    """Return the votes of tracks that were seen once, with (N, 3, 3) rotations."""
    return RotationVotes(np.ones(len(R)), R.copy(), np.zeros(len(R)))


@dataclass(frozen=True, eq=False)
class Verdict:
    """What the votes say.

    Attributes:
        votes: The new ones.
        agrees: (N,) the sighting's rotation is the track's.
        changed: (N,) the track's rotation is from now on that of the sighting.
    """

    votes: RotationVotes
    agrees: BoolArray
    changed: BoolArray


def vote(votes: RotationVotes, R_expected: FloatArray, R_seen: FloatArray,
         symmetries: list[Symmetry], fading: FloatArray, max_angle: float) -> Verdict:
    """Count the votes of one sighting of each of N tracks.

    Args:
        votes: So far.
        R_expected: (N, 3, 3) rotations of the tracks.
        R_seen: (N, 3, 3) rotations of the sightings, of equal ones those nearest to the tracks'.
        symmetries: Of the N objects.
        fading: (N,) factor by which votes fade between the last sighting and this one.
        max_angle: Up to which two rotations agree, radians.
    """
    fading = np.maximum(fading, _LEAST_FADING)
    own, rival = fading * votes.own, fading * votes.rival
    agrees = angle_between(R_expected, R_seen) <= max_angle
    if agrees.all():
        return Verdict(RotationVotes(own + 1.0, votes.rival_R, rival), agrees, ~agrees)
    R_near_rival = nearest_equivalents(symmetries, R_seen, votes.rival_R)
    for_rival = ~agrees & (rival > 0) & (angle_between(votes.rival_R, R_near_rival) <= max_angle)
    # A third rotation replaces a rival that nobody has voted for lately.
    is_new_rival = ~agrees & ~for_rival & (rival < 1.0)
    own = own + agrees
    rival = np.where(is_new_rival, 1.0, rival + for_rival)
    speaks = (for_rival | is_new_rival)[:, None, None]
    rival_R = np.where(speaks, R_seen, votes.rival_R)
    changed = speaks[:, 0, 0] & (rival > _MAJORITY * own)
    return Verdict(
        RotationVotes(np.where(changed, rival, own),
                      np.where(changed[:, None, None], R_expected, rival_R),
                      np.where(changed, own, rival)), agrees, changed)
