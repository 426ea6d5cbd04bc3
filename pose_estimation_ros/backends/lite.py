"""Every backend with a lite network: one that takes the points under each mask.

What the network takes and gives is the same for `spd`, `crnet` and `acr`; some also look at the
points' colours, and say how sure they are.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pose_estimation_ros.backends import rejections
from pose_estimation_ros.backends.alignment_graph import alignment_beside
from pose_estimation_ros.backends.base import BackendOptions, Need
from pose_estimation_ros.backends.correspondences import align_members, aligned_poses
from pose_estimation_ros.backends.lite_answers import LiteAnswers, evidence_in_frame
from pose_estimation_ros.backends.point_preparation import (
    NormalizedPoints,
    masked_pixels,
    normalize_points,
    spread_points,
)
from pose_estimation_ros.backends.second_look import SecondLooks
from pose_estimation_ros.core.alignment import Alignment
from pose_estimation_ros.core.detection import Detection
from pose_estimation_ros.core.errors import ModelError
from pose_estimation_ros.core.frame import RGBDFrame
from pose_estimation_ros.core.object_pose import ObjectPose, Rejection
from pose_estimation_ros.core.point_colors import COLOR_CHANNELS, point_colors
from pose_estimation_ros.core.pose_covariance import with_unknown_spin
from pose_estimation_ros.runtime import InferenceSession, Model

# Fewer points than this do not determine a pose; SPD draws the same line (spec section 3).
MINIMUM_POINTS = 32
# What every network gives; entropy and error may be missing.
_OUTPUTS = frozenset({'nocs', 'shape', 'membership', 'probability'})


@dataclass(frozen=True)
class ObjectPoints:
    """What is taken from a frame of one object, or, stacked, of B objects.

    Attributes:
        points: ([B,] N, 3) float32 metres, camera optical frame.
        colors: ([B,] N, 9) float32 of `core.point_colors`; None if the model takes none.
    """

    points: NDArray[np.float32]
    colors: NDArray[np.float32] | None

    @classmethod
    def stack(cls, objects: Sequence[ObjectPoints]) -> ObjectPoints:
        """Return the batch of at least one object."""
        colors = [entry.colors for entry in objects if entry.colors is not None]
        return cls(np.stack([entry.points for entry in objects]),
                   np.stack(colors) if colors else None)

    def rows(self, chosen: NDArray[np.intp]) -> ObjectPoints:
        """Return some objects of the batch."""
        return ObjectPoints(self.points[chosen],
                            None if self.colors is None else self.colors[chosen])


class LiteBackend:
    """A lite network, the robust alignment, and what is around them.

    Attributes:
        name: Name in the registry: the backend that the model is made for.
        needs: A frame must bring depth and detections.
        categories: Labels the model knows.
        points: Points per object that the network takes.
        every: Of so many points, from the first, one gets coordinates; the others help it see.
        takes_color: Whether it takes the colours of the points.
    """

    needs: frozenset[Need] = frozenset({'depth', 'detections'})

    def __init__(self, model: Model, options: BackendOptions) -> None:
        """Load the model.

        Raises:
            ModelError: If the model is damaged, not a lite one, or its network takes or gives
                other tensors.
        """
        manifest = model.manifest
        if manifest.size != 'lite' or 'points' not in manifest.input:
            raise ModelError(f'model {manifest.name!r} is {manifest.backend} {manifest.size}; '
                             'only lite models of points with depth, whose manifest says '
                             'input.points, can be used here')
        self.name = manifest.backend
        self.categories: tuple[str, ...] = manifest.categories
        self.points = int(manifest.input['points'])
        self.every = int(manifest.input.get('every', 1))
        if self.every < 1 or self.points % self.every:
            raise ModelError(f'input.every of model {manifest.name!r} is {self.every}, which is '
                             f'no divisor of its {self.points} points; export it again')
        self._model = model
        self.takes_color = bool(manifest.input.get('color', False))
        self._second = SecondLooks.of(manifest)
        self._confidence = manifest.confidence_model()
        self._seed = options.seed
        self._upright = np.radians(options.upright_tolerance)
        self._session = InferenceSession(model.file('network'), options.device, options.threads)
        shapes: dict[str, tuple[int, ...]] = {
            'points': (1, self.points, 3), 'condition': (1, 3), 'category': (1,), 'rank': (1,)}
        if self.takes_color:
            shapes['color'] = (1, self.points, COLOR_CHANNELS)
        _check_tensors(manifest.name, self._session, shapes)
        self._session.warm_up(shapes)
        self._graph = alignment_beside(self._session, options, self.points // self.every)

    def estimate(self, frame: RGBDFrame,
                 detections: Sequence[Detection]) -> list[ObjectPose | Rejection]:
        """Estimate the poses of all detections of a frame as one batch."""
        taken = [self.take(frame, detection) for detection in detections]
        seen = [(entry, detection) for entry, detection in zip(taken, detections, strict=True)
                if not isinstance(entry, Rejection)]
        if not seen:
            return [entry for entry in taken if isinstance(entry, Rejection)]
        objects = ObjectPoints.stack([entry for entry, _ in seen])
        known = [detection for _, detection in seen]
        answers = self.solve(objects, [detection.label for detection in known], frame.up)
        confidence = self._judge(frame, known, answers)
        poses = iter([self._pose(detection, answers, row, float(confidence[row]))
                      for row, detection in enumerate(known)])
        return [entry if isinstance(entry, Rejection) else next(poses) for entry in taken]

    def take(self, frame: RGBDFrame, detection: Detection) -> ObjectPoints | Rejection:
        """Return what the network takes of one object, or why it cannot be estimated."""
        if frame.depth is None:
            return rejections.no_depth(detection, self.name)
        if detection.label not in self.categories:
            return rejections.unknown_label(detection, self._model.manifest.name,
                                            self.categories)
        rows, columns = masked_pixels(frame, detection)
        if len(rows) < MINIMUM_POINTS:
            return rejections.few_points(detection, MINIMUM_POINTS)
        # A generator each: the answer for an object does not depend on the others.
        generator = np.random.default_rng(self._seed)
        chosen = spread_points(len(rows), self.points, generator)
        # Of the mask, as in training: what else a detector's box holds says nothing of the size.
        box = np.array([columns.min(), rows.min(), columns.max() + 1, rows.max() + 1])
        rows, columns = rows[chosen], columns[chosen]
        pixels = np.stack([columns, rows], axis=1).astype(np.float64)
        points = frame.intrinsics.back_project(pixels, frame.depth[rows, columns])
        colors = None
        if self.takes_color:
            colors = point_colors(frame.rgb, box, rows, columns)
        return ObjectPoints(points.astype(np.float32), colors)

    def solve(self, objects: ObjectPoints, labels: Sequence[str],
              up: NDArray[np.float64] | None) -> LiteAnswers:
        """Estimate poses from the points of objects.

        Args:
            objects: Of B objects, with N points each as the model takes, and with colours if it
                takes them.
            labels: Category of each object.
            up: (3,) unit direction away from the ground, camera optical frame, or (B, 3) one for
                each object; None = unknown.

        Returns:
            The answer for each object: where the network is unsure it looks twice, see
            `second_look`, and what nearly stands is turned upright.
        """
        count = len(objects.points)
        directions = np.broadcast_to(np.full(3, np.nan) if up is None else up, (count, 3))
        prepared = normalize_points(objects.points, directions)
        category = np.array([self.categories.index(label) for label in labels], dtype=np.int64)
        answers = self._first_look(objects, prepared, category)
        rows, mirrored = self._second.wanted(category, answers.probability)
        if rows.size:
            others = self._second_look(objects, prepared, category, rows, mirrored)
            answers = answers.improved(rows[~mirrored], others.rows(~mirrored))
            answers = answers.joined(rows[mirrored], others.rows(mirrored),
                                     self._second.is_round[category[rows[mirrored]]],
                                     self._observed(objects.rows(rows[mirrored])), self._seed)
        if self._upright > 0:
            answers = answers.stood_upright(self._observed(objects), directions, self._upright)
        return answers

    def describe(self) -> dict[str, str]:
        """Return the model's name and the provider that runs it."""
        return {'backend': self.name, 'model': self._model.manifest.name,
                'provider': self._session.providers[0]}

    def close(self) -> None:
        """Free the sessions."""
        self._session.close()
        if self._graph is not None:
            self._graph.close()

    def _first_look(self, objects: ObjectPoints, prepared: NormalizedPoints,
                    category: NDArray[np.int64]) -> LiteAnswers:
        """Return the answers with the most probable placements."""
        rank = np.zeros(len(category), dtype=np.int64)
        observed = self._observed(objects)
        output, alignment = self._aligned(
            _inputs(prepared.points, prepared.condition, category, rank, objects.colors), observed)
        return _answers(output, alignment, observed)

    def _second_look(self, objects: ObjectPoints, prepared: NormalizedPoints,
                     category: NDArray[np.int64], rows: NDArray[np.intp],
                     mirrored: NDArray[np.bool_]) -> LiteAnswers:
        """Return the answers for some objects in a mirror, or with the next placement."""
        objects, category = objects.rows(rows), category[rows]
        output = self._session.run(_inputs(
            self._second.reflected(prepared.points[rows], mirrored), prepared.condition[rows],
            category, (~mirrored).astype(np.int64), objects.colors))
        for name in ('nocs', 'shape'):
            output[name] = self._second.restored(output[name], mirrored, category)
        observed = self._observed(objects)
        return _answers(output, align_members(observed, output['nocs'],
                                              _membership(output['membership']), self._seed),
                        observed)

    def _observed(self, objects: ObjectPoints) -> NDArray[np.float32]:
        """Return the (B, M, 3) points that get coordinates, metres, camera optical frame."""
        return objects.points[:, ::self.every]

    def _aligned(self, inputs: Mapping[str, NDArray[np.generic]], points: NDArray[np.float32]
                 ) -> tuple[dict[str, NDArray[Any]], Alignment]:
        """Return what the network gives, and its coordinates aligned with their points."""
        if self._graph is None:
            output = self._session.run(inputs)
            return output, align_members(points, output['nocs'],
                                         _membership(output['membership']), self._seed)
        left = self._session.run_on_device(inputs)
        alignment = self._graph.align(points, left['nocs'], left['membership'])
        return {name: value.numpy() for name, value in left.items()}, alignment

    def _judge(self, frame: RGBDFrame, detections: Sequence[Detection],
               answers: LiteAnswers) -> NDArray[np.float64]:
        """Return (B,) how likely the answers are right; without calibration the inlier ratio."""
        if self._confidence is None:
            return answers.poses.inlier_ratio
        evidence = evidence_in_frame(frame, detections, answers)
        return self._confidence.probability(evidence,
                                            [detection.label for detection in detections])

    def _pose(self, detection: Detection, answers: LiteAnswers, row: int,
              confidence: float) -> ObjectPose | Rejection:
        poses = answers.poses
        if not poses.valid[row]:
            return rejections.no_agreement(detection, float(poses.inlier_ratio[row]))
        if not rejections.is_size(poses.size[row]):
            return rejections.no_size(detection, poses.size[row])
        wider = 1.0 if self._confidence is None else self._confidence.covariance_scale
        T, symmetry = poses.T_camera_object[row], self._model.manifest.symmetry_of(detection.label)
        return ObjectPose(
            label=detection.label,
            score=float(detection.score * confidence),
            T_camera_object=T,
            size=poses.size[row],
            symmetry=symmetry,
            covariance=with_unknown_spin(wider * poses.covariance[row], T[:3, :3],
                                         symmetry),
            source=self.name,
            detection=detection,
            points=(answers.shape[row] * poses.scale[row]).astype(np.float32),
            nocs=answers.nocs[row],
            inlier_ratio=float(poses.inlier_ratio[row]),
            residual=float(poses.residual[row]))


