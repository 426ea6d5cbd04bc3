"""BOP's average recall: the score of 6D localisation of known objects.

    errors = [e for frame, p in zip(...) for e in frame_errors(frame, p, targets, models)]
    average_recall(errors).report('tless', {}).markdown()

Source: specs/mrc_c2f_disp6d.md, section 4 (bop_toolkit cea62d6).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from pose_estimation_ros.datasets.annotated_frame import AnnotatedFrame
from pose_estimation_ros.evaluation.bop_errors import (
    maximum_projection_distance,
    maximum_surface_distance,
)
from pose_estimation_ros.evaluation.bop_matching import (
    Candidates,
    candidates,
    check_labels,
    match,
)
from pose_estimation_ros.evaluation.bop_model import CadModel
from pose_estimation_ros.evaluation.bop_vsd import Scene, VsdSettings, vsd_errors
from pose_estimation_ros.evaluation.plots import Panel
from pose_estimation_ros.evaluation.predictions import FramePredictions, FrameTruth
from pose_estimation_ros.evaluation.report import Report

FloatArray = NDArray[np.float64]

_TENTHS = np.arange(1, 11)
# VSD is a share of pixels, MSSD one of the diameter, MSPD pixels of an image 640 wide.
THRESHOLDS: Mapping[str, FloatArray] = {
    'VSD': _TENTHS * 0.05, 'MSSD': _TENTHS * 0.05, 'MSPD': _TENTHS * 5.0}
# Misalignment tolerances of VSD as shares of the diameter.
TAUS: FloatArray = _TENTHS * 0.05
_MSPD_WIDTH = 640
ALL_OBJECTS = 'all'


@dataclass(frozen=True)
class AverageRecallSettings:
    """What is measured.

    Attributes:
        parts: Errors that the score is the mean of. VSD needs depth images; the challenges from
            2024 on leave it out.
        vsd: What VSD takes for visible.
    """

    parts: tuple[str, ...] = ('VSD', 'MSSD', 'MSPD')
    vsd: VsdSettings = field(default_factory=VsdSettings)


DEFAULT = AverageRecallSettings()
_WITHOUT_DEPTH = ('MSSD', 'MSPD')


@dataclass(frozen=True, eq=False)
class ObjectErrors:
    """The errors of all pairs of estimates and objects of one label in one frame.

    Attributes:
        frame: Name of the frame.
        label: Name of the object.
        targets: How many objects there are to be found.
        errors: (K, E, G) float64 by part, in the unit of its `THRESHOLDS`: K is 10 for VSD (one
            per tau) and 1 for the others; E estimates, the best score first; G = targets.
    """

    frame: str
    label: str
    targets: int
    errors: Mapping[str, FloatArray]


def frame_errors(frame: AnnotatedFrame, predictions: FramePredictions,
                 targets: Mapping[str, int], models: Mapping[str, CadModel],
                 settings: AverageRecallSettings = DEFAULT) -> list[ObjectErrors]:
    """Return the errors of a frame's estimates.

    Args:
        frame: The frame with its truth; its depth is looked at for VSD only.
        predictions: Estimates of the frame's objects.
        targets: How many objects of each label are to be found (`visible_targets`, or the data
            set's list).
        models: CAD model of each label.
        settings: What is measured.

    Raises:
        InvalidInputError: If there is no model of a label, the frame has fewer objects than
            targets, or no depth where VSD is asked for.
    """
    check_labels({*targets, *(p.label for p in predictions.predictions)}, models, frame.name)
    scene = (Scene.of(frame.frame.depth, frame.frame.intrinsics) if 'VSD' in settings.parts
             else None)
    return [_object_errors(pairs, models[pairs.label], frame, scene, settings)
            for pairs in candidates(FrameTruth.of(frame), predictions, targets)]


def _object_errors(pairs: Candidates, model: CadModel, frame: AnnotatedFrame,
                   scene: Scene | None, settings: AverageRecallSettings) -> ObjectErrors:
    camera = frame.frame.intrinsics
    errors: dict[str, FloatArray] = {}
    if scene is not None:
        errors['VSD'] = vsd_errors(pairs.estimates, pairs.truths, model, scene,
                                   TAUS * model.diameter, settings.vsd)
    if 'MSSD' in settings.parts:
        errors['MSSD'] = _of_each([maximum_surface_distance(
            pairs.estimates, truth, model.points, model.symmetries, model.diameter)
            for truth in pairs.truths], pairs) / model.diameter
    if 'MSPD' in settings.parts:
        errors['MSPD'] = _of_each([maximum_projection_distance(
            pairs.estimates, truth, model.points, model.symmetries, camera.K)
            for truth in pairs.truths], pairs) * (_MSPD_WIDTH / camera.width)
    return ObjectErrors(pairs.frame, pairs.label, len(pairs.truths), errors)


def _of_each(columns: Sequence[FloatArray], pairs: Candidates) -> FloatArray:
    """Return (1, E, G) errors of G columns of (E,)."""
    return np.array(columns, dtype=np.float64).reshape(
        len(pairs.truths), len(pairs.estimates)).T[None]


@dataclass(frozen=True, eq=False)
class AverageRecall:
    """The score and what it is made of.

    Attributes:
        targets: Objects that were to be found, by label.
        correct: (K, H) of them that were found, by part and label, for K kinds of errors and H
            `THRESHOLDS`.
    """

    targets: Mapping[str, int]
    correct: Mapping[str, Mapping[str, NDArray[np.int64]]]

    def recall(self, part: str, label: str = ALL_OBJECTS) -> FloatArray:
        """Return the (K, H) shares found; over all objects they are pooled. NaN = no targets."""
        labels = list(self.targets) if label == ALL_OBJECTS else [label]
        count = sum(self.targets[name] for name in labels)
        found = sum(self.correct[part][name] for name in labels)
        return np.asarray(found / count if count else np.full((1, len(THRESHOLDS[part])), np.nan))

    def part(self, part: str, label: str = ALL_OBJECTS) -> float:
        """Return AR of one part, such as AR_VSD: the mean recall over the thresholds, 0 to 1."""
        return float(self.recall(part, label).mean())

    def score(self, label: str = ALL_OBJECTS) -> float:
        """Return AR: the mean of the parts, 0 to 1; NaN = nothing to find."""
        parts = [self.part(part, label) for part in self.correct]
        return float(np.mean(parts)) if parts else float('nan')

    def score_without_depth(self, label: str = ALL_OBJECTS) -> float:
        """Return the mean of AR_MSSD and AR_MSPD, 0 to 1: what does not ask for depth images."""
        return float(np.mean([self.part(part, label) for part in _WITHOUT_DEPTH]))

    def report(self, name: str, settings: Mapping[str, object]) -> Report:
        """Return the table: percent, all objects pooled first, then each object."""
        scores = {'AR, %': self.score}
        if set(_WITHOUT_DEPTH) < set(self.correct):
            scores['AR without VSD, %'] = self.score_without_depth
        rows = [(label, sum(self.targets.values()) if label == ALL_OBJECTS
                 else self.targets[label], *(100 * score(label) for score in scores.values()),
                 *(100 * self.part(part, label) for part in self.correct))
                for label in (ALL_OBJECTS, *sorted(self.targets))]
        columns = ('object', 'targets', *scores, *(f'AR_{part}, %' for part in self.correct))
        return Report(name, columns, rows, settings)

    def panels(self) -> list[Panel]:
        """Return recall over threshold for each part, all objects pooled; VSD: mean over tau."""
        units = {'VSD': 'share of pixels', 'MSSD': 'share of diameter', 'MSPD': 'pixels of 640'}
        return [Panel(part, f'{part} threshold, {units[part]}', 'recall, %', THRESHOLDS[part],
                      {ALL_OBJECTS: 100 * self.recall(part).mean(axis=0)})
                for part in self.correct]


def average_recall(errors: Iterable[ObjectErrors]) -> AverageRecall:
    """Count the objects that are found at every threshold."""
    targets: dict[str, int] = {}
    correct: dict[str, dict[str, NDArray[np.int64]]] = {}
    for entry in errors:
        targets[entry.label] = targets.get(entry.label, 0) + entry.targets
        for part, own in entry.errors.items():
            found = (match(own, THRESHOLDS[part]) >= 0).sum(axis=-1)
            by_label = correct.setdefault(part, {})
            by_label[entry.label] = by_label.get(entry.label, 0) + found
    return AverageRecall(targets, correct)
