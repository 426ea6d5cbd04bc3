"""Poses and sizes of objects of known categories, without CAD models."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pose_estimation_ros.backends import rejections
from pose_estimation_ros.backends.disp6d_depth_alignment import (
    Alignment,
    at_distance,
    box_about_origin,
    compare_boxes,
    fit_pairs,
    stride,
    without_stray,
)
from pose_estimation_ros.backends.disp6d_model import CategoryDecoder, Codes
from pose_estimation_ros.backends.disp6d_options import DISP6DOptions
from pose_estimation_ros.backends.disp6d_rotation_search import RotationMatch
from pose_estimation_ros.backends.disp6d_translation import Turn
from pose_estimation_ros.backends.point_preparation import masked_pixels
from pose_estimation_ros.core.detection import Detection
from pose_estimation_ros.core.frame import RGBDFrame
from pose_estimation_ros.core.object_pose import ObjectPose, Rejection
from pose_estimation_ros.core.se3 import make_transform
from pose_estimation_ros.core.up_direction import upright_turn
from pose_estimation_ros.runtime import ModelManifest

FloatArray = NDArray[np.float64]

_FEWEST_POINTS = 20
# So many points tell enough; the published comparison of boxes takes all.
_MOST_POINTS = 800


class CategoryEstimator:
    """Looks up rotations among codes made for an object's shape, and fits its decoded depth."""

    def __init__(self, manifest: ModelManifest, decoder: CategoryDecoder,
                 options: DISP6DOptions, upright_tolerance: float) -> None:
        """Take a loaded model.

        Args:
            manifest: Of the model.
            decoder: Its networks.
            options: Of them alignment and stance.
            upright_tolerance: See `BackendOptions`, degrees.
        """
        self._manifest = manifest
        self._decoder = decoder
        self._alignment = options.alignment
        self._stance = options.stance
        self._upright = np.radians(upright_tolerance)

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
        every = 1 if self._alignment == 'boxes' else stride(len(rows), _MOST_POINTS)
        rows, columns = rows[::every], columns[::every]
        observed = without_stray(camera.back_project(
            np.stack([columns, rows], axis=1).astype(np.float64), frame.depth[rows, columns]),
            every)
        depth = self._decoder.depth(codes)[0]
        decoded, surface = self._decoder.view.points(depth), self._decoder.view.is_surface(depth)
        if self._alignment != 'boxes':
            apart = stride(len(decoded), _MOST_POINTS)
            decoded, surface = decoded[::apart], surface[::apart]
        if len(decoded) < _FEWEST_POINTS:
            return rejections.no_size(detection, np.zeros(3))
        middle = (0.5 * (detection.edges[:2] + detection.edges[2:]) - camera.K[:2, 2]) / (
            camera.fx, camera.fy)
        up = None if self._stance == 'any' or frame.up is None else (
            frame.up @ turn(np.append(middle, 1.0)))
        match = self._decoder.rotation(codes.shape[0], codes.pose[0], up)
        placed = compare_boxes(decoded, observed, middle)
        if not placed.scale > 0:  # All points lie in one line of sight.
            return rejections.no_size(detection, np.zeros(3))
        if self._alignment == 'icp':
            placed = fit_pairs(placed, observed, turn(placed.t))
        elif self._alignment == 'surfaces' and surface.any():
            placed = at_distance(placed, decoded[surface], observed, middle)
        R = turn(placed.t) @ match.R
        if self._upright > 0 and frame.up is not None:
            R = upright_turn(R[None], frame.up, self._upright)[0] @ R
        return self._answer(detection, R, match, placed, source)

    def _answer(self, detection: Detection, R: FloatArray, match: RotationMatch,
                placed: Alignment, source: str) -> ObjectPose | Rejection:
        size = placed.scale * box_about_origin(placed.points, match.R)
        if not rejections.is_size(size):
            return rejections.no_size(detection, size)
        score = float(detection.score * np.clip(match.cosine, 0.0, 1.0))
        if not np.isfinite(placed.t).all() or not placed.t[2] > 0:
            return rejections.no_pose_in_front(detection, placed.t, score)
        return ObjectPose(
            label=detection.label, score=score,
            T_camera_object=make_transform(R, placed.t), size=size,
            symmetry=self._manifest.symmetry_of(detection.label), source=source,
            detection=detection,
            points=(placed.scale * placed.points @ match.R).astype(np.float32),
            residual=placed.residual)

    def close(self) -> None:
        """Free the networks."""
        self._decoder.close()
