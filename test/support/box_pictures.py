"""Pictures of boxes whose colours tell which point of the box is seen."""

from __future__ import annotations

import numpy as np

from pose_estimation_ros.core.ray_box import enter_box
from pose_estimation_ros.core.rotation import axis_rotation
from pose_estimation_ros.core.se3 import make_transform
from pose_estimation_ros.training.object_pictures import ObjectPicture, PictureObjects

K = np.array([[300.0, 0.0, 158.0], [0.0, 300.0, 121.0], [0.0, 0.0, 1.0]])
WIDTH, HEIGHT = 320, 240
# Colours are these parts of 255 at the lower and upper ends of the box.
LOW, HIGH = 0.2, 0.8


def standing_pose(azimuth=0.7, elevation=0.5, distance=0.6, x=0.02, y=-0.01):
    """Return T_camera_object of an upright object; the camera looks down at it."""
    upright = np.diag([1.0, -1.0, -1.0]) @ axis_rotation((0.0, 1.0, 0.0), -azimuth)
    return make_transform(axis_rotation((1.0, 0.0, 0.0), elevation) @ upright, (x, y, distance))


def box_picture(category, size, T, standing=True, covered=None):
    """Return a picture of one box, its point p in the colour LOW + (HIGH - LOW) p / size.

    Args:
        category: Its number.
        size: (3,) metres.
        T: Its pose.
        standing: Whether it stands.
        covered: Columns from this one on show another thing, object 9, before it.
    """
    size = np.asarray(size, dtype=np.float64)
    columns, rows = np.meshgrid(np.arange(WIDTH), np.arange(HEIGHT))
    rays = np.stack([columns, rows, np.ones_like(rows)], axis=-1) @ np.linalg.inv(K).T
    R, t = T[:3, :3], T[:3, 3]
    hits = enter_box(-R.T @ t, rays @ R, -size / 2, size / 2)
    points = -R.T @ t + (rays @ R) * np.where(hits.hit, hits.distance, 0.0)[..., None]
    colors = LOW + (HIGH - LOW) * (points / size + 0.5)
    rgb = np.where(hits.hit[..., None], np.round(255 * colors), 0).astype(np.uint8)
    shown = np.where(hits.hit, 3, 0).astype(np.uint8)
    if covered is not None:
        shown[:, covered:], rgb[:, covered:] = 9, 255
    v, u = np.nonzero(shown == 3)
    return ObjectPicture(rgb, shown, K, PictureObjects(
        np.array([3]), np.array([category]), T[None], size[None], np.ones(1),
        np.array([[u.min(), v.min(), u.max() + 1, v.max() + 1]], dtype=np.float64),
        np.array([standing])))


def points_at(rgb, pixels):
    """Return (N, 3) shares of the box, 0 to 1, that the colours at (N, 2) pixels tell."""
    columns, rows = np.round(pixels).astype(int).T
    return (rgb[rows, columns] / 255.0 - LOW) / (HIGH - LOW)
