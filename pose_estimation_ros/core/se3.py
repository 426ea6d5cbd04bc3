"""Rigid transforms as (4, 4) float64 matrices, `T_target_source`, metres."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray

FloatArray = NDArray[np.float64]

_ORTHONORMAL_TOLERANCE = 1e-6


def make_transform(rotation: ArrayLike, translation: ArrayLike) -> FloatArray:
    """Return the (..., 4, 4) transform of (..., 3, 3) rotations and (..., 3) translations."""
    R = np.asarray(rotation, dtype=np.float64)
    t = np.asarray(translation, dtype=np.float64)
    T = np.zeros((*np.broadcast_shapes(R.shape[:-2], t.shape[:-1]), 4, 4))
    T[..., :3, :3] = R
    T[..., :3, 3] = t
    T[..., 3, 3] = 1.0
    return T


def inverse(T: FloatArray) -> FloatArray:
    """Return the inverse of (..., 4, 4) rigid transforms."""
    R_inverse = np.swapaxes(T[..., :3, :3], -1, -2)
    return make_transform(R_inverse, -np.einsum('...ij,...j->...i', R_inverse, T[..., :3, 3]))


def transform_points(T: FloatArray, points: NDArray[np.floating]) -> FloatArray:
    """Apply one (4, 4) transform to (..., 3) points."""
    return np.asarray(points @ T[:3, :3].T + T[:3, 3], dtype=np.float64)


def at_point(T: FloatArray, point: FloatArray) -> FloatArray:
    """Return (..., 4, 4) poses whose origins are moved to (..., 3) points of their own frames."""
    moved = T.copy()
    moved[..., :3, 3] += (T[..., :3, :3] @ point[..., None])[..., 0]
    return moved


def is_rigid(T: FloatArray, tolerance: float = _ORTHONORMAL_TOLERANCE) -> bool:
    """Return whether a (4, 4) matrix is a finite, proper rigid transform."""
    if T.shape != (4, 4):
        return False
    # Every pose is checked: for so few numbers plain ones are several times as fast as arrays.
    a, b, c, last = T.tolist()
    deviations = (_dot(a, a) - 1.0, _dot(b, b) - 1.0, _dot(c, c) - 1.0, _dot(a, b), _dot(a, c),
                  _dot(b, c), last[0], last[1], last[2], last[3] - 1.0)
    determinant = (a[0] * (b[1] * c[2] - b[2] * c[1]) - a[1] * (b[0] * c[2] - b[2] * c[0])
                   + a[2] * (b[0] * c[1] - b[1] * c[0]))
    # Comparisons with NaN are false.
    return (all(abs(deviation) < tolerance for deviation in deviations) and determinant > 0
            and all(math.isfinite(row[3]) for row in (a, b, c)))


def _dot(a: list[float], b: list[float]) -> float:
    return a[0] * b[0] + a[1] * b[1] + a[2] * b[2]


def translation_error(T_a: FloatArray, T_b: FloatArray) -> float:
    """Return the distance between the origins of two poses, metres."""
    return float(np.linalg.norm(T_a[:3, 3] - T_b[:3, 3]))
