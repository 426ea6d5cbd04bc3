"""What a lite network and the alignment say of objects, and which of two answers is better."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pose_estimation_ros.backends.confidence import pose_evidence, with_frame
from pose_estimation_ros.backends.correspondences import PoseBatch, solve_poses
from pose_estimation_ros.backends.depth_agreement import depth_agreement
from pose_estimation_ros.core.detection import Detection
from pose_estimation_ros.core.frame import RGBDFrame
from pose_estimation_ros.core.rotation import angle_between
from pose_estimation_ros.core.se3 import make_transform
from pose_estimation_ros.core.up_direction import upright_turn

FloatArray = NDArray[np.float32]

# What makes one answer better than another: how well its coordinates fit a rigid pose counts
# more than how probable the network found the placement. Chosen on validation crops.
_RESIDUAL_WEIGHT, _PROBABILITY_WEIGHT = 40.0, 0.25
# Two answers whose rotations differ by less are two opinions on one placement.
_SAME_PLACEMENT = np.radians(30.0)


@dataclass(frozen=True)
class LiteAnswers:
    """Answers for B objects.

    Attributes:
        poses: The poses.
        nocs: (B, N, 3) NOCS coordinates of the points.
        shape: (B, V, 3) reconstructed surfaces, NOCS coordinates.
        membership: (B, N) probability that a point lies on the object.
        probability: (B,) of the placement taken.
        entropy: (B,) mean entropy of the assignment of member points to the shape, nats; None
            where the network does not say.
        error: (B,) the network's own estimate of the logarithm of its coordinates' mean
            distance from the true ones; None where it does not say.
    """

    poses: PoseBatch
    nocs: FloatArray
    shape: FloatArray
    membership: FloatArray
    probability: FloatArray
    entropy: FloatArray | None
    error: FloatArray | None

    def quality(self) -> NDArray[np.float64]:
        """Return (B,) how good the answers are; only differences for one object mean anything."""
        poses = self.poses
        with np.errstate(divide='ignore', invalid='ignore'):
            fit = np.log(poses.inlier_ratio) - _RESIDUAL_WEIGHT * poses.residual / poses.scale
        quality = fit + _PROBABILITY_WEIGHT * np.log(np.maximum(self.probability, 1e-9))
        return np.where(poses.valid & np.isfinite(quality), quality, -np.inf)

    def evidence(self) -> NDArray[np.float64]:
        """Return (B, E) what the answers tell of themselves, see `pose_evidence`."""
        return pose_evidence(self.poses, self.membership, self.probability, self.entropy,
                             self.error)

    def surfaces(self) -> NDArray[np.float64]:
        """Return the (B, V, 3) reconstructed surfaces in metres, camera optical frame."""
        T = self.poses.T_camera_object
        metric = self.shape * self.poses.scale[:, None, None]
        return np.asarray(metric @ np.swapaxes(T[:, :3, :3], 1, 2) + T[:, None, :3, 3])

    def stood_upright(self, points: FloatArray, up: NDArray[np.float64],
                      tolerance: float) -> LiteAnswers:
        """Return the answers with objects that nearly stand turned upright.

        Args:
            points: (B, N, 3) what was observed, metres, camera optical frame. Their middle stays
                where it is, so the fit suffers least.
            up: (B, 3) unit directions away from the ground, camera optical frame; objects of
                which it is NaN, unknown, are left as they are.
            tolerance: See `upright_turn`.
        """
        T = self.poses.T_camera_object
        turn = upright_turn(T[:, :3, :3], up, tolerance)
        weight = self.membership / np.maximum(self.membership.sum(axis=1, keepdims=True), 1e-9)
        middle = np.einsum('bn,bni->bi', weight, points)
        moved = make_transform(turn, middle - np.einsum('bij,bj->bi', turn, middle)) @ T
        return replace(self, poses=replace(self.poses, T_camera_object=moved))

    def rows(self, chosen: NDArray[np.bool_] | NDArray[np.intp]) -> LiteAnswers:
        """Return the answers for some of the objects."""
        answers: LiteAnswers = _rows(self, chosen)
        return answers

    def improved(self, rows: NDArray[np.intp], others: LiteAnswers) -> LiteAnswers:
        """Return the answers with those of some rows replaced where others are better.

        Args:
            rows: (K,) objects of which there are other answers.
            others: The other answers for these K objects.
        """
        better = others.quality() > self.quality()[rows]
        answers: LiteAnswers = _with_rows(self, rows[better], others, better)
        return answers

    def joined(self, rows: NDArray[np.intp], others: LiteAnswers, is_round: NDArray[np.bool_],
               points: FloatArray, seed: int) -> LiteAnswers:
        """Return the answers with those of some rows joined with second opinions.

        Where both mean the same placement their coordinates are averaged and aligned anew, else
        the more probable answer is taken.

        Args:
            rows: (K,) objects of which there are other answers.
            others: The other answers for these K objects.
            is_round: (K,) whether an object is round about +y.
            points: (K, N, 3) what was observed, metres, camera optical frame.
            seed: Of the robust alignment.
        """
        if not rows.size:
            return self
        own = self.rows(rows)
        R, R_other = own.poses.T_camera_object[:, :3, :3], others.poses.T_camera_object[:, :3, :3]
        between_axes = np.arccos(np.clip((R[:, :, 1] * R_other[:, :, 1]).sum(axis=1), -1.0, 1.0))
        angle = np.where(is_round, between_axes, angle_between(R, R_other))
        same = own.poses.valid & others.poses.valid & (angle < _SAME_PLACEMENT)
        nocs, membership = ((a + b) / 2 for a, b in ((own.nocs, others.nocs),
                                                     (own.membership, others.membership)))
        mean = replace(own, nocs=nocs, membership=membership, poses=solve_poses(
            points, nocs, membership, own.shape, seed))
        same &= mean.poses.valid
        better = ~same & others.poses.valid & (
            ~own.poses.valid | (others.probability > own.probability))
        chosen = same | better
        merged = _with_rows(mean, np.flatnonzero(better), others, better)
        answers: LiteAnswers = _with_rows(self, rows[chosen], merged, chosen)
        return answers


def evidence_in_frame(frame: RGBDFrame, detections: Sequence[Detection],
                      answers: LiteAnswers) -> NDArray[np.float64]:
    """Return (B, E) what the answers for the detections of a frame, and the frame, tell."""
    agreement = depth_agreement(frame, detections, answers.surfaces(), answers.poses.scale)
    return with_frame(answers.evidence(), agreement)


def _rows(value: Any, chosen: NDArray[Any]) -> Any:
    """Return the chosen rows of arrays, or of values that consist of them."""
    if value is None:
        return None
    if isinstance(value, np.ndarray):
        return value[chosen]
    return type(value)(*(_rows(getattr(value, field.name), chosen) for field in fields(value)))


def _with_rows(own: Any, rows: NDArray[np.intp], other: Any, better: NDArray[np.bool_]) -> Any:
    """Return arrays, or values that consist of them, with some rows taken from others."""
    if own is None:
        return None
    if isinstance(own, np.ndarray):
        merged = own.copy()
        merged[rows] = other[better]
        return merged
    return type(own)(*(_with_rows(getattr(own, field.name), rows, getattr(other, field.name),
                                  better) for field in fields(own)))
