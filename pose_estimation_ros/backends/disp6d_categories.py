"""Poses and sizes of objects of known categories, without CAD models."""

from __future__ import annotations

import sys

import numpy as np
from numpy.typing import NDArray

from pose_estimation_ros.backends import rejections
from pose_estimation_ros.backends.disp6d_depth_alignment import (
    Alignment,
    box_about_origin,
    compare_boxes,
    fit_pairs,
    thinned,
    without_stray,
)
from pose_estimation_ros.backends.disp6d_known_objects import Turn
from pose_estimation_ros.backends.disp6d_model import CategoryDecoder, Codes
from pose_estimation_ros.backends.point_preparation import masked_pixels
from pose_estimation_ros.core.detection import Detection
from pose_estimation_ros.core.frame import RGBDFrame
from pose_estimation_ros.core.object_pose import ObjectPose, Rejection
from pose_estimation_ros.core.se3 import make_transform
from pose_estimation_ros.runtime import ModelManifest

FloatArray = NDArray[np.float64]

_FEWEST_POINTS = 20
_EVERY_POINT = sys.maxsize
# So many points start the fit well enough; the published comparison of boxes takes all.
_MOST_POINTS = 800


class CategoryEstimator:
    """Looks up rotations among codes made for an object's shape, and fits its decoded depth."""

    def __init__(self, manifest: ModelManifest, decoder: CategoryDecoder, alignment: str) -> None:
        """Take a loaded model.

        Args:
            manifest: Of the model.
            decoder: Its networks.
            alignment: 'icp' or 'boxes', see `DISP6DOptions`.
        """
        self._manifest = manifest
        self._decoder = decoder
        self._fits = alignment == 'icp'
        self._most_points = _MOST_POINTS if self._fits else _EVERY_POINT

    def pose(self, frame: RGBDFrame, detection: Detection, codes: Codes, turn: Turn,
             source: str) -> ObjectPose | Rejection:
        """Return the pose of an object.

        Args:
            frame: The undistorted frame.
            detection: Of one of the model's categories.
            codes: Of its crop, one row.
            turn: To the line of sight.
            source: Name of the backend.
        """
        if frame.depth is None:
            return rejections.no_depth(detection, source)
        rows, columns = masked_pixels(frame, detection)
        if len(rows) < _FEWEST_POINTS:
            return rejections.few_points(detection, _FEWEST_POINTS)
        camera = frame.intrinsics
        observed = thinned(camera.back_project(
            np.stack([columns, rows], axis=1).astype(np.float64), frame.depth[rows, columns]),
            self._most_points)
        decoded = thinned(self._decoder.view.points(self._decoder.depth(codes)[0]),
                          self._most_points)
        if len(decoded) < _FEWEST_POINTS:
            return rejections.no_size(detection, np.zeros(3))
        middle = (0.5 * (detection.box[:2] + detection.box[2:]) - camera.K[:2, 2]) / (
            camera.fx, camera.fy)
        match = self._decoder.rotation(codes.shape[0], codes.pose[0])
        observed = without_stray(observed)
        placed = compare_boxes(decoded, observed, middle)
        if not placed.scale > 0:  # All points lie in one line of sight.
            return rejections.no_size(detection, np.zeros(3))
        if self._fits:
            placed = fit_pairs(placed, observed, turn(placed.t))
        return self._answer(detection, match.R, match.cosine, placed, turn, source)

    def _answer(self, detection: Detection, R_view: FloatArray, cosine: float,
                placed: Alignment, turn: Turn, source: str) -> ObjectPose | Rejection:
        size = placed.scale * box_about_origin(placed.points, R_view)
        if not rejections.is_size(size):
            return rejections.no_size(detection, size)
        score = float(detection.score * np.clip(cosine, 0.0, 1.0))
        if not np.isfinite(placed.t).all() or not placed.t[2] > 0:
            return rejections.no_pose_in_front(detection, placed.t, score)
        return ObjectPose(
            label=detection.label, score=score,
            T_camera_object=make_transform(turn(placed.t) @ R_view, placed.t), size=size,
            symmetry=self._manifest.symmetry_of(detection.label), source=source,
            detection=detection,
            points=(placed.scale * placed.points @ R_view).astype(np.float32),
            residual=placed.residual)

    def close(self) -> None:
        """Free the networks."""
        self._decoder.close()
