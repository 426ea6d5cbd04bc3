"""Poses of known objects: the best of all views of all objects that a detection may be."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pose_estimation_ros.backends.disp6d_objects import LoadedObject
from pose_estimation_ros.backends.disp6d_translation import LineOfSight, about_origin
from pose_estimation_ros.core.detection import Detection
from pose_estimation_ros.core.object_pose import ObjectPose
from pose_estimation_ros.core.pose_covariance import (
    at_other_point,
    sight_covariance,
    with_unknown_spin,
)
from pose_estimation_ros.core.so3_grid import axis_deviation

FloatArray = NDArray[np.float64]

# How exactly the edges of a detection are known, pixels.
_EDGE_DEVIATION = 2.0


@dataclass(frozen=True, eq=False)
class ViewMatch:
    """The view of an object that looks most like a detection.

    Attributes:
        entry: The object.
        index: Of its view.
        cosine: Between the codes, -1 to 1.
    """

    entry: LoadedObject
    index: int
    cosine: float


def best_candidate(candidates: Sequence[LoadedObject], pose: NDArray[np.float32]) -> ViewMatch:
    """Return the best view of the best of some objects.

    Args:
        candidates: At least one.
        pose: (1, D) code of the pose of what was detected.
    """
    matches = [(entry, entry.table.nearest(pose)) for entry in candidates]
    entry, best = max(matches, key=lambda match: float(match[1].cosine[0]))
    return ViewMatch(entry, int(best.index[0]), float(best.cosine[0]))


def known_object_pose(detection: Detection, match: ViewMatch, K: FloatArray, sight: LineOfSight,
                      source: str) -> ObjectPose:
    """Return the pose of a known object.

    Args:
        detection: The object, with a box that is not empty.
        match: Which object it is, and how it is seen.
        K: (3, 3) camera matrix of the image.
        sight: How boxes become a position, and that a turn to the line of sight.
        source: Name of the backend.
    """
    known = match.entry.known
    view_box = known.boxes[match.index].astype(np.float64)
    middle = sight.place(detection.edges, K, view_box, np.eye(3), known.distance)
    turns = len(known.rotations.turns)
    R = sight.turn(middle) @ known.rotations.matrix(*divmod(match.index, turns))
    T = about_origin(R, middle, known.center)
    symmetry = known.identity.symmetry
    return ObjectPose(
        label=known.identity.name,
        score=float(detection.score * np.clip(match.cosine, 0.0, 1.0)),
        T_camera_object=T,
        size=_size_about_origin(match.entry),
        symmetry=symmetry,
        covariance=with_unknown_spin(at_other_point(
            _covariance(middle, detection.box, K, len(known.rotations)), -R @ known.center),
            R, symmetry),
        source=source, detection=detection, points=known.mesh.vertices, faces=known.mesh.faces)


def _size_about_origin(entry: LoadedObject) -> FloatArray:
    """Return the (3,) size of the least box about the object frame's origin, metres."""
    return np.asarray(2.0 * np.abs(entry.known.mesh.bounds.astype(np.float64)).max(axis=0))


def _covariance(t: FloatArray, box: FloatArray, K: FloatArray, rotations: int) -> FloatArray:
    """Return (6, 6) what the edges of the box and the spacing of the views leave open at `t`."""
    extent = float(np.linalg.norm(box[2:] - box[:2]))
    across = float(t[2]) / K[0, 0] * _EDGE_DEVIATION / np.sqrt(2.0)
    along = float(t[2]) * _EDGE_DEVIATION * np.sqrt(2.0) / extent
    return sight_covariance(t, along, across, axis_deviation(rotations))
