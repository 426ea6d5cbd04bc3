"""Every backend with a full network: one that takes a colour crop and the points in it.

Runs our own `full` weights and imported published ones of `spd`, `crnet` and `acr`, which take
and give the same: prepared and aligned as the published evaluation does (spec section 3).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pose_estimation_ros.backends import rejections
from pose_estimation_ros.backends.base import BackendOptions, Need
from pose_estimation_ros.backends.correspondences import OBSERVATIONS
from pose_estimation_ros.backends.spd_preprocessing import (
    CROP_RULE,
    CROP_SIZE,
    MINIMUM_POINTS,
    ObjectInput,
    box_centre,
    first_of_each_pixel,
    object_input,
)
from pose_estimation_ros.core.alignment import Alignment, Similarity, align_robustly
from pose_estimation_ros.core.detection import Detection
from pose_estimation_ros.core.errors import ModelError
from pose_estimation_ros.core.frame import RGBDFrame
from pose_estimation_ros.core.object_pose import ObjectPose, Rejection
from pose_estimation_ros.core.pose_covariance import fit_covariance, with_unknown_spin
from pose_estimation_ros.core.se3 import make_transform
from pose_estimation_ros.runtime import InferenceSession, Model


class FullBackend:
    """A full network, the robust alignment, and what is around them.

    Attributes:
        name: Name in the registry: the backend that the model is made for.
        needs: A frame must bring depth and detections.
        categories: Labels the model knows.
    """

    needs: frozenset[Need] = frozenset({'depth', 'detections'})

    def __init__(self, model: Model, options: BackendOptions) -> None:
        """Load the model.

        Raises:
            ModelError: If the model is damaged, not a full one, or wants crops made otherwise.
        """
        manifest = model.manifest
        if manifest.size != 'full' or 'points' not in manifest.input:
            raise ModelError(f'model {manifest.name!r} is {manifest.backend} {manifest.size}; '
                             'this backend runs full models, whose manifest says input.points')
        if manifest.input.get('crop_rule') != CROP_RULE:
            raise ModelError(f'model {manifest.name!r} wants crops made by the rule '
                             f'{manifest.input.get("crop_rule")!r}; only {CROP_RULE!r} is known')
        self.name = manifest.backend
        self.categories: tuple[str, ...] = manifest.categories
        self._model = model
        self._points = int(manifest.input['points'])
        # Published mugs have their origin on the cup's axis, ours in the centre of the box.
        self._recentred = (frozenset() if options.object_frame == 'spd' else
                           frozenset(manifest.parameters.get('recentred_categories', ())))
        self._seed = options.seed
        self._session = InferenceSession(model.file('network'), options.device, options.threads)
        self._session.warm_up({
            'points': (1, self._points, 3), 'image': (1, 3, CROP_SIZE, CROP_SIZE),
            'pixel_index': (1, self._points), 'category': (1,)})

    def estimate(self, frame: RGBDFrame,
                 detections: Sequence[Detection]) -> list[ObjectPose | Rejection]:
        """Estimate the poses of all detections of a frame as one batch."""
        prepared = [self._prepare(frame, detection) for detection in detections]
        inputs = [entry for entry in prepared if isinstance(entry, ObjectInput)]
        if not inputs:
            return [entry for entry in prepared if isinstance(entry, Rejection)]
        seen = [detection for detection, entry in zip(detections, prepared, strict=True)
                if isinstance(entry, ObjectInput)]
        points = np.stack([entry.points for entry in inputs])
        pixel_index = np.stack([entry.pixel_index for entry in inputs])
        output = self._session.run({
            'points': points,
            'image': np.stack([entry.image for entry in inputs]),
            'pixel_index': pixel_index,
            'category': np.array([self.categories.index(detection.label) for detection in seen],
                                 dtype=np.int64)})
        distinct = np.zeros(pixel_index.shape, dtype=np.bool_)
        for row, index in enumerate(pixel_index):
            distinct[row, first_of_each_pixel(index)] = True
        alignment = align_robustly(output['nocs'].astype(np.float64), points.astype(np.float64),
                                   distinct, seed=self._seed)
        poses = iter([self._answer(detection, alignment, points, output, row)
                      for row, detection in enumerate(seen)])
        return [entry if isinstance(entry, Rejection) else next(poses) for entry in prepared]

    def describe(self) -> dict[str, str]:
        """Return the model's name and the provider that runs it."""
        return {'backend': self.name, 'model': self._model.manifest.name,
                'provider': self._session.providers[0]}

    def close(self) -> None:
        """Free the session."""
        self._session.close()

    def _prepare(self, frame: RGBDFrame, detection: Detection) -> ObjectInput | Rejection:
        if frame.depth is None:
            return rejections.no_depth(detection, self.name)
        if detection.label not in self.categories:
            return rejections.unknown_label(detection, self._model.manifest.name,
                                            self.categories)
        # A generator each: the answer for an object does not depend on the others.
        generator = np.random.default_rng(self._seed)
        prepared = object_input(frame, detection, self._points, generator)
        if prepared is None:
            return rejections.few_points(detection, MINIMUM_POINTS)
        return prepared

    def _answer(self, detection: Detection, alignment: Alignment, points: NDArray[np.float32],
                output: Mapping[str, NDArray[Any]], row: int) -> ObjectPose | Rejection:
        scale = float(alignment.similarity.scale[row])
        if not alignment.valid[row] or not np.isfinite(scale):
            return rejections.no_agreement(detection, float(alignment.inlier_ratio[row]))
        shape = output['shape'][row].astype(np.float64)
        coordinates = output['nocs'][row].astype(np.float64)
        offset = np.zeros(3)
        if detection.label in self._recentred:
            offset = box_centre(shape)
            shape, coordinates = shape - offset, coordinates - offset
        size = 2.0 * scale * np.abs(shape).max(axis=0)
        if not rejections.is_size(size):
            return rejections.no_size(detection, size)
        R = alignment.similarity.R[row]
        t = alignment.similarity.t[row] + scale * R @ offset
        symmetry = self._model.manifest.symmetry_of(detection.label)
        (covariance,) = fit_covariance(
            Similarity(np.array([scale]), R[None], t[None]), coordinates[None], points[[row]],
            alignment.inliers[[row]], OBSERVATIONS)
        if detection.label in self._recentred:
            # Ours are shares of the box's own diagonal, theirs of a box around the cup's axis.
            coordinates *= scale / np.linalg.norm(size)
        return ObjectPose(
            label=detection.label,
            score=float(detection.score * alignment.inlier_ratio[row]),
            T_camera_object=make_transform(R, t),
            size=size,
            symmetry=symmetry,
            covariance=with_unknown_spin(covariance, R, symmetry),
            source=self.name,
            detection=detection,
            points=(scale * shape).astype(np.float32),
            nocs=coordinates.astype(np.float32),
            inlier_ratio=float(alignment.inlier_ratio[row]),
            residual=float(alignment.residual[row]))
