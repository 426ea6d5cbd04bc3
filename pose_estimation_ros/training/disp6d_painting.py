"""Paint and light for things that have neither: pictures of a mesh from its depth alone."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from pose_estimation_ros.core.se3 import inverse, transform_points
from pose_estimation_ros.rendering.view_renderer import PIXEL_CENTRE

FloatArray = NDArray[np.float64]

_WAVES = 3
# A part of the light comes from everywhere.
_AMBIENT, _SPECULAR = (0.25, 0.7), (0.0, 0.5)


def painted(depth: NDArray[np.float32], T_camera_object: FloatArray, K: FloatArray,
            generator: np.random.Generator) -> NDArray[np.uint8]:
    """Return a picture of an object before black.

    Two or three colours meet along waves in the object's frame, so the paint is that of a thing
    and not of the picture; the light comes from a random direction on the camera's side.

    Args:
        depth: (S, S) in units of the object's diagonal; 0 = no object.
        T_camera_object: (4, 4) pose in the same unit.
        K: (3, 3) camera matrix; the centre of pixel i is i + 0.5.
        generator: Source of randomness.

    Returns:
        (S, S, 3) uint8.
    """
    rows, columns = np.nonzero(depth)
    z = depth[rows, columns].astype(np.float64)
    pixels = np.stack([columns, rows, np.zeros_like(rows)], axis=1) + PIXEL_CENTRE
    pixels[:, 2] = 1.0
    points = z[:, None] * (pixels @ np.linalg.inv(K).T)
    normals = _normals(depth, rows, columns, float(K[0, 0]))
    to_camera = -points / np.linalg.norm(points, axis=1, keepdims=True)
    light = generator.normal(0.0, 1.0, 3) * (1.0, 1.0, 0.5) + (0.0, -0.5, -1.0)
    light /= np.linalg.norm(light)
    ambient, specular = generator.uniform(*_AMBIENT), generator.uniform(*_SPECULAR)
    diffuse = np.maximum(normals @ light, 0.0)
    half = to_camera + light
    half /= np.linalg.norm(half, axis=1, keepdims=True)
    gloss = specular * np.maximum((normals * half).sum(axis=1), 0.0) ** generator.uniform(5, 40)
    brightness = generator.uniform(0.7, 1.3) * (ambient + (1 - ambient) * diffuse)
    paint = _paint(transform_points(inverse(T_camera_object), points), generator)
    picture = np.zeros((*depth.shape, 3), dtype=np.uint8)
    picture[rows, columns] = np.clip(255 * (paint * brightness[:, None] + gloss[:, None]), 0, 255)
    return picture


def _paint(points: FloatArray, generator: np.random.Generator) -> FloatArray:
    """Return (N, 3) colours of (N, 3) points in the object's frame, units of its diagonal."""
    colors = generator.uniform(0.05, 1.0, (_WAVES, 1, 3))
    if generator.random() < 0.5:
        # Grey, as bare material.
        colors = 0.8 * colors.mean(axis=2, keepdims=True) + 0.2 * colors
    paint = np.broadcast_to(colors[0], points.shape)
    if generator.random() < 0.4:
        return np.asarray(paint)
    for color in colors[1:]:
        waves = generator.normal(0.0, generator.choice([3.0, 8.0, 20.0]), (_WAVES, 3))
        height = np.sin(points @ waves.T + generator.uniform(0, 6.3, _WAVES)).mean(axis=1)
        share = np.clip(0.5 + generator.choice([1.0, 10.0]) * height, 0, 1)[:, None]
        paint = (1 - share) * paint + share * color
    return np.asarray(paint)


def _normals(depth: NDArray[np.float32], rows: NDArray[np.intp], columns: NDArray[np.intp],
             focal: float) -> FloatArray:
    """Return (N, 3) unit normals towards the camera, from the slopes of the depth."""
    # Over an edge of the object, slopes are those of the side that goes on.
    filled = np.where(depth > 0, depth, np.nan)
    slopes = []
    for axis in (1, 0):
        forward = np.roll(filled, -1, axis) - filled
        backward = filled - np.roll(filled, 1, axis)
        nearer = np.where(np.abs(np.nan_to_num(forward, nan=np.inf))
                          < np.abs(np.nan_to_num(backward, nan=np.inf)), forward, backward)
        smooth = cv2.blur(np.nan_to_num(nearer), (2, 2))
        slopes.append(smooth[rows, columns] * focal / depth[rows, columns])
    normals = np.stack([*slopes, -np.ones(len(rows))], axis=1)
    return np.asarray(normals / np.linalg.norm(normals, axis=1, keepdims=True))
