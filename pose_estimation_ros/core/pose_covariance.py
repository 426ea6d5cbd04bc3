"""How uncertain a pose is that was fitted to correspondences.

The fit is `target = scale * R @ source + t`. Its seven unknowns are perturbed in the target's
frame: `t + dt`, `exp([w]x) R`, `scale * exp(l)`. The normal matrix of the Gauss-Newton step is
their information; its inverse without the row and column of the scale is the covariance of the
pose, the scale marginalised.

Source: the least-squares covariance, R. Hartley and A. Zisserman, Multiple View Geometry, 2nd
edition, section 5.2.1, result 5.10; the choice of unknowns and the effective number of
observations are ours.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from pose_estimation_ros.core.alignment import Similarity
from pose_estimation_ros.core.symmetry import Symmetry

FloatArray = NDArray[np.float64]

# Nothing is known of an angle that may be anything: the variance of -pi to pi, evenly.
UNKNOWN_ANGLE = math.pi ** 2 / 3
# What is known without any observation, as standard deviations: a metre, any angle, a factor e.
_PRIOR_INFORMATION = np.array([1.0] * 3 + [1.0 / UNKNOWN_ANGLE] * 3 + [1.0])
# No depth camera is better than a tenth of a millimetre.
_LEAST_DEVIATION = 1e-4
_UNKNOWNS = 7


def fit_covariance(fit: Similarity, source: NDArray[np.floating], target: NDArray[np.floating],
                   inliers: NDArray[np.bool_], observations: float = math.inf) -> FloatArray:
    """Return the covariances of the poses of B similarity fits.

    Args:
        fit: B transforms from source to target.
        source: (B, N, 3) points in the object frame, such as NOCS coordinates.
        target: (B, N, 3) metres, the points that they were fitted to.
        inliers: (B, N) bool, the correspondences that were used; their residuals say how noisy
            all are.
        observations: How many independent correspondences the inliers of an object are worth at
            most. A network errs alike at neighbouring points, so this is far less than N;
            infinite = all are independent.

    Returns:
        (B, 6, 6) x y z then rotations about the axes of the target's frame, metres and radians;
        positive definite whatever the points are.
    """
    weights = inliers.astype(np.float64)[..., None]
    moved = fit.apply(np.where(inliers[..., None], source, 0.0))
    squared = (weights * (np.where(inliers[..., None], target, 0.0) - moved) ** 2).sum(axis=(1, 2))
    arm = weights * (moved - fit.t[:, None])
    count = weights.sum(axis=(1, 2))
    variance = np.maximum(squared / np.maximum(3.0 * count - _UNKNOWNS, 1.0),
                          _LEAST_DEVIATION ** 2)
    share = np.minimum(count, observations) / np.maximum(count, 1.0)
    information = _normal_matrix(count, arm) * (share / variance)[:, None, None]
    return _symmetric(np.linalg.inv(information + np.diag(_PRIOR_INFORMATION))[:, :6, :6])


def sight_covariance(t: FloatArray, along: float, across: float, rotation: float) -> FloatArray:
    """Return the covariance of a pose that was seen in one colour image.

    How far away an object is shows only in its size, so it is less certain than where it is.

    Args:
        t: (3,) position of the object, camera optical frame.
        along: Standard deviation along the line of sight, metres.
        across: Standard deviation in each direction across it, metres.
        rotation: Standard deviation about each axis, radians.

    Returns:
        (6, 6) x y z then rotations about the axes of the camera.
    """
    sight = t / np.linalg.norm(t)
    spread = np.outer(sight, sight)
    covariance = rotation ** 2 * np.eye(6)
    covariance[:3, :3] = along ** 2 * spread + across ** 2 * (np.eye(3) - spread)
    return np.asarray(covariance)


def at_other_point(covariance: FloatArray, shift: FloatArray) -> FloatArray:
    """Return the covariance of a pose whose position is told by another point of the object.

    Args:
        covariance: (6, 6) as of `fit_covariance`.
        shift: (3,) from the point that it is of to the other one, in its frame, metres.
    """
    # The other point moves by dt + w x shift.
    lever = np.eye(6)
    lever[:3, 3:] = np.cross(np.eye(3), shift).T
    return _symmetric(lever @ covariance @ lever.T)


def turned(covariance: FloatArray, R: FloatArray) -> FloatArray:
    """Return (..., 6, 6) covariances told in another frame.

    Args:
        covariance: (..., 6, 6) as of `fit_covariance`.
        R: (3, 3) rotation from their frame to the other one.
    """
    turn = np.zeros((6, 6))
    turn[:3, :3] = turn[3:, 3:] = R
    return _symmetric(turn @ covariance @ turn.T)


def with_unknown_spin(covariance: FloatArray, R: FloatArray, symmetry: Symmetry) -> FloatArray:
    """Return the covariance of a pose whose turn about a symmetry axis means nothing.

    Args:
        covariance: (6, 6) as of `fit_covariance`.
        R: (3, 3) rotation of the pose, from the object's to the covariance's frame.
        symmetry: Of the object. Discrete rotations change nothing: the pose is one of several.

    Returns:
        (6, 6); about the axis the variance of any angle, uncorrelated with the rest.
    """
    if symmetry.axis is None:
        return covariance
    axis = R @ np.asarray(symmetry.axis, dtype=np.float64)
    spin = np.zeros((6, 6))
    spin[3:, 3:] = np.outer(axis, axis)
    rest = np.eye(6) - spin
    return _symmetric(rest @ covariance @ rest + UNKNOWN_ANGLE * spin)


def with_bounded_angles(covariance: FloatArray) -> FloatArray:
    """Return (..., 6, 6) covariances in which no angle is less certain than any angle at all.

    What else is uncertain because of an angle becomes more certain with it: all is as if the
    rotation had been seen once more, with `UNKNOWN_ANGLE` about each axis.

    Args:
        covariance: (..., 6, 6) as of `fit_covariance`.
    """
    by_rotation = covariance[..., 3:]
    seen_again = np.linalg.inv(covariance[..., 3:, 3:] + UNKNOWN_ANGLE * np.eye(3))
    return _symmetric(covariance - by_rotation @ seen_again @ np.swapaxes(by_rotation, -1, -2))


def _symmetric(covariance: FloatArray) -> FloatArray:
    """Return (..., N, N) matrices without the asymmetry that rounding gives to large variances."""
    return np.asarray((covariance + np.swapaxes(covariance, -1, -2)) / 2.0)


def _normal_matrix(count: FloatArray, arm: FloatArray) -> FloatArray:
    """Return (B, 7, 7) sums of J^T J; a point at `arm` from t moves by dt + w x arm + l arm."""
    total = arm.sum(axis=1)
    second = np.swapaxes(arm, 1, 2) @ arm
    spread = np.trace(second, axis1=1, axis2=2)
    matrix = np.zeros((len(arm), _UNKNOWNS, _UNKNOWNS))
    matrix[:, :3, :3] = count[:, None, None] * np.eye(3)
    matrix[:, :3, 3:6] = -_cross_matrix(total)
    matrix[:, 3:6, :3] = _cross_matrix(total)
    matrix[:, 3:6, 3:6] = spread[:, None, None] * np.eye(3) - second
    matrix[:, :3, 6] = matrix[:, 6, :3] = total
    matrix[:, 6, 6] = spread
    return matrix


def _cross_matrix(vector: FloatArray) -> FloatArray:
    """Return (B, 3, 3) matrices M with M @ x = vector x x."""
    x, y, z = vector.T
    zero = np.zeros_like(x)
    return np.stack([np.stack([zero, -z, y], 1), np.stack([z, zero, -x], 1),
                     np.stack([-y, x, zero], 1)], 1)
