"""Which pose continues which track: by place, size, rotation and looks, all objects together."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from pose_estimation_ros.core.rotation import angle_between
from pose_estimation_ros.core.symmetry import Symmetry
from pose_estimation_ros.tracking.appearance import appearance_distance

FloatArray = NDArray[np.float64]

# Shares of the limits are summed. A rotation may be plainly wrong, so it says little.
_SIZE, _APPEARANCE, _ROTATION = 0.5, 1.0, 0.25
# A pair that costs more is none: the track went unseen, and the pose is of another object.
_UNLIKELY = 1.25


@dataclass(frozen=True, eq=False)
class Sightings:
    """What assignment compares of N objects of one label.

    Attributes:
        T: (N, 4, 4) poses.
        diagonal: (N,) of their boxes, metres.
        appearance: (N, B) histograms of colours, NaN = unknown.
    """

    T: FloatArray
    diagonal: FloatArray
    appearance: FloatArray


@dataclass(frozen=True)
class Limits:
    """How far two sightings of one object may differ.

    Attributes:
        distance: Of the centres, metres.
        size_ratio: Of the diagonals.
        appearance: Hellinger distance of the colours; 1 = colours are not compared.
    """

    distance: float
    size_ratio: float
    appearance: float


def assign(poses: Sightings, tracks: Sightings, symmetry: Symmetry,
           limits: Limits) -> list[tuple[int, int]]:
    """Return (pose, track) pairs of least cost in sum, none beyond a limit.

    Args:
        poses: P new ones.
        tracks: T known ones, where they are expected.
        symmetry: Of all of them.
        limits: Between a pose and its track.

    Source: H. W. Kuhn, "The Hungarian method for the assignment problem", 1955.
    """
    if not len(poses.T) or not len(tracks.T):
        return []
    # An unlikely pair costs as much as leaving both alone: so it is never needed, nor forced.
    cost = np.minimum(_cost(poses, tracks, symmetry, limits), _UNLIKELY)
    return [(int(pose), int(track)) for pose, track in zip(*linear_sum_assignment(cost),
                                                           strict=True)
            if cost[pose, track] < _UNLIKELY]


def are_alike(poses: Sightings, tracks: Sightings, limits: Limits) -> NDArray[np.bool_]:
    """Return (P, T) whether a pose may be of an object, wrongly placed or sized: near and alike.

    Args:
        poses: P new ones.
        tracks: T known ones, where they are expected.
        limits: Between them; of their sizes none counts.
    """
    distance = np.linalg.norm(poses.T[:, None, :3, 3] - tracks.T[None, :, :3, 3], axis=-1)
    look = appearance_distance(poses.appearance, tracks.appearance)
    # What is not known speaks neither for nor against.
    return np.asarray((distance <= limits.distance) & ~(look > limits.appearance))


def _cost(poses: Sightings, tracks: Sightings, symmetry: Symmetry, limits: Limits) -> FloatArray:
    """Return the (P, T) costs, infinite beyond a limit."""
    distance = np.linalg.norm(poses.T[:, None, :3, 3] - tracks.T[None, :, :3, 3], axis=-1)
    distance_share = distance / limits.distance
    size_share = np.abs(np.log(poses.diagonal[:, None] / tracks.diagonal[None])
                        ) / np.log(limits.size_ratio)
    shares = [distance_share, size_share]
    cost = distance_share + _SIZE * size_share
    if limits.appearance < 1:
        look = appearance_distance(poses.appearance, tracks.appearance) / limits.appearance
        # What is not known speaks neither for nor against.
        shares.append(np.nan_to_num(look))
        cost += _APPEARANCE * shares[-1]
    is_possible = np.max(shares, axis=0) <= 1.0
    cost[~is_possible] = np.inf
    pose, track = np.nonzero(is_possible)
    # Where there is nothing to choose, rotations need not be compared.
    if len(pose) > min(cost.shape):
        R_pose, R_track = poses.T[pose, :3, :3], tracks.T[track, :3, :3]
        angle = angle_between(symmetry.nearest_rotations(R_pose, R_track), R_track)
        cost[pose, track] += _ROTATION * angle / np.pi
    return np.asarray(cost)
