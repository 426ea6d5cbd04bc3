"""The result files of the BOP challenge: one CSV line per estimated pose.

Lengths are millimetres in the file and metres here.

Source: specs/mrc_c2f_disp6d.md, section 4; docs/bop_challenge_2019.md of bop_toolkit.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pose_estimation_ros.core.errors import InvalidInputError
from pose_estimation_ros.core.rotation import nearest_rotation
from pose_estimation_ros.core.se3 import is_rigid, make_transform
from pose_estimation_ros.datasets.atomic_files import write_atomically
from pose_estimation_ros.datasets.bop_dataset import BopDataset
from pose_estimation_ros.evaluation.bop_model import object_numbers
from pose_estimation_ros.evaluation.predictions import FramePredictions, Prediction

COLUMNS = ('scene_id', 'im_id', 'obj_id', 'score', 'R', 't', 'time')
_HEADER = ','.join(COLUMNS)
_MILLIMETRES = 1000.0
# All rows of an image state the same time, up to this.
_SAME_TIME = 0.001
# Rotations are printed with a handful of digits.
_RIGID_TOLERANCE = 1e-3
_NAME = re.compile(r'(?P<method>[^_/]+)_(?P<dataset>[^_/-]+)-(?P<split>[^_/-]+)'
                   r'(?:-(?P<kind>[^_/-]+))?(?:_(?P<identifier>[^/]+))?\.csv')


@dataclass(frozen=True)
class ResultName:
    """The name of a result file: METHOD_DATASET-SPLIT[-TYPE][_ID].csv.

    Attributes:
        method: What made it; no underscore, which would end it.
        dataset: Such as 'tless'.
        split: Such as 'test'.
        kind: Such as 'primesense'; '' = none.
        identifier: Tells submissions apart; '' = none.
    """

    method: str
    dataset: str
    split: str
    kind: str = ''
    identifier: str = ''

    def __post_init__(self) -> None:
        """Check that the name can be taken apart again.

        Raises:
            InvalidInputError: If it cannot.
        """
        parsed = _NAME.fullmatch(str(self))
        if parsed is None or {k: v or '' for k, v in parsed.groupdict().items()} != vars(self):
            raise InvalidInputError(
                f'{str(self)!r} is no name of a BOP result file, METHOD_DATASET-SPLIT[-TYPE]'
                '[_ID].csv: METHOD must have no "_", DATASET, SPLIT and TYPE no "_" and no "-"')

    def __str__(self) -> str:
        """Return the name of the file."""
        return (f'{self.method}_{self.dataset}-{self.split}{"-" if self.kind else ""}{self.kind}'
                f'{"_" if self.identifier else ""}{self.identifier}.csv')

    @classmethod
    def parse(cls, name: str) -> ResultName:
        """Take the name of a file apart.

        Raises:
            InvalidInputError: If it has another form.
        """
        parsed = _NAME.fullmatch(name)
        if parsed is None:
            raise InvalidInputError(f'{name!r} is no name of a BOP result file; rename it to '
                                    'METHOD_DATASET-SPLIT[-TYPE][_ID].csv')
        return cls(**{key: value or '' for key, value in parsed.groupdict().items()})


@dataclass(frozen=True, eq=False)
class BopResult:
    """One estimated pose.

    Attributes:
        scene_id: Number of the scene.
        image_id: Number of the image in the scene.
        object_id: Number of the object.
        score: Confidence; only the order matters.
        T_camera_object: (4, 4) float64 pose, metres, camera optical frame.
        seconds: Time for the whole image, the same for all of its results; NaN = unknown.
    """

    scene_id: int
    image_id: int
    object_id: int
    score: float
    T_camera_object: NDArray[np.float64]
    seconds: float = float('nan')


def write_results(folder: Path, name: ResultName, results: Sequence[BopResult]) -> Path:
    """Write a result file; it appears whole or not at all.

    Args:
        folder: Where to.
        name: Name of the file.
        results: In any order.

    Returns:
        Path of the file.

    Raises:
        InvalidInputError: If results of an image state different times.
    """
    path = folder / str(name)
    _check_times(results, [f'result {index}' for index in range(len(results))], str(path))
    write_atomically(path, ('\n'.join([_HEADER, *map(_line, results)]) + '\n').encode())
    return path


def read_results(path: Path) -> list[BopResult]:
    """Read a result file.

    Raises:
        InvalidInputError: If it is missing or a line cannot be used; names path, line and cure.
    """
    try:
        lines = path.read_text(encoding='utf-8').splitlines()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise InvalidInputError(f'cannot read the BOP results {path}: {reason}; give a file '
                                '<method>_<data set>-<split>.csv') from error
    if not lines or lines[0].replace(' ', '') != _HEADER:
        raise InvalidInputError(f'{path}, line 1: the header of BOP results is {_HEADER!r}, not '
                                f'{lines[0] if lines else ""!r}; give a file of 6D poses')
    results, places = [], []
    for number, line in enumerate(lines[1:], start=2):
        if line.strip():
            results.append(_parse(line, f'{path}, line {number}'))
            places.append(f'line {number}')
    _check_times(results, places, str(path))
    return results


def as_predictions(results: Iterable[BopResult], dataset: BopDataset) -> list[FramePredictions]:
    """Return the results as predictions per frame of the data set that they are for.

    Raises:
        InvalidInputError: If an object does not occur in the data set.
    """
    by_frame: dict[tuple[int, int], list[BopResult]] = {}
    for result in results:
        if result.object_id not in dataset.models:
            raise InvalidInputError(
                f'scene {result.scene_id}, image {result.image_id} has a result for object '
                f'{result.object_id}; {dataset.name} has {sorted(dataset.models)}: evaluate on '
                'the data set that the results are for')
        by_frame.setdefault((result.scene_id, result.image_id), []).append(result)
    return [FramePredictions(f'{scene:06d}/{image:06d}', tuple(
        Prediction(dataset.label(r.object_id), r.score, _orthonormal(r.T_camera_object),
                   dataset.models[r.object_id].size) for r in own), own[0].seconds)
        for (scene, image), own in by_frame.items()]


def as_results(frames: Iterable[FramePredictions], dataset: BopDataset) -> list[BopResult]:
    """Return predictions for frames of a BOP data set as results.

    Raises:
        InvalidInputError: If a frame or a label is not one of the data set, or objects of it
            share a label.
    """
    numbers = object_numbers(dataset)
    results = []
    for frame in frames:
        found = re.fullmatch(r'(\d+)/(\d+)', frame.name)
        strange = next((p.label for p in frame.predictions if p.label not in numbers), None)
        if found is None or strange is not None:
            fault = (f'no frame {frame.name!r}' if found is None
                     else f'no object {strange!r} (it is in frame {frame.name!r})')
            raise InvalidInputError(f'{dataset.name} has {fault}; write results for the data set '
                                    'that the predictions were made on')
        scene, image = map(int, found.groups())
        results += [BopResult(scene, image, numbers[p.label], p.score, p.T_camera_object,
                              frame.seconds) for p in frame.predictions]
    return results


def _line(result: BopResult) -> str:
    T = result.T_camera_object
    R = ' '.join(f'{value:.9g}' for value in T[:3, :3].ravel())
    t = ' '.join(f'{value:.9g}' for value in _MILLIMETRES * T[:3, 3])
    seconds = -1 if math.isnan(result.seconds) else f'{result.seconds:.6f}'
    return (f'{result.scene_id},{result.image_id},{result.object_id},{result.score:.9g},{R},{t},'
            f'{seconds}')


def _parse(line: str, place: str) -> BopResult:
    fields = line.split(',')
    if len(fields) != len(COLUMNS):
        raise InvalidInputError(f'{place}: there are {len(fields)} fields, not the '
                                f'{len(COLUMNS)} of {_HEADER}; separate the numbers of R and t '
                                'with spaces')
    try:
        scene_id, image_id, object_id = (int(text) for text in fields[:3])
        score, seconds = float(fields[3]), float(fields[6])
        R = np.array(fields[4].split(), dtype=np.float64)
        t = np.array(fields[5].split(), dtype=np.float64)
    except ValueError as error:
        raise InvalidInputError(f'{place}: {error}; ids are whole numbers, all else decimal '
                                'numbers') from error
    if R.size != 9 or t.size != 3:
        raise InvalidInputError(f'{place}: R has {R.size} and t {t.size} numbers; write 9 and 3, '
                                'separated by spaces')
    T = make_transform(R.reshape(3, 3), t / _MILLIMETRES)
    if not is_rigid(T, _RIGID_TOLERANCE):
        raise InvalidInputError(f'{place}: R = {fields[4]} and t = {fields[5]} are no rigid '
                                'transform; write a rotation matrix row by row and millimetres')
    if not math.isfinite(score) or not (seconds >= 0 or seconds == -1):
        raise InvalidInputError(f'{place}: the score is {score} and the time {seconds}; scores '
                                'are finite, times are seconds or -1 for unknown')
    return BopResult(scene_id, image_id, object_id, score, T,
                     float('nan') if seconds == -1 else seconds)


def _check_times(results: Sequence[BopResult], places: Sequence[str], path: str) -> None:
    """Check that all results of an image state the same time.

    Raises:
        InvalidInputError: If they do not.
    """
    first: dict[tuple[int, int], float] = {}
    for result, place in zip(results, places, strict=True):
        time = -1.0 if math.isnan(result.seconds) else result.seconds
        known = first.setdefault((result.scene_id, result.image_id), time)
        if not abs(known - time) <= _SAME_TIME:
            raise InvalidInputError(
                f'{path}, {place}: the time of scene {result.scene_id}, image {result.image_id} '
                f'is {time:g} s here and {known:g} s before; state the time of the whole image '
                'in every line, or -1')


def _orthonormal(T: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the rigid transform next to one that was printed with few digits."""
    return make_transform(nearest_rotation(T[:3, :3]), T[:3, 3])
