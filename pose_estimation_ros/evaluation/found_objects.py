"""Which objects of a scene are found, and how well the found ones are located.

Which estimate belongs to which object is `judged_objects.nearest_pairs`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pose_estimation_ros.evaluation.category_pool import CategoryPool, categories_of, pool
from pose_estimation_ros.evaluation.judged_objects import Judged, nearest_pairs
from pose_estimation_ros.evaluation.pose_recall import true_errors
from pose_estimation_ros.evaluation.predictions import FramePredictions, FrameTruth, paired
from pose_estimation_ros.evaluation.report import Report

FloatArray = NDArray[np.float64]

ALL = 'all'
COLUMNS = ('category', 'objects', 'found, %', 'median rotation of found, °',
           'median translation of found, cm', 'median IoU of found', '5°2cm of found, %',
           '10°5cm of found, %')


@dataclass(frozen=True, eq=False)
class FoundObjects:
    """What became of the M objects of one category that count.

    Attributes:
        found: (M,) whether there is an estimate.
        degrees: (F,) rotation errors of the F found.
        centimetres: (F,) translation errors of the same.
        overlap: (F,) true overlap of the boxes.
    """

    found: NDArray[np.bool_]
    degrees: FloatArray
    centimetres: FloatArray
    overlap: FloatArray


def found_report(truth: Sequence[FrameTruth], predictions: Sequence[FramePredictions],
                 judged: Judged, settings: Mapping[str, object]) -> Report:
    """Return the table: a row per category that has objects, then all objects together.

    Args:
        truth: Of all frames.
        predictions: Of the frames.
        judged: Which objects count; the others need not be found, but may be.
        settings: What the predictions were made with.

    Raises:
        InvalidInputError: If the predictions belong to other frames.
    """
    pairs = paired(truth, predictions)
    rows, parts, strangers = [], [], 0
    for category in categories_of(pairs):
        pooled = pool(pairs, category)
        pair = nearest_pairs(pooled)
        strangers += len(pooled.scores) - int((pair >= 0).sum())
        part = _found(pooled, pair, judged)
        if part.found.size:
            rows.append(_row(category, [part]))
            parts.append(part)
    rows.append(_row(ALL, parts))
    return Report('found-objects', COLUMNS, rows, {
        'found': 'an estimate of the category, its centre off by at most half a diagonal',
        **judged.settings(), 'estimates without a true object': strangers,
        **settings, 'frames': len(pairs)})


def _found(pooled: CategoryPool, pair: NDArray[np.int32], judged: Judged) -> FoundObjects:
    counted = np.array([judged.counts(entry) for entry in pooled.objects], dtype=np.bool_)
    errors = true_errors(pooled)
    own = pair[counted & (pair >= 0)]
    return FoundObjects(pair[counted] >= 0, errors.degrees[own], errors.centimetres[own],
                        np.asarray(errors.overlap[own], np.float64))


def _row(name: str, parts: Sequence[FoundObjects]) -> tuple[object, ...]:
    none = np.zeros(0)
    found, degrees, centimetres, overlap = (
        np.concatenate([none, *(getattr(part, field) for part in parts)])
        for field in ('found', 'degrees', 'centimetres', 'overlap'))
    return (name, len(found), 100 * _mean(found), _median(degrees), _median(centimetres),
            _median(overlap), *(100 * _mean((degrees <= a) & (centimetres <= b))
                                for a, b in ((5, 2), (10, 5))))


def _mean(values: NDArray[np.generic]) -> float:
    return float(np.mean(values)) if values.size else float('nan')


def _median(values: FloatArray) -> float:
    return float(np.median(values)) if values.size else float('nan')
