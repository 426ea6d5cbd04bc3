"""MRC-Net: poses of known CAD objects from colour alone.

A crop of each object is classified into a coarse pose, the object is rendered in it, and the
differences between crop and rendering give the rest. No depth is needed; where it arrives, the CAD
model is then fitted to it.

Source: Li et al., MRC-Net: 6-DoF pose estimation with multiscale residual correlation, CVPR 2024.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from pose_estimation_ros.backends import rejections
from pose_estimation_ros.backends.base import BackendOptions, Need, PoseBackend
from pose_estimation_ros.backends.depth_refinement import ModelSurface, chosen_refinement
from pose_estimation_ros.backends.mrc_crops import (
    QUARTER_TURNS,
    CropView,
    classifier_aux,
    color_input,
    crop_pixels,
    crop_square,
    crop_view,
    detection_box_map,
    published_inference_aux,
    regressor_aux,
    rendering_input,
)
from pose_estimation_ros.backends.mrc_hypotheses import (
    COUNT,
    PASSES,
    likely_rotations,
    outline_agreement,
    preference,
)
from pose_estimation_ros.backends.mrc_model import FEATURES, MASK, MRCModel
from pose_estimation_ros.backends.mrc_poses import (
    CoarsePoses,
    best_copies,
    coarse_poses,
    corrected,
    with_rotations,
)
from pose_estimation_ros.core.camera import CameraIntrinsics
from pose_estimation_ros.core.detection import Detection
from pose_estimation_ros.core.errors import ConfigurationError, ModelError
from pose_estimation_ros.core.frame import RGBDFrame
from pose_estimation_ros.core.object_pose import ObjectPose, Rejection
from pose_estimation_ros.core.pose_covariance import sight_covariance, with_unknown_spin
from pose_estimation_ros.core.se3 import make_transform
from pose_estimation_ros.core.so3_grid import axis_deviation
from pose_estimation_ros.rendering.mesh import Mesh
from pose_estimation_ros.runtime import ModelStore

FloatArray = NDArray[np.float64]

_DEFAULT_MODEL = 'mrc_lite'
# More views than this go through the networks in several batches, for the sake of memory.
_MOST_VIEWS = 32
# How exactly the apparent size of an object is known, pixels of the crop.
_SIZE_DEVIATION = 2.0


@dataclass(frozen=True, eq=False)
class _Object:
    """What is asked of the networks about one object.

    Attributes:
        index: Of the object among the model's.
        views: The copies of its crop.
    """

    index: int
    views: tuple[CropView, ...]


@dataclass(frozen=True, eq=False)
class _Answers:
    """What the networks say of B objects.

    Attributes:
        T: (B, 4, 4) poses in the camera of the frame, metres; not finite where there is none.
        confidence: (B,) sigmoid of the logit of the chosen rotation, 0 to 1.
    """

    T: FloatArray
    confidence: FloatArray


@dataclass(frozen=True, eq=False)
class _Crops:
    """N views that went through the classifier.

    Attributes:
        views: The views.
        index: (N,) their objects among the model's.
        K: (N, 3, 3) their cameras.
        output: What the classifier gives of them.
    """

    views: Sequence[CropView]
    index: NDArray[np.int64]
    K: FloatArray
    output: Mapping[str, NDArray[Any]]

    def rows(self, chosen: NDArray[np.intp]) -> _Crops:
        """Return some of the views."""
        return _Crops([self.views[row] for row in chosen], self.index[chosen], self.K[chosen],
                      {name: values[chosen] for name, values in self.output.items()})


class MRCBackend:
    """MRC-Net and what is around it.

    Attributes:
        name: Name in the registry.
        needs: A frame must bring detections, and may bring depth; the model folder brings the CAD
            models.
        categories: Names of the known objects.
    """

    name = 'mrc'

    def __init__(self, model: MRCModel, options: BackendOptions) -> None:
        """Run a loaded model once, so that memory is taken before the first frame.

        Raises:
            ModelError: If the networks do not work together.
        """
        self._model = model
        self._options = options.mrc
        self.categories: tuple[str, ...] = model.manifest.categories
        self._refinement = chosen_refinement(options.mrc.refinement)
        self.needs: frozenset[Need] = frozenset(
            {'detections', 'cad_models'} if self._refinement is None
            else {'detections', 'cad_models', 'depth_if_any'})
        self._surfaces = ({} if self._refinement is None else
                          {name: ModelSurface.of(mesh) for name, mesh in model.meshes.items()})
        self._sizes = {name: _size_about_origin(mesh) for name, mesh in model.meshes.items()}
        copies = self._options.rotated_copies
        several = copies == 'four' or (copies == 'auto' and model.depends_on_batch)
        self._copies = QUARTER_TURNS if several else 1
        self._hypotheses = self._wanted_hypotheses()
        camera = CameraIntrinsics.pinhole(64, 64, 64.0, 64.0, 32.0, 32.0)
        # The last object, so that a network with too few decoders is found out.
        last = self._object(len(self.categories) - 1, np.array([0.0, 0.0, 64.0, 64.0]), camera.K)
        self._answers(np.zeros((64, 64, 3), np.float32), [last])

    def estimate(self, frame: RGBDFrame,
                 detections: Sequence[Detection]) -> list[ObjectPose | Rejection]:
        """Estimate the poses of all detections of a frame as one batch."""
        prepared = [self._prepare(frame, detection) for detection in detections]
        objects = [entry for entry in prepared if isinstance(entry, _Object)]
        if not objects:
            return [entry for entry in prepared if isinstance(entry, Rejection)]
        image = frame.rgb.astype(np.float32)
        batch = (1 if self._model.depends_on_batch else
                 max(_MOST_VIEWS // max(self._copies, self._hypotheses), 1))
        answers = [self._answers(image, objects[first:first + batch])
                   for first in range(0, len(objects), batch)]
        T = np.concatenate([answer.T for answer in answers])
        confidence = np.concatenate([answer.confidence for answer in answers])
        rows = iter(range(len(objects)))
        return [entry if isinstance(entry, Rejection) else
                self._pose(detection, entry, T[row := next(rows)], float(confidence[row]), frame)
                for entry, detection in zip(prepared, detections, strict=True)]

    def describe(self) -> dict[str, str]:
        """Return model, provider, renderer and the number of rotated copies."""
        return {'backend': self.name, **self._model.describe(),
                'rotated copies': str(self._copies), 'hypotheses': str(self._hypotheses),
                'fitted to': 'colour' if self._refinement is None else 'depth while it arrives'}

    def close(self) -> None:
        """Free the networks and the renderer."""
        self._model.close()

    def _prepare(self, frame: RGBDFrame, detection: Detection) -> _Object | Rejection:
        if detection.label not in self.categories:
            return rejections.unknown_label(detection, self._model.manifest.name,
                                            self.categories)
        if not (np.trunc(detection.box[2:]) > np.trunc(detection.box[:2])).any():
            return rejections.no_extent(detection)
        return self._object(self.categories.index(detection.label), detection.box,
                            frame.intrinsics.K)

    def _object(self, index: int, box: FloatArray, K: FloatArray) -> _Object:
        square = crop_square(box)
        return _Object(index, tuple(crop_view(K, square, self._model.crop, turns)
                                    for turns in range(self._copies)))

    def _answers(self, image: NDArray[np.float32], objects: Sequence[_Object]) -> _Answers:
        """Return the poses of objects, whose views go through the networks together.

        Args:
            image: (H, W, 3) colours of the frame, 0 to 255.
            objects: One or more.
        """
        views = [view for entry in objects for view in entry.views]
        index = np.repeat(np.array([entry.index for entry in objects], dtype=np.int64),
                          self._copies)
        K = np.stack([view.K for view in views])
        aux = published_inference_aux if self._options.auxiliary == 'published' else classifier_aux
        output = self._model.classify(
            np.stack([color_input(crop_pixels(image, view), detection_box_map(view))
                      for view in views]), index, np.stack([aux(view) for view in views]))
        coarse = coarse_poses(output, self._model.grid, K)
        by_rotation, by_depth = best_copies(coarse, self._copies, self._options.copy_choice)
        # Copies that are not chosen need no second pass, unless they are part of the statistics.
        wanted = (np.arange(len(views)) if self._model.depends_on_batch
                  else np.unique(np.concatenate([by_rotation, by_depth])))
        crops = _Crops([views[row] for row in wanted], index[wanted], K[wanted],
                       {name: output[name][wanted] for name in output})
        poses = (self._corrected(coarse.rows(wanted), crops) if self._hypotheses == 1
                 else self._best_hypotheses(coarse.rows(wanted), crops))
        T, logit = np.full((len(views), 4, 4), np.nan), np.zeros(len(views))
        T[wanted], logit[wanted] = poses.T, poses.rotation_logit
        turns = np.stack([view.R_turned_camera for view in views])
        back = np.swapaxes(turns, 1, 2)
        return _Answers(
            make_transform(back[by_rotation] @ T[by_rotation, :3, :3],
                           np.einsum('bij,bj->bi', back[by_depth], T[by_depth, :3, 3])),
            expit(logit[by_rotation]))

    def _wanted_hypotheses(self) -> int:
        """Return how many rotations of an object are corrected and compared."""
        model, choice = self._model, self._options.hypotheses
        comparable = model.renders and model.gives_mask and not model.depends_on_batch
        if choice == 'four' and not comparable:
            raise ConfigurationError(
                f'mrc.hypotheses is four, but model {model.manifest.name!r} cannot compare them: '
                'it renders nothing, gives no mask or depends on its batch; choose auto or one')
        if self._copies > 1 and self._options.copy_choice == 'separate':
            if choice == 'four':
                raise ConfigurationError(
                    'mrc.hypotheses is four and mrc.copy_choice is separate: rotation and '
                    'translation would be those of different hypotheses; choose joint or one')
            return 1
        wanted = choice == 'four' or (choice == 'auto' and model.manifest.size == 'lite')
        return COUNT if wanted and comparable else 1

    def _best_hypotheses(self, coarse: CoarsePoses, crops: _Crops) -> CoarsePoses:
        """Return the best of a few corrected rotations of each view; not finite if none is."""
        grid = self._model.grid
        bins = likely_rotations(crops.output['rotation'], grid.rotations)
        poses = with_rotations(coarse, bins, crops.output, grid)
        views = np.repeat(np.arange(len(bins)), bins.shape[1])
        several = crops.rows(views)
        is_usable = np.ones(len(poses.t), dtype=bool)
        for _ in range(PASSES):
            better = self._corrected(poses, several)
            is_usable &= better.is_usable
            # What is no pose cannot be drawn; it stays where it was and loses.
            poses = better.where(is_usable, poses)
        drawn = self._model.render(several.index, poses.T, several.K)
        agreement = outline_agreement(drawn.depth, expit(several.output[MASK][:, 0]))
        rank = np.where(is_usable, preference(agreement, poses.rotation_logit), -np.inf)
        best = rank.reshape(bins.shape).argmax(axis=1) + np.arange(len(bins)) * bins.shape[1]
        found = poses.rows(best)
        found.t[~is_usable[best]] = np.nan
        return found

    def _corrected(self, coarse: CoarsePoses, crops: _Crops) -> CoarsePoses:
        """Return poses in the cameras of the views: render, compare, correct."""
        if not self._model.has_regressor:
            return coarse
        image = None
        if self._model.renders:
            drawn = self._model.render(crops.index, coarse.T, crops.K)
            image = np.stack([rendering_input(shade, depth) for shade, depth
                              in zip(drawn.shade, drawn.depth, strict=True)])
        aux = np.stack([regressor_aux(view, t)
                        for view, t in zip(crops.views, coarse.t, strict=True)])
        features = {name: crops.output[name] for name in FEATURES if name in crops.output}
        return corrected(coarse, self._model.regress(features, image, crops.index, aux),
                         self._model.grid, crops.K)

    def _pose(self, detection: Detection, entry: _Object, T: FloatArray,
              confidence: float, frame: RGBDFrame) -> ObjectPose | Rejection:
        if not (np.isfinite(T).all() and np.isfinite(confidence)) or T[2, 3] <= 0:
            return rejections.no_pose_in_front(detection, T[:3, 3], confidence)
        symmetry = self._model.manifest.symmetry_of(detection.label)
        mesh = self._model.shown[detection.label]
        pose = ObjectPose(
            label=detection.label,
            score=float(detection.score * confidence),
            T_camera_object=T,
            size=self._sizes[detection.label],
            symmetry=symmetry,
            covariance=with_unknown_spin(self._covariance(T[:3, 3], entry.views[0]), T[:3, :3],
                                         symmetry),
            source=self.name,
            detection=detection,
            points=mesh.vertices,
            faces=mesh.faces)
        if self._refinement is None or frame.depth is None:
            return pose
        return self._refinement(pose, self._surfaces[detection.label], frame)

    def _covariance(self, t: FloatArray, view: CropView) -> FloatArray:
        """Return (6, 6) how far a right pose may be off: what the classes leave open.

        Across the line of sight that is one cell of the crop, about each axis what separates a
        rotation from the nearest of the grid, along it two pixels of the object's size.
        """
        grid = self._model.grid
        distance = float(t[2])
        metres_per_pixel = distance / view.K[0, 0]
        cell = metres_per_pixel * view.crop / grid.translation.cells
        extent = view.crop * view.square.box_size.max() / view.square.side
        bin_width = (grid.depths[-1] - grid.depths[0]) / max(len(grid.depths) - 1, 1)
        along = max(distance * _SIZE_DEVIATION / extent, bin_width * view.K[0, 0])
        return sight_covariance(t, along, cell, axis_deviation(len(grid.rotations)))


def create_mrc(options: BackendOptions) -> PoseBackend:
    """Create the backend for the model named in the options, or the default one.

    Raises:
        ModelError: If the model is missing, damaged, or made for another backend.
        ConfigurationError: If the device or the renderer's library is not there.
    """
    store = ModelStore()
    if not options.model and _DEFAULT_MODEL not in store.names():
        # Models of categories, which the store would list, are no help here.
        raise ModelError(
            f'the backend {MRCBackend.name!r} needs a model of your objects: none is named, and '
            f'its default, {_DEFAULT_MODEL!r}, is in none of '
            f'{", ".join(map(str, store.folders))}; make one of your CAD models as '
            'docs/known_objects.md tells, or `pose-estimation import mrc` a published checkpoint, '
            'and give its folder (model:=<folder>, --model <folder>)')
    model = store.find(options.model or _DEFAULT_MODEL, task='pose')
    if model.manifest.backend != MRCBackend.name:
        raise ModelError(f'model {model.manifest.name!r} is made for the backend '
                         f'{model.manifest.backend!r}, not for {MRCBackend.name!r}; choose that '
                         'backend, or a model of known objects (docs/known_objects.md)')
    return MRCBackend(MRCModel(model, options.device, options.threads), options)


def _size_about_origin(mesh: Mesh) -> FloatArray:
    """Return the (3,) size of the least box centred on the object frame's origin, metres.

    It is the CAD model's own box if that is centred on the origin, as those of BOP are.
    """
    return np.asarray(2.0 * np.abs(mesh.bounds.astype(np.float64)).max(axis=0))
