"""The whole picture of one frame's results."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pose_estimation_ros.core.boxes import box_corners
from pose_estimation_ros.core.camera import CameraIntrinsics
from pose_estimation_ros.core.categories import category_named
from pose_estimation_ros.core.detection import Detection
from pose_estimation_ros.core.object_pose import ObjectPose
from pose_estimation_ros.drawing.labels import Tag, draw_tags
from pose_estimation_ros.drawing.shapes import Color, draw_axes, draw_box, draw_mask

_OTHER_COLOR: Color = (150, 150, 150)
_TAGGED_NEAR = 0.05


@dataclass(frozen=True)
class OverlayStyle:
    """What is drawn.

    Attributes:
        mask_opacity: Strength of the masks' tint, 0 = no masks.
        axes_share: Length of the axes as a share of the box's diagonal.
        thickness: Of the lines, pixels.
    """

    mask_opacity: float = 0.3
    axes_share: float = 0.4
    thickness: int = 2


def label_color(label: str) -> Color:
    """Return the colour of a category, grey for anything else."""
    category = category_named(label)
    return _OTHER_COLOR if category is None else category.color


def draw_overlay(rgb: NDArray[np.uint8], intrinsics: CameraIntrinsics,
                 poses: Sequence[ObjectPose], detections: Sequence[Detection] = (),
                 style: OverlayStyle | None = None) -> NDArray[np.uint8]:
    """Return a copy of an image with masks, boxes, axes and labels drawn on it.

    Args:
        rgb: (H, W, 3) uint8 colour image without distortion.
        intrinsics: Its camera.
        poses: Objects to draw.
        detections: Masks to draw.
        style: What is drawn and how.

    Returns:
        (H, W, 3) uint8 RGB.
    """
    style = style or OverlayStyle()
    image = rgb.copy()
    if style.mask_opacity > 0:
        for detection in detections:
            draw_mask(image, detection, label_color(detection.label), style.mask_opacity)
    # The nearest object is drawn last, on top.
    boxes = [pose.placed_box(pose.T_camera_object) for pose in poses]
    for pose, (T_box, size) in sorted(zip(poses, boxes, strict=True),
                                      key=lambda placed: -placed[1][0][2, 3]):
        draw_box(image, intrinsics, T_box, size, label_color(pose.label), style.thickness)
        draw_axes(image, intrinsics, pose.T_camera_object,
                  style.axes_share * float(np.linalg.norm(size)), style.thickness)
    draw_tags(image, [_pose_tag(pose, T_box, size, intrinsics)
                      for pose, (T_box, size) in zip(poses, boxes, strict=True)
                      if T_box[2, 3] > _TAGGED_NEAR])
    return image


def _pose_tag(pose: ObjectPose, T_box: NDArray[np.float64], size: NDArray[np.float64],
              intrinsics: CameraIntrinsics) -> Tag:
    name = pose.label if pose.track_id < 0 else f'{pose.label} {pose.track_id}'
    width, height, depth = (100.0 * size).tolist()
    lines = (f'{name}  {pose.score:.2f}', f'{width:.1f} x {height:.1f} x {depth:.1f} cm')
    corners = box_corners(T_box, size)
    corners[:, 2] = np.maximum(corners[:, 2], _TAGGED_NEAR)
    pixels = intrinsics.project(corners)
    x_min, y_min = pixels.min(axis=0).tolist()
    x_max, y_max = pixels.max(axis=0).tolist()
    return Tag(lines, label_color(pose.label), (x_min, y_min, x_max, y_max))
