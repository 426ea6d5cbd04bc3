"""Calibration of a neural mesh model on validation frames: scores, covariances, surfaces.

A candidate is right when it points at an object of its category and its rotation is off by less
than 30 degrees, symmetries considered: what the papers of neural meshes count. Distance is left
out, since a colour image does not tell it.
"""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pose_estimation_ros.backends.base import BackendOptions
from pose_estimation_ros.backends.neural_mesh import NeuralMeshBackend
from pose_estimation_ros.backends.neural_mesh_calibration import (
    EVIDENCE,
    PARAMETER,
    MeshCalibration,
    evidence,
)
from pose_estimation_ros.backends.neural_mesh_model import NeuralMeshModel
from pose_estimation_ros.backends.neural_mesh_options import NeuralMeshOptions
from pose_estimation_ros.backends.neural_mesh_scale import at_cells
from pose_estimation_ros.backends.neural_mesh_search_space import PARAMETER as SEARCH
from pose_estimation_ros.backends.neural_mesh_solver import Candidate
from pose_estimation_ros.core.errors import ConfigurationError, InvalidInputError
from pose_estimation_ros.core.rotation import matrix_to_axis_angle
from pose_estimation_ros.datasets.annotated_frame import AnnotatedFrame, ObjectAnnotation
from pose_estimation_ros.evaluation.confidence_accuracy import area_under_curve
from pose_estimation_ros.evaluation.data_folders import Data
from pose_estimation_ros.evaluation.logistic_regression import fit_logistic
from pose_estimation_ros.evaluation.occlusion_metric import pointed_at
from pose_estimation_ros.evaluation.pose_accuracy import symmetry_as_seen
from pose_estimation_ros.evaluation.predictions import FrameTruth, Prediction
from pose_estimation_ros.evaluation.report import circumstances
from pose_estimation_ros.runtime import Model
from pose_estimation_ros.runtime.manifest import write_manifest

FloatArray = NDArray[np.float64]

_RIGHT = np.pi / 6
_PENALTY = 5.0
_LEAST_SAMPLES = 40
_FOLDS = 5
# Medians of the chi-square distribution with 4 and with 5 degrees of freedom.
_MEDIAN_SQUARE = {4: 3.3567, 5: 4.3515}
_TO_DEVIATION = 1.4826
_LEAST_PIXELS = 12
# Of neighbouring cells, which are alike, so many are looked at once.
_CELL_STRIDE = 8


@dataclass(frozen=True, eq=False)
class JudgedCandidate:
    """A candidate and what the truth says of it.

    Attributes:
        category: That it was found as.
        evidence: (E,) what it tells of itself.
        right: Whether an object is there, turned so.
        square: Squared error at a known distance, normalised by its uncalibrated covariance, over
            what half of all errors stay below; NaN if it is wrong.
        surface: Depth of the object's surface behind the cuboid, in shares of the diagonal; NaN
            if it is wrong or nothing is known.
    """

    category: str
    evidence: FloatArray
    right: bool
    square: float = float('nan')
    surface: float = float('nan')


@dataclass(frozen=True, eq=False)
class MeshCalibrationResult:
    """What a calibration comes to.

    Attributes:
        calibration: What was fitted.
        candidates: How many it was fitted to.
        right: How many of them are right.
        area: Area under the curve of candidates that a model was not fitted to.
    """

    calibration: MeshCalibration
    candidates: int
    right: int
    area: float


def calibrate_neural_mesh(model: Model, folders: Sequence[Path],
                          threads: int = 0) -> MeshCalibrationResult:
    """Calibrate a model on frames with truth and write the result into its manifest.

    Args:
        model: Its folder must be writable.
        folders: Validation frames in any layout, with depth and masks where surfaces are to be
            measured.
        threads: Of the extractor; 0 lets ONNX Runtime choose.

    Raises:
        ModelError: If it is no neural mesh model, or damaged.
        ConfigurationError: If the model's folder cannot be written.
        InvalidInputError: If the data cannot be used or hold too few objects.
    """
    if not os.access(model.folder, os.W_OK):
        raise ConfigurationError(f'{model.folder} cannot be written; copy the model to a folder '
                                 'of your own, and calibrate that')
    searched = with_background(model, folders, threads)
    options = BackendOptions(threads=threads, neural_mesh=NeuralMeshOptions(scale='category'))
    with closing(NeuralMeshBackend(NeuralMeshModel(searched, 'auto', threads),
                                   options)) as backend:
        samples = [sample for folder in folders for frame in Data(folder).open()
                   for sample in judged_candidates(backend, frame)]
    result = MeshCalibrationResult(fitted(samples), len(samples),
                                   sum(sample.right for sample in samples),
                                   cross_validated(samples))
    facts = {'right': 'rotation off by less than 30 degrees',
             'data': [str(folder) for folder in folders], 'candidates': result.candidates,
             'right candidates': result.right, 'AUC, cross-validated': round(result.area, 4),
             'commit': circumstances()['commit']}
    parameters = {**searched.manifest.parameters,
                  PARAMETER: {**result.calibration.as_plain(), 'made with': facts}}
    write_manifest(replace(model.manifest, parameters=parameters), model.folder)
    return result


