"""Errors of rigid poses that look at a model's vertices: MSSD, MSPD, ADD, ADI, RE and TE.

All take one true pose and (E, 4, 4) estimates of it, in metres and in the camera's optical
frame, and return (E,) errors. The error of visible surfaces is in `bop_vsd`.

Source: specs/mrc_c2f_disp6d.md, section 4 (bop_toolkit cea62d6).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pose_estimation_ros.core.rotation import angle_between
from pose_estimation_ros.core.se3 import inverse, transform_points
from pose_estimation_ros.evaluation.bop_symmetries import SymmetryTransforms

FloatArray = NDArray[np.float64]

# Bounds the memory of the blocks of symmetries that are worked on at once.
_NUMBERS_AT_ONCE = 2_000_000


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
    near = translation_errors(estimates, truth) < diameter
    # Distances do not change when both poses are seen from the true object. There, with x
    # extended by 1, |(A - S) x|^2 is a quadratic form of x, so one matrix product gives the
    # squared distances of all symmetries and vertices.
    relative = inverse(truth) @ estimates[near]
    monomials = _monomials(points)
    lowest = np.empty(len(relative))
    for row, A in enumerate(relative):
        difference = (A - symmetries.T)[:, :3]
        form = difference.transpose(0, 2, 1) @ difference
        least = np.inf
        for chosen in _blocks(len(form), len(points)):
            squared = _coefficients(form[chosen]) @ monomials
            least = min(least, float(squared.max(axis=1).min()))
        lowest[row] = least
    errors[near] = np.sqrt(np.maximum(lowest, 0.0))
    return errors


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
    projected = _project(K @ estimates[:, :3], points)
    lowest = np.full(len(estimates), np.inf)
    for chosen in _blocks(len(symmetries), 2 * len(points)):
        true_pixels = _project(K @ (truth @ symmetries.T[chosen])[:, :3], points)
        for row, pixels in enumerate(projected):
            offset = true_pixels - pixels
            squared = np.square(offset[:, 0]) + np.square(offset[:, 1])
            lowest[row] = min(lowest[row], float(squared.max(axis=1).min()))
    return np.sqrt(lowest)


def average_distance(estimates: FloatArray, truth: FloatArray, points: FloatArray) -> FloatArray:
    """Return ADD: the mean distance of (V, 3) vertices under both poses, (E,) metres."""
    relative = inverse(truth) @ estimates
    difference = (relative - np.eye(4))[:, :3]
    form = difference.transpose(0, 2, 1) @ difference
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


def _blocks(count: int, numbers_each: int) -> list[slice]:
    """Return slices of 0..count that hold a bounded amount of numbers each."""
    step = max(_NUMBERS_AT_ONCE // max(numbers_each, 1), 1)
    return [slice(start, start + step) for start in range(0, count, step)]
