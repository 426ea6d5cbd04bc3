"""Honest figures, 'oriented-box': true box overlap, misses and false objects counted.

Recall at a threshold is the share of the true objects that a prediction of their category answers
within it, precision the share of the predictions that answer one. Every prediction answers at most
one object.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pose_estimation_ros.core.boxes import oriented_box_ious
from pose_estimation_ros.core.rotation import angle_between
from pose_estimation_ros.core.symmetry import nearest_equivalents
from pose_estimation_ros.evaluation.category_pool import CategoryPool
from pose_estimation_ros.evaluation.plots import MEAN
from pose_estimation_ros.evaluation.pose_accuracy import THRESHOLDS, symmetry_as_seen
from pose_estimation_ros.evaluation.precision_curves import (
    PairErrors,
    PrecisionCurves,
    match_overlaps,
    match_poses,
    mean_of_categories,
    precision_curves,
)

FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]

NAME = 'oriented-box'
OVERLAP_NAME = 'box IoU'
# An object counts as located where a box of its category overlaps its own by more than this.
LOCATED = 0.1
TABLE_OVERLAPS = (0.5, 0.75)
# Of located objects alone, wherever they are put: what methods without depth are judged by.
ROTATION_LIMITS = (10, 20, 30)
# Shares of an object's pixels that nothing covers: lower bounds exclusive but for the first.
VISIBILITY_BINS = ((0.0, 0.25), (0.25, 0.5), (0.5, 0.75), (0.75, 1.0))

_AT = (*(f'{degrees}°{centimetres}cm' for degrees, centimetres in THRESHOLDS),
       *(f'{OVERLAP_NAME} > {overlap}' for overlap in TABLE_OVERLAPS))
RECALL_COLUMNS = (
    'category', 'objects', 'predictions', f'located ({OVERLAP_NAME} > {LOCATED}), %',
    *(f'recall {limit}, %' for limit in _AT), *(f'precision {limit}, %' for limit in _AT),
    'median rotation, °', 'median translation, cm',
    *(f'rotation within {limit}°, %' for limit in ROTATION_LIMITS))
VISIBILITY_COLUMNS = ('category', 'visibility', 'objects',
                      *(f'recall {limit}, %' for limit in _AT))


def true_errors(pooled: CategoryPool) -> PairErrors:
    """Return the true overlaps and errors of the pairs of a category.

    Of poses that the object's symmetry makes equal the nearest counts.
    """
    T_predicted, size_predicted, T_true, size_true = pooled.of_pairs()
    symmetries = [symmetry_as_seen(entry) for entry in pooled.objects]
    nearest = T_predicted.copy()
    nearest[:, :3, :3] = nearest_equivalents([symmetries[owner] for owner in pooled.pair_objects],
                                             T_predicted[:, :3, :3], T_true[:, :3, :3])
    return PairErrors(
        oriented_box_ious(nearest, size_predicted, T_true, size_true),
        np.degrees(angle_between(nearest[:, :3, :3], T_true[:, :3, :3])),
        100 * np.linalg.norm(nearest[:, :3, 3] - T_true[:, :3, 3], axis=1))


def oriented_box_curves(pools: Sequence[CategoryPool],
                        errors: Sequence[PairErrors]) -> PrecisionCurves:
    """Return average precision with the true overlap, over all objects and predictions."""
    return precision_curves(pools, errors, gate=None)


@dataclass(frozen=True, eq=False)
class Answers:
    """What became of the M objects and N predictions of a category.

    Thresholds are those of `THRESHOLDS`, then of `TABLE_OVERLAPS`.

    Attributes:
        category: Its name.
        visibility: (M,) share of each object that nothing covers; NaN = unknown.
        answered: (M, 6) whether a prediction answers the object within a threshold.
        right: (N, 6) whether the prediction answers an object within a threshold.
        located: (M,) whether a prediction overlaps the object by more than `LOCATED`.
        degrees: (M,) rotation error of that prediction; infinite if there is none.
        centimetres: (M,) translation error of the same.
    """

    category: str
    visibility: FloatArray
    answered: BoolArray
    right: BoolArray
    located: BoolArray
    degrees: FloatArray
    centimetres: FloatArray


def answers(pooled: CategoryPool, errors: PairErrors) -> Answers:
    """Find out which objects of a category are answered, at each threshold on its own."""
    degrees, centimetres = np.array(THRESHOLDS, dtype=np.float64).T
    everything = np.ones(len(errors.degrees), dtype=np.bool_)
    poses = match_poses(pooled, errors, degrees, centimetres, everything)
    boxes = match_overlaps(pooled, errors, TABLE_OVERLAPS)
    located = match_overlaps(pooled, errors, (LOCATED,))
    pair = located.pairs[:, 0]
    return Answers(
        pooled.category, np.array([entry.visibility for entry in pooled.objects], dtype=float),
        np.concatenate([poses.objects, boxes.objects], axis=1),
        np.concatenate([poses.predictions, boxes.predictions], axis=1), pair >= 0,
        # The last element stands for no pair.
        np.append(errors.degrees, np.inf)[pair], np.append(errors.centimetres, np.inf)[pair])


def recall_rows(categories: Sequence[Answers]) -> list[tuple[object, ...]]:
    """Return a row per category and one of their mean; see `RECALL_COLUMNS`.

    Medians are over all objects of a category, a missed one counted as infinitely wrong.
    """
    rows: list[tuple[object, ...]] = []
    figures = []
    for entry in categories:
        figures.append(np.concatenate([
            _percent(entry.located[:, None]), _percent(entry.answered), _percent(entry.right),
            [_median(entry.degrees), _median(entry.centimetres)],
            _percent(entry.degrees[:, None] <= ROTATION_LIMITS)]))
        rows.append((entry.category, len(entry.answered), len(entry.right),
                     *figures[-1].tolist()))
    return [*rows, (MEAN, sum(len(entry.answered) for entry in categories),
                    sum(len(entry.right) for entry in categories),
                    *mean_of_categories(np.array(figures)).tolist())]


def visibility_rows(categories: Sequence[Answers]) -> list[tuple[object, ...]]:
    """Return a row per category and bin of visibility, then over all objects of each bin.

    Bins without objects are left out; see `VISIBILITY_COLUMNS`.
    """
    everything = (np.concatenate([entry.visibility for entry in categories]),
                  np.concatenate([entry.answered for entry in categories]))
    rows: list[tuple[object, ...]] = []
    for name, visibility, answered in (
            *((entry.category, entry.visibility, entry.answered) for entry in categories),
            ('all', *everything)):
        bins = [(f'{lower:.0%} to {upper:.0%}',
                 (visibility <= upper) & ((visibility > lower) | (lower == 0.0)))
                for lower, upper in VISIBILITY_BINS]
        for label, chosen in (*bins, ('unknown', np.isnan(visibility))):
            if chosen.any():
                rows.append((name, label, int(chosen.sum()),
                             *_percent(answered[chosen]).tolist()))
    return rows


def _percent(found: BoolArray) -> FloatArray:
    """Return (T,) shares in percent of (M, T) answers; NaN of none."""
    return (100 * found.mean(axis=0) if len(found) else np.full(found.shape[1], np.nan))


def _median(errors: FloatArray) -> float:
    # Not the mean of the middle two, which would be infinite or not by one miss.
    return float(np.sort(errors)[(len(errors) - 1) // 2]) if len(errors) else float('nan')
