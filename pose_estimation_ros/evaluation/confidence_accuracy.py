"""Whether scores tell right poses from wrong ones, and whether they mean what they say.

Every estimate is asked: is there a true object of its category, its centre at most half of the
object's diagonal away, whose rotation it misses by at most 10 degrees and whose position by at
most 2 cm? An estimate without such an object is wrong.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from pose_estimation_ros.core.pose_confidence import CENTIMETRES, DEGREES
from pose_estimation_ros.evaluation.category_pool import CategoryPool, categories_of, pool
from pose_estimation_ros.evaluation.found_objects import nearest_pairs
from pose_estimation_ros.evaluation.pose_recall import true_errors
from pose_estimation_ros.evaluation.predictions import FramePredictions, FrameTruth, paired
from pose_estimation_ros.evaluation.report import Report

FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]

ALL = 'all'
BINS = 5
CONFIDENCE_COLUMNS = ('category', 'right', 'wrong', 'right, %', 'AUC')
LEAST_SCORES = (0.0, 0.02, 0.05, 0.1, 0.2, 0.3, 0.5, 0.7)
RELIABILITY_COLUMNS = ('score', 'estimates', 'mean score, %', 'right, %')
THRESHOLD_COLUMNS = ('least score', 'estimates', 'right', 'wrong', 'right of estimates, %',
                     'objects with a right estimate, %')


def area_under_curve(scores: NDArray[np.floating], right: BoolArray) -> float:
    """Return the area under the receiver operating characteristic of scores.

    It is the probability that a right estimate has a higher score than a wrong one, equal scores
    counted as half (T. Fawcett, An introduction to ROC analysis, 2006, section 7).

    Args:
        scores: (N,) higher = rather right.
        right: (N,) the truth.

    Returns:
        0 to 1; NaN where all are right or all are wrong.
    """
    positives = int(right.sum())
    negatives = len(right) - positives
    if not positives or not negatives:
        return float('nan')
    _, place, counts = np.unique(scores, return_inverse=True, return_counts=True)
    rank = (np.cumsum(counts) - (counts - 1) / 2)[place]
    return float((rank[right].sum() - positives * (positives + 1) / 2) / (positives * negatives))


def reliability_rows(scores: FloatArray, right: BoolArray) -> list[tuple[object, ...]]:
    """Return a row for each fifth of the scores' range that occurs; see `RELIABILITY_COLUMNS`."""
    index = np.clip((scores * BINS).astype(np.intp), 0, BINS - 1)
    return [(f'{number / BINS:.1f} to {(number + 1) / BINS:.1f}', int((index == number).sum()),
             float(100 * scores[index == number].mean()),
             float(100 * right[index == number].mean()))
            for number in range(BINS) if (index == number).any()]


def threshold_rows(scores: FloatArray, right: BoolArray,
                   objects: int) -> list[tuple[object, ...]]:
    """Return a row for each of the least scores that a user may ask for.

    Args:
        scores: (N,) of the estimates.
        right: (N,) the truth.
        objects: How many objects there are.

    Returns:
        See `THRESHOLD_COLUMNS`; the rows end with the last score that an estimate reaches.
    """
    kept = [(least, right[scores >= least]) for least in LEAST_SCORES]
    return [(least, len(own), int(own.sum()), int((~own).sum()), float(100 * own.mean()),
             100 * int(own.sum()) / objects if objects else float('nan'))
            for least, own in kept if len(own)]


def confidence_reports(truth: Sequence[FrameTruth], predictions: Sequence[FramePredictions],
                       settings: Mapping[str, object]) -> tuple[Report, Report, Report]:
    """Return the tables 'confidence' (AUC), 'confidence-reliability' and 'confidence-thresholds'.

    Args:
        truth: Of all frames.
        predictions: Of the frames.
        settings: What the predictions were made with.

    Raises:
        InvalidInputError: If the predictions belong to other frames.
    """
    pairs = paired(truth, predictions)
    rows, objects = [], 0
    scores, right = [np.zeros(0)], [np.zeros(0, dtype=np.bool_)]
    for category in categories_of(pairs):
        pooled = pool(pairs, category)
        objects += len(pooled.objects)
        if len(pooled.scores):
            scores.append(pooled.scores)
            right.append(_right(pooled))
            rows.append(_row(category, scores[-1], right[-1]))
    every_score, every_right = np.concatenate(scores), np.concatenate(right)
    facts = {'right': f'error at most {DEGREES:g}° and {CENTIMETRES:g} cm',
             **settings, 'frames': len(pairs)}
    return (Report('confidence', CONFIDENCE_COLUMNS,
                   [*rows, _row(ALL, every_score, every_right)], facts),
            Report('confidence-reliability', RELIABILITY_COLUMNS,
                   reliability_rows(every_score, every_right), facts),
            Report('confidence-thresholds', THRESHOLD_COLUMNS,
                   threshold_rows(every_score, every_right, objects), facts))


def _right(pooled: CategoryPool) -> BoolArray:
    """Return (N,) whether each prediction is right about the object that it belongs to."""
    errors = true_errors(pooled)
    pair = nearest_pairs(pooled)
    own = pair[pair >= 0]
    good = (errors.degrees[own] <= DEGREES) & (errors.centimetres[own] <= CENTIMETRES)
    right = np.zeros(len(pooled.scores), dtype=np.bool_)
    right[pooled.pair_predictions[own]] = good
    return right


def _row(name: str, scores: FloatArray, right: BoolArray) -> tuple[object, ...]:
    count = int(right.sum())
    share = 100 * count / len(right) if len(right) else float('nan')
    return name, count, len(right) - count, share, area_under_curve(scores, right)
