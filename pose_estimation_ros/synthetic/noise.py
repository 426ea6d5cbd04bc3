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


@lru_cache(maxsize=64)
def _lattice(seed: int, channels: int) -> FloatArray:
    values = np.random.default_rng(seed).random((_PERIOD ** 3, channels), dtype=np.float32)
    return values[:, 0].copy() if channels == 1 else values


def _cells(points: FloatArray) -> tuple[NDArray[np.int32], FloatArray]:
    floor = np.floor(points)
    return floor.astype(np.int32), points - floor


def _flat_index(cell: NDArray[np.int32], dx: int, dy: int, dz: int) -> NDArray[np.int32]:
    mask = _PERIOD - 1
    return (((cell[:, 0] + dx) & mask) * _PERIOD + ((cell[:, 1] + dy) & mask)) * _PERIOD + (
        (cell[:, 2] + dz) & mask)


def value_noise(points: FloatArray, seed: int) -> FloatArray:
    """Return (N,) noise in 0..1, one cell per unit, at (N, 3) points: random lattice values."""
    cell, fraction = _cells(points)
    table = _lattice(seed, 1)
    x, y, z = (fraction * fraction * (3.0 - 2.0 * fraction)).T
    planes = []
    for dx in (0, 1):
        rows = []
        for dy in (0, 1):
            low = table[_flat_index(cell, dx, dy, 0)]
            rows.append(low + z * (table[_flat_index(cell, dx, dy, 1)] - low))
        planes.append(rows[0] + y * (rows[1] - rows[0]))
    return np.asarray(planes[0] + x * (planes[1] - planes[0]), dtype=np.float32)


def gradient_noise(points: FloatArray, seed: int) -> FloatArray:
    """Return (N,) noise about 0..1 at (N, 3) points: random gradients on a lattice (Perlin)."""
    cell, fraction = _cells(points)
    table = _lattice(seed, 3) * 2.0 - 1.0
    smooth = fraction * fraction * fraction * (fraction * (fraction * 6.0 - 15.0) + 10.0)
    total = np.zeros(len(points), dtype=np.float32)
    for corner in range(8):
        offset = (corner & 1, corner >> 1 & 1, corner >> 2 & 1)
        gradient = table[_flat_index(cell, *offset)]
        dot = np.einsum('ni,ni->n', gradient, fraction - np.array(offset, dtype=np.float32))
        weight = np.prod([smooth[:, k] if offset[k] else 1.0 - smooth[:, k] for k in range(3)],
                         axis=0)
        total += weight * dot
    return np.clip(0.5 + 0.75 * total, 0.0, 1.0).astype(np.float32)


def cell_noise(points: FloatArray, seed: int) -> FloatArray:
    """Return (N,) distance, 0 to about 1, to the nearest of random points (Worley's cells).

    Only the eight nearest cells are searched, which is exact enough for a texture.
    """
    shifted = points - 0.5
    cell, _ = _cells(shifted)
    table = _lattice(seed, 3)
    nearest = np.full(len(points), np.inf, dtype=np.float32)
    for corner in range(8):
        offset = (corner & 1, corner >> 1 & 1, corner >> 2 & 1)
        centre = (cell + np.array(offset, dtype=np.int32)) + table[_flat_index(cell, *offset)]
        delta = points - centre
        nearest = np.minimum(nearest, np.einsum('ni,ni->n', delta, delta, dtype=np.float32))
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
    """Return (N,) noise in 0..1: `octaves` copies, each twice as fine and `roughness` as strong."""
    total = np.zeros(len(points), dtype=np.float32)
    weight, weights = 1.0, 0.0
    for octave in range(octaves):
        total += weight * noise(points * np.float32(2.03 ** octave), seed + octave)
        weights += weight
        weight *= roughness
    return total / np.float32(weights)


def smooth_field(height: int, width: int, correlation: float,
                 generator: np.random.Generator) -> FloatArray:
    """Return a (height, width) random field, mean 0, standard deviation about 1.

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
    x, y = generator.uniform(0.0, 1.0, 2)
    # Samples lie `correlation` pixels apart and start up to two of them outside of the image.
    to_coarse = np.array([[1 / correlation, 0, 0.5 + x], [0, 1 / correlation, 0.5 + y]])
    field = cv2.warpAffine(coarse, to_coarse, (width, height), borderMode=cv2.BORDER_REFLECT,
                           flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP)
    # Bilinear interpolation averages: it leaves a variance of (2/3)^2.
    return np.asarray(field * np.float32(1.5), dtype=np.float32)
