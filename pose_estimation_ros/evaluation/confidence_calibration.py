"""Calibration of a lite model's confidence and covariance on validation data."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, fields, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pose_estimation_ros.backends.base import BackendOptions
from pose_estimation_ros.backends.lite import LiteBackend, ObjectPoints
from pose_estimation_ros.backends.lite_answers import LiteAnswers, evidence_in_frame
from pose_estimation_ros.core.errors import ConfigurationError, InvalidInputError
from pose_estimation_ros.core.pose_confidence import (
    CENTIMETRES,
    DEGREES,
    EVIDENCE,
    ConfidenceModel,
    terms,
)
from pose_estimation_ros.core.pose_covariance import with_unknown_spin
from pose_estimation_ros.core.rotation import matrix_to_axis_angle
from pose_estimation_ros.core.symmetry import Y_AXIS_SYMMETRY, Symmetry, nearest_equivalents
from pose_estimation_ros.datasets.annotated_frame import AnnotatedFrame
from pose_estimation_ros.evaluation.confidence_accuracy import area_under_curve
from pose_estimation_ros.evaluation.data_folders import Data
from pose_estimation_ros.evaluation.detection_sources import (
    MaskSource,
    MasksWithErrors,
    TrueMasks,
)
from pose_estimation_ros.evaluation.logistic_regression import fit_logistic
from pose_estimation_ros.evaluation.pose_accuracy import HIDDEN_HANDLE, symmetry_as_seen
from pose_estimation_ros.evaluation.report import circumstances
from pose_estimation_ros.runtime import Model
from pose_estimation_ros.runtime.manifest import write_manifest
from pose_estimation_ros.synthetic.crop_samples import Crops, read_crop_shard
from pose_estimation_ros.synthetic.object_source import categories_of
from pose_estimation_ros.synthetic.shard_files import list_shards, read_description

FloatArray = NDArray[np.float64]

PENALTY = 5.0
FOLDS = 5
_BATCH = 32
# Fewer than this cannot tell what makes poses wrong.
_LEAST_SAMPLES = 50
# Evidence that varies by rounding only is no evidence.
_LEAST_DEVIATION = 1e-6
# The median of the chi-square distribution with 5 and with 6 degrees of freedom.
_MEDIAN_SQUARE = {True: 4.3515, False: 5.3481}


@dataclass(frozen=True, eq=False)
class JudgedPoses:
    """S estimates with what they tell of themselves and how wrong they are.

    Attributes:
        evidence: (S, E) columns of `EVIDENCE`; NaN = unknown.
        labels: (S,) categories.
        right: (S,) bool, rotation and position within the limits.
        squares: (S,) squared errors normalised by the covariances, over what half of all errors
            stay below if the covariance is right.
    """

    evidence: FloatArray
    labels: NDArray[np.str_]
    right: NDArray[np.bool_]
    squares: FloatArray

    def __len__(self) -> int:
        """Return the number of estimates."""
        return len(self.right)

    @classmethod
    def join(cls, parts: Sequence[JudgedPoses]) -> JudgedPoses:
        """Return all estimates of one or more parts."""
        return cls(*(np.concatenate([getattr(part, field.name) for part in parts])
                     for field in fields(cls)))

    def rows(self, chosen: NDArray[np.bool_]) -> JudgedPoses:
        """Return some of the estimates."""
        return JudgedPoses(*(getattr(self, field.name)[chosen] for field in fields(self)))


@dataclass(frozen=True, eq=False)
class Calibration:
    """What a calibration comes to.

    Attributes:
        confidence: The fitted model.
        poses: How many it was fitted to.
        right: How many of them are right.
        area: Area under the curve of poses that a model was not fitted to.
    """

    confidence: ConfidenceModel
    poses: int
    right: int
    area: float


def calibrate_model(model: Model, folders: Sequence[Path], threads: int = 0) -> Calibration:
    """Calibrate a lite model and write the result into its manifest.

    Args:
        model: The model; its folder must be writable.
        folders: Validation data, see `judged_poses`.
        threads: Of the network; 0 lets ONNX Runtime choose.

    Raises:
        ModelError: If it is not a lite pose model, or damaged.
        ConfigurationError: If the model's folder cannot be written.
        ConfigurationError, InvalidInputError: If the data cannot be used.
    """
    if not os.access(model.folder, os.W_OK):
        raise ConfigurationError(f'{model.folder} cannot be written; copy the model to a folder '
                                 'of your own, and calibrate that')
    with closing(LiteBackend(model, BackendOptions(threads=threads))) as backend:
        samples = JudgedPoses.join([judged_poses(backend, model, folder) for folder in folders])
    result = Calibration(calibrate(samples), len(samples), int(samples.right.sum()),
                         cross_validated(samples))
    facts = {'right': f'error at most {DEGREES:g} degrees and {CENTIMETRES:g} cm',
             'data': [str(folder) for folder in folders], 'poses': result.poses,
             'right poses': result.right, 'AUC, cross-validated': round(result.area, 4),
             'commit': circumstances()['commit']}
    write_manifest(replace(model.manifest,
                           confidence={**result.confidence.as_plain(), 'calibration': facts}),
                   model.folder)
    return result


def judged_poses(backend: LiteBackend, model: Model, folder: Path) -> JudgedPoses:
    """Estimate every object of a folder and compare with the truth.

    Args:
        backend: Runs the model.
        model: Whose symmetries count.
        folder: Views that `pose-estimation dataset crops` made, of which nothing is known but
            the points; or frames with truth and masks in any layout, whose objects are given
            once with their true masks and once with a detector's errors.

    Raises:
        ConfigurationError: If the views lack the colours that the model takes.
        InvalidInputError: If the folder holds neither, or nothing that the model can estimate.
    """
    if list_shards(folder) and read_description(folder)['kind'] == 'crops':
        parts = list(_of_crops(backend, model, folder))
    else:
        sources = (TrueMasks(), MasksWithErrors())
        parts = [part for frame in Data(folder).open() for source in sources
                 for part in _of_frame(backend, frame, source)]
    if not parts:
        raise InvalidInputError(f'{folder} holds no object that {model.manifest.name} can '
                                f'estimate; it knows {", ".join(backend.categories)}')
    return JudgedPoses.join(parts)


def calibrate(samples: JudgedPoses) -> ConfidenceModel:
    """Fit a model to validation data; evidence that is never known, or always equal, is left out.

    Raises:
        InvalidInputError: If there are too few samples, or none is right or none is wrong.
    """
    if len(samples) < _LEAST_SAMPLES or samples.right.all() or not samples.right.any():
        raise InvalidInputError(
            f'a calibration needs {_LEAST_SAMPLES} poses or more, right and wrong ones; here are '
            f'{len(samples)}, of which {int(samples.right.sum())} are right; give more data')
    known = np.isfinite(samples.evidence).any(axis=0)
    deviation = np.zeros(len(EVIDENCE))
    deviation[known] = np.nanstd(samples.evidence[:, known], axis=0)
    used = np.flatnonzero(deviation > _LEAST_DEVIATION)
    categories = sorted(set(samples.labels.tolist()))
    blank = ConfidenceModel(
        tuple(EVIDENCE[index] for index in used), np.nanmean(samples.evidence[:, used], axis=0),
        deviation[used], np.zeros(1 + len(used) * (len(used) + 3) // 2), {})
    design = terms(blank.standardised(samples.evidence))
    member = samples.labels[:, None] == np.array(categories)
    weights = fit_logistic(np.concatenate([design, member], axis=1), samples.right, PENALTY)
    count = design.shape[1]
    return replace(blank, weights=weights[:count],
                   offsets=dict(zip(categories, weights[count:].tolist(), strict=True)),
                   covariance_scale=float(np.median(samples.squares[samples.right])))


def cross_validated(samples: JudgedPoses) -> float:
    """Return the area under the curve of poses that the model was not fitted to.

    Folds are stretches of the data, so that views of one scene stay together.
    """
    fold = np.arange(len(samples)) * FOLDS // len(samples)
    scores = np.zeros(len(samples))
    for number in range(FOLDS):
        held = samples.rows(fold == number)
        model = calibrate(samples.rows(fold != number))
        scores[fold == number] = model.probability(held.evidence, held.labels.tolist())
    return area_under_curve(scores, samples.right)


def _of_crops(backend: LiteBackend, model: Model, folder: Path) -> Iterator[JudgedPoses]:
    names = [category.name for category in categories_of(read_description(folder, 'crops'))]
    for shard in list_shards(folder):
        crops = read_crop_shard(shard)
        labels = np.array([names[index] for index in crops.category])
        if backend.takes_color and not crops.colored.all():
            raise ConfigurationError(f'{folder} has views without colours, which model '
                                     f'{model.manifest.name!r} takes; cut views out of frames, '
                                     'or give frames')
        usable = np.flatnonzero(np.isin(labels, backend.categories))
        for first in range(0, len(usable), _BATCH):
            rows = usable[first:first + _BATCH]
            answers = backend.solve(_points(backend, crops, rows), labels[rows].tolist(),
                                    crops.up[rows])
            symmetries = [_symmetry(model, str(label), handle) for label, handle in
                          zip(labels[rows], crops.handle_visibility[rows], strict=True)]
            yield _judged(answers, answers.evidence(), labels[rows].tolist(), symmetries,
                          crops.T_camera_object[rows])


def _points(backend: LiteBackend, crops: Crops, rows: NDArray[np.intp]) -> ObjectPoints:
    # Views hold their points in random order, so that any number of the first is a fair sample.
    columns = np.resize(np.arange(crops.points.shape[1]), backend.points)
    colors = None
    if backend.takes_color:
        colors = (crops.color[rows][:, columns] / np.float32(255)).astype(np.float32)
    return ObjectPoints(crops.points[rows][:, columns], colors)


def _of_frame(backend: LiteBackend, frame: AnnotatedFrame,
              source: MaskSource) -> Iterator[JudgedPoses]:
    taken = [(annotation, detection, backend.take(frame.frame, detection))
             for annotation, detection in source.pairs(frame)]
    known = [(annotation, detection, points) for annotation, detection, points in taken
             if isinstance(points, ObjectPoints)]
    if not known:
        return
    detections = [detection for _, detection, _ in known]
    labels = [detection.label for detection in detections]
    answers = backend.solve(ObjectPoints.stack([points for _, _, points in known]), labels,
                            frame.frame.up)
    yield _judged(answers, evidence_in_frame(frame.frame, detections, answers), labels,
                  [symmetry_as_seen(annotation) for annotation, _, _ in known],
                  np.stack([annotation.T_camera_object for annotation, _, _ in known]))


def _judged(answers: LiteAnswers, evidence: FloatArray, labels: Sequence[str],
            symmetries: Sequence[Symmetry], T_true: FloatArray) -> JudgedPoses:
    """Compare answers with the truth; those that are no pose are left out."""
    T = answers.poses.T_camera_object
    R_true = T_true[:, :3, :3]
    nearest = nearest_equivalents(symmetries, T[:, :3, :3], R_true)
    turn = matrix_to_axis_angle(nearest @ np.swapaxes(R_true, 1, 2))
    error = np.concatenate([T[:, :3, 3] - T_true[:, :3, 3], turn], axis=1)
    covariance = np.stack([
        with_unknown_spin(*entry) for entry in
        zip(answers.poses.covariance, nearest, symmetries, strict=True)])
    expected = np.array([_MEDIAN_SQUARE[symmetry.axis is not None] for symmetry in symmetries])
    squares = np.einsum('bi,bij,bj->b', error, np.linalg.inv(covariance), error) / expected
    right = ((np.degrees(np.linalg.norm(turn, axis=1)) <= DEGREES)
             & (100.0 * np.linalg.norm(error[:, :3], axis=1) <= CENTIMETRES))
    return JudgedPoses(evidence, np.array(labels, dtype=np.str_), right, squares).rows(
        answers.poses.valid)


def _symmetry(model: Model, label: str, handle_visibility: float) -> Symmetry:
    """Return the symmetry of an object as seen: a mug whose handle is hidden is round."""
    if label == 'mug' and handle_visibility < HIDDEN_HANDLE:
        return Y_AXIS_SYMMETRY
    return model.manifest.symmetry_of(label)
