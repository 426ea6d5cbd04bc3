"""What an estimate tells of itself: the evidence that its confidence is judged by."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pose_estimation_ros.backends.correspondences import PoseBatch
from pose_estimation_ros.backends.depth_agreement import DepthAgreement
from pose_estimation_ros.core.pose_confidence import FRAME_EVIDENCE

FloatArray = NDArray[np.float64]

_LEAST = 1e-4


def pose_evidence(poses: PoseBatch, membership: NDArray[np.floating],
                  probability: NDArray[np.floating], entropy: NDArray[np.floating] | None,
                  error: NDArray[np.floating] | None) -> FloatArray:
    """Return what B estimates tell of themselves.

    Args:
        poses: The poses.
        membership: (B, N) probability that a point lies on the object.
        probability: (B,) of the placement taken.
        entropy: (B,) of the assignment, nats; None if the network does not say.
        error: (B,) its own estimate of the logarithm of its error; None likewise.

    Returns:
        (B, E) columns of `core.pose_confidence.EVIDENCE`; NaN where nothing is known, as of the
        frame.
    """
    unknown = np.full(len(membership), np.nan)
    membership = np.asarray(membership, dtype=np.float64)
    likely = np.clip(np.asarray(probability, dtype=np.float64), _LEAST, 1.0 - _LEAST)
    variance = np.linalg.eigvalsh(np.stack([poses.covariance[:, :3, :3],
                                            poses.covariance[:, 3:, 3:]]))[..., -1]
    columns = [
        _log(poses.inlier_ratio), _log(poses.residual / poses.scale),
        np.log(likely / (1.0 - likely)), membership.mean(axis=1),
        np.abs(2.0 * membership - 1.0).mean(axis=1),
        _log(np.sqrt(variance[0]) / poses.scale), _log(np.sqrt(variance[1])),
        unknown if entropy is None else entropy, unknown if error is None else error]
    return np.stack([*columns, *[unknown] * len(FRAME_EVIDENCE)], axis=1).astype(np.float64)


def with_frame(evidence: FloatArray, agreement: DepthAgreement) -> FloatArray:
    """Return (B, E) evidence with what the frame says of the placed surfaces."""
    said = np.stack([agreement.violation, agreement.support, agreement.explained], axis=1)
    return np.concatenate([evidence[:, :-len(FRAME_EVIDENCE)], said], axis=1)


def _log(values: FloatArray) -> FloatArray:
    return np.asarray(np.log(np.maximum(values, _LEAST)))
