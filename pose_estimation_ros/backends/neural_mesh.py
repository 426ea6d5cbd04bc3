"""The backend `neural_mesh`: objects of known categories found and posed from colour alone.

Source: Ma et al., Robust category-level 6D pose estimation with coarse-to-fine rendering of
neural features (ECCV 2022). Metric scale, scores as probabilities and covariances are ours.
"""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from pose_estimation_ros.backends import rejections
from pose_estimation_ros.backends.base import BackendOptions, Need
from pose_estimation_ros.backends.neural_mesh_calibration import MeshCalibration
from pose_estimation_ros.backends.neural_mesh_model import FeatureMap, NeuralMeshModel
from pose_estimation_ros.backends.neural_mesh_proposals import CellBox
from pose_estimation_ros.backends.neural_mesh_scale import (
    SizeScale,
    at_cells,
    category_scale,
    depth_scale,
    with_scale,
)
from pose_estimation_ros.backends.neural_mesh_search_space import solver_settings, view_rotations
from pose_estimation_ros.backends.neural_mesh_solver import Candidate, NeuralMeshSolver
from pose_estimation_ros.core.detection import Detection
from pose_estimation_ros.core.errors import ModelError
from pose_estimation_ros.core.frame import RGBDFrame
from pose_estimation_ros.core.object_pose import ObjectPose, Rejection
from pose_estimation_ros.core.pose_covariance import with_unknown_spin
from pose_estimation_ros.runtime import ModelStore

FloatArray = NDArray[np.float64]

_DEFAULT_MODEL = 'neural_mesh'
# An object so many deviations away from the sizes of its category is something else.
_FARTHEST_SIZE = 4.0


