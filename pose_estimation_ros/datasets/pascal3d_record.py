"""The annotation of one image of PASCAL3D+ or ObjectNet3D: a MATLAB `record`."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from pose_estimation_ros.core.errors import InvalidInputError
from pose_estimation_ros.datasets.pascal3d_viewpoint import Viewpoint

VISIBLE = 1


@dataclass(frozen=True)
class Keypoint:
    """A named point of an object in the image.

    Attributes:
        name: Such as 'left_front_wheel'.
        location: (x, y) pixels.
        status: 1 = visible; the other numbers say why not (hidden, outside, unsure).
    """

    name: str
    location: tuple[float, float]
    status: int

    @property
    def is_visible(self) -> bool:
        """Whether the point can be seen."""
        return self.status == VISIBLE


@dataclass(frozen=True)
class Pascal3dObject:
    """One annotated object.

    Attributes:
        index: Its place in the record, from 0.
        category: Its class.
        box: (x_min, y_min, x_max, y_max) pixels, as annotated.
        cad_index: Number of the CAD model of its class, from 1.
        viewpoint: Its pose.
        is_truncated: It leaves the image.
        is_occluded: Something covers part of it.
        is_difficult: The annotators found it hard to recognise.
        keypoints: Those with a location.
    """

    index: int
    category: str
    box: tuple[float, float, float, float]
    cad_index: int
    viewpoint: Viewpoint
    is_truncated: bool
    is_occluded: bool
    is_difficult: bool
    keypoints: tuple[Keypoint, ...]


@dataclass(frozen=True)
class SkippedObject:
    """An object whose annotation has no pose that can be used.

    Attributes:
        path: The annotation.
        index: Its place in the record, from 0.
        category: Its class.
        reason: Why it is left out.
    """

    path: Path
    index: int
    category: str
    reason: str


@dataclass(frozen=True)
class Pascal3dRecord:
    """What is annotated in an image.

    Attributes:
        path: The file it comes from.
        objects: With a pose.
        skipped: Without, and those of other classes than asked for.
    """

    path: Path
    objects: tuple[Pascal3dObject, ...]
    skipped: tuple[SkippedObject, ...]


class _UnusableError(Exception):
    """An object has no usable pose; the message is the reason."""


def read_record(path: Path, categories: Collection[str]) -> Pascal3dRecord:
    """Read an annotation.

    Args:
        path: Of the `.mat` file.
        categories: Classes to keep.

    Raises:
        InvalidInputError: If the file is missing, damaged or holds no `record`.
    """
    objects: list[Pascal3dObject] = []
    skipped: list[SkippedObject] = []
    for index, entry in enumerate(_entries(path)):
        category = str(_get(entry, 'class', ''))
        try:
            if category not in categories:
                raise _UnusableError('of another class')
            objects.append(_object(index, category, entry))
        except _UnusableError as reason:
            skipped.append(SkippedObject(path, index, category, str(reason)))
    # One camera serves the image.
    for other in [item for item in objects[1:]
                  if item.viewpoint.focal_length != objects[0].viewpoint.focal_length]:
        objects.remove(other)
        skipped.append(SkippedObject(path, other.index, other.category,
                                     'another focal length than the first object'))
    return Pascal3dRecord(path, tuple(objects), tuple(skipped))


def _entries(path: Path) -> Sequence[Any]:
    from scipy.io import loadmat

    if not path.is_file():
        raise InvalidInputError(f'{path} is missing; unpack the annotations of the data set')
    try:
        # Structs become objects with attributes, arrays of one element become the element.
        record = loadmat(str(path), struct_as_record=False, squeeze_me=True)['record']
        return list(np.atleast_1d(record.objects))
    except Exception as error:  # A damaged file can make SciPy raise anything.
        raise InvalidInputError(f'{path} is no annotation of PASCAL3D+ or ObjectNet3D ({error!r});'
                                ' unpack it again') from error


def _object(index: int, category: str, entry: Any) -> Pascal3dObject:
    box = np.asarray(_get(entry, 'bbox', ()), dtype=np.float64).ravel()
    if box.shape != (4,) or not np.isfinite(box).all():
        raise _UnusableError('no box of four numbers')
    cad_index = _number(entry, 'cad_index')
    if cad_index is None or not cad_index >= 1:
        raise _UnusableError('no CAD model')
    return Pascal3dObject(
        index=index, category=category, box=(box[0], box[1], box[2], box[3]),
        cad_index=int(cad_index), viewpoint=_viewpoint(_get(entry, 'viewpoint', None)),
        is_truncated=bool(_number(entry, 'truncated')),
        is_occluded=bool(_number(entry, 'occluded')),
        is_difficult=bool(_number(entry, 'difficult')),
        keypoints=_keypoints(_get(entry, 'anchors', None)))


def _viewpoint(entry: Any) -> Viewpoint:
    if not hasattr(entry, '_fieldnames'):
        raise _UnusableError('no viewpoint')
    distance = _number(entry, 'distance')
    if not distance:
        raise _UnusableError('distance is 0 or missing')
    angles = [_first_number(entry, 'azimuth', 'azimuth_coarse'),
              _first_number(entry, 'elevation', 'elevation_coarse'), _number(entry, 'theta')]
    numbers = [_number(entry, name) for name in ('px', 'py', 'focal', 'viewport')]
    if None in angles or None in numbers:
        raise _UnusableError('an angle, the principal point or the focal length is missing')
    azimuth, elevation, theta = np.radians(np.array(angles, dtype=np.float64)).tolist()
    px, py, focal, viewport = np.array(numbers, dtype=np.float64).tolist()
    if not np.isfinite([azimuth, elevation, theta, distance, px, py, focal, viewport]).all():
        raise _UnusableError('the viewpoint is NaN or infinite')
    if not (distance > 0 and focal * viewport > 0):
        raise _UnusableError('distance or focal length is negative')
    return Viewpoint(azimuth, elevation, theta, distance, (px, py), focal * viewport)


def _keypoints(entry: Any) -> tuple[Keypoint, ...]:
    found = []
    for name in getattr(entry, '_fieldnames', ()):
        anchor = getattr(entry, name)
        location = np.asarray(_get(anchor, 'location', ()), dtype=np.float64).ravel()
        if location.shape == (2,) and np.isfinite(location).all():
            found.append(Keypoint(name, (float(location[0]), float(location[1])),
                                  int(_number(anchor, 'status') or 0)))
    return tuple(found)


def _get(entry: Any, name: str, default: Any) -> Any:
    return getattr(entry, name) if name in getattr(entry, '_fieldnames', ()) else default


def _number(entry: Any, name: str) -> float | None:
    """Return a field of one number; None if the field is missing or empty."""
    values = np.asarray(_get(entry, name, ())).ravel()
    return float(values[0]) if values.size == 1 else None


def _first_number(entry: Any, *names: str) -> float | None:
    return next((number for name in names if (number := _number(entry, name)) is not None), None)
