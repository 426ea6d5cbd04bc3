"""The `spd` backend with a lite network: shape prior deformation on the points of each mask."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from pose_estimation_ros.backends.base import BackendOptions, Need
from pose_estimation_ros.backends.correspondences import PoseBatch, solve_poses
from pose_estimation_ros.backends.point_preparation import (
    choose_points,
    masked_points,
    normalize_points,
)
from pose_estimation_ros.core.categories import category_named
from pose_estimation_ros.core.detection import Detection
from pose_estimation_ros.core.errors import ModelError
from pose_estimation_ros.core.frame import RGBDFrame
from pose_estimation_ros.core.object_pose import ObjectPose, Rejection
from pose_estimation_ros.core.symmetry import NO_SYMMETRY
from pose_estimation_ros.runtime import InferenceSession, Model

# Fewer points than this do not determine a pose; SPD draws the same line (spec section 3).
MINIMUM_POINTS = 32


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
        self._session.warm_up({'points': (1, self.points, 3), 'log_radius': (1, 1),
                               'category': (1,)})

    def estimate(self, frame: RGBDFrame,
                 detections: Sequence[Detection]) -> list[ObjectPose | Rejection]:
        """Estimate the poses of all detections of a frame as one batch."""
        answers: list[ObjectPose | Rejection | None] = [None] * len(detections)
        clouds: list[NDArray[np.float32]] = []
        chosen: list[int] = []
        for i, detection in enumerate(detections):
            if frame.depth is None:
                answers[i] = Rejection(detection, 'the frame has no depth; the spd backend needs '
                                       'a depth topic aligned to colour')
            elif detection.label not in self.categories:
                answers[i] = Rejection(detection, f'model {self._model.manifest.name} does not '
                                       f'know {detection.label!r}; it knows '
                                       f'{", ".join(self.categories)}')
            else:
                points = masked_points(frame, detection)
                if len(points) < MINIMUM_POINTS:
                    answers[i] = Rejection(
                        detection, f'only {len(points)} pixels of its mask have depth, '
                        f'{MINIMUM_POINTS} are needed: the object is too small, too far, too '
                        'near, or dark or shiny for the depth sensor')
                else:
                    generator = np.random.default_rng(self._seed)
                    clouds.append(points[choose_points(len(points), self.points, generator)])
                    chosen.append(i)
        if chosen:
            labels = [detections[i].label for i in chosen]
            poses, nocs, shapes = self.solve(np.stack(clouds), labels)
            for row, i in enumerate(chosen):
                answers[i] = self._answer(detections[i], poses, nocs, shapes, row)
        return [answer for answer in answers if answer is not None]

    def solve(self, points: NDArray[np.float32], labels: Sequence[str],
              ) -> tuple[PoseBatch, NDArray[np.float32], NDArray[np.float32]]:
        """Estimate poses from point clouds.

        Args:
            points: (B, N, 3) metres, camera optical frame, N as the model takes.
            labels: Category of each object.

        Returns:
            The poses, the (B, N, 3) NOCS coordinates of the points, and the (B, V, 3)
            reconstructed surfaces in NOCS coordinates.
        """
        prepared = normalize_points(points)
        category = np.array([self.categories.index(label) for label in labels], dtype=np.int64)
        output = self._session.run({
            'points': prepared.points,
            'log_radius': np.log(prepared.radius)[:, None].astype(np.float32),
            'category': category})
        membership = 1.0 / (1.0 + np.exp(-output['membership']))
        poses = solve_poses(points, output['nocs'], membership, output['shape'], self._seed)
        return poses, output['nocs'], output['shape']

    def describe(self) -> dict[str, str]:
        """Return the model's name and the provider that runs it."""
        return {'backend': self.name, 'model': self._model.manifest.name,
                'provider': self._session.providers[0]}

    def close(self) -> None:
        """Free the session."""
        self._session.close()

    def _answer(self, detection: Detection, poses: PoseBatch, nocs: NDArray[np.float32],
                shapes: NDArray[np.float32], row: int) -> ObjectPose | Rejection:
        if not poses.valid[row]:
            return Rejection(detection, 'no pose agrees with the points: only '
                             f'{100 * poses.inlier_ratio[row]:.0f} % are consistent; the mask '
                             'probably covers something else')
        category = category_named(detection.label)
        return ObjectPose(
            label=detection.label,
            score=float(detection.score * poses.inlier_ratio[row]),
            T_camera_object=poses.T_camera_object[row],
            size=poses.size[row],
            symmetry=category.symmetry if category else NO_SYMMETRY,
            source=self.name,
            detection=detection,
            points=(shapes[row] * poses.scale[row]).astype(np.float32),
            nocs=nocs[row],
            inlier_ratio=float(poses.inlier_ratio[row]),
            residual=float(poses.residual[row]))