def with_background(model: Model, folders: Sequence[Path], threads: int = 0) -> Model:
    """Return the model with what a cell must exceed to be an object: `search.background`.

    It is the median, over the cells of objects, of the best similarity with any vertex of another
    category: half of what is another object does not exceed it. Without masks nothing changes.

    Args:
        model: Of neural meshes.
        folders: Validation frames.
        threads: Of the extractor.
    """
    with closing(NeuralMeshModel(model, 'auto', threads)) as loaded:
        similar = [value for folder in folders for frame in Data(folder).open()
                   for value in _of_others(loaded, frame)]
    if not similar:
        return model
    search = {**model.manifest.parameters.get(SEARCH, {}),
              'background': round(float(np.median(similar)), 3)}
    parameters = {**model.manifest.parameters, SEARCH: search}
    return Model(replace(model.manifest, parameters=parameters), model.folder)


def judged_candidates(backend: NeuralMeshBackend,
                      frame: AnnotatedFrame) -> Iterator[JudgedCandidate]:
    """Yield the candidates of a frame with what the truth says of each."""
    found, candidates = backend.find(frame.frame)
    # Those are no answers, however likely they look.
    candidates = [candidate for candidate in candidates if not candidate.is_outcompeted]
    depth = (None if frame.frame.depth is None
             else at_cells(frame.frame.depth, found.cells).astype(np.float64))
    truth = FrameTruth.of(frame)
    answers = [Prediction(candidate.category, candidate.score, candidate.T_camera_object,
                          candidate.extents) for candidate in candidates]
    by_instance = {entry.instance_id: entry for entry in truth.objects}
    owners = {id(answer): by_instance[instance]
              for instance, answer in pointed_at(truth, answers).items()}
    for candidate, answer in zip(candidates, answers, strict=True):
        yield _judged(candidate, owners.get(id(answer)), depth)


def fitted(samples: Sequence[JudgedCandidate]) -> MeshCalibration:
    """Fit a calibration.

    Raises:
        InvalidInputError: If there are too few samples, or none is right or none is wrong.
    """
    right = np.array([sample.right for sample in samples], dtype=np.bool_)
    if len(samples) < _LEAST_SAMPLES or right.all() or not right.any():
        raise InvalidInputError(
            f'a calibration needs {_LEAST_SAMPLES} candidates or more, right and wrong ones; here '
            f'are {len(samples)}, of which {int(right.sum())} are right; give more frames')
    values = np.stack([sample.evidence for sample in samples])
    mean, deviation = values.mean(axis=0), np.maximum(values.std(axis=0), 1e-6)
    categories = sorted({sample.category for sample in samples})
    member = [[sample.category == name for name in categories] for sample in samples]
    design = np.concatenate([np.ones((len(samples), 1)), (values - mean) / deviation, member],
                            axis=1)
    weights = fit_logistic(design, right, _PENALTY)
    count = 1 + len(EVIDENCE)
    squares = np.array([sample.square for sample in samples])
    noise = float(np.nanmedian(squares)) if np.isfinite(squares).any() else 1.0
    likely = 1.0 / (1.0 + np.exp(-(design @ weights)))
    return MeshCalibration(mean, deviation, weights[:count],
                           dict(zip(categories, weights[count:].tolist(), strict=True)),
                           best_threshold(likely, right), noise, _surfaces(samples))


