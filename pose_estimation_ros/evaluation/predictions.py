"""What every metric takes: the estimates of a frame, and what is true about it.

Estimates are stored as JSON lines, one frame each, so that a long run can be read as it grows and
shards of it can be joined with `cat`.
"""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pose_estimation_ros.core.errors import InvalidInputError
from pose_estimation_ros.core.object_pose import ObjectPose
from pose_estimation_ros.core.se3 import is_rigid
from pose_estimation_ros.datasets.annotated_frame import AnnotatedFrame, ObjectAnnotation
from pose_estimation_ros.datasets.atomic_files import replacing

# Published poses were stored as float32, so rotations are orthonormal to about 1e-6.
_RIGID_TOLERANCE = 1e-4
# Cosine of the angle to the vertical up to which an object stands: 15 degrees.
_STANDS = math.cos(math.radians(15.0))


@dataclass(frozen=True, eq=False)
class Prediction:
    """One estimated object.

    Attributes:
        label: Category, or the name of a known CAD object.
        score: Confidence; only the order matters to the metrics.
        T_camera_object: (4, 4) float64 rigid pose, metres, camera optical frame.
        size: (3,) float64 extent of its box along the object's axes, metres.
        box: (4,) float64 (x_min, y_min, x_max, y_max), pixels, upper bounds exclusive; None =
            unknown.
        mask: (H, W) bool, the whole image; None = unknown.
    """

    label: str
    score: float
    T_camera_object: NDArray[np.float64]
    size: NDArray[np.float64]
    box: NDArray[np.float64] | None = None
    mask: NDArray[np.bool_] | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        """Check the values.

        Raises:
            InvalidInputError: If the pose is not rigid and finite, a size or the score is not
                finite, or a size is negative.
        """
        pose = np.asarray(self.T_camera_object, dtype=np.float64)
        size = np.asarray(self.size, dtype=np.float64)
        if not is_rigid(pose, _RIGID_TOLERANCE):
            raise InvalidInputError(
                f'T_camera_object of a predicted {self.label!r} is not a rigid transform: '
                f'{pose.tolist()}; leave failed estimates out, divide a scale out of the rotation')
        if size.shape != (3,) or not np.isfinite(size).all() or (size < 0).any():
            raise InvalidInputError(
                f'size of a predicted {self.label!r} must be three lengths in metres, it is '
                f'{size.tolist()}')
        if not math.isfinite(self.score):
            raise InvalidInputError(
                f'score of a predicted {self.label!r} must be a finite number, it is {self.score}')
        object.__setattr__(self, 'T_camera_object', pose)
        object.__setattr__(self, 'size', size)

    @classmethod
    def of(cls, pose: ObjectPose) -> Prediction:
        """Return what a pose backend or the pipeline estimated; masks are left out."""
        detection = pose.detection
        return cls(pose.label, pose.score, pose.T_camera_object, pose.size,
                   None if detection is None else detection.box)


@dataclass(frozen=True, eq=False)
class FramePredictions:
    """All that was estimated in a frame.

    Attributes:
        name: The frame's name within its data set (`AnnotatedFrame.name`).
        predictions: In any order.
        seconds: Time that it took; NaN = unknown.
    """

    name: str
    predictions: tuple[Prediction, ...]
    seconds: float = float('nan')


@dataclass(frozen=True, eq=False)
class FrameTruth:
    """All that is true about a frame, without its images.

    Attributes:
        name: The frame's name within its data set.
        objects: What is annotated.
    """

    name: str
    objects: tuple[ObjectAnnotation, ...]

    @classmethod
    def of(cls, frame: AnnotatedFrame) -> FrameTruth:
        """Return the truth about a frame; its images can be freed.

        What stands is told by the vertical, which is found in the depth and seldom off by more
        than a degree or two.
        """
        up = frame.frame.up
        return cls(frame.name, frame.objects if up is None else tuple(
            replace(entry, stands=bool(entry.T_camera_object[:3, 1] @ up > _STANDS))
            for entry in frame.objects))


