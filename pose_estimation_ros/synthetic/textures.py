"""Procedural surface patterns, evaluated at 3-D points of the object frame (no texture maps).

A pattern is a picklable function `(points, normals, size) -> colors`: (N, 3) float32 metres and
unit normals in the object frame, (3,) extent of the object, (N, 3) float32 linear RGB. The
functions here take their parameters first; `functools.partial` makes a pattern of them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from pose_estimation_ros.synthetic.noise import Noise, fractal

FloatArray: TypeAlias = NDArray[np.float32]
Pattern: TypeAlias = Callable[[FloatArray, FloatArray, FloatArray], FloatArray]


def mix(first: FloatArray, second: FloatArray, share: FloatArray) -> FloatArray:
    """Return (N, 3) colours between `first` and `second`, (3,) or (N, 3), by (N,) share."""
    return np.asarray(first + share[:, None] * (second - first), dtype=np.float32)


def smooth_step(value: FloatArray, low: float, high: float) -> FloatArray:
    """Return (N,) 0 below `low`, 1 above `high`, and a smooth rise between."""
    t = np.clip((value - np.float32(low)) / np.float32(high - low), 0.0, 1.0)
    return np.asarray(t * t * (3.0 - 2.0 * t), dtype=np.float32)


def plane_coordinates(points: FloatArray, normals: FloatArray) -> FloatArray:
    """Return (N, 2) metres across the surface: the two axes that its normal is least along."""
    axis = np.abs(normals).argmax(axis=1)
    first = np.where(axis == 0, 1, 0)
    second = np.where(axis == 2, 1, 2)
    rows = np.arange(len(points))
    return np.stack([points[rows, first], points[rows, second]], axis=1)


def plain(color: FloatArray, points: FloatArray, normals: FloatArray,
          size: FloatArray) -> FloatArray:
    """One colour."""
    return np.broadcast_to(color, (len(points), 3)).astype(np.float32)


def clouds(noise: Noise, seed: int, cell: float, octaves: int, contrast: float,
           first: FloatArray, second: FloatArray, points: FloatArray, normals: FloatArray,
           size: FloatArray) -> FloatArray:
    """Two colours blended by fractal noise with cells of `cell` metres."""
    value = fractal(noise, points / np.float32(cell), seed, octaves)
    return mix(first, second, np.clip(0.5 + contrast * (value - 0.5), 0, 1))


def speckle(noise: Noise, seed: int, cell: float, share: float, ground: FloatArray,
            spots: FloatArray, points: FloatArray, normals: FloatArray,
            size: FloatArray) -> FloatArray:
    """Spots of `cell` metres that cover about `share` of the ground."""
    value = noise(points / np.float32(cell), seed)
    return mix(ground, spots, smooth_step(value, 0.95 - share, 1.05 - share))


def wood(noise: Noise, seed: int, ring: float, board: float, light: FloatArray, dark: FloatArray,
         points: FloatArray, normals: FloatArray, size: FloatArray) -> FloatArray:
    """Wood grain along x: rings of `ring` metres, fine fibres, boards of `board` metres."""
    across = plane_coordinates(points, normals)[:, 1]
    shift = np.zeros(len(points), dtype=np.float32)
    gap = shift
    if board > 0:
        index = np.floor(across / np.float32(board))
        shift = (index * np.float32(7.31)) % np.float32(19.0)
        fraction = across / np.float32(board) - index
        gap = 1 - smooth_step(np.minimum(fraction, 1 - fraction) * board, 0.0004, 0.0015)
    stretched = np.stack([points[:, 0] * 0.12 + shift, points[:, 1], points[:, 2]], axis=1)
    bend = fractal(noise, stretched / np.float32(6 * ring), seed, 2)
    distance = across / np.float32(ring) + 5.0 * bend + shift
    rings = (distance - np.floor(distance))
    fibre = noise(stretched / np.float32([ring * 0.5, ring * 0.12, ring * 0.12]), seed + 7)
    share = np.clip(0.65 * rings * rings + 0.45 * (fibre - 0.3) + 0.3 * (bend - 0.5), 0, 1)
    return np.asarray(mix(light, dark, share) * (1 - 0.8 * gap[:, None]), dtype=np.float32)


def marble(noise: Noise, seed: int, cell: float, ground: FloatArray, vein: FloatArray,
           points: FloatArray, normals: FloatArray, size: FloatArray) -> FloatArray:
    """Thin veins through a cloudy stone."""
    value = fractal(noise, points / np.float32(cell), seed, 4)
    line = 1 - np.abs(2 * value - 1)
    return mix(ground * (0.85 + 0.3 * value[:, None]), vein, smooth_step(line, 0.88, 0.99))


def weave(noise: Noise, seed: int, thread: float, first: FloatArray, second: FloatArray,
          points: FloatArray, normals: FloatArray, size: FloatArray) -> FloatArray:
    """Threads of `thread` metres over and under each other, unevenly dyed."""
    uv = plane_coordinates(points, normals) * np.float32(np.pi / thread)
    over = np.sin(uv[:, 0]) * np.sin(uv[:, 1])
    dye = noise(points / np.float32(30 * thread), seed)
    return mix(first, second, np.clip(0.5 + 0.35 * over + 0.8 * (dye - 0.5), 0, 1))


def checker(cell: float, aspect: float, joint: float, first: FloatArray, second: FloatArray,
            joint_color: FloatArray, points: FloatArray, normals: FloatArray,
            size: FloatArray) -> FloatArray:
    """Tiles of `cell` by `cell * aspect` metres in two colours, with joints of `joint` metres."""
    uv = plane_coordinates(points, normals) / np.float32([cell, cell * aspect])
    index = np.floor(uv)
    colors = mix(first, second, (index.sum(axis=1) % 2).astype(np.float32))
    if joint > 0:
        fraction = uv - index
        edge = np.minimum(fraction, 1 - fraction) * np.float32([cell, cell * aspect])
        colors = mix(joint_color, colors, smooth_step(edge.min(axis=1), 0.3 * joint, 0.7 * joint))
    return colors


def bands(edges: FloatArray, colors: FloatArray, wobble: float, seed: int, noise: Noise,
          points: FloatArray, normals: FloatArray, size: FloatArray) -> FloatArray:
    """Horizontal bands: `colors` (K, 3) between relative heights `edges` (K - 1,)."""
    height = points[:, 1] / np.float32(size[1]) + np.float32(0.5)
    if wobble > 0:
        height = height + np.float32(wobble) * (noise(points / np.float32(0.015), seed) - 0.5)
    return np.asarray(colors[np.searchsorted(edges, height)], dtype=np.float32)


def gradient(direction: FloatArray, first: FloatArray, second: FloatArray, points: FloatArray,
             normals: FloatArray, size: FloatArray) -> FloatArray:
    """A blend of two colours along `direction`, relative to the object's size."""
    along = (points / np.float32(size)) @ direction
    return mix(first, second, np.clip(0.5 + along, 0, 1))


