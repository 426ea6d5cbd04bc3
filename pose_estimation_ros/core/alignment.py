"""Robust similarity alignment: Umeyama inside RANSAC, for many objects at once.

Finds scale, rotation and translation with `target = scale * R @ source + t` from corresponding
points of which some are wrong. Nothing loops over hypotheses: they are fitted in closed form
(`sample_similarity`), and all of an object are judged by one matrix product.

Source: S. Umeyama, Least-squares estimation of transformation parameters between two point
patterns, PAMI 1991, equations 38 to 43; the threshold and acceptance rule are those that SPD
(Tian et al., ECCV 2020) evaluates with.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pose_estimation_ros.core.errors import InvalidInputError
from pose_estimation_ros.core.rotation_fit import fitted_rotation

FloatArray = NDArray[np.float64]

SAMPLE_SIZE = 5
HYPOTHESES = 128
INLIER_THRESHOLD = 0.1
MINIMUM_INLIER_RATIO = 0.1
_ONES = np.ones(3)


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
    across = np.swapaxes(w, -1, -2)
    source_mean, target_mean = (across @ source)[..., 0, :], (across @ target)[..., 0, :]
    source_centred = source - source_mean[..., None, :]
    target_centred = target - target_mean[..., None, :]
    covariance = np.swapaxes(w * target_centred, -1, -2) @ source_centred
    U, singular, Vt = np.linalg.svd(covariance)
    sign = np.where(np.linalg.det(U) * np.linalg.det(Vt) < 0, -1.0, 1.0)
    U[..., :, 2] *= sign[..., None]
    singular[..., 2] *= sign
    R = U @ Vt
    variance = (across @ _squared(source_centred)[..., None])[..., 0, 0]
    with np.errstate(divide='ignore', invalid='ignore'):
        scale = singular.sum(axis=-1) / variance
    t = target_mean - scale[..., None] * np.einsum('...ij,...j->...i', R, source_mean)
    return Similarity(scale, R, t)


def sample_similarity(source: FloatArray, target: FloatArray) -> Similarity:
    """Return the least-squares similarities of many small samples.

    As `umeyama` with equal weights, without its decompositions: some 30 times as fast, and good
    to about seven digits.

    Args:
        source: (..., N, 3) points.
        target: (..., N, 3) corresponding points.

    Returns:
        The similarities; where no single one is the best, NaN or one of the best.
    """
    number = source.shape[-2]
    source_mean, target_mean = source.mean(axis=-2), target.mean(axis=-2)
    source_centred = source - source_mean[..., None, :]
    target_centred = target - target_mean[..., None, :]
    covariance = np.swapaxes(target_centred, -1, -2) @ source_centred / number
    R, trace = fitted_rotation(covariance)
    with np.errstate(divide='ignore', invalid='ignore'):
        scale = trace / (_squared(source_centred).sum(axis=-1) / number)
    moved = (R @ source_mean[..., None])[..., 0]
    return Similarity(scale, R, target_mean - scale[..., None] * moved)


def sample_numbers(hypotheses: int, seed: int) -> FloatArray:
    """Return (hypotheses, 5) even random numbers from 0 to 1 that the samples are made of."""
    return np.random.default_rng(seed).random((hypotheses, SAMPLE_SIZE))


def draw_samples(valid: NDArray[np.bool_], hypotheses: int, seed: int) -> NDArray[np.intp]:
    """Draw the minimal samples of RANSAC, with replacement.

    Args:
        valid: (B, N) bool, correspondences that may be drawn; each row needs at least one.
        hypotheses: Samples per object.
        seed: Seed of the draw; the result does not depend on the other objects of the batch.

    Returns:
        (B, hypotheses, 5) indices into N.
    """
    uniform = sample_numbers(hypotheses, seed)
    order = np.argsort(~valid, axis=1, kind='stable')
    rank = (uniform[None] * valid.sum(axis=1)[:, None, None]).astype(np.intp)
    return np.take_along_axis(order, rank.reshape(len(valid), -1), axis=1).reshape(rank.shape)


def align_robustly(source: FloatArray, target: FloatArray,
                   valid: NDArray[np.bool_] | None = None, *, seed: int = 0,
                   hypotheses: int = HYPOTHESES, inlier_threshold: float = INLIER_THRESHOLD,
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
    # A sum is finite where all its terms are: much faster than to ask each of three.
    usable = np.asarray(np.isfinite(source @ _ONES) & np.isfinite(target @ _ONES))
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
    hypothesis = sample_similarity(source[rows, samples], target[rows, samples])

    centroid = source.sum(axis=1) / np.maximum(count, 1)[:, None]
    farthest = np.where(usable, _squared(source - centroid[:, None]), 0.0).max(axis=1)
    tolerance = inlier_threshold * 2.0 * np.sqrt(farthest)

    support = _support(hypothesis, source, target, usable, tolerance)
    best = np.argmax(support, axis=1)
    each = np.arange(objects)
    chosen = Similarity(hypothesis.scale[each, best], hypothesis.R[each, best],
                        hypothesis.t[each, best])
    squared = _squared(chosen.apply(source) - target)
    with np.errstate(invalid='ignore'):
        inliers = usable & (squared < ((chosen.scale * tolerance) ** 2)[:, None])
    # A scale of zero or NaN comes from coinciding points and supports nothing.
    inliers &= (chosen.scale > 0)[:, None]
    ratio = inliers.sum(axis=1) / np.maximum(count, 1)

    final = umeyama(source, target, inliers.astype(np.float64))
    distance_squared = _squared(final.apply(source) - target)
    residual = np.sqrt((distance_squared * inliers).sum(axis=1)
                       / np.maximum(inliers.sum(axis=1), 1))
    finite = np.isfinite(final.scale) & (final.scale > 0)
    return Alignment(final, (ratio >= MINIMUM_INLIER_RATIO) & finite, inliers, ratio, residual)


def _support(hypotheses: Similarity, source: FloatArray, target: FloatArray,
             usable: NDArray[np.bool_], tolerance: FloatArray) -> NDArray[np.intp]:
    """Return how many correspondences agree with each hypothesis, (B, H).

    Divided by the squared scale, a squared residual is |p|^2 plus a sum of products of terms of
    the point, (N, 17), with terms of the hypothesis, (H, 17).
    """
    s = hypotheses.scale
    with np.errstate(divide='ignore', invalid='ignore', over='ignore'):
        R, t = hypotheses.R / s[..., None, None], hypotheses.t / s[..., None]
        of_hypotheses = np.concatenate([
            _squared(t)[..., None], (1.0 / s ** 2)[..., None], -2.0 * t / s[..., None],
            2.0 * (np.swapaxes(R, -1, -2) @ hypotheses.t[..., None])[..., 0],
            -2.0 * R.reshape(*s.shape, 9)], axis=-1)
    # They support nothing, and NaN would be slow.
    of_hypotheses[~((s > 0) & np.isfinite(of_hypotheses).all(axis=-1))] = 0.0
    limit = np.where(usable, tolerance[:, None] ** 2 - _squared(source), -np.inf)
    support = np.empty(s.shape, dtype=np.intp)
    sums = np.empty((s.shape[1], source.shape[1]))
    for row, (p, q) in enumerate(zip(source, target, strict=True)):
        of_points = np.concatenate([
            np.ones((len(p), 1)), _squared(q)[:, None], q, p,
            (q[:, :, None] * p[:, None]).reshape(-1, 9)], axis=1)
        np.matmul(of_hypotheses[row], of_points.T, out=sums)
        support[row] = np.count_nonzero(sums < limit[row], axis=1)
    support[~(s > 0)] = 0
    return support


def _squared(vectors: FloatArray) -> FloatArray:
    """Return the squared lengths of (..., 3) vectors; sums over short axes are slow in NumPy."""
    return np.asarray(np.einsum('...i,...i->...', vectors, vectors))
