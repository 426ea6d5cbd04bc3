"""Recall at e_VSD < 0.3, the figure of papers on T-LESS before BOP 2019.

A pose is right if VSD with delta 15 mm and tau 20 mm is below 0.3. Objects of which a tenth or
more can be seen count. BOP's toolkit changed since how it treats missing depth, so figures of
that time are not exactly those of today's code; `VsdSettings` offers both ways.

Source: specs/mrc_c2f_disp6d.md, section 4.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import Enum

import numpy as np

from pose_estimation_ros.datasets.annotated_frame import AnnotatedFrame
from pose_estimation_ros.evaluation.bop_matching import (
    candidates,
    check_labels,
    match,
    visible_targets,
)
from pose_estimation_ros.evaluation.bop_model import CadModel
from pose_estimation_ros.evaluation.bop_vsd import Scene, VsdSettings, vsd_errors
from pose_estimation_ros.evaluation.predictions import FramePredictions, FrameTruth
from pose_estimation_ros.evaluation.report import Report

TAU = 0.02  # metres
THETA = 0.3
ALL_OBJECTS = 'all'


class Task(Enum):
    """Which objects are to be found."""

    ONE_PER_OBJECT = 'SiSo'
    """One instance of each object in a frame, by the estimate of the highest score."""
    EVERY_INSTANCE = 'all instances'
    """Each visible instance, as where the true boxes are given."""


@dataclass(frozen=True)
class TlessSettings:
    """How the recall is counted.

    Attributes:
        task: Which objects are to be found.
        vsd: What counts as visible.
    """

    task: Task = Task.ONE_PER_OBJECT
    vsd: VsdSettings = field(default_factory=VsdSettings)


DEFAULT = TlessSettings()


@dataclass(frozen=True)
class Found:
    """How many objects of one label were found in a frame."""

    label: str
    targets: int
    correct: int


def found_objects(frame: AnnotatedFrame, predictions: FramePredictions,
                  models: Mapping[str, CadModel], settings: TlessSettings = DEFAULT
                  ) -> list[Found]:
    """Count what was found in a frame.

    Args:
        frame: The frame with its truth and depth.
        predictions: Estimates of the frame's objects.
        models: CAD model of each label.
        settings: How to count.

    Raises:
        InvalidInputError: If there is no model of a label or no depth.
    """
    visible = visible_targets(FrameTruth.of(frame))
    check_labels({*visible, *(p.label for p in predictions.predictions)}, models, frame.name)
    scene = Scene.of(frame.frame.depth, frame.frame.intrinsics)
    wanted = (dict.fromkeys(visible, 1) if settings.task is Task.ONE_PER_OBJECT else visible)
    answers = []
    for pairs in candidates(FrameTruth.of(frame), predictions, visible, wanted):
        errors = vsd_errors(pairs.estimates, pairs.truths, models[pairs.label], scene,
                            np.array([TAU]), settings.vsd)
        correct = int((match(errors, np.array([THETA])) >= 0).sum())
        answers.append(Found(pairs.label, wanted[pairs.label], correct))
    return answers


def recall_table(counts: Iterable[Found], name: str, settings: Mapping[str, object]) -> Report:
    """Return the recall in percent: all objects pooled, their mean, then each object."""
    entries = list(counts)
    rows: list[tuple[object, ...]] = []
    shares = []
    for label in sorted({entry.label for entry in entries}):
        own = [entry for entry in entries if entry.label == label]
        rows.append((label, *_pooled(own)))
        shares.append(_pooled(own)[1])
    targets, share = _pooled(entries)
    mean = float(np.mean(shares)) if shares else float('nan')
    first: list[tuple[object, ...]] = [(ALL_OBJECTS, targets, share), ('mean', targets, mean)]
    return Report(name, ('object', 'targets', f'recall e_VSD < {THETA}, %'), first + rows,
                  settings)


def _pooled(entries: list[Found]) -> tuple[int, float]:
    targets = sum(entry.targets for entry in entries)
    correct = sum(entry.correct for entry in entries)
    return targets, 100 * correct / targets if targets else float('nan')