def paired(truth: Sequence[FrameTruth], predictions: Sequence[FramePredictions]
           ) -> list[tuple[FrameTruth, FramePredictions]]:
    """Return each frame's truth with its predictions, in the order of the truth.

    A frame without predictions gets none: all of its objects count as missed.

    Raises:
        InvalidInputError: If predictions belong to no frame, or a name occurs twice.
    """
    for what, names in (('predictions', Counter(frame.name for frame in predictions)),
                        ('truth', Counter(frame.name for frame in truth))):
        name, times = next(iter(names.most_common(1)), ('', 0))
        if times > 1:
            raise InvalidInputError(f'the {what} of frame {name!r} occur {times} times; '
                                    'keep one of them')
    by_name = {frame.name: frame for frame in predictions}
    known = {frame.name for frame in truth}
    if strange := sorted(by_name.keys() - known):
        raise InvalidInputError(
            f'{len(strange)} frames with predictions have no truth, the first is {strange[0]!r} '
            f'(truth starts with {min(known, default="nothing")!r}); evaluate on the data set '
            'that the predictions were made on')
    return [(frame, by_name.get(frame.name, FramePredictions(frame.name, ())))
            for frame in truth]


def write_predictions(path: Path, frames: Iterable[FramePredictions]) -> None:
    """Write JSON lines as the frames come; the file appears whole or not at all."""
    with replacing(path) as partial, partial.open('w', encoding='utf-8') as file:
        file.writelines(json.dumps(_frame_as_json(frame), allow_nan=False) + '\n'
                        for frame in frames)


def read_predictions(path: Path) -> list[FramePredictions]:
    """Read a file that `write_predictions` made.

    Raises:
        InvalidInputError: If it is missing or a line of it is not a frame's predictions.
    """
    if not path.is_file():
        raise InvalidInputError(f'there is no file of predictions at {path}; '
                                'write one with `pose-estimation evaluate`')
    with path.open(encoding='utf-8') as file:
        return [_frame_of_line(line, f'line {number} of {path}')
                for number, line in enumerate(file, start=1)]


def _frame_as_json(frame: FramePredictions) -> dict[str, Any]:
    seconds = None if math.isnan(frame.seconds) else frame.seconds
    return {'name': frame.name, 'seconds': seconds,
            'predictions': [_as_json(prediction) for prediction in frame.predictions]}


def _as_json(prediction: Prediction) -> dict[str, Any]:
    content: dict[str, Any] = {
        'label': prediction.label, 'score': float(prediction.score),
        'T_camera_object': prediction.T_camera_object.tolist(),
        'size': prediction.size.tolist()}
    if prediction.box is not None:
        content['box'] = np.asarray(prediction.box, dtype=np.float64).tolist()
    if prediction.mask is not None:
        content['mask'] = mask_as_runs(prediction.mask)
    return content


def _frame_of_line(line: str, where: str) -> FramePredictions:
    try:
        content = json.loads(line)
        seconds = content['seconds']
        return FramePredictions(content['name'],
                                tuple(_from_json(entry) for entry in content['predictions']),
                                float('nan') if seconds is None else float(seconds))
    except (ValueError, KeyError, TypeError, InvalidInputError) as error:
        raise InvalidInputError(
            f"{where} is not a frame's predictions "
            f'({type(error).__name__}: {error}); write the file anew') from error


def _from_json(content: Mapping[str, Any]) -> Prediction:
    box, runs = content.get('box'), content.get('mask')
    return Prediction(content['label'], content['score'], np.array(content['T_camera_object']),
                      np.array(content['size']),
                      None if box is None else np.array(box, dtype=np.float64),
                      None if runs is None else mask_from_runs(runs))


def mask_as_runs(mask: NDArray[np.bool_]) -> dict[str, list[int]]:
    """Return an (H, W) mask as COCO's uncompressed run lengths: column by column, off first."""
    flat = np.concatenate([[False], mask.ravel(order='F')])
    changes = np.flatnonzero(flat[1:] != flat[:-1])
    runs = np.diff(np.concatenate([[0], changes, [mask.size]]))
    return {'size': list(mask.shape), 'counts': runs.tolist()}


def mask_from_runs(runs: Mapping[str, Sequence[int]]) -> NDArray[np.bool_]:
    """Return the (H, W) mask of COCO's uncompressed run lengths."""
    height, width = runs['size']
    values = np.arange(len(runs['counts'])) % 2 == 1
    flat = np.repeat(values, runs['counts'])
    return flat.reshape((height, width), order='F')
