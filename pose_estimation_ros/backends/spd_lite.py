"""The `spd` backend with a lite network: shape prior deformation on the points of each mask."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pose_estimation_ros.backends import rejections
from pose_estimation_ros.backends.base import BackendOptions, Need
from pose_estimation_ros.backends.correspondences import PoseBatch, solve_poses
from pose_estimation_ros.backends.point_preparation import (
    NormalizedPoints,
    choose_points,
    masked_points,
    normalize_points,
)
from pose_estimation_ros.core.detection import Detection
from pose_estimation_ros.core.errors import ModelError
from pose_estimation_ros.core.frame import RGBDFrame
from pose_estimation_ros.core.object_pose import ObjectPose, Rejection
from pose_estimation_ros.runtime import InferenceSession, Model

# Fewer points than this do not determine a pose; SPD draws the same line (spec section 3).
MINIMUM_POINTS = 32
# The network offers several placements. One that it finds less probable than this is compared
# with the next one, which costs a second run.
_SURE = 0.5
# What makes one answer better than another: how well its coordinates fit a rigid pose counts
# more than how probable the network found the placement. Chosen on validation crops.
_RESIDUAL_WEIGHT, _PROBABILITY_WEIGHT = 40.0, 0.25


@dataclass(frozen=True)
class _Answers:
    """What the network and the alignment say of B objects.

    Attributes:
        poses: The poses.
        nocs: (B, N, 3) NOCS coordinates of the points.
        shapes: (B, V, 3) reconstructed surfaces, NOCS coordinates.
        probability: (B,) of the placement taken.
    """

    poses: PoseBatch
    nocs: NDArray[np.float32]
    shapes: NDArray[np.float32]
    probability: NDArray[np.float32]

    def quality(self) -> NDArray[np.float64]:
        """Return (B,) how good the answers are; only differences for one object mean anything."""
        poses = self.poses
        with np.errstate(divide='ignore', invalid='ignore'):
            fit = np.log(poses.inlier_ratio) - _RESIDUAL_WEIGHT * poses.residual / poses.scale
        quality = fit + _PROBABILITY_WEIGHT * np.log(np.maximum(self.probability, 1e-9))
        return np.where(poses.valid & np.isfinite(quality), quality, -np.inf)

    def improved(self, rows: NDArray[np.intp], others: _Answers) -> _Answers:
        """Return the answers with those of some rows replaced where others are better."""
        better = others.quality() > self.quality()[rows]
        rows = rows[better]

        def merged(own: NDArray[Any], other: NDArray[Any]) -> NDArray[Any]:
            result = own.copy()
            result[rows] = other[better]
            return result

        poses = PoseBatch(*(merged(getattr(self.poses, field.name),
                                   getattr(others.poses, field.name))
                            for field in fields(PoseBatch)))
        return _Answers(poses, merged(self.nocs, others.nocs),
                        merged(self.shapes, others.shapes),
                        merged(self.probability, others.probability))


class SpdLiteBackend:
    """Shape prior deformation with a `lite` network.

    Attributes:
        name: Name in the registry.
        needs: A frame must bring depth and detections.
        categories: Labels the model knows.
        points: Points per object that the network takes.
    """

    name = 'spd'
    needs: frozenset[Need] = frozenset({'depth', 'detections'})

    def __init__(self, model: Model, options: BackendOptions) -> None:
        """Load the model.

        Raises:
            ModelError: If the model is damaged or not a lite SPD.
        """
        manifest = model.manifest
        if (manifest.backend, manifest.size) != (self.name, 'lite'):
            raise ModelError(f'model {manifest.name!r} is {manifest.backend} {manifest.size}; '
                             'this backend runs spd lite models')
        self._model = model
        self.categories: tuple[str, ...] = manifest.categories
        self.points = int(manifest.input['points'])
        self._seed = options.seed
        self._session = InferenceSession(model.file('network'), options.device, options.threads)
        self._session.warm_up({'points': (1, self.points, 3), 'condition': (1, 3),
                               'category': (1,), 'rank': (1,)})

    def estimate(self, frame: RGBDFrame,
                 detections: Sequence[Detection]) -> list[ObjectPose | Rejection]:
        """Estimate the poses of all detections of a frame as one batch."""
        clouds = [self._cloud(frame, detection) for detection in detections]
        seen = [(cloud, detection) for cloud, detection in zip(clouds, detections, strict=True)
                if not isinstance(cloud, Rejection)]
        if not seen or frame.depth is None:
            return [cloud for cloud in clouds if isinstance(cloud, Rejection)]
        poses, nocs, shapes = self.solve(
            np.stack([cloud for cloud, _ in seen]), [detection.label for _, detection in seen],
            frame.up)
        answers = iter([self._answer(detection, poses, nocs, shapes, row)
                        for row, (_, detection) in enumerate(seen)])
        return [cloud if isinstance(cloud, Rejection) else next(answers) for cloud in clouds]

    def solve(self, points: NDArray[np.float32], labels: Sequence[str],
              up: NDArray[np.float64] | None,
              ) -> tuple[PoseBatch, NDArray[np.float32], NDArray[np.float32]]:
        """Estimate poses from point clouds.

        Args:
            points: (B, N, 3) metres, camera optical frame, N as the model takes.
            labels: Category of each object.
            up: (3,) unit direction away from the ground, camera optical frame; None = unknown.

        Returns:
            The poses, the (B, N, 3) NOCS coordinates of the points, and the (B, V, 3)
            reconstructed surfaces in NOCS coordinates.
        """
        directions = np.tile(np.full(3, np.nan) if up is None else up, (len(points), 1))
        prepared = normalize_points(points, directions)
        category = np.array([self.categories.index(label) for label in labels], dtype=np.int64)
        answers = self._answers(points, prepared, category, np.arange(len(points)), 0)
        unsure = np.flatnonzero(answers.probability < _SURE)
        if unsure.size:
            answers = answers.improved(
                unsure, self._answers(points, prepared, category, unsure, 1))
        return answers.poses, answers.nocs, answers.shapes

    def _answers(self, points: NDArray[np.float32], prepared: NormalizedPoints,
                 category: NDArray[np.int64], rows: NDArray[np.intp], rank: int) -> _Answers:
        """Return the answers for some of the objects with the placement of some rank."""
        output = self._session.run({
            'points': prepared.points[rows],
            'condition': prepared.condition[rows],
            'category': category[rows],
            'rank': np.full(len(rows), rank, dtype=np.int64)})
        membership = 1.0 / (1.0 + np.exp(-output['membership']))
        poses = solve_poses(points[rows], output['nocs'], membership, output['shape'],
                            self._seed)
        return _Answers(poses, output['nocs'], output['shape'], output['probability'])

    def describe(self) -> dict[str, str]:
        """Return the model's name and the provider that runs it."""
        return {'backend': self.name, 'model': self._model.manifest.name,
                'provider': self._session.providers[0]}

    def close(self) -> None:
        """Free the session."""
        self._session.close()

    def _cloud(self, frame: RGBDFrame,
               detection: Detection) -> NDArray[np.float32] | Rejection:
        """Return the (N, 3) points of one object, or why there are too few."""
        if frame.depth is None:
            return rejections.no_depth(detection, self.name)
        if detection.label not in self.categories:
            return rejections.unknown_label(detection, self._model.manifest.name,
                                            self.categories)
        points = masked_points(frame, detection)
        if len(points) < MINIMUM_POINTS:
            return rejections.few_points(detection, MINIMUM_POINTS)
        # A generator each: the answer for an object does not depend on the others.
        generator = np.random.default_rng(self._seed)
        return points[choose_points(len(points), self.points, generator)]

    def _answer(self, detection: Detection, poses: PoseBatch, nocs: NDArray[np.float32],
                shapes: NDArray[np.float32], row: int) -> ObjectPose | Rejection:
        if not poses.valid[row]:
            return rejections.no_agreement(detection, float(poses.inlier_ratio[row]))
        if not rejections.is_size(poses.size[row]):
            return rejections.no_size(detection, poses.size[row])
        return ObjectPose(
            label=detection.label,
            score=float(detection.score * poses.inlier_ratio[row]),
            T_camera_object=poses.T_camera_object[row],
            size=poses.size[row],
            symmetry=self._model.manifest.symmetry_of(detection.label),
            source=self.name,
            detection=detection,
            points=(shapes[row] * poses.scale[row]).astype(np.float32),
            nocs=nocs[row],
            inlier_ratio=float(poses.inlier_ratio[row]),
            residual=float(poses.residual[row]))
