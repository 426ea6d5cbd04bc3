"""Rotations: matrices, quaternions (x, y, z, w) and axis-angle vectors. Angles in radians."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

FloatArray = NDArray[np.float64]

_TINY = np.finfo(np.float64).tiny


def angle_between(R_a: FloatArray, R_b: FloatArray) -> FloatArray:
    """Return the geodesic angle between (..., 3, 3) rotations, 0 to pi.

    Uses atan2 of the sine and cosine parts, which stays accurate near 0 and near pi.
    """
    delta = np.einsum('...ji,...jk->...ik', R_a, R_b)
    cosine = (np.trace(delta, axis1=-2, axis2=-1) - 1.0) / 2.0
    skew = np.stack([delta[..., 2, 1] - delta[..., 1, 2], delta[..., 0, 2] - delta[..., 2, 0],
                     delta[..., 1, 0] - delta[..., 0, 1]], axis=-1)
    sine = np.linalg.norm(skew, axis=-1) / 2.0
    return np.asarray(np.arctan2(sine, cosine))


def axis_angle_to_matrix(axis_angle: ArrayLike) -> FloatArray:
    """Return the (..., 3, 3) rotations of (..., 3) axis-angle vectors (Rodrigues' formula)."""
    vector = np.asarray(axis_angle, dtype=np.float64)
    angle = np.linalg.norm(vector, axis=-1)[..., None, None]
    zero = np.zeros(vector.shape[:-1])
    x, y, z = vector[..., 0], vector[..., 1], vector[..., 2]
    skew = np.stack([np.stack([zero, -z, y], -1), np.stack([z, zero, -x], -1),
                     np.stack([-y, x, zero], -1)], -2)
    # sinc keeps both factors finite at angle 0.
    sine_over_angle = np.sinc(angle / np.pi)
    versine_over_square = 0.5 * np.sinc(angle / (2 * np.pi)) ** 2
    return np.asarray(np.eye(3) + sine_over_angle * skew + versine_over_square * (skew @ skew))


def matrix_to_axis_angle(R: FloatArray) -> FloatArray:
    """Return the (..., 3) axis-angle vectors of (..., 3, 3) rotations, at most pi long.

    Of the two vectors of a half turn it is any.
    """
    skew = np.stack([R[..., 2, 1] - R[..., 1, 2], R[..., 0, 2] - R[..., 2, 0],
                     R[..., 1, 0] - R[..., 0, 1]], axis=-1)
    length = np.linalg.norm(skew, axis=-1, keepdims=True)
    cosine = 0.5 * (np.trace(R, axis1=-2, axis2=-1)[..., None] - 1.0)
    known = length > _TINY
    axis = np.where(known, skew / np.where(known, length, 1.0), np.array([1.0, 0.0, 0.0]))
    # Towards a half turn the skew part vanishes, and the symmetric one tells the axis.
    if (cosine < 0).any():
        axis = np.where(cosine < 0, _axis_of_wide_turn(R, cosine, skew), axis)
    return np.asarray(np.arctan2(0.5 * length, cosine) * axis)


def _axis_of_wide_turn(R: FloatArray, cosine: FloatArray, skew: FloatArray) -> FloatArray:
    """Return the (..., 3) axes of rotations by more than a quarter turn; else anything finite.

    The symmetric part of a rotation is cosine * identity + (1 - cosine) * axis axis'.
    """
    outer = 0.5 * (R + np.swapaxes(R, -1, -2)) - cosine[..., None] * np.eye(3)
    diagonal = np.diagonal(outer, axis1=-2, axis2=-1)
    column = diagonal.argmax(axis=-1)[..., None]
    axis = np.take_along_axis(outer, column[..., None], axis=-1)[..., 0]
    length = np.linalg.norm(axis, axis=-1, keepdims=True)
    sign = np.where((axis * skew).sum(axis=-1, keepdims=True) < 0, -1.0, 1.0)
    return np.asarray(sign * axis / np.where(length > 0, length, 1.0))


def axis_rotation(axis: ArrayLike, angle: ArrayLike) -> FloatArray:
    """Return the rotations by `angle` (...) radians about one (3,) axis."""
    unit = np.asarray(axis, dtype=np.float64)
    unit = unit / np.linalg.norm(unit)
    return axis_angle_to_matrix(np.asarray(angle, dtype=np.float64)[..., None] * unit)


def quaternion_to_matrix(quaternion: ArrayLike) -> FloatArray:
    """Return the (..., 3, 3) rotations of quaternions (x, y, z, w), normalised first."""
    q = np.asarray(quaternion, dtype=np.float64)
    x, y, z, w = np.moveaxis(q / np.linalg.norm(q, axis=-1, keepdims=True), -1, 0)
    return np.stack([
        np.stack([1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)], -1),
        np.stack([2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)], -1),
        np.stack([2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)], -1)], -2)


def matrix_to_quaternion(R: FloatArray) -> FloatArray:
    """Return the unit quaternion (x, y, z, w) with w >= 0 of a (3, 3) rotation.

    The largest of the four components is found first, so no division is by a small number
    (Shepperd 1978).
    """
    trace = R[0, 0] + R[1, 1] + R[2, 2]
    squares = np.array([1 + 2 * R[0, 0] - trace, 1 + 2 * R[1, 1] - trace,
                        1 + 2 * R[2, 2] - trace, 1 + trace])
    largest = int(np.argmax(squares))
    if largest == 3:
        q = np.array([R[2, 1] - R[1, 2], R[0, 2] - R[2, 0], R[1, 0] - R[0, 1], squares[3]])
    else:
        i, j, k = largest, (largest + 1) % 3, (largest + 2) % 3
        q = np.empty(4)
        q[i] = squares[i]
        q[j] = R[i, j] + R[j, i]
        q[k] = R[i, k] + R[k, i]
        q[3] = R[k, j] - R[j, k]
    q /= np.linalg.norm(q)
    return -q if q[3] < 0 else q


def rotation_from_6d(numbers: ArrayLike) -> FloatArray:
    """Return the (..., 3, 3) rotations of a network's (..., 6) numbers.

    The first three give the first column, the last three the plane of the first two columns. The
    third column is found before the second, as in Zhou et al., "On the continuity of rotation
    representations" (CVPR 2019) and MRC-Net.
    """
    first, second = np.split(np.asarray(numbers, dtype=np.float64), 2, axis=-1)
    x = first / np.linalg.norm(first, axis=-1, keepdims=True)
    z = np.cross(x, second)
    z /= np.linalg.norm(z, axis=-1, keepdims=True)
    return np.stack([x, np.cross(z, x), z], axis=-1)


def nearest_rotation(matrix: FloatArray) -> FloatArray:
    """Return the (..., 3, 3) rotations nearest to matrices, as those printed with few digits."""
    U, _, Vt = np.linalg.svd(matrix)
    # A reflection would be nearer to a matrix that mirrors.
    U[..., 2] *= np.linalg.det(U @ Vt)[..., None]
    return np.asarray(U @ Vt)


def random_rotation(generator: np.random.Generator) -> FloatArray:
    """Return one (3, 3) rotation, uniform over SO(3)."""
    return quaternion_to_matrix(generator.standard_normal(4))
