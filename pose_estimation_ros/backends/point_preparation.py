"""From a detection's pixels to the normalised point cloud that the point networks take.

Training and run time share this file, so a network sees the same in both.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pose_estimation_ros.core.detection import Detection
from pose_estimation_ros.core.frame import RGBDFrame

FloatArray = NDArray[np.float64]

# Points further from the centre than this many radii are mask errors for sure; they are pulled
# in so that one background pixel cannot dominate the network's maxima.
_FARTHEST = 4.0


@dataclass(frozen=True)
class NormalizedPoints:
    """B point clouds in their ray frames: z along the viewing ray, centred, radius about 1.

    Attributes:
        points: (B, N, 3) float32, dimensionless.
        center: (B, 3) float64 metres, camera optical frame.
        radius: (B,) float64 metres that were divided out.
        R_ray_camera: (B, 3, 3) float64 rotation from the camera to the ray frame.
    """

    points: NDArray[np.float32]
    center: FloatArray
    radius: FloatArray
    R_ray_camera: FloatArray


def masked_points(frame: RGBDFrame, detection: Detection) -> NDArray[np.float32]:
    """Return the (M, 3) float32 points under a detection's mask, metres, camera frame.

    Pixels without depth are left out; the order is raster order.
    """
    assert frame.depth is not None
    rows, columns = detection.pixels()
    inside = ((rows >= 0) & (rows < frame.depth.shape[0])
              & (columns >= 0) & (columns < frame.depth.shape[1]))
    rows, columns = rows[inside], columns[inside]
    depth = frame.depth[rows, columns]
    known = np.isfinite(depth) & (depth > 0)
    pixels = np.stack([columns[known], rows[known]], axis=1).astype(np.float64)
    return frame.intrinsics.back_project(pixels, depth[known]).astype(np.float32)


def choose_points(count: int, number: int, generator: np.random.Generator) -> NDArray[np.intp]:
    """Return `number` indices into `count` points: a random subset, or cyclic repetition."""
    if count >= number:
        return np.sort(generator.choice(count, number, replace=False))
    return np.resize(np.arange(count), number)


def normalize_points(points: NDArray[np.floating]) -> NormalizedPoints:
    """Centre, turn to the viewing ray and scale B point clouds.

    Centre and radius are medians, so that points of the background do not move them. Turning the
    ray through the centre onto z makes the appearance of an object independent of where in the
    image it lies.

    Args:
        points: (B, N, 3) metres, camera optical frame.

    Returns:
        The clouds and what is needed to map results back.
    """
    camera = np.asarray(points, dtype=np.float64)
    center = np.median(camera, axis=1)
    R = ray_rotation(center)
    local = np.einsum('bij,bnj->bni', R, camera - center[:, None])
    radius = np.maximum(2.0 * np.median(np.linalg.norm(local, axis=2), axis=1), 1e-3)
    local /= radius[:, None, None]
    distance = np.linalg.norm(local, axis=2, keepdims=True)
    local *= np.minimum(1.0, _FARTHEST / np.maximum(distance, 1e-12))
    return NormalizedPoints(local.astype(np.float32), center, radius, R)


def ray_rotation(center: FloatArray) -> FloatArray:
    """Return the (B, 3, 3) smallest rotations that turn rays through (B, 3) points onto +z.

    Rodrigues' formula for the rotation between two unit vectors; a point in front of the camera
    is never opposite to +z.
    """
    unit = center / np.linalg.norm(center, axis=1, keepdims=True)
    x, y, z = unit[:, 0], unit[:, 1], unit[:, 2]
    k = 1.0 / (1.0 + z)
    return np.stack([np.stack([1 - k * x * x, -k * x * y, -x], 1),
                     np.stack([-k * x * y, 1 - k * y * y, -y], 1),
                     np.stack([x, y, z], 1)], axis=1)
