"""Best rotations of many small problems at once, in closed form.

What a singular value decomposition of each gives takes microseconds a matrix; here every step is
one operation on all of them.

Source: B. K. P. Horn, Closed-form solution of absolute orientation using unit quaternions, JOSA A
1987: the rotation is the eigenvector of the largest eigenvalue of a 4x4 matrix. Its eigenvalues
are sums of the singular values, and the adjugate of a matrix without rank is made of its kernel.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]

_TINY = np.finfo(np.float64).tiny
_PAIRS = ((0, 1), (0, 2), (0, 3), (1, 2), (1, 3), (2, 3))


def fitted_rotation(covariance: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return the rotations that maximise trace(R^T C), and that largest trace.

    Args:
        covariance: (..., 3, 3) C, sums of `target source^T`.

    Returns:
        (..., 3, 3) rotations without reflection, NaN where no direction is preferred at all, and
        (...) traces: the sum of the singular values, the least one negative where C mirrors.
    """
    C = np.asarray(covariance, dtype=np.float64)
    largest = np.abs(C).max(axis=(-1, -2))
    C = C / np.maximum(largest, _TINY)[..., None, None]
    trace = _signed_singular_sum(C)
    quaternion = _kernel(_horn_matrix(C) - trace[..., None, None] * np.eye(4))
    return _matrix(quaternion), trace * largest


def _signed_singular_sum(C: FloatArray) -> FloatArray:
    """Return the sum of the singular values, the least one with the determinant's sign."""
    square = np.swapaxes(C, -1, -2) @ C
    mean = np.trace(square, axis1=-2, axis2=-1) / 3.0
    rest = square - mean[..., None, None] * np.eye(3)
    spread = np.sqrt((rest * rest).sum(axis=(-1, -2)) / 6.0)
    angle = np.arccos(np.clip(
        _determinant(rest / np.maximum(spread, _TINY)[..., None, None]) / 2.0, -1.0, 1.0)) / 3.0
    first = mean + 2.0 * spread * np.cos(angle)
    last = np.maximum(mean + 2.0 * spread * np.cos(angle + 2.0 * np.pi / 3.0), 0.0)
    middle = np.maximum(3.0 * mean - first - last, 0.0)
    return np.asarray(np.sqrt(first) + np.sqrt(middle)
                      + np.copysign(np.sqrt(last), _determinant(C)))


def _determinant(M: FloatArray) -> FloatArray:
    return np.asarray(np.einsum('...i,...i->...', M[..., 0, :],
                                np.cross(M[..., 1, :], M[..., 2, :])))


def _horn_matrix(C: FloatArray) -> FloatArray:
    """Return the (..., 4, 4) symmetric matrices of which the quaternions are eigenvectors."""
    K = np.empty((*C.shape[:-2], 4, 4))
    trace = np.trace(C, axis1=-2, axis2=-1)
    K[..., 0, 0] = trace
    for axis in range(3):
        one, other = (axis + 1) % 3, (axis + 2) % 3
        K[..., 0, axis + 1] = K[..., axis + 1, 0] = C[..., other, one] - C[..., one, other]
        K[..., axis + 1, axis + 1] = 2.0 * C[..., axis, axis] - trace
        K[..., one + 1, other + 1] = K[..., other + 1, one + 1] = (C[..., one, other]
                                                                   + C[..., other, one])
    return K


def _kernel(M: FloatArray) -> FloatArray:
    """Return (..., 4) unit vectors of the kernels of symmetric matrices of rank three."""
    upper, lower = ({(a, b): M[..., row, a] * M[..., row + 1, b]
                     - M[..., row, b] * M[..., row + 1, a] for a, b in _PAIRS} for row in (0, 2))
    adjugate = np.empty_like(M)
    for column in range(4):
        others = [index for index in range(4) if index != column]
        for row in range(4):
            # Minor without this row and column: the other row of its half, with minors of the
            # half that is whole.
            whole, beside = (lower, 1 - row) if row < 2 else (upper, 5 - row)
            a, b, c = others
            minor = (M[..., beside, a] * whole[b, c] - M[..., beside, b] * whole[a, c]
                     + M[..., beside, c] * whole[a, b])
            adjugate[..., row, column] = minor if (row + column) % 2 == 0 else -minor
    # All columns are multiples of the kernel; the longest one is the most exact.
    diagonal = np.abs(np.diagonal(adjugate, axis1=-2, axis2=-1))
    best = np.argmax(diagonal, axis=-1)[..., None, None]
    vector = np.take_along_axis(adjugate, best, axis=-1)[..., 0]
    with np.errstate(invalid='ignore'):
        return np.asarray(vector / np.linalg.norm(vector, axis=-1, keepdims=True))


def _matrix(quaternion: FloatArray) -> FloatArray:
    """Return the (..., 3, 3) rotations of (..., 4) unit quaternions, real part first."""
    w, v = quaternion[..., 0], quaternion[..., 1:]
    R = 2.0 * v[..., :, None] * v[..., None, :]
    for axis in range(3):
        one, other = (axis + 1) % 3, (axis + 2) % 3
        R[..., axis, axis] += 2.0 * w * w - 1.0
        R[..., one, other] -= 2.0 * w * v[..., axis]
        R[..., other, one] += 2.0 * w * v[..., axis]
    return np.asarray(R)
