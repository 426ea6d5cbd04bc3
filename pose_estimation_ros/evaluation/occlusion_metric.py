"""Accuracy of poses graded by how much of an object is covered, misses counted.

Graded are standing objects that lie whole within the image, evenly by category. Figures are those
of OccludedPASCAL3D+: shares of objects whose rotation error is below pi/6 and pi/18, its median,
and the median of ADD, the mean distance of the object's surface points under both poses, here in
shares of the object's diagonal. Rotations and distances are modulo the object's symmetry; the
plain rotation error stands beside it.

Predictions choose, in the order of their scores, the free object of their category whose
direction from the camera is nearest, if it lies within the object's own extent: a pose elsewhere
finds nothing, so the object counts as missed. The rotation has no say in it.

Source: specs/mrc_c2f_disp6d.md, section 5; matching and symmetries are ours.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pose_estimation_ros.core.errors import InvalidInputError
from pose_estimation_ros.core.rotation import angle_between
from pose_estimation_ros.datasets.annotated_frame import ObjectAnnotation
from pose_estimation_ros.evaluation.bop_errors import average_distance
from pose_estimation_ros.evaluation.pascal3d_metric import COARSE, FINE, share_below
from pose_estimation_ros.evaluation.pose_accuracy import symmetry_as_seen
from pose_estimation_ros.evaluation.predictions import FramePredictions, FrameTruth, Prediction
from pose_estimation_ros.synthetic.frame_cache import FrameShards
from pose_estimation_ros.synthetic.object_model import make_object
from pose_estimation_ros.synthetic.occlusion import LEAST_PIXELS, LEVELS, level_of
from pose_estimation_ros.synthetic.synthetic_frame import Instance

FloatArray = NDArray[np.float64]

_WHOLE = 0.999
_SURFACE_POINTS = 512


@dataclass(frozen=True)
class GradedObject:
    """An object whose pose is judged.

    Attributes:
        frame: Name of its frame.
        instance_id: In that frame.
        category: Of the object.
        level: Of its occlusion.
    """

    frame: str
    instance_id: int
    category: str
    level: str


@dataclass(frozen=True, eq=False)
class GradedErrors:
    """The errors of M graded objects; infinite where there is no pose.

    Attributes:
        objects: Which they are.
        rotation: (M,) radians, least over the object's symmetries.
        plain: (M,) radians.
        add: (M,) ADD in shares of the object's diagonal, least over the symmetries.
    """

    objects: tuple[GradedObject, ...]
    rotation: FloatArray
    plain: FloatArray
    add: FloatArray

    def of(self, level: str, category: str = '') -> GradedErrors:
        """Return the errors of one level, and of one category if one is named."""
        chosen = np.array([entry.level == level and category in ('', entry.category)
                           for entry in self.objects], dtype=np.bool_)
        return GradedErrors(
            tuple(entry for entry, wanted in zip(self.objects, chosen, strict=True) if wanted),
            self.rotation[chosen], self.plain[chosen], self.add[chosen])


def graded_objects(folder: Path, most: int, frames: int = 10**9) -> list[GradedObject]:
    """Choose the objects that are judged: of each category and level the first ones.

    Args:
        folder: Frame shards of standing objects, see `synthetic.occlusion`.
        most: Objects per category and level.
        frames: Only the first so many.

    Raises:
        InvalidInputError: If the folder holds no shards.
    """
    shards = FrameShards(folder)
    counts: dict[tuple[str, str], int] = defaultdict(int)
    chosen = []
    for index in range(min(len(shards), frames)):
        frame = shards[index]
        for instance in frame.instances:
            level = _level(instance, frame.frame.intrinsics.fx)
            if level and counts[instance.category, level] < most:
                counts[instance.category, level] += 1
                chosen.append(GradedObject(f'{index:06d}', instance.id, instance.category, level))
    return chosen


def graded_errors(objects: Sequence[GradedObject], truth: Sequence[FrameTruth],
                  predictions: Sequence[FramePredictions],
                  points: Callable[[str], FloatArray] | None = None) -> GradedErrors:
    """Return the errors of graded objects.

    Args:
        objects: Which count.
        truth: Of the frames; objects that do not count may be chosen by predictions, too.
        predictions: Of the frames; one that is missing counts as a frame with none.
        points: Returns the (V, 3) surface points, metres, of an object by its model's name; None
            = of the generated objects.

    Raises:
        InvalidInputError: If an object is in none of the frames.
    """
    annotations = {(frame.name, entry.instance_id): entry
                   for frame in truth for entry in frame.objects}
    answers = {frame.name: frame.predictions for frame in predictions}
    found = {(frame.name, instance): answer for frame in truth
             for instance, answer in pointed_at(frame, answers.get(frame.name, ())).items()}
    errors = np.full((3, len(objects)), np.inf)
    for index, entry in enumerate(objects):
        key = entry.frame, entry.instance_id
        if key not in annotations:
            raise InvalidInputError(f'frame {entry.frame} has no object {entry.instance_id}; '
                                    'give the truth of the frames that were graded')
        if key in found:
            errors[:, index] = _errors(annotations[key], found[key],
                                       points or surface_points)
    return GradedErrors(tuple(objects), *errors)


def pointed_at(truth: FrameTruth, predictions: Sequence[Prediction]) -> dict[int, Prediction]:
    """Return the prediction that found each object of a frame that was found, by instance."""
    found: dict[int, Prediction] = {}
    for answer in sorted(predictions, key=lambda entry: -entry.score):
        best, best_angle = None, np.inf
        for entry in truth.objects:
            angle = _between_rays(answer.T_camera_object[:3, 3], entry.T_camera_object[:3, 3])
            reach = np.arctan2(entry.diagonal / 2, np.linalg.norm(entry.T_camera_object[:3, 3]))
            if (entry.label == answer.label and entry.instance_id not in found
                    and angle < min(best_angle, float(reach))):
                best, best_angle = entry, angle
        if best is not None:
            found[best.instance_id] = answer
    return found


@lru_cache(maxsize=1024)
def surface_points(model: str) -> FloatArray:
    """Return (V, 3) points of the surface of a generated object, metres, by its name.

    Raises:
        InvalidInputError: If the name is not that of a generated object.
    """
    domain, _, rest = model.partition('_')
    category, seed = rest.partition('_')[0], rest.rpartition('_')[2]
    if not seed.isdigit():
        raise InvalidInputError(f'{model!r} is not the name of a generated object; grade frames '
                                'of pose-estimation dataset frames --occluded')
    mesh = make_object(category, int(seed), domain).mesh
    return np.asarray(mesh.sample_surface(_SURFACE_POINTS, np.random.default_rng(0)).points,
                      dtype=np.float64)


COLUMNS: tuple[str, ...] = (
    'objects', 'found, %', 'error < π/6, %', 'error < π/18, %', 'median error, °',
    'median ADD, % of the diagonal', 'plain error < π/6, %', 'plain error < π/18, %',
    'plain median error, °')


def figures(errors: GradedErrors) -> tuple[object, ...]:
    """Return the figures of some graded objects in the order of `COLUMNS`."""
    return (len(errors.objects), _percent(np.isfinite(errors.rotation)),
            100 * share_below(errors.rotation, COARSE), 100 * share_below(errors.rotation, FINE),
            float(np.degrees(_median(errors.rotation))), 100 * _median(errors.add),
            100 * share_below(errors.plain, COARSE), 100 * share_below(errors.plain, FINE),
            float(np.degrees(_median(errors.plain))))


def level_counts(objects: Sequence[GradedObject]) -> Mapping[str, int]:
    """Return how many objects each level has."""
    return {level: sum(entry.level == level for entry in objects) for level in LEVELS}


def _level(instance: Instance, focal_length: float) -> str:
    """Return the level of an instance; '' if it is not judged."""
    pixels = focal_length * instance.diagonal / instance.T_camera_object[2, 3]
    is_judged = instance.in_image >= _WHOLE and pixels >= LEAST_PIXELS
    return level_of(1.0 - instance.visibility) if is_judged else ''


def _errors(truth: ObjectAnnotation, answer: Prediction,
            points: Callable[[str], FloatArray]) -> tuple[float, float, float]:
    T_true, T = truth.T_camera_object, answer.T_camera_object.copy()
    plain = float(angle_between(T[:3, :3], T_true[:3, :3]))
    T[:3, :3] = symmetry_as_seen(truth).nearest_rotation(T[:3, :3], T_true[:3, :3])
    distance = average_distance(T[None], T_true, points(truth.model))[0]
    return (float(angle_between(T[:3, :3], T_true[:3, :3])), plain,
            float(distance) / truth.diagonal)


def _between_rays(a: FloatArray, b: FloatArray) -> float:
    """Return the angle between the directions of two (3,) points from the camera, radians."""
    return float(np.arctan2(np.linalg.norm(np.cross(a, b)), a @ b))


def _percent(values: NDArray[np.bool_]) -> float:
    return float(100 * values.mean()) if values.size else float('nan')


def _median(errors: FloatArray) -> float:
    return float(np.median(errors)) if errors.size else float('nan')
