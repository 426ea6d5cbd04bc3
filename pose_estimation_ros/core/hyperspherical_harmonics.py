"""Rotations as numbers for a network: hyperspherical harmonics.

Source: Wen et al., "DISP6D: disentangled implicit shape and pose learning for scalable 6D pose
estimation" (ECCV 2022), section 3.3. Its published code takes the three Euler angles for the
three angles of a hypersphere; ours takes the angles of the unit quaternion, which lies on one.
All polynomials come from their three-term recursions.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import factorial, pi, radians, sqrt
from typing import Literal, get_args

import numpy as np

from pose_estimation_ros.core.errors import ConfigurationError
from pose_estimation_ros.core.rotation import FloatArray, matrix_to_axis_angle

RotationEncoding = Literal['quaternion', 'published']

_PUBLISHED_DEGREES, _PUBLISHED_NUMBERS = range(7), 128
# The published code adds half of this to the half angle.
_PUBLISHED_TURN = radians(9.0)
# q and -q are the same rotation, so odd degrees are no functions of it; degree 0 is constant.
_EVEN_DEGREES = (2, 4, 6, 8)
# Below this sine the outer angles of a rotation cannot be told apart.
_SMALLEST_SINE = 4 * np.finfo(np.float64).eps


def encoding_size(encoding: RotationEncoding) -> int:
    """Return how many numbers `encode_rotations` gives: 164 or, as published, 128."""
    if encoding == 'published':
        return _PUBLISHED_NUMBERS
    return sum((degree + 1) ** 2 for degree in _EVEN_DEGREES)


def encode_rotations(R: FloatArray, encoding: RotationEncoding) -> FloatArray:
    """Return the harmonics of rotations, as the network of a model expects them.

    Args:
        R: (..., 3, 3) rotations.
        encoding: 'quaternion' or 'published', see the two functions below.

    Returns:
        (..., `encoding_size`) numbers.

    Raises:
        ConfigurationError: If there is no such encoding.
    """
    if encoding not in get_args(RotationEncoding):
        raise ConfigurationError(f'there is no encoding {encoding!r} of rotations; choose one of '
                                 f'{", ".join(get_args(RotationEncoding))}')
    return published_harmonics(R) if encoding == 'published' else quaternion_harmonics(R)


def quaternion_harmonics(R: FloatArray) -> FloatArray:
    """Return the (..., 164) real hyperspherical harmonics of the rotations' quaternions.

    Of degrees 2, 4, 6 and 8: smooth functions of the rotation, of constant length together, and
    how near two vectors are depends on the angle between the two rotations only.

    Args:
        R: (..., 3, 3) rotations.
    """
    turn = matrix_to_axis_angle(np.asarray(R, dtype=np.float64))
    angle = np.linalg.norm(turn, axis=-1)
    parts: list[FloatArray] = []
    for value, m in _harmonics(_EVEN_DEGREES, angle / 2,
                               np.arctan2(np.hypot(turn[..., 0], turn[..., 1]), turn[..., 2]),
                               np.arctan2(turn[..., 1], turn[..., 0])):
        # Those of order m and -m span the same as the parts of one of them.
        parts += [value.real] if m == 0 else [sqrt(2) * value.real, sqrt(2) * value.imag]
    return np.stack(parts, axis=-1)


def published_harmonics(R: FloatArray, turn: float = _PUBLISHED_TURN) -> FloatArray:
    """Return the (..., 128) harmonics that the published networks expect.

    Real and imaginary parts alternate, in the order of the degrees; those of degree 6 that exceed
    128 numbers are left out. The length is not constant. Rotations that leave the z axis where it
    is have the same numbers if they were told apart by the first turn, and where the last turn
    passes -`turn` the numbers jump: our own networks take `quaternion_harmonics`.

    Args:
        R: (..., 3, 3) rotations.
        turn: Added to the last turn about z, radians; other than the default only for
            comparison with published values.
    """
    first, tilt, last = _zxz_angles(np.asarray(R, dtype=np.float64))
    parts: list[FloatArray] = []
    for value, _ in _harmonics(_PUBLISHED_DEGREES, np.mod(last + turn, 2 * pi) / 2, tilt, first):
        parts += [value.real, value.imag]
    return np.stack(parts[:_PUBLISHED_NUMBERS], axis=-1)


def _zxz_angles(R: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Return (first, tilt, last) in radians with R = Rz(last) Rx(tilt) Rz(first)."""
    sine = np.hypot(R[..., 2, 0], R[..., 2, 1])
    told_apart = sine > _SMALLEST_SINE
    first = np.where(told_apart, np.arctan2(R[..., 2, 0], R[..., 2, 1]),
                     np.arctan2(-R[..., 0, 1], R[..., 0, 0]))
    last = np.where(told_apart, np.arctan2(R[..., 0, 2], -R[..., 1, 2]), 0.0)
    return first, np.arctan2(sine, R[..., 2, 2]), last


def _harmonics(degrees: Sequence[int], hyperpolar: FloatArray, polar: FloatArray,
               azimuth: FloatArray) -> list[tuple[np.ndarray, int]]:
    """Return the complex harmonics by degree n, l and order m >= 0, each with its m."""
    highest = max(degrees)
    surface = _surface_harmonics(highest, polar)
    wave = [np.exp(1j * m * azimuth) for m in range(highest + 1)]
    around = {(lower, m): value * wave[m] for (lower, m), value in surface.items()}
    return [(part * around[lower, m], m)
            for degree in degrees for lower in range(degree + 1)
            for part in (_hyperpolar_part(degree, lower, hyperpolar),)
            for m in range(lower + 1)]


def _hyperpolar_part(degree: int, lower: int, angle: FloatArray) -> FloatArray:
    """Return the factor of degrees n and l that depends on the hyperpolar angle."""
    scale = 2 ** (lower + 0.5) * factorial(lower) * sqrt(
        (degree + 1) * factorial(degree - lower) / (pi * factorial(degree + lower + 1)))
    return np.asarray(scale * np.sin(angle) ** lower
                      * _gegenbauer(degree - lower, lower + 1, np.cos(angle)))


def _gegenbauer(degree: int, order: int, x: FloatArray) -> FloatArray:
    """Return the Gegenbauer polynomial of a degree and an order at x."""
    before, value = np.zeros_like(x), np.ones_like(x)
    for k in range(1, degree + 1):
        before, value = value, (2 * (k + order - 1) * x * value
                                - (k + 2 * order - 2) * before) / k
    return value


def _surface_harmonics(highest: int, polar: FloatArray) -> dict[tuple[int, int], FloatArray]:
    """Return by (l, m) the orthonormal spherical harmonics at azimuth 0, Condon-Shortley phase."""
    x, sine = np.cos(polar), np.sin(polar)
    found = {}
    diagonal = np.ones_like(x)
    for m in range(highest + 1):
        before, value = np.zeros_like(x), diagonal
        for degree in range(m, highest + 1):
            found[degree, m] = value * sqrt((2 * degree + 1) / (4 * pi) * factorial(degree - m)
                                            / factorial(degree + m))
            before, value = value, (((2 * degree + 1) * x * value - (degree + m) * before)
                                    / (degree + 1 - m))
        diagonal = -(2 * m + 1) * sine * diagonal
    return found
