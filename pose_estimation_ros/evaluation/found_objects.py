"""Which objects of a scene are found, and how well the found ones are located.

An estimate belongs to the true object of its category whose centre is nearest, at most half of
the object's diagonal away; each object gets at most one, the estimate of the highest score first.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from pose_estimation_ros.evaluation.category_pool import CategoryPool, categories_of, match, pool
from pose_estimation_ros.evaluation.pose_recall import true_errors
from pose_estimation_ros.evaluation.predictions import FramePredictions, FrameTruth, paired
from pose_estimation_ros.evaluation.report import Report

FloatArray = NDArray[np.float64]

ALL = 'all'
COLUMNS = ('category', 'objects', 'found, %', 'median rotation of found, °',
           'median translation of found, cm', 'median IoU of found', '5°2cm of found, %',
           '10°5cm of found, %')
_REACH = 0.5  # diagonals


@dataclass(frozen=True, eq=False)
class FoundObjects:
    """What became of the M visible objects of one category.

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
                 least_visibility: float, settings: Mapping[str, object]) -> Report:
    """Return the table: a row per category that has objects, then all objects together.

    Args:
        truth: Of all frames.
        predictions: Of the frames.
        least_visibility: Objects of which less can be seen need not be found, but may be.
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
        part = _found(pooled, pair, least_visibility)
        if part.found.size:
            rows.append(_row(category, [part]))
            parts.append(part)
    rows.append(_row(ALL, parts))
    return Report('found-objects', COLUMNS, rows, {
        'found': 'an estimate of the category, its centre off by at most half a diagonal',
        'least visibility': least_visibility, 'estimates without a true object': strangers,
        **settings, 'frames': len(pairs)})


def without_hidden(truth: Sequence[FrameTruth], predictions: Sequence[FramePredictions],
                   least_visibility: float
                   ) -> tuple[list[FrameTruth], list[FramePredictions]]:
    """Leave out objects of which less can be seen, and the estimates that belong to them.

    Objects of unknown visibility stay.

    Raises:
        InvalidInputError: If the predictions belong to other frames.
    """
    cleared = [_cleared(frame, own, least_visibility) for frame, own in
               paired(truth, predictions)]
    return [frame for frame, _ in cleared], [own for _, own in cleared]


def _cleared(truth: FrameTruth, predictions: FramePredictions, least_visibility: float
             ) -> tuple[FrameTruth, FramePredictions]:
    visible = tuple(entry for entry in truth.objects if not entry.visibility < least_visibility)
    if len(visible) == len(truth.objects):
        return truth, predictions
    hidden_poses = set()
    for category in {entry.label for entry in truth.objects}:
        pooled = pool([(truth, predictions)], category)
        for entry, pair in zip(pooled.objects, nearest_pairs(pooled), strict=True):
            if pair >= 0 and entry.visibility < least_visibility:
                answer = pooled.T_predicted[pooled.pair_predictions[pair]]
                hidden_poses.add((category, answer.tobytes()))
    kept = tuple(entry for entry in predictions.predictions
                 if (entry.label, entry.T_camera_object.tobytes()) not in hidden_poses)
    return replace(truth, objects=visible), replace(predictions, predictions=kept)


def nearest_pairs(pooled: CategoryPool) -> NDArray[np.int32]:
    """Return (M,) the pair that each object belongs to, -1 = not found."""
    T_predicted, _, T_true, size_true = pooled.of_pairs()
    distance = np.linalg.norm(T_predicted[:, :3, 3] - T_true[:, :3, 3], axis=1)
    near = distance <= _REACH * np.linalg.norm(size_true, axis=1)
    return match(pooled, -distance, lambda pair: near[pair, None], 1).pairs[:, 0]


def _found(pooled: CategoryPool, pair: NDArray[np.int32], least_visibility: float
           ) -> FoundObjects:
    visible = np.array([not entry.visibility < least_visibility for entry in pooled.objects],
                       dtype=np.bool_)
    errors = true_errors(pooled)
    own = pair[visible & (pair >= 0)]
    return FoundObjects(pair[visible] >= 0, errors.degrees[own], errors.centimetres[own],
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