def best_threshold(likely: FloatArray, right: NDArray[np.bool_]) -> float:
    """Return the probability from which on (S,) candidates are best taken: the highest F2.

    It weighs a lost pose as two false ones: whoever wants fewer of these raises `min_score`.
    """
    order = np.argsort(-likely)
    hits = np.cumsum(right[order])
    f2 = 5 * hits / (np.arange(1, len(right) + 1) + 4 * right.sum())
    return float(likely[order[f2.argmax()]])


def cross_validated(samples: Sequence[JudgedCandidate]) -> float:
    """Return the area under the curve of candidates that the model was not fitted to.

    Folds are stretches of the data, so that candidates of one frame stay together.
    """
    fold = np.arange(len(samples)) * _FOLDS // len(samples)
    scores = np.zeros(len(samples))
    for number in range(_FOLDS):
        model = fitted([sample for sample, own in zip(samples, fold, strict=True)
                        if own != number])
        for index in np.flatnonzero(fold == number).tolist():
            scores[index] = model.probability_of(samples[index].evidence,
                                                 samples[index].category)
    return area_under_curve(scores, np.array([sample.right for sample in samples]))


def _judged(candidate: Candidate, truth: ObjectAnnotation | None,
            depth: FloatArray | None) -> JudgedCandidate:
    told = evidence(candidate)
    if truth is None:
        return JudgedCandidate(candidate.category, told, right=False)
    symmetry = symmetry_as_seen(truth)
    T, T_true = candidate.T_camera_object, truth.T_camera_object
    R = symmetry.nearest_rotation(T[:3, :3], T_true[:3, :3])
    turn = matrix_to_axis_angle(R @ T_true[:3, :3].T)
    if np.linalg.norm(turn) >= _RIGHT:
        return JudgedCandidate(candidate.category, told, right=False)
    distance = float(np.linalg.norm(T_true[:3, 3]) / np.linalg.norm(T[:3, 3]))
    shift = T[:3, 3] - T_true[:3, 3] / distance
    free = _free_directions(T[:3, 3], None if symmetry.axis is None
                            else R @ np.asarray(symmetry.axis))
    error = np.concatenate([shift, turn]) @ free
    covariance = free.T @ MeshCalibration().covariance(candidate) @ free
    square = float(error @ np.linalg.solve(covariance, error)) / _MEDIAN_SQUARE[error.size]
    return JudgedCandidate(candidate.category, told, right=True, square=square,
                           surface=_surface(candidate, depth, distance))


def _of_others(model: NeuralMeshModel, frame: AnnotatedFrame) -> Iterator[float]:
    """Yield how similar a sample of an object's cells is to the categories that it is not of."""
    if frame.instance_map is None:
        return
    found = model.extract(frame.frame.rgb, frame.frame.intrinsics)
    owner = at_cells(frame.instance_map, found.cells)
    for name, mesh in model.meshes.items():
        others = [entry.instance_id for entry in frame.objects if entry.label != name]
        cells = found.features[:, np.isin(owner, others)][:, ::_CELL_STRIDE]
        if cells.shape[1]:
            yield from (mesh.features @ cells).max(axis=0).tolist()


def _free_directions(t: FloatArray, axis: FloatArray | None) -> FloatArray:
    """Return (6, n) unit errors that count: none along the sight, none about the axis."""
    gone = [np.concatenate([t, np.zeros(3)])]
    if axis is not None:
        gone.append(np.concatenate([np.zeros(3), axis]))
    _, _, rows = np.linalg.svd(np.stack(gone))
    return np.asarray(rows[len(gone):].T)


def _surface(candidate: Candidate, depth: FloatArray | None, distance: float) -> float:
    if depth is None:
        return float('nan')
    behind = (depth / distance - candidate.depth)[candidate.mask]
    behind = behind[np.isfinite(behind)]
    if behind.size < _LEAST_PIXELS:
        return float('nan')
    return float(np.median(behind) / np.linalg.norm(candidate.extents))


def _surfaces(samples: Sequence[JudgedCandidate]) -> dict[str, tuple[float, float]]:
    """Return median and deviation of the surfaces of each category that was measured."""
    known: dict[str, list[float]] = defaultdict(list)
    for sample in samples:
        if np.isfinite(sample.surface):
            known[sample.category].append(sample.surface)
    medians = {name: float(np.median(values)) for name, values in known.items()}
    return {name: (medians[name], _TO_DEVIATION * float(np.median(np.abs(
        np.subtract(values, medians[name])))))
        for name, values in known.items() if len(values) > 1}
