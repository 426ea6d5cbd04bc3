"""Accuracy of poses on PASCAL3D+ and ObjectNet3D, misses counted.

Rotations: the share of objects whose geodesic error is below pi/6 and pi/18, and the median, over
all objects pooled as NeMo does. ADD: mean distance of the CAD model's points under both poses, in
the model's unit. AP at (pi/3, 5.0): a pose is right if its rotation is off by less than pi/3 and
its translation by less than 5.0 units of the CAD model; area under precision over recall, VOC
2010. No code is published for the last one, so this definition is ours.

Where an image holds a category several times, predictions choose, in the order of their scores,
the free object whose direction from the camera is nearest: the pose itself has no say in it.

Source: specs/mrc_c2f_disp6d.md, section 5.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pose_estimation_ros.core.errors import InvalidInputError
from pose_estimation_ros.core.rotation import angle_between
from pose_estimation_ros.datasets.pascal3d_layout import CadModels
from pose_estimation_ros.evaluation.average_precision import average_precision
from pose_estimation_ros.evaluation.bop_errors import average_distance
from pose_estimation_ros.evaluation.category_pool import CategoryPool, match, pool
from pose_estimation_ros.evaluation.nocs_tables import EvaluationTables
from pose_estimation_ros.evaluation.plots import Panel
from pose_estimation_ros.evaluation.predictions import FramePredictions, FrameTruth, paired
from pose_estimation_ros.evaluation.report import Report

FloatArray = NDArray[np.float64]

COARSE, FINE = np.pi / 6, np.pi / 18
PRECISION_ANGLE, PRECISION_DISTANCE = np.pi / 3, 5.0
ALL_CATEGORIES = 'all'
COLUMNS: tuple[str, ...] = (
    'occlusion', 'category', 'objects', 'found, %', 'error < pi/6, %', 'error < pi/18, %',
    'median error, rad', 'median ADD', 'mean ADD of found', 'AP (pi/3, 5.0), %')


@dataclass(frozen=True, eq=False)
class CategoryErrors:
    """The errors of one category over all frames.

    Attributes:
        category: Its name.
        rotation: (M,) radians, one per object; infinite for objects without a pose.
        add: (M,) ADD in units of the CAD models, infinite likewise; NaN if there are no models.
        precision: AP at (pi/3, 5.0), 0 to 1; NaN without objects.
    """

    category: str
    rotation: FloatArray
    add: FloatArray
    precision: float


def category_errors(truth: Sequence[FrameTruth], predictions: Sequence[FramePredictions],
                    points: Mapping[str, FloatArray] | None = None) -> list[CategoryErrors]:
    """Return the errors of every category that has objects, in alphabetic order.

    Args:
        truth: Of all frames.
        predictions: Of the frames; one that is missing counts as a frame with none.
        points: (V, 3) vertices of each CAD model by `ObjectAnnotation.model`, in the unit of the
            poses; None = leave ADD out.

    Raises:
        InvalidInputError: If predictions belong to other frames or a model has no points.
    """
    pairs = paired(truth, predictions)
    categories = sorted({entry.label for frame in truth for entry in frame.objects})
    return [_errors(pool(pairs, category), points) for category in categories]


def share_below(errors: FloatArray, limit: float) -> float:
    """Return the share of (N,) errors that are strictly below a limit; NaN if there are none."""
    return _mean(errors < limit)


def accuracy_table(levels: Mapping[str, Sequence[CategoryErrors]], name: str,
                   settings: Mapping[str, object]) -> Report:
    """Return one row per occlusion level with all categories pooled, and one per category.

    The AP of all categories is their mean (mAP); everything else is of the pooled objects.

    Args:
        levels: Errors by level, such as 'L0' to 'L3'; one entry named '' for unoccluded data.
        name: Name of the table.
        settings: What was run.
    """
    rows = []
    for level, categories in levels.items():
        rows += [_row(level, entry) for entry in (_pooled(categories), *categories)]
    return Report(name, COLUMNS, rows, settings)


def model_points(cad_models: CadModels, truth: Sequence[FrameTruth]) -> dict[str, FloatArray]:
    """Read the points of the CAD models that occur, for ADD.

    Args:
        cad_models: Of the data set.
        truth: Of all frames; models are named '<category>/<number>'.

    Raises:
        InvalidInputError: If a model is missing or damaged.
    """
    names = sorted({entry.model for frame in truth for entry in frame.objects})
    parts = {name: name.rpartition('/') for name in names}
    return {name: cad_models.read(category, int(number)).vertices
            for name, (category, _, number) in parts.items()}


def pascal3d_tables(levels: Mapping[str, Sequence[CategoryErrors]],
                    settings: Mapping[str, object]) -> EvaluationTables:
    """Return the table 'pascal3d-accuracy' and its curves, one panel per occlusion level."""
    panels = tuple(accuracy_panel(errors, level) for level, errors in levels.items())
    return EvaluationTables((accuracy_table(levels, 'pascal3d-accuracy', settings),),
                            {'pascal3d-accuracy': panels})


def accuracy_panel(categories: Sequence[CategoryErrors], level: str = '') -> Panel:
    """Return the curves of accuracy over the limit of the rotation error, per category."""
    limits = np.linspace(0.0, 60.0, 121)
    curves = {entry.category: np.array([
        100 * share_below(np.degrees(entry.rotation), limit) for limit in limits])
        for entry in (*categories, _pooled(categories))}
    return Panel(f'rotation {level}'.strip(), 'limit of the error, °', 'objects below, %', limits,
                 curves)


def _errors(pooled: CategoryPool, points: Mapping[str, FloatArray] | None) -> CategoryErrors:
    T_predicted, _, T_true, _ = pooled.of_pairs()
    angle = angle_between(T_predicted[:, :3, :3], T_true[:, :3, :3])
    distance = np.linalg.norm(T_predicted[:, :3, 3] - T_true[:, :3, 3], axis=1)
    answers = match(pooled, -_between_rays(T_predicted[:, :3, 3], T_true[:, :3, 3]),
                    lambda pair: np.ones((len(pair), 1), dtype=np.bool_), 1).pairs[:, 0]
    found = answers >= 0
    rotation = np.full(len(pooled.objects), np.inf)
    rotation[found] = angle[answers[found]]
    add = np.full(len(pooled.objects), np.nan if points is None else np.inf)
    if points is not None:
        for index in np.flatnonzero(found):
            pair = answers[index]
            add[index] = average_distance(T_predicted[pair, None], T_true[pair], _points_of(
                points, pooled.objects[index].model))[0]
    right = (angle < PRECISION_ANGLE) & (distance < PRECISION_DISTANCE)
    matched = match(pooled, -distance, lambda pair: right[pair, None], 1).predictions
    precision = float(average_precision(matched, pooled.scores, len(pooled.objects))[0])
    return CategoryErrors(pooled.category, rotation, add, precision)


def _between_rays(a: FloatArray, b: FloatArray) -> FloatArray:
    """Return the (Q,) angles between the directions of (Q, 3) points from the camera, radians."""
    sine = np.linalg.norm(np.cross(a, b), axis=1)
    return np.asarray(np.arctan2(sine, np.einsum('qi,qi->q', a, b)))


def _points_of(points: Mapping[str, FloatArray], model: str) -> FloatArray:
    if model not in points:
        raise InvalidInputError(f'there are no points of the CAD model {model!r} for ADD (models '
                                f'begin with {min(points, default="none")!r}); give those of the '
                                'data set, or leave ADD out')
    return points[model]


def _pooled(categories: Sequence[CategoryErrors]) -> CategoryErrors:
    none = np.zeros(0)
    mean = np.mean([entry.precision for entry in categories]) if categories else float('nan')
    return CategoryErrors(
        ALL_CATEGORIES, np.concatenate([none, *(entry.rotation for entry in categories)]),
        np.concatenate([none, *(entry.add for entry in categories)]), float(mean))


def _row(level: str, errors: CategoryErrors) -> tuple[object, ...]:
    found = np.isfinite(errors.rotation)
    close = errors.add[found]
    return (level, errors.category, errors.rotation.size, 100 * _mean(found),
            100 * share_below(errors.rotation, COARSE), 100 * share_below(errors.rotation, FINE),
            _median(errors.rotation), _median(errors.add), _mean(close),
            100 * errors.precision)


def _mean(values: NDArray[np.generic]) -> float:
    return float(np.mean(values)) if values.size else float('nan')


def _median(errors: FloatArray) -> float:
    return float(np.median(errors)) if errors.size else float('nan')
