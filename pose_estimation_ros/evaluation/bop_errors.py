"""Errors of rigid poses that look at a model's vertices: MSSD, MSPD, ADD, ADI, RE and TE.

All take one true pose and (E, 4, 4) estimates of it, in metres and in the camera's optical
frame, and return (E,) errors. The error of visible surfaces is in `bop_vsd`.

Source: specs/mrc_c2f_disp6d.md, section 4 (bop_toolkit cea62d6).
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from pose_estimation_ros.core.rotation import angle_between
from pose_estimation_ros.core.se3 import inverse, transform_points
from pose_estimation_ros.evaluation.bop_symmetries import SymmetryTransforms

FloatArray = NDArray[np.float64]

# The maximum over some vertices bounds that over all, which is then needed for few symmetries.
_PROBES = 128
_SYMMETRIES_AT_ONCE = 8


def maximum_surface_distance(estimates: FloatArray, truth: FloatArray, points: FloatArray,
                             symmetries: SymmetryTransforms, diameter: float) -> FloatArray:
    """Return MSSD: the largest vertex distance, least over the symmetries.

    Args:
        estimates: (E, 4, 4) estimated poses.
        truth: (4, 4) true pose.
        points: (V, 3) vertices of the model, metres.
        symmetries: Of the model.
        diameter: Of the model, metres. Estimates that are further off than this get infinity.

    Returns:
        (E,) metres.
    """
    errors = np.full(len(estimates), np.inf)
    near = np.flatnonzero(translation_errors(estimates, truth) < diameter)
    monomials = _monomials(points)
    # Distances do not change when both poses are seen from the true object. There, with x
    # extended by 1, |(A - S) x|^2 is a quadratic form of x, so one matrix product gives the
    # squared distances of all symmetries and vertices.
    for index, A in zip(near, inverse(truth) @ estimates[near], strict=True):
        factors = _coefficients(_form(A - symmetries.T))
        probed = (factors @ monomials[:, ::_stride(points)]).max(axis=1)
        errors[index] = _least(probed, lambda chosen, factors=factors: (
            factors[chosen] @ monomials).max(axis=1))
    return np.sqrt(np.maximum(errors, 0.0))


def maximum_projection_distance(estimates: FloatArray, truth: FloatArray, points: FloatArray,
                                symmetries: SymmetryTransforms, K: FloatArray) -> FloatArray:
    """Return MSPD: the largest distance of projected vertices, least over the symmetries.

    Args:
        estimates: (E, 4, 4) estimated poses.
        truth: (4, 4) true pose.
        points: (V, 3) vertices of the model, metres.
        symmetries: Of the model.
        K: (3, 3) camera matrix, pixels.

    Returns:
        (E,) pixels.
    """
    equivalents = K @ (truth @ symmetries.T)[:, :3]
    stride = _stride(points)
    true_probes = _project(equivalents, points[::stride])
    errors = np.empty(len(estimates))
    for index, pixels in enumerate(_project(K @ estimates[:, :3], points)):
        probed = _squared(true_probes - pixels[:, ::stride]).max(axis=1)
        errors[index] = _least(probed, lambda chosen, pixels=pixels: _squared(
            _project(equivalents[chosen], points) - pixels).max(axis=1))
    return np.sqrt(errors)


def average_distance(estimates: FloatArray, truth: FloatArray, points: FloatArray) -> FloatArray:
    """Return ADD: the mean distance of (V, 3) vertices under both poses, (E,) metres."""
    form = _form(inverse(truth) @ estimates - np.eye(4))
    squared = _coefficients(form) @ _monomials(points)
    return np.asarray(np.sqrt(np.maximum(squared, 0.0)).mean(axis=1))


def average_nearest_distance(estimates: FloatArray, truth: FloatArray, points: FloatArray
                             ) -> FloatArray:
    """Return ADI, also called ADD-S: the mean distance to the nearest estimated vertex.

    Args:
        estimates: (E, 4, 4) estimated poses.
        truth: (4, 4) true pose.
        points: (V, 3) vertices of the model, metres.

    Returns:
        (E,) metres, the mean over the vertices of the true pose.
    """
    from scipy.spatial import cKDTree

    # The tree stays with the model: the true vertices are brought into the estimated object.
    tree = cKDTree(points)
    return np.array([tree.query(transform_points(inverse(estimate) @ truth, points))[0].mean()
                     for estimate in estimates])


def rotation_errors(estimates: FloatArray, truth: FloatArray) -> FloatArray:
    """Return RE: the (E,) angles between estimated and true rotations, radians."""
    return angle_between(estimates[:, :3, :3], truth[:3, :3])


def translation_errors(estimates: FloatArray, truth: FloatArray) -> FloatArray:
    """Return TE: the (E,) distances between estimated and true origins, metres."""
    return np.asarray(np.linalg.norm(estimates[:, :3, 3] - truth[:3, 3], axis=-1))


def _least(bounds: FloatArray, values: Callable[[NDArray[np.intp]], FloatArray]) -> float:
    """Return the least of (S,) values, computing only those whose lower bound is promising."""
    order = np.argsort(bounds)
    least = np.inf
    for start in range(0, len(order), _SYMMETRIES_AT_ONCE):
        chosen = order[start:start + _SYMMETRIES_AT_ONCE]
        if bounds[chosen[0]] >= least:
            break
        least = min(least, float(values(chosen).min()))
    return least


def _stride(points: FloatArray) -> int:
    """Return every how manyth vertex is looked at for a lower bound of a maximum."""
    return max(len(points) // _PROBES, 1)


def _form(difference: FloatArray) -> FloatArray:
    """Return the (N, 4, 4) quadratic forms x -> |D x|^2 of (N, 4, 4) differences of poses."""
    D = difference[:, :3]
    return np.asarray(D.transpose(0, 2, 1) @ D)


def _monomials(points: FloatArray) -> FloatArray:
    """Return the (10, V) products of two of x, y, z and 1, squares first."""
    x, y, z = np.asarray(points, dtype=np.float64).T
    one = np.ones_like(x)
    return np.stack([x * x, y * y, z * z, one, x * y, x * z, y * z, x, y, z])


def _coefficients(form: FloatArray) -> FloatArray:
    """Return the (N, 10) factors of `_monomials` in (N, 4, 4) symmetric quadratic forms."""
    squares = form[:, range(4), range(4)]
    mixed = 2 * form[:, (0, 0, 1, 0, 1, 2), (1, 2, 2, 3, 3, 3)]
    return np.concatenate([squares, mixed], axis=1)


def _project(P: FloatArray, points: FloatArray) -> FloatArray:
    """Return the (N, 2, V) pixels of (V, 3) points under (N, 3, 4) projections."""
    homogeneous = P[:, :, :3] @ np.asarray(points, dtype=np.float64).T + P[:, :, 3:]
    return homogeneous[:, :2] / homogeneous[:, 2:]


def _squared(offset: FloatArray) -> FloatArray:
    """Return the (N, V) squared lengths of (N, 2, V) offsets."""
    return np.asarray(np.square(offset[:, 0]) + np.square(offset[:, 1]))
