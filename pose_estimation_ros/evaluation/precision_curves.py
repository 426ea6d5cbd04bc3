"""Average precision of boxes and poses over the thresholds of the NOCS protocol.

What "overlap" and "angle" mean is up to the caller: `nocs_metric` gives the published quantities,
`pose_recall` the true ones.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pose_estimation_ros.evaluation.average_precision import average_precision
from pose_estimation_ros.evaluation.category_pool import (
    BoolArray,
    CategoryPool,
    IndexArray,
    Matching,
    match,
)
from pose_estimation_ros.evaluation.plots import MEAN, Panel
from pose_estimation_ros.evaluation.pose_accuracy import THRESHOLDS

FloatArray = NDArray[np.float64]

DEGREES = np.array([*range(61), 360], dtype=np.float64)
CENTIMETRES = np.array([*np.arange(21) / 2, 100], dtype=np.float64)
OVERLAPS = np.arange(101) / 100
TABLE_OVERLAPS = (0.25, 0.5, 0.75)


@dataclass(frozen=True, eq=False)
class PairErrors:
    """How well the predictions of a category fit the objects of their frames.

    Attributes:
        overlap: (Q,) of the boxes, 0 to 1; NaN = cannot be told.
        degrees: (Q,) between the rotations.
        centimetres: (Q,) between the centres.
    """

    overlap: NDArray[np.floating]
    degrees: FloatArray
    centimetres: FloatArray


@dataclass(frozen=True, eq=False)
class PrecisionCurves:
    """Figures of C categories over all thresholds, shares from 0 to 1.

    Attributes:
        categories: Their names.
        objects: (C,) number of true objects.
        predictions: (C,) number of predictions.
        overlap_precision: (C, 101) average precision over `OVERLAPS`; NaN without objects.
        overlap_accuracy: (C, 101) share of the predictions that match; NaN without predictions.
        pose_precision: (C, 62, 22) average precision over `DEGREES` and `CENTIMETRES`.
        pose_accuracy: (C, 62, 22) share of the predictions that match.
    """

    categories: tuple[str, ...]
    objects: NDArray[np.int64]
    predictions: NDArray[np.int64]
    overlap_precision: FloatArray
    overlap_accuracy: FloatArray
    pose_precision: FloatArray
    pose_accuracy: FloatArray

    def precision_rows(self) -> list[tuple[object, ...]]:
        """Return a row per category and one of their mean: average precision in percent.

        See `columns`.
        """
        return self._rows(self.overlap_precision, self.pose_precision)

    def accuracy_rows(self) -> list[tuple[object, ...]]:
        """Return the same of the share of the predictions that match."""
        return self._rows(self.overlap_accuracy, self.pose_accuracy)

    def _rows(self, overlap: FloatArray, pose: FloatArray) -> list[tuple[object, ...]]:
        of_overlap = [int(np.searchsorted(OVERLAPS, limit)) for limit in TABLE_OVERLAPS]
        of_pose = [(int(np.searchsorted(DEGREES, degrees)),
                    int(np.searchsorted(CENTIMETRES, centimetres)))
                   for degrees, centimetres in THRESHOLDS]
        figures = 100 * np.concatenate(
            [overlap[:, of_overlap], np.stack([pose[:, d, c] for d, c in of_pose], axis=1)], 1)
        counts = zip(self.categories, self.objects.tolist(), self.predictions.tolist(),
                     strict=True)
        rows: list[tuple[object, ...]] = [
            (*count, *row) for count, row in zip(counts, figures.tolist(), strict=True)]
        return [*rows, (MEAN, int(self.objects.sum()), int(self.predictions.sum()),
                        *mean_of_categories(figures).tolist())]

    def panels(self, overlap_label: str) -> tuple[Panel, Panel, Panel]:
        """Return curves over overlap, over rotation alone and over translation alone.

        Rotation alone is at 100 cm and translation alone at 360°, the protocol's last steps.
        """
        return tuple(  # type: ignore[return-value]
            Panel(title, label, 'average precision, %', x,
                  {name: 100 * curve for name, curve in
                   zip((*self.categories, MEAN), (*curves, mean_of_categories(curves)),
                       strict=True) if not np.isnan(curve).any()})
            for title, label, x, curves in (
                ('3D box', overlap_label, OVERLAPS, self.overlap_precision),
                ('rotation', 'rotation error, °', DEGREES[:-1], self.pose_precision[:, :-1, -1]),
                ('translation', 'translation error, cm', CENTIMETRES[:-1],
                 self.pose_precision[:, -1, :-1])))


def columns(overlap_name: str) -> tuple[str, ...]:
    """Return the heads of the columns of the rows, with the overlap called as the caller says."""
    return ('category', 'objects', 'predictions',
            *(f'{overlap_name} > {limit}, %' for limit in TABLE_OVERLAPS),
            *(f'{degrees}°{centimetres}cm, %' for degrees, centimetres in THRESHOLDS))


def mean_of_categories(figures: FloatArray) -> FloatArray:
    """Return the unweighted mean over the first axis, of the categories that have a figure."""
    known = ~np.isnan(figures)
    count = known.sum(axis=0)
    total = np.where(known, figures, 0.0).sum(axis=0)
    return np.asarray(np.divide(total, count, out=np.full(total.shape, np.nan), where=count > 0))


def match_overlaps(pooled: CategoryPool, errors: PairErrors,
                   thresholds: ArrayLike) -> Matching:
    """Match at each threshold: the overlap must be greater, and the greatest is preferred."""
    # float64 against the thresholds, as with the NumPy 1 of the published evaluation.
    overlap = errors.overlap.astype(np.float64)
    limits = np.asarray(thresholds, dtype=np.float64)
    return match(pooled, overlap, lambda pairs: overlap[pairs, None] > limits, len(limits))


def match_poses(pooled: CategoryPool, errors: PairErrors, degrees: FloatArray,
                centimetres: FloatArray, allowed: BoolArray) -> Matching:
    """Match at each pair of thresholds: neither error may be greater.

    Preferred is the least sum of degrees and centimetres.

    Args:
        pooled: The category.
        errors: Of its pairs.
        degrees: (T,) thresholds.
        centimetres: (T,) thresholds.
        allowed: (Q,) which pairs may match.
    """
    def accepts(pairs: IndexArray) -> BoolArray:
        return np.asarray(allowed[pairs, None] & (errors.degrees[pairs, None] <= degrees)
                          & (errors.centimetres[pairs, None] <= centimetres))

    return match(pooled, -(errors.degrees + errors.centimetres), accepts, len(degrees))


def precision_curves(pools: Sequence[CategoryPool], errors: Sequence[PairErrors],
                     gate: float | None) -> PrecisionCurves:
    """Compute the figures of each category.

    Args:
        pools: The categories.
        errors: Of the pairs of each.
        gate: Objects and predictions that do not match at this overlap are left out of the pose
            figures, numerator and denominator alike, as in the published evaluation. None = all
            count.

    Returns:
        The figures.
    """
    each = [_of_category(pooled, of_pairs, gate)
            for pooled, of_pairs in zip(pools, errors, strict=True)]
    overlap_precision, overlap_accuracy, pose_precision, pose_accuracy = (
        np.array(figures) for figures in zip(*each, strict=True))
    shape = (len(pools), len(DEGREES), len(CENTIMETRES))
    return PrecisionCurves(
        tuple(pooled.category for pooled in pools),
        np.array([len(pooled.objects) for pooled in pools]),
        np.array([len(pooled.scores) for pooled in pools]),
        overlap_precision, overlap_accuracy, pose_precision.reshape(shape),
        pose_accuracy.reshape(shape))


def _of_category(pooled: CategoryPool, errors: PairErrors, gate: float | None
                 ) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray]:
    overlaps = match_overlaps(pooled, errors, OVERLAPS)
    if gate is None:
        prediction_counts = np.ones(len(pooled.scores), dtype=np.bool_)
        object_counts = np.ones(len(pooled.objects), dtype=np.bool_)
    else:
        gated = match_overlaps(pooled, errors, (gate,))
        prediction_counts, object_counts = gated.predictions[:, 0], gated.objects[:, 0]
    degrees, centimetres = (grid.ravel() for grid in np.meshgrid(DEGREES, CENTIMETRES,
                                                                 indexing='ij'))
    poses = match_poses(pooled, errors, degrees, centimetres,
                        prediction_counts[pooled.pair_predictions]
                        & object_counts[pooled.pair_objects]).predictions[prediction_counts]
    scores = pooled.scores[prediction_counts]
    # A category that occurs nowhere has no precision; the published evaluation divides by zero.
    unknown = 0.0 if pooled.objects else np.nan
    return (average_precision(overlaps.predictions, pooled.scores, len(pooled.objects)) + unknown,
            _share(overlaps.predictions),
            average_precision(poses, scores, int(object_counts.sum())) + unknown, _share(poses))


def _share(matched: BoolArray) -> FloatArray:
    return matched.mean(axis=0) if len(matched) else np.full(matched.shape[1], np.nan)
