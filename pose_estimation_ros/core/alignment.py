"""Robust similarity alignment: Umeyama inside RANSAC, for many objects at once.

Finds scale, rotation and translation with `target = scale * R @ source + t` from corresponding
points of which some are wrong. Nothing loops over hypotheses or objects.

Source: S. Umeyama, Least-squares estimation of transformation parameters between two point
patterns, PAMI 1991, equations 38 to 43; the threshold and acceptance rule are those that SPD
(Tian et al., ECCV 2020) evaluates with.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pose_estimation_ros.core.errors import InvalidInputError

FloatArray = NDArray[np.float64]

SAMPLE_SIZE = 5
INLIER_THRESHOLD = 0.1
MINIMUM_INLIER_RATIO = 0.1


@dataclass(frozen=True)
class Similarity:
    """A batch of similarity transforms, `target = scale * R @ source + t`.

    Attributes:
        scale: (...) float64.
        R: (..., 3, 3) float64.
        t: (..., 3) float64, in the target's unit.
    """

    scale: FloatArray
    R: FloatArray
    t: FloatArray

    def apply(self, source: FloatArray) -> FloatArray:
        """Return the transformed (..., N, 3) points."""
        M = self.scale[..., None, None] * np.swapaxes(self.R, -1, -2)
        return np.asarray(source @ M + self.t[..., None, :])


@dataclass(frozen=True)
class Alignment:
    """The result of `align_robustly` for B objects.

    Attributes:
        similarity: B similarity transforms from source to target.
        valid: (B,) bool; False where too few points agree with any transform. The other fields
            of such an object carry no meaning.
        inliers: (B, N) bool, correspondences that agree with the chosen hypothesis.
        inlier_ratio: (B,) float64, share of the correspondences that are inliers.
        residual: (B,) float64, root-mean-square distance of the inliers after the final fit, in
            the target's unit.
    """

    similarity: Similarity
    valid: NDArray[np.bool_]
    inliers: NDArray[np.bool_]
    inlier_ratio: FloatArray
    residual: FloatArray


def umeyama(source: FloatArray, target: FloatArray, weights: FloatArray) -> Similarity:
    """Return the weighted least-squares similarity from source to target.

    Args:
        source: (..., N, 3) points.
        target: (..., N, 3) corresponding points, in the unit of the result.
        weights: (..., N) non-negative weights.

    Returns:
        The best similarity without reflection. Where the source points coincide the scale is
        NaN.
    """
    total = np.maximum(weights.sum(axis=-1), np.finfo(np.float64).tiny)[..., None]
    w = (weights / total)[..., None]
    source_mean = (w * source).sum(axis=-2)
    target_mean = (w * target).sum(axis=-2)
    source_centred = source - source_mean[..., None, :]
    target_centred = target - target_mean[..., None, :]
    covariance = np.swapaxes(w * target_centred, -1, -2) @ source_centred
    U, singular, Vt = np.linalg.svd(covariance)
    sign = np.where(np.linalg.det(U) * np.linalg.det(Vt) < 0, -1.0, 1.0)
    U[..., :, 2] *= sign[..., None]
    singular[..., 2] *= sign
    R = U @ Vt
    variance = (w * source_centred ** 2).sum(axis=(-1, -2))
    with np.errstate(divide='ignore', invalid='ignore'):
        scale = singular.sum(axis=-1) / variance
    t = target_mean - scale[..., None] * np.einsum('...ij,...j->...i', R, source_mean)
    return Similarity(scale, R, t)


def draw_samples(valid: NDArray[np.bool_], hypotheses: int, seed: int) -> NDArray[np.intp]:
    """Draw the minimal samples of RANSAC, with replacement.

    Args:
        valid: (B, N) bool, correspondences that may be drawn; each row needs at least one.
        hypotheses: Samples per object.
        seed: Seed of the draw; the result does not depend on the other objects of the batch.

    Returns:
        (B, hypotheses, 5) indices into N.
    """
    uniform = np.random.default_rng(seed).random((hypotheses, SAMPLE_SIZE))
    order = np.argsort(~valid, axis=1, kind='stable')
    rank = (uniform[None] * valid.sum(axis=1)[:, None, None]).astype(np.intp)
    return np.take_along_axis(order, rank.reshape(len(valid), -1), axis=1).reshape(rank.shape)


def align_robustly(source: FloatArray, target: FloatArray,
                   valid: NDArray[np.bool_] | None = None, *, seed: int = 0,
                   hypotheses: int = 128, inlier_threshold: float = INLIER_THRESHOLD,
                   samples: NDArray[np.intp] | None = None) -> Alignment:
    """Align B sets of correspondences that contain outliers.

    A correspondence is an inlier of a hypothesis when its residual is below
    `scale * inlier_threshold * diameter`, with the diameter twice the largest distance of the
    source points from their centroid. The hypothesis with most inliers wins, the first one on a
    tie, and is refitted to its inliers.

    Args:
        source: (B, N, 3) points, for example NOCS coordinates.
        target: (B, N, 3) corresponding points, for example metres in the camera frame.
        valid: (B, N) bool, correspondences to use; None means all.
        seed: Seed of the random samples.
        hypotheses: Number of random samples per object.
        inlier_threshold: Relative inlier threshold, see above.
        samples: (B, H, 5) indices to use instead of random ones.

    Returns:
        The alignment of each object.

    Raises:
        InvalidInputError: If the shapes do not agree.
    """
    source = np.asarray(source, dtype=np.float64)
    target = np.asarray(target, dtype=np.float64)
    if source.ndim != 3 or source.shape != target.shape or source.shape[2] != 3:
        raise InvalidInputError(f'source and target must both be (B, N, 3), got {source.shape} '
                                f'and {target.shape}')
    objects = len(source)
    usable = np.asarray(np.isfinite(source).all(axis=2) & np.isfinite(target).all(axis=2))
    if valid is not None:
        usable = usable & valid
    count = usable.sum(axis=1)
    if objects == 0 or source.shape[1] == 0:
        empty = np.zeros(objects)
        return Alignment(Similarity(empty, np.tile(np.eye(3), (objects, 1, 1)),
                                    np.zeros((objects, 3))), np.zeros(objects, np.bool_),
                         usable, empty, empty)
    source = np.where(usable[..., None], source, 0.0)
    target = np.where(usable[..., None], target, 0.0)
    if samples is None:
        samples = draw_samples(usable, hypotheses, seed)
    rows = np.arange(objects)[:, None, None]
    hypothesis = umeyama(source[rows, samples], target[rows, samples], np.ones(samples.shape))

    centroid = source.sum(axis=1) / np.maximum(count, 1)[:, None]
    distance = np.linalg.norm(source - centroid[:, None], axis=2)
    tolerance = inlier_threshold * 2.0 * np.where(usable, distance, 0.0).max(axis=1)

    squared = _squared_residuals(hypothesis, source, target)
    with np.errstate(invalid='ignore'):
        agrees = squared < ((hypothesis.scale * tolerance[:, None]) ** 2)[..., None]
    agrees &= usable[:, None, :]
    # A scale of zero or NaN comes from coinciding points and supports nothing.
    support = np.where(hypothesis.scale > 0, agrees.sum(axis=2), 0)
    best = np.argmax(support, axis=1)
    inliers = agrees[np.arange(objects), best]
    ratio = support[np.arange(objects), best] / np.maximum(count, 1)

    final = umeyama(source, target, inliers.astype(np.float64))
    distance_squared = ((final.apply(source) - target) ** 2).sum(axis=2)
    residual = np.sqrt((distance_squared * inliers).sum(axis=1)
                       / np.maximum(inliers.sum(axis=1), 1))
    finite = np.isfinite(final.scale) & (final.scale > 0)
    return Alignment(final, (ratio >= MINIMUM_INLIER_RATIO) & finite, inliers, ratio, residual)


def _squared_residuals(hypothesis: Similarity, source: FloatArray,
                       target: FloatArray) -> FloatArray:
    """Return the (B, H, N) squared distances of B x H hypotheses at N correspondences.

    One matrix product per object: a hypothesis is a row block of 3 x 4 numbers.
    """
    objects, number = hypothesis.scale.shape
    M = hypothesis.scale[..., None, None] * hypothesis.R
    moved = M.reshape(objects, number * 3, 3) @ np.swapaxes(source, 1, 2)
    moved += hypothesis.t.reshape(objects, number * 3, 1)
    moved = moved.reshape(objects, number, 3, -1) - np.swapaxes(target, 1, 2)[:, None]
    return np.asarray(np.einsum('bhin,bhin->bhn', moved, moved))
