"""From a detection's pixels to the normalised point cloud that the point networks take.

Training and run time share this file, so a network sees the same in both.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pose_estimation_ros.core.detection import Detection
from pose_estimation_ros.core.frame import RGBDFrame
from pose_estimation_ros.core.up_direction import guessed_up, view_rotation

FloatArray = NDArray[np.float64]

# Points further from the centre than this many radii are mask errors for sure; they are pulled
# in so that one background pixel cannot dominate the network's maxima.
_FARTHEST = 4.0
_TYPICAL_RADIUS = 0.06


@dataclass(frozen=True)
class NormalizedPoints:
    """B point clouds in their view frames, centred, radius about 1.

    The view frame of an object has +y up and +z horizontally away from the camera, so an object
    that stands is turned about y only, wherever it lies in the image and however the camera is
    tilted.

    Attributes:
        points: (B, N, 3) float32, dimensionless.
        condition: (B, 3) float32: logarithm of the radius relative to 6 cm, sine of the angle
            from which the object is looked down upon, and whether the up direction is known.
        center: (B, 3) float64 metres, camera optical frame.
        radius: (B,) float64 metres that were divided out.
        R_view_camera: (B, 3, 3) float64 rotation from the camera to the view frame.
    """

    points: NDArray[np.float32]
    condition: NDArray[np.float32]
    center: FloatArray
    radius: FloatArray
    R_view_camera: FloatArray


def masked_pixels(frame: RGBDFrame,
                  detection: Detection) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Return rows and columns, (M,) each, of the pixels under a mask that have depth.

    Args:
        frame: With depth.
        detection: Its mask may reach beyond the image.

    Returns:
        Pixels inside the image, in raster order.
    """
    assert frame.depth is not None
    rows, columns = detection.pixels()
    inside = ((rows >= 0) & (rows < frame.depth.shape[0])
              & (columns >= 0) & (columns < frame.depth.shape[1]))
    rows, columns = rows[inside], columns[inside]
    depth = frame.depth[rows, columns]
    known = np.isfinite(depth) & (depth > 0)
    return rows[known], columns[known]


def choose_points(count: int, number: int, generator: np.random.Generator) -> NDArray[np.intp]:
    """Return `number` indices into `count` points: a random subset, or cyclic repetition."""
    if count >= number:
        return np.sort(generator.choice(count, number, replace=False))
    return np.resize(np.arange(count), number)


def spread_points(count: int, number: int, generator: np.random.Generator) -> NDArray[np.intp]:
    """Return `number` sorted indices into `count` points, each as often as any other or once more.

    As in training, where repeated points are random ones: no side of an object counts twice.
    """
    rest = generator.choice(count, number % count, replace=False)
    return np.sort(np.concatenate([np.tile(np.arange(count), number // count), rest]))


def normalize_points(points: NDArray[np.floating], up: FloatArray) -> NormalizedPoints:
    """Centre B point clouds, turn them to their view frames and scale them.

    Centre and radius are medians, so that points of the background do not move them.

    Args:
        points: (B, N, 3) metres, camera optical frame.
        up: (B, 3) unit directions away from the ground, camera optical frame; NaN where unknown.

    Returns:
        The clouds and what is needed to map results back.
    """
    camera = np.asarray(points, dtype=np.float64)
    center = np.median(camera, axis=1)
    ray = center / np.linalg.norm(center, axis=1, keepdims=True)
    known = np.isfinite(up).all(axis=1)
    up = np.where(known[:, None], up, guessed_up(ray))
    R = view_rotation(ray, up)
    local = np.einsum('bij,bnj->bni', R, camera - center[:, None])
    radius = np.maximum(2.0 * np.median(np.linalg.norm(local, axis=2), axis=1), 1e-3)
    local /= radius[:, None, None]
    distance = np.linalg.norm(local, axis=2, keepdims=True)
    local *= np.minimum(1.0, _FARTHEST / np.maximum(distance, 1e-12))
    condition = np.stack([np.log(radius / _TYPICAL_RADIUS), -(up * ray).sum(axis=1), known], 1)
    return NormalizedPoints(local.astype(np.float32), condition.astype(np.float32), center,
                            radius, R)
