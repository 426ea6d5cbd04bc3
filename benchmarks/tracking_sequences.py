"""Moving sequences for the benchmark of tracking: rendered ones, and poses made up from truth."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from pose_estimation_ros.core.categories import category_named
from pose_estimation_ros.core.detection import Detection
from pose_estimation_ros.core.object_pose import ObjectPose
from pose_estimation_ros.core.rotation import (
    axis_angle_to_matrix,
    axis_rotation,
    random_rotation,
)
from pose_estimation_ros.core.se3 import inverse, make_transform
from pose_estimation_ros.core.symmetry import (
    NO_SYMMETRY,
    Y_AXIS_SYMMETRY,
    Symmetry,
)
from pose_estimation_ros.evaluation.track_continuity import TrueObject
from pose_estimation_ros.pipeline import Pipeline
from pose_estimation_ros.synthetic.scene import SceneGenerator
from pose_estimation_ros.synthetic.scene_renderer import render_frame
from pose_estimation_ros.synthetic.synthetic_frame import Instance

FloatArray = NDArray[np.float64]

# A handle of which less is to be seen tells nothing of the rotation.
_HANDLE_SEEN = 0.05


@dataclass(frozen=True, eq=False)
class Observation:
    """One frame before tracking.

    Attributes:
        seconds: Since the sequence began.
        poses: As the backend estimates them.
        rgb: (H, W, 3) uint8.
        truth: What is there to be seen.
        T_world_camera: (4, 4) where the camera is.
    """

    seconds: float
    poses: tuple[ObjectPose, ...]
    rgb: NDArray[np.uint8]
    truth: tuple[TrueObject, ...]
    T_world_camera: FloatArray


def rendered_sequence(pipeline: Pipeline, seed: int, frames: int, rate: float,
                      degrees_per_second: float) -> Iterator[Observation]:
    """Yield what a pipeline without tracking sees while the camera swings about a scene.

    It swings back and forth by 15 degrees, and rises and sinks a little.
    """
    scene = SceneGenerator('primary', 'test').scene(seed)
    swing = np.radians(15.0)
    for number in range(frames):
        phase = np.radians(degrees_per_second) * number / rate / swing
        view = scene.view.orbited(swing * np.sin(phase))
        T = view.T_world_camera.copy()
        T[2, 3] += 0.02 * np.sin(2.0 * phase)
        rendered = render_frame(scene.seen_from(replace(view, T_world_camera=T)),
                                exposure=number)
        result = pipeline.process(rendered.frame)
        yield Observation(number / rate, result.poses, result.frame.rgb,
                          tuple(_true_object(entry) for entry in rendered.instances), T)


def _true_object(instance: Instance) -> TrueObject:
    category = category_named(instance.category)
    symmetry = NO_SYMMETRY if category is None else category.symmetry
    if instance.category == 'mug' and instance.part_visibility.get('handle', 0) < _HANDLE_SEEN:
        symmetry = Y_AXIS_SYMMETRY
    return TrueObject(str(instance.id), instance.category, instance.T_camera_object,
                      instance.diagonal, symmetry)


@dataclass(frozen=True)
class Faults:
    """What is wrong with made-up poses; shares are of all sightings.

    Attributes:
        distance: Standard deviation of the position, metres, each axis.
        angle: Of the rotation about each axis, radians.
        missed: Share not found.
        invented: Poses per frame of objects that are not there.
        wrong_rotations: Share with a rotation that is not equal to the true one.
    """

    distance: float = 0.004
    angle: float = 0.05
    missed: float = 0.05
    invented: float = 0.2
    wrong_rotations: float = 0.03


_HALF_TURN = tuple(float(x) for x in axis_rotation((0, 1, 0), np.pi).ravel())
_QUARTERS = tuple(tuple(float(x) for x in axis_rotation((0, 1, 0), turns * np.pi / 2).ravel())
                  for turns in (1, 2, 3))
# Label, symmetry, how many, size.
_KINDS = (('can', Y_AXIS_SYMMETRY, 4, (0.07, 0.12, 0.07)),
          ('box', Symmetry(discrete=(_HALF_TURN,)), 3, (0.2, 0.06, 0.14)),
          ('cube', Symmetry(discrete=_QUARTERS), 2, (0.1, 0.15, 0.1)),
          ('mug', NO_SYMMETRY, 3, (0.12, 0.1, 0.09)))
_PATCH = 24
_PLACES = 0.16


class MadeUpSequence:
    """Objects on a table that a camera circles; some are carried about, some leave and return.

    Rotations are drawn anew in each frame from all that are equal; that is what a method may do.
    """

    def __init__(self, seed: int, faults: Faults) -> None:
        self._generator = np.random.default_rng(seed)
        self._faults = faults
        kinds = [(label, symmetry, size) for label, symmetry, count, size in _KINDS
                 for _ in range(count)]
        order = self._generator.permutation(len(kinds))
        self._kinds = [kinds[index] for index in order]
        self._sizes = [np.array(size) * self._generator.uniform(0.9, 1.1)
                       for _, _, size in self._kinds]
        self._places = [_PLACES * np.array([index % 4 - 1.5, index // 4 - 1.0, 0.0])
                        for index in range(len(kinds))]
        self._turns = [axis_rotation((0, 0, 1), self._generator.uniform(-np.pi, np.pi))
                       @ axis_rotation((1, 0, 0), np.pi / 2) for _ in kinds]
        self._colors = self._generator.integers(20, 236, (len(kinds), 3))
        # Of each kind two look the same.
        for index, (label, _, _) in enumerate(self._kinds):
            same = [other for other in range(index) if self._kinds[other][0] == label]
            if len(same) == 1:
                self._colors[index] = self._colors[same[0]]

    def frames(self, count: int, rate: float) -> Iterator[Observation]:
        """Yield so many frames."""
        for number in range(count):
            yield self._frame(number / rate)

    def _frame(self, seconds: float) -> Observation:
        T_world_camera = _circling_camera(seconds)
        truth, poses, patches = [], [], []
        for index, (label, symmetry, _) in enumerate(self._kinds):
            if self._is_away(index, seconds):
                continue
            T = inverse(T_world_camera) @ self._place(index, seconds)
            truth.append(TrueObject(f'{label}{index}', label, T,
                                    float(np.linalg.norm(self._sizes[index])), symmetry))
            if self._generator.random() >= self._faults.missed:
                poses.append(self._seen(index, T))
                patches.append(self._colors[index])
        while self._generator.random() < self._faults.invented / (1 + self._faults.invented):
            poses.append(self._invented())
            patches.append(self._generator.integers(0, 256, 3))
        order = self._generator.permutation(len(poses))
        shuffled = [replace(poses[source], detection=_patch(poses[source].label, place))
                    for place, source in enumerate(order)]
        return Observation(seconds, tuple(shuffled),
                           self._image([patches[source] for source in order]), tuple(truth),
                           T_world_camera)

    def _place(self, index: int, seconds: float) -> FloatArray:
        """Return where an object is in the world; every fourth one is carried in a circle."""
        place, turn = self._places[index], self._turns[index]
        if index % 4 == 3:
            angle = 0.8 * seconds + index
            place = place + 0.05 * np.array([np.cos(angle), np.sin(angle), 1.0])
            turn = axis_rotation((0, 0, 1), 0.3 * seconds) @ turn
        return make_transform(turn, place)

    def _is_away(self, index: int, seconds: float) -> bool:
        """Every fifth object is away for three of each 15 seconds."""
        return index % 5 == 2 and (seconds + index) % 15.0 < 3.0

    def _seen(self, index: int, T: FloatArray) -> ObjectPose:
        label, symmetry, _ = self._kinds[index]
        faults, generator = self._faults, self._generator
        R = T[:3, :3] @ _any_equal(symmetry, generator)
        if generator.random() < faults.wrong_rotations:
            R = R @ random_rotation(generator)
        R = axis_angle_to_matrix(faults.angle * generator.standard_normal(3)) @ R
        t = T[:3, 3] + faults.distance * generator.standard_normal(3)
        size = self._sizes[index] * np.exp(0.03 * generator.standard_normal(3))
        covariance = np.diag([faults.distance ** 2] * 3 + [faults.angle ** 2] * 3)
        return ObjectPose(label, 0.9, make_transform(R, t), size, symmetry, 'made up',
                          covariance=covariance)

    def _invented(self) -> ObjectPose:
        label, symmetry, size = self._kinds[self._generator.integers(len(self._kinds))]
        t = self._generator.uniform((-0.35, -0.35, 0.6), (0.35, 0.35, 1.2))
        return ObjectPose(label, 0.5, make_transform(random_rotation(self._generator), t),
                          np.array(size), symmetry, 'made up')

    def _image(self, colors: list[FloatArray]) -> NDArray[np.uint8]:
        """Return a row of patches in the colours of the objects, as a noisy camera sees them."""
        image = np.zeros((_PATCH, _PATCH * max(len(colors), 1), 3))
        for place, color in enumerate(colors):
            image[:, place * _PATCH:(place + 1) * _PATCH] = color
        image *= self._generator.uniform(0.9, 1.1)
        image += 12.0 * self._generator.standard_normal(image.shape)
        return np.clip(image, 0, 255).astype(np.uint8)


def _circling_camera(seconds: float) -> FloatArray:
    """Return the pose of a camera that looks down at the table and circles it at 12 degrees/s."""
    tilt = make_transform(axis_rotation((1, 0, 0), np.pi - 0.6), [0.0, -0.5, 0.8])
    return make_transform(axis_rotation((0, 0, 1), 0.2 * seconds), np.zeros(3)) @ tilt


def _any_equal(symmetry: Symmetry, generator: np.random.Generator) -> FloatArray:
    """Return one of the rotations that change nothing."""
    chosen = symmetry.rotations[generator.integers(len(symmetry.rotations))]
    if symmetry.axis is not None:
        chosen = chosen @ axis_rotation(symmetry.axis, generator.uniform(-np.pi, np.pi))
    return np.asarray(chosen)


def _patch(label: str, place: int) -> Detection:
    x = place * _PATCH
    return Detection(label, 0.9, np.array([x, 0, x + _PATCH, _PATCH], dtype=np.float64),
                     np.ones((_PATCH, _PATCH), dtype=np.bool_), (x, 0))