def _inputs(points: NDArray[np.float32], condition: NDArray[np.float32],
            category: NDArray[np.int64], rank: NDArray[np.int64],
            colors: NDArray[np.float32] | None) -> dict[str, NDArray[np.generic]]:
    """Return the network's inputs; `rank` is of the placement, 0 the most probable."""
    inputs: dict[str, NDArray[np.generic]] = {
        'points': points, 'condition': condition, 'category': category, 'rank': rank}
    return inputs if colors is None else {**inputs, 'color': colors}


def _answers(output: Mapping[str, NDArray[Any]], alignment: Alignment,
             observed: NDArray[np.float32]) -> LiteAnswers:
    poses = aligned_poses(alignment, observed, output['nocs'], output['shape'])
    return LiteAnswers(poses, output['nocs'], output['shape'],
                       _membership(output['membership']), output['probability'],
                       output.get('entropy'), output.get('error'))


def _membership(logits: NDArray[np.float32]) -> NDArray[np.float32]:
    return (1.0 / (1.0 + np.exp(-logits))).astype(np.float32)


def _check_tensors(name: str, session: InferenceSession, inputs: Collection[str]) -> None:
    """Check that a network takes these inputs and gives what poses are made of.

    Raises:
        ModelError: If it does not.
    """
    taken, given = ({spec.name for spec in specs} for specs in (session.inputs, session.outputs))
    if taken != set(inputs):
        raise ModelError(f'the network of model {name!r} takes {", ".join(sorted(taken))}, by its '
                         f'manifest it should take {", ".join(sorted(inputs))}; export it again')
    if missing := _OUTPUTS - given:
        raise ModelError(f'the network of model {name!r} does not give '
                         f'{", ".join(sorted(missing))}; export it again')