class NeuralMeshBackend:
    """The neural meshes of a model and what is around them.

    Attributes:
        name: Name in the registry.
        needs: Nothing, but for what the options ask for.
        categories: Of the model.
    """

    name = 'neural_mesh'

    def __init__(self, model: NeuralMeshModel, options: BackendOptions) -> None:
        """Prepare the search for the wanted categories.

        Raises:
            ModelError: If the manifest's settings of the search cannot be used.
        """
        self._model = model
        self._options = options.neural_mesh
        self.needs: frozenset[Need] = _needs(options)
        self.categories: tuple[str, ...] = model.manifest.categories
        self._calibration = MeshCalibration.of(model.manifest)
        self._labels: tuple[str, ...] | None = None
        self.retune(options)

    def retune(self, options: BackendOptions) -> None:
        """Follow another least probability and other labels from the next frame on."""
        given = options.neural_mesh.min_probability
        self._least = self._calibration.least if given is None else given
        self._rejects_outcompeted = given != 0.0
        if options.labels == self._labels:
            return
        wanted = [name for name in self.categories
                  if not options.labels or name in options.labels]
        manifest = self._model.manifest
        self._solver = NeuralMeshSolver(
            {name: self._model.meshes[name] for name in wanted},
            {name: view_rotations(manifest, name) for name in wanted},
            solver_settings(manifest, options.neural_mesh))
        self._labels = options.labels

    def estimate(self, frame: RGBDFrame,
                 detections: Sequence[Detection]) -> list[ObjectPose | Rejection]:
        """Find the objects of a frame, or pose those that a detector has found.

        Returns:
            One answer per object found; with proposals of a detector one per detection.
        """
        if 'detections' in self.needs:
            return self._of_detections(frame, detections)
        found, candidates = self.find(frame)
        return [self._answer(frame, found, candidate, self._detection(frame, candidate))
                for candidate in candidates]

    def find(self, frame: RGBDFrame) -> tuple[FeatureMap, list[Candidate]]:
        """Return the features of a frame and what the search finds in them, unjudged."""
        found = self._model.extract(frame.rgb, frame.intrinsics)
        return found, self._solver.solve(found.features, found.K)

    def describe(self) -> dict[str, str]:
        """Return model, provider, working size and what was chosen."""
        return {'backend': self.name, **self._model.describe(),
                'proposals': self._options.proposals, 'scale': self._options.scale}

    def close(self) -> None:
        """Free the extractor."""
        self._model.close()

    def _of_detections(self, frame: RGBDFrame,
                       detections: Sequence[Detection]) -> list[ObjectPose | Rejection]:
        """Return one answer per detection: the best pose of its category in its box."""
        known = [detection for detection in detections if detection.label in self.categories]
        answers: dict[int, ObjectPose | Rejection] = {
            id(detection): rejections.unknown_label(detection, self._model.manifest.name,
                                                    self.categories)
            for detection in detections if detection.label not in self.categories}
        if known:
            found = self._model.extract(frame.rgb, frame.intrinsics)
            height, width = frame.rgb.shape[:2]
            scale = np.tile(np.divide(found.cells[::-1], (width, height)), 2)
            # Centres of cells are whole numbers, borders of pixels are.
            boxes = [CellBox(detection.label, detection.box * scale - 0.5)
                     for detection in known]
            candidates = self._solver.solve(found.features, found.K, boxes=boxes)
            by_box = {candidate.box: candidate for candidate in candidates}
            for number, detection in enumerate(known):
                candidate = by_box.get(number)
                answers[id(detection)] = (
                    Rejection(detection, 'no pose of the category explains anything in its box')
                    if candidate is None
                    else self._answer(frame, found, candidate, detection))
        return [answers[id(detection)] for detection in detections]

    def _detection(self, frame: RGBDFrame, candidate: Candidate) -> Detection:
        """Return a detection of the candidate's own pixels, those of all it covers if none."""
        cells = candidate.mask if candidate.mask.any() else candidate.silhouette
        height, width = frame.rgb.shape[:2]
        # Half-way between cells that are the object's and cells that are not is its border.
        share = cv2.resize(cells.astype(np.float32), (width, height),
                           interpolation=cv2.INTER_LINEAR)
        mask = share >= 0.5
        rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
        if not rows.size:
            return Detection(candidate.category, candidate.score, np.zeros(4),
                             np.zeros((0, 0), dtype=np.bool_))
        top, bottom, left, right = rows[0], rows[-1] + 1, columns[0], columns[-1] + 1
        return Detection(candidate.category, self._calibration.probability(candidate),
                         np.array([left, top, right, bottom], dtype=np.float64),
                         np.ascontiguousarray(mask[top:bottom, left:right]),
                         (int(left), int(top)))

    def _answer(self, frame: RGBDFrame, found: FeatureMap, candidate: Candidate,
                detection: Detection) -> ObjectPose | Rejection:
        score = self._calibration.probability(candidate)
        t = candidate.T_camera_object[:3, 3]
        if not (np.isfinite(candidate.T_camera_object).all() and t[2] > 0):
            return rejections.no_pose_in_front(detection, t, score)
        if candidate.is_outcompeted and self._rejects_outcompeted:
            return Rejection(detection, 'other objects explain its pixels better')
        if score < self._least:
            return Rejection(detection, f'only {score:.2f} likely to be a {candidate.category}, '
                             f'less than {self._least:.2f}')
        scale = self._scale(frame, found, candidate)
        spread = self._model.size_spread[candidate.category]
        if scale.source == 'depth' and abs(np.log(scale.observed)) > _FARTHEST_SIZE * spread:
            return Rejection(detection, f'by its depth it is {scale.observed:.2f} times as large '
                             f'as a {candidate.category} is in the mean: it is something else, '
                             'or depth is not aligned to colour')
        symmetry = self._model.manifest.symmetry_of(candidate.category)
        T = candidate.T_camera_object.copy()
        T[:3, 3] *= scale.factor
        fixed = self._calibration.covariance(candidate, scale.factor)
        return ObjectPose(
            label=candidate.category, score=score, T_camera_object=T,
            size=scale.factor * candidate.extents, symmetry=symmetry, source=self.name,
            detection=detection,
            covariance=with_unknown_spin(with_scale(fixed, T[:3, 3], scale.deviation),
                                         T[:3, :3], symmetry))

    def _scale(self, frame: RGBDFrame, found: FeatureMap, candidate: Candidate) -> SizeScale:
        spread = self._model.size_spread[candidate.category]
        measured = None
        if frame.depth is not None and self._options.scale != 'category':
            surface, roughness = self._calibration.surface(candidate.category)
            diagonal = float(np.linalg.norm(candidate.extents))
            measured = depth_scale(
                at_cells(frame.depth, found.cells)[candidate.mask].astype(np.float64),
                candidate.depth[candidate.mask], surface * diagonal, roughness * diagonal, spread)
        return measured or category_scale(spread)


def _needs(options: BackendOptions) -> frozenset[Need]:
    scale: dict[str, Need] = {'depth': 'depth', 'auto': 'depth_if_any'}
    needs: set[Need] = set()
    if options.neural_mesh.scale in scale:
        needs.add(scale[options.neural_mesh.scale])
    if options.neural_mesh.proposals == 'detector':
        needs.add('detections')
    return frozenset(needs)


def create_neural_mesh(options: BackendOptions) -> NeuralMeshBackend:
    """Create the backend for the model named in the options, or the shipped one.

    Raises:
        ModelError: If the model is missing, damaged, or made for another backend.
        ConfigurationError: If the device is not there.
    """
    model = ModelStore().find(options.model or _DEFAULT_MODEL, task='pose')
    if model.manifest.backend != NeuralMeshBackend.name:
        raise ModelError(f'model {model.manifest.name!r} is made for the backend '
                         f'{model.manifest.backend!r}, not for {NeuralMeshBackend.name!r}; choose '
                         'that backend, or a model of neural meshes (docs/neural_mesh.md)')
    return NeuralMeshBackend(NeuralMeshModel(model, options.device, options.threads), options)
