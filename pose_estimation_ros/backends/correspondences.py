"""From predicted correspondences to poses: the last step of every NOCS-like backend."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pose_estimation_ros.core.alignment import Alignment, Similarity, align_robustly
from pose_estimation_ros.core.pose_covariance import fit_covariance
from pose_estimation_ros.core.se3 import make_transform

FloatArray = NDArray[np.float64]

# A network that trusts fewer points is wrong about that, not about the object.
MINIMUM_MEMBERS = 16
# How many independent correspondences all those of an object are worth: networks place all
# coordinates of an object wrongly together. The order of magnitude of every network so far; what
# is measured of a model scales its covariances, see `core.pose_confidence`.
OBSERVATIONS = 1.0


@dataclass(frozen=True)
class PoseBatch:
    """Poses of B objects.

    Attributes:
        T_camera_object: (B, 4, 4) float64 rigid, metres.
        scale: (B,) float64 metres per NOCS unit: the diagonal of the object's box.
        size: (B, 3) float64 metres.
        valid: (B,) bool; False where no pose agrees with the points.
        inlier_ratio: (B,) float64 share of the object's points that agree.
        residual: (B,) float64 root-mean-square distance of those, metres.
        covariance: (B, 6, 6) float64 of the poses as `ObjectPose.covariance`, symmetries left
            aside.
    """

    T_camera_object: FloatArray
    scale: FloatArray
    size: FloatArray
    valid: NDArray[np.bool_]
    inlier_ratio: FloatArray
    residual: FloatArray
    covariance: FloatArray


def solve_poses(points: NDArray[np.floating], nocs: NDArray[np.floating],
                membership: NDArray[np.floating], shape: NDArray[np.floating],
                seed: int = 0) -> PoseBatch:
    """Align predicted NOCS coordinates with the observed points of B objects.

    Args:
        points: (B, N, 3) metres, camera optical frame.
        nocs: (B, N, 3) predicted NOCS coordinates of those points.
        membership: (B, N) probability that a point lies on the object.
        shape: (B, V, 3) predicted surface in NOCS coordinates; its extent gives the size, which
            is symmetric about the origin as in SPD.
        seed: Seed of the robust alignment.

    Returns:
        One pose per object.
    """
    return aligned_poses(align_members(points, nocs, membership, seed), points, nocs, shape)


def align_members(points: NDArray[np.floating], nocs: NDArray[np.floating],
                  membership: NDArray[np.floating], seed: int = 0) -> Alignment:
    """Align NOCS coordinates with points by those that lie on the object; see `solve_poses`."""
    member = membership > 0.5
    member |= (member.sum(axis=1) < MINIMUM_MEMBERS)[:, None]
    return align_robustly(np.asarray(nocs, np.float64), np.asarray(points, np.float64), member,
                          seed=seed)


def aligned_poses(alignment: Alignment, points: NDArray[np.floating],
                  nocs: NDArray[np.floating], shape: NDArray[np.floating]) -> PoseBatch:
    """Return the poses of B objects whose NOCS coordinates were aligned with their points.

    Args:
        alignment: From `nocs` to `points`.
        points: (B, N, 3) as of `solve_poses`, as the next two.
        nocs: (B, N, 3).
        shape: (B, V, 3).
    """
    source, target = np.asarray(nocs, np.float64), np.asarray(points, np.float64)
    similarity = alignment.similarity
    valid = alignment.valid & np.isfinite(similarity.scale)
    scale = np.where(valid, similarity.scale, 1.0)
    R = np.where(valid[:, None, None], similarity.R, np.eye(3))
    t = np.where(valid[:, None], similarity.t, 0.0)
    extent = 2.0 * np.abs(np.asarray(shape, np.float64)).max(axis=1)
    covariance = fit_covariance(Similarity(scale, R, t), source, target,
                                alignment.inliers & valid[:, None], OBSERVATIONS)
    return PoseBatch(make_transform(R, t), scale, scale[:, None] * extent, valid,
                     alignment.inlier_ratio, alignment.residual, covariance)