def brushed(noise: Noise, seed: int, strength: float, color: FloatArray, points: FloatArray,
            normals: FloatArray, size: FloatArray) -> FloatArray:
    """Fine scratches along one direction, as on machined metal."""
    lines = noise(points / np.float32([0.03, 0.0008, 0.03]), seed)
    return np.asarray(color * (1 + strength * (lines[:, None] - 0.5)), dtype=np.float32)


def printed(image: FloatArray, wrap: bool, low: float, high: float, around: Pattern,
            points: FloatArray, normals: FloatArray, size: FloatArray) -> FloatArray:
    """A printed picture between relative heights `low` and `high`; `around` elsewhere.

    Args:
        image: (h, w, 3) linear RGB, top row first.
        wrap: Whether it goes once around the y axis; else it is on each side of a box.
        low: Relative height, 0 to 1, of its lower edge.
        high: Relative height of its upper edge.
        around: Pattern of the rest.
        points: (N, 3) metres, object frame.
        normals: (N, 3) object frame.
        size: (3,) metres.

    Returns:
        (N, 3) linear RGB.
    """
    rows, columns = image.shape[:2]
    relative = points / np.float32(size) + np.float32(0.5)
    height = (relative[:, 1] - low) / (high - low)
    side = np.abs(normals[:, 1]) < 0.7
    if wrap:
        across = np.arctan2(points[:, 2], points[:, 0]) / np.float32(2 * np.pi) + 0.5
    else:
        along_x = np.abs(normals[:, 2]) > np.abs(normals[:, 0])
        across = np.where(along_x, relative[:, 0] * np.sign(normals[:, 2]),
                          -relative[:, 2] * np.sign(normals[:, 0]))
    inside = side & (height > 0) & (height < 1)
    column = (across * columns).astype(np.int32) % columns
    row = np.clip((1 - height) * rows, 0, rows - 1).astype(np.int32)
    colors = around(points, normals, size)
    colors[inside] = image[row[inside], column[inside]]
    return colors
