"""Pose errors and the shares of poses within thresholds, misses counted.

A pose counts at (a degrees, b centimetres) when its rotation error, least over the object's
symmetries, is at most a and its translation error at most b. A missing pose counts as wrong.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pose_estimation_ros.core.boxes import oriented_box_iou
from pose_estimation_ros.core.categories import CATEGORIES, CATEGORY_NAMES
from pose_estimation_ros.core.se3 import translation_error
from pose_estimation_ros.core.symmetry import Y_AXIS_SYMMETRY, Symmetry
from pose_estimation_ros.datasets.annotated_frame import ObjectAnnotation

FloatArray = NDArray[np.float64]

THRESHOLDS: tuple[tuple[float, float], ...] = ((5, 2), (5, 5), (10, 2), (10, 5))
# Below this share of visible handle a mug counts as round, as in the NOCS protocol.
HIDDEN_HANDLE = 0.05


@dataclass(frozen=True)
class PoseError:
    """How far one pose is off.

    Attributes:
        category: Of the true object.
        rotation: Degrees; infinite for a missing pose.
        translation: Centimetres; infinite for a missing pose.
        iou: True oriented-box intersection over union; 0 for a missing pose.
    """

    category: str
    rotation: float
    translation: float
    iou: float


def missing(category: str) -> PoseError:
    """Return the error of an object for which there is no pose."""
    return PoseError(category, float('inf'), float('inf'), 0.0)


def effective_symmetry(category: str, handle_visibility: float) -> Symmetry:
    """Return an object's symmetry as seen: a mug whose handle is hidden is round."""
    if category == 'mug' and handle_visibility < HIDDEN_HANDLE:
        return Y_AXIS_SYMMETRY
    return CATEGORIES[CATEGORY_NAMES.index(category)].symmetry


def symmetry_as_seen(annotation: ObjectAnnotation) -> Symmetry:
    """Return an object's symmetry in its frame: a mug whose handle is hidden is round.

    What data say of the handles of other objects does not count, as in the NOCS protocol.
    """
    if annotation.label == 'mug' and not annotation.handle_visible:
        return Y_AXIS_SYMMETRY
    return annotation.symmetry


def pose_error(category: str, symmetry: Symmetry, T_estimated: FloatArray,
               size_estimated: FloatArray, T_true: FloatArray, size_true: FloatArray) -> PoseError:
    """Return the error of one pose; the box overlap is taken at the best equivalent rotation."""
    nearest = T_estimated.copy()
    nearest[:3, :3] = symmetry.nearest_rotation(T_estimated[:3, :3], T_true[:3, :3])
    return PoseError(
        category,
        float(np.degrees(symmetry.rotation_error(T_estimated[:3, :3], T_true[:3, :3]))),
        100.0 * translation_error(T_estimated, T_true),
        oriented_box_iou(nearest, size_estimated, T_true, size_true))


@dataclass(frozen=True)
class AccuracyRow:
    """Figures of one category, or of their mean.

    Attributes:
        name: Category or 'mean'.
        count: Objects.
        within: Share in percent for each of `THRESHOLDS`.
        median_rotation: Degrees.
        median_translation: Centimetres.
        iou50: Share in percent with box overlap above 0.5.
        iou75: Share in percent with box overlap above 0.75.
    """

    name: str
    count: int
    within: tuple[float, ...]
    median_rotation: float
    median_translation: float
    iou50: float
    iou75: float

    def values(self) -> tuple[object, ...]:
        """Return the figures in the order of `COLUMNS`."""
        return (self.name, self.count, *self.within, self.median_rotation,
                self.median_translation, self.iou50, self.iou75)


COLUMNS: tuple[str, ...] = (
    'category', 'objects', *(f'{a}°{b}cm, %' for a, b in THRESHOLDS), 'median rotation, °',
    'median translation, cm', 'IoU > 0.5, %', 'IoU > 0.75, %')


def accuracy_table(errors: Sequence[PoseError]) -> list[AccuracyRow]:
    """Return one row per category that occurs, then their unweighted mean."""
    rows = []
    for name in CATEGORY_NAMES:
        of_category = [error for error in errors if error.category == name]
        if of_category:
            rows.append(_row(name, of_category))
    if rows:
        rows.append(AccuracyRow(
            'mean', sum(row.count for row in rows),
            tuple(float(x) for x in np.mean([row.within for row in rows], axis=0)),
            *(float(np.mean([getattr(row, field) for row in rows])) for field in
              ('median_rotation', 'median_translation', 'iou50', 'iou75'))))
    return rows


def _row(name: str, errors: Sequence[PoseError]) -> AccuracyRow:
    rotation = np.array([error.rotation for error in errors])
    translation = np.array([error.translation for error in errors])
    iou = np.array([error.iou for error in errors])
    within = tuple(float(100 * np.mean((rotation <= a) & (translation <= b)))
                   for a, b in THRESHOLDS)
    return AccuracyRow(name, len(errors), within, float(np.median(rotation)),
                       float(np.median(translation)), float(100 * np.mean(iou > 0.5)),
                       float(100 * np.mean(iou > 0.75)))
