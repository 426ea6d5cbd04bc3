"""Procedural noise at points of space and smooth random fields on images."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray

FloatArray: TypeAlias = NDArray[np.float32]
Noise: TypeAlias = Callable[[FloatArray, int], FloatArray]

_PERIOD = 32  # lattice cells per axis before the noise repeats; a power of two
_FLAT = 1e-3  # cells; points that differ less along z lie on one plane


@lru_cache(maxsize=64)
def _lattice(seed: int, channels: int) -> FloatArray:
    """Return (P^3,) random values 0..1, or (channels, P^3) if there is more than one."""
    values = np.random.default_rng(seed).random((channels, _PERIOD ** 3), dtype=np.float32)
    return values[0] if channels == 1 else values


def _cells(points: FloatArray) -> tuple[NDArray[np.int32], FloatArray]:
    """Return the (D, N) lattice cells of (N, D) points and their (D, N) places within, 0 to 1."""
    across = np.ascontiguousarray(points.T, dtype=np.float32)
    floor = np.floor(across)
    return floor.astype(np.int32), across - floor


def _corner_indices(cell: NDArray[np.int32]) -> list[NDArray[np.int32]]:
    """Return the table rows of the 8 corners of (3, N) cells; bit k of the order = axis k."""
    mask = _PERIOD - 1
    near = [(cell[axis] & mask) * _PERIOD ** (2 - axis) for axis in range(3)]
    far = [((cell[axis] + 1) & mask) * _PERIOD ** (2 - axis) for axis in range(3)]
    return [np.asarray((far if corner & 1 else near)[0] + (far if corner & 2 else near)[1]
                       + (far if corner & 4 else near)[2]) for corner in range(8)]


def _interpolate(corners: list[FloatArray], share: FloatArray) -> FloatArray:
    """Blend the values at 8 corners, in the order of `_corner_indices`, by (3, N) shares."""
    for axis in range(3):
        corners = [low + share[axis] * (high - low)
                   for low, high in zip(corners[::2], corners[1::2], strict=True)]
    return corners[0]


def value_noise(points: FloatArray, seed: int) -> FloatArray:
    """Return (N,) noise in 0..1, one cell per unit, at (N, 3) points: random lattice values."""
    table = _lattice(seed, 1)
    if len(points) > _PERIOD ** 2 and np.ptp(points[:, 2]) < _FLAT:
        return _flat_value_noise(points, table)
    cell, fraction = _cells(points)
    corners = [table.take(index) for index in _corner_indices(cell)]
    return _interpolate(corners, fraction * fraction * (3.0 - 2.0 * fraction))


def _flat_value_noise(points: FloatArray, table: FloatArray) -> FloatArray:
    """Return the value noise of points with one z: two thirds of an image show such planes."""
    z = float(points[0, 2])
    share = z - np.floor(z)
    share = share * share * (3 - 2 * share)
    layers = table.reshape(-1, _PERIOD)
    low, high = int(np.floor(z)) % _PERIOD, (int(np.floor(z)) + 1) % _PERIOD
    layer = layers[:, low] + np.float32(share) * (layers[:, high] - layers[:, low])
    (x, y), (u, v) = _cells(points[:, :2])
    u, v = (value * value * (3.0 - 2.0 * value) for value in (u, v))
    mask = _PERIOD - 1
    rows = [(x & mask) * _PERIOD, ((x + 1) & mask) * _PERIOD]
    left, right = y & mask, (y + 1) & mask
    near, far = (low + v * (layer.take(row + right) - low)
                 for row, low in ((row, layer.take(row + left)) for row in rows))
    return np.asarray(near + u * (far - near), dtype=np.float32)


def gradient_noise(points: FloatArray, seed: int) -> FloatArray:
    """Return (N,) noise about 0..1 at (N, 3) points: random gradients on a lattice (Perlin)."""
    cell, fraction = _cells(points)
    table = _lattice(seed, 3) * np.float32(3.0) - np.float32(1.5)
    corners = []
    for corner, index in enumerate(_corner_indices(cell)):
        dot = np.zeros(len(points), dtype=np.float32)
        for axis in range(3):
            dot += table[axis].take(index) * (fraction[axis] - np.float32(corner >> axis & 1))
        corners.append(dot)
    smooth = fraction * fraction * fraction * (fraction * (fraction * 6.0 - 15.0) + 10.0)
    return np.asarray(np.clip(0.5 + 0.5 * _interpolate(corners, smooth), 0.0, 1.0))


def cell_noise(points: FloatArray, seed: int) -> FloatArray:
    """Return (N,) distance, 0 to about 1, to the nearest of random points (Worley's cells).

    Only the eight nearest cells are searched, which is exact enough for a texture.
    """
    cell, fraction = _cells(points - np.float32(0.5))
    table = _lattice(seed, 3)
    nearest = np.full(len(points), np.inf, dtype=np.float32)
    for corner, index in enumerate(_corner_indices(cell)):
        square = np.zeros(len(points), dtype=np.float32)
        for axis in range(3):
            delta = table[axis].take(index) + np.float32((corner >> axis & 1) - 0.5)
            square += (delta - fraction[axis]) ** 2
        np.minimum(nearest, square, out=nearest)
    return np.sqrt(nearest)


def wave_noise(points: FloatArray, seed: int) -> FloatArray:
    """Return (N,) noise in 0..1 at (N, 3) points: a sum of five random plane waves."""
    generator = np.random.default_rng(seed)
    directions = generator.standard_normal((3, 5)).astype(np.float32)
    directions *= np.float32(3.0) / np.linalg.norm(directions, axis=0)
    phases = generator.uniform(0, 2 * np.pi, 5).astype(np.float32)
    return np.asarray(0.5 + 0.2 * np.sin(points @ directions + phases).sum(axis=1) * 0.5,
                      dtype=np.float32)


def fractal(noise: Noise, points: FloatArray, seed: int, octaves: int,
            roughness: float = 0.5) -> FloatArray:
    """Return (N,) noise in 0..1: a sum of octaves, each twice as fine, `roughness` as strong."""
    total = np.zeros(len(points), dtype=np.float32)
    weight, weights = 1.0, 0.0
    for octave in range(octaves):
        total += weight * noise(points * np.float32(2.03 ** octave), seed + octave)
        weights += weight
        weight *= roughness
    return total / np.float32(weights)


def smooth_field(height: int, width: int, correlation: float,
                 generator: np.random.Generator) -> FloatArray:
    """Return a (height, width) random field, mean 0, standard deviation 1.

    Args:
        height: Rows.
        width: Columns.
        correlation: Distance over which values stay alike, pixels; 1 or less = white noise.
        generator: Source of randomness.
    """
    if correlation <= 1.0:
        return generator.standard_normal((height, width), dtype=np.float32)
    rows = int(np.ceil(height / correlation)) + 3
    columns = int(np.ceil(width / correlation)) + 3
    coarse = generator.standard_normal((rows, columns), dtype=np.float32)
    x, y = generator.uniform(0.5, 1.5, 2)
    # Samples lie `correlation` pixels apart and start up to two of them outside of the image.
    to_coarse = np.array([[1 / correlation, 0, x], [0, 1 / correlation, y]])
    field = cv2.warpAffine(coarse, to_coarse, (width, height), borderMode=cv2.BORDER_REFLECT,
                           flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP)
    field *= _interpolation_gain(width, correlation, x)
    field *= _interpolation_gain(height, correlation, y)[:, None]
    return np.asarray(field, dtype=np.float32)


def _interpolation_gain(count: int, correlation: float, start: float) -> FloatArray:
    """Return what undoes the loss of variance by linear interpolation between two samples."""
    share = (np.arange(count) / correlation + start) % 1.0
    return np.asarray(1 / np.sqrt(share ** 2 + (1 - share) ** 2), dtype=np.float32)
