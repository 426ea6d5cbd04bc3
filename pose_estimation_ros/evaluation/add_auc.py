"""ADD and ADD-S: shares within a tenth of the diameter, and the area under the accuracy curve.

The area is that of PoseCNN (Xiang et al., RSS 2018, section V): accuracy over the threshold from
0 to 10 cm. It is exact here; the authors' toolbox sums steps from above, which gives at most one
part in the number of objects more. Objects that were not found are infinitely far off.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pose_estimation_ros.evaluation.bop_errors import average_distance, average_nearest_distance
from pose_estimation_ros.evaluation.bop_matching import candidates, check_labels, match
from pose_estimation_ros.evaluation.bop_model import CadModel
from pose_estimation_ros.evaluation.plots import Panel
from pose_estimation_ros.evaluation.predictions import FramePredictions, FrameTruth
from pose_estimation_ros.evaluation.report import Report

FloatArray = NDArray[np.float64]

AREA_LIMIT = 0.1  # metres
SHARE_OF_DIAMETER = 0.1
ALL_OBJECTS = 'all'
COLUMNS: tuple[str, ...] = (
    'object', 'targets', 'ADD AUC, %', 'ADD-S AUC, %', 'ADD(-S) AUC, %', 'ADD < 0.1 d, %',
    'ADD-S < 0.1 d, %', 'ADD(-S) < 0.1 d, %')


@dataclass(frozen=True, eq=False)
class DistanceErrors:
    """Average distances of the objects of one label, each with the estimate that answers for it.

    Attributes:
        label: Name of the object.
        diameter: Of its model, metres.
        is_symmetric: Whether ADD(-S) is ADD-S for it.
        add: (G,) ADD, metres; infinite for objects that were not found.
        adds: (G,) ADD-S, likewise.
    """

    label: str
    diameter: float
    is_symmetric: bool
    add: FloatArray
    adds: FloatArray

    @property
    def add_or_adds(self) -> FloatArray:
        """(G,) ADD(-S): ADD-S for symmetric objects, else ADD, metres."""
        return self.adds if self.is_symmetric else self.add


def distance_errors(truth: FrameTruth, predictions: FramePredictions, targets: Mapping[str, int],
                    models: Mapping[str, CadModel]) -> list[DistanceErrors]:
    """Return the average distances of a frame's objects.

    Where a frame holds an object several times, the estimates choose the nearest free one in
    the order of their scores.

    Args:
        truth: Of the frame.
        predictions: Estimates of the frame's objects.
        targets: How many objects of each label are to be found.
        models: CAD model of each label.

    Raises:
        InvalidInputError: If there is no model of a label or the frame has fewer objects than
            targets.
    """
    check_labels({*targets, *(p.label for p in predictions.predictions)}, models, truth.name)
    answers = []
    for pairs in candidates(truth, predictions, targets):
        model = models[pairs.label]
        shape = len(pairs.truths), len(pairs.estimates)
        distances = [np.reshape([measure(pairs.estimates, pose, model.points)
                                 for pose in pairs.truths], shape).T
                     for measure in (average_distance, average_nearest_distance)]
        answers.append(DistanceErrors(pairs.label, model.diameter, model.is_symmetric,
                                      *(_of_objects(errors) for errors in distances)))
    return answers


def area_under_curve(errors: FloatArray, limit: float = AREA_LIMIT) -> float:
    """Return the area under the share of errors below a threshold, 0 to 1.

    Args:
        errors: (N,) metres; infinite = not found.
        limit: Upper end of the threshold, metres; the area up to there is divided by it.
    """
    # An error e counts from the threshold e on, so it adds limit - e.
    return float(np.maximum(1.0 - errors / limit, 0.0).mean()) if errors.size else float('nan')


def distance_table(errors: Iterable[DistanceErrors], name: str, settings: Mapping[str, object]
                   ) -> Report:
    """Return areas and shares in percent: all objects pooled, then each object."""
    entries = list(errors)
    labels = sorted({entry.label for entry in entries})
    rows = [_row(label, [e for e in entries if label in (ALL_OBJECTS, e.label)])
            for label in (ALL_OBJECTS, *labels)]
    return Report(name, COLUMNS, rows, settings)


def accuracy_panel(errors: Iterable[DistanceErrors]) -> Panel:
    """Return the curves whose areas are given: accuracy over threshold, all objects pooled."""
    entries = list(errors)
    thresholds = np.linspace(0.0, AREA_LIMIT, 201)
    curves = {}
    for name, values in (('ADD', _pooled([e.add for e in entries])),
                         ('ADD-S', _pooled([e.adds for e in entries])),
                         ('ADD(-S)', _pooled([e.add_or_adds for e in entries]))):
        below = np.searchsorted(np.sort(values), thresholds, side='left')
        curves[name] = 100.0 * below / max(values.size, 1)
    return Panel('average distance', 'threshold, cm', 'objects below, %', 100 * thresholds, curves)


def _of_objects(errors: FloatArray) -> FloatArray:
    """Return (G,) errors of the estimates that answer for each object, given all (E, G)."""
    chosen = match(errors[None], np.array([np.inf]))[0, 0]
    padded = np.vstack([errors, np.full((1, errors.shape[1]), np.inf)])
    # Index -1, a missed object, is the row of infinities.
    return np.asarray(padded[chosen, np.arange(errors.shape[1])])


def _row(label: str, entries: list[DistanceErrors]) -> tuple[object, ...]:
    parts = [(entry.add, entry.adds, entry.add_or_adds) for entry in entries]
    areas = [area_under_curve(_pooled([part[kind] for part in parts])) for kind in range(3)]
    within = [_pooled([part[kind] < SHARE_OF_DIAMETER * entry.diameter
                       for part, entry in zip(parts, entries, strict=True)]) for kind in range(3)]
    shares = [float(w.mean()) if w.size else float('nan') for w in within]
    return (label, sum(entry.add.size for entry in entries),
            *(100 * value for value in (*areas, *shares)))


def _pooled(parts: list[FloatArray]) -> FloatArray:
    return np.concatenate(parts) if parts else np.zeros(0)
