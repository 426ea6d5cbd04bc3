"""Models of a BOP data set: extents, diameters, symmetries and meshes, in metres.

Source: https://github.com/thodan/bop_toolkit/blob/master/docs/bop_datasets_format.md
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pose_estimation_ros.core.errors import InvalidInputError
from pose_estimation_ros.core.rotation import nearest_rotation
from pose_estimation_ros.core.se3 import is_rigid
from pose_estimation_ros.core.symmetry import NO_SYMMETRY, Symmetry
from pose_estimation_ros.datasets.frame_files import MILLIMETRE, read_json
from pose_estimation_ros.datasets.mesh_files import MeshData, check_extent, read_mesh

FloatArray = NDArray[np.float64]

MODELS_INFO = 'models_info.json'
OBJECT_NAMES = 'object_names.json'
# models_info.json prints rotations with a handful of digits.
_RIGID_TOLERANCE = 1e-3
# Released symmetries miss the model's origin by fractions of a millimetre. Rotating about the
# origin instead moves the object by less than the labels' accuracy.
_OFF_CENTRE_SHARE = 0.02


@dataclass(frozen=True)
class SymmetryLine:
    """A line about which a model may be turned by any angle.

    Attributes:
        direction: Unit vector along it, object frame.
        point: A point on it, metres, object frame.
    """

    direction: tuple[float, float, float]
    point: tuple[float, float, float]

    @property
    def distance(self) -> float:
        """Distance of the line from the object frame's origin, metres."""
        return float(np.linalg.norm(np.cross(self.direction, self.point)))


@dataclass(frozen=True, eq=False)
class BopModel:
    """What a data set says about one of its objects; object frame = that of the CAD model.

    Attributes:
        obj_id: Number of the object, 1 or more.
        path: Its mesh, PLY in millimetres.
        diameter: Largest distance between two vertices, metres.
        low: (3,) float64 lowest corner of its box, metres.
        size: (3,) float64 extent of its box, metres.
        discrete_symmetries: (S, 4, 4) float64 rigid transforms, metres, identity left out.
        symmetry_lines: Axes of continuous symmetry.
    """

    obj_id: int
    path: Path
    diameter: float
    low: FloatArray
    size: FloatArray
    discrete_symmetries: FloatArray
    symmetry_lines: tuple[SymmetryLine, ...]

    @property
    def name(self) -> str:
        """Name of the model within the data set, such as 'obj_000001'."""
        return self.path.stem

    @cached_property
    def symmetry(self) -> Symmetry:
        """The symmetries as rotations about the object frame's origin.

        Raises:
            InvalidInputError: If a symmetry is about a point or line beside the origin, or there
                are axes of several directions.
        """
        for line in self.symmetry_lines:
            self._check_centred(2 * line.distance, f'continuous symmetry about {line}')
        for T in self.discrete_symmetries:
            self._check_centred(float(np.linalg.norm(T[:3, 3])),
                                f'discrete symmetry {T.tolist()}')
        directions = [np.asarray(line.direction) for line in self.symmetry_lines]
        if any(abs(directions[0] @ other) < 1 - _RIGID_TOLERANCE for other in directions[1:]):
            raise InvalidInputError(
                f'{self.path.parent / MODELS_INFO}: object {self.obj_id} has continuous '
                f'symmetries about {len(directions)} directions; one is supported: keep the one '
                'that matters and state the others as discrete rotations')
        rotations = tuple(tuple(map(float, R.ravel()))
                          for R in nearest_rotation(self.discrete_symmetries[:, :3, :3]))
        if not directions and not rotations:
            return NO_SYMMETRY
        axis = self.symmetry_lines[0].direction if directions else None
        return Symmetry(axis=axis, discrete=rotations)

    def _check_centred(self, shift: float, what: str) -> None:
        if shift > _OFF_CENTRE_SHARE * self.diameter:
            raise InvalidInputError(
                f'{self.path.parent / MODELS_INFO}: the {what} of object {self.obj_id} (metres) '
                f'moves its origin by {1000 * shift:.1f} mm. Symmetries must go through the '
                'origin: move the origin of the model onto the axis, in its mesh, models_info '
                'and all poses')

    def read_mesh(self) -> MeshData:
        """Read the mesh, metres.

        Raises:
            InvalidInputError: If the file is missing, damaged or not as large as models_info
                says, in millimetres.
        """
        mesh = read_mesh(self.path, MILLIMETRE)
        check_extent(mesh.size, self.path, 'millimetres')
        if not np.allclose(mesh.size, self.size, rtol=0.02, atol=0.001):
            raise InvalidInputError(
                f'{self.path} is {(1000 * mesh.size).round(2).tolist()} mm large, but '
                f'{MODELS_INFO} beside it says {(1000 * self.size).round(2).tolist()} mm; they '
                'are of different models or units')
        return mesh


def read_models(folder: Path) -> dict[int, BopModel]:
    """Read the `models_info.json` of a folder of models.

    Args:
        folder: Such as `<root>/models` or `<root>/models_eval`.

    Returns:
        The models by their number.

    Raises:
        InvalidInputError: If the file is missing or an entry cannot be used.
    """
    path = folder / MODELS_INFO
    if not path.is_file():
        raise InvalidInputError(f'{path} is missing; a BOP data set keeps it beside the models: '
                                'download the "base" and "models" archives of the data set')
    return {int(key): _model(path, int(key), values) for key, values in read_json(path).items()}


def read_object_names(root: Path) -> dict[int, str]:
    """Read the labels of objects from `object_names.json`; {} if there is none.

    The file is ours, BOP has no names: {"1": "mug", ...}.
    """
    path = root / OBJECT_NAMES
    if not path.is_file():
        return {}
    return {int(key): str(name) for key, name in read_json(path).items()}


def symmetry_entries(symmetry: Symmetry) -> dict[str, list[Any]]:
    """Return the keys of a `models_info.json` entry that describe a symmetry."""
    entries: dict[str, list[Any]] = {}
    if len(symmetry.rotations) > 1:
        transforms = np.tile(np.eye(4), (len(symmetry.rotations) - 1, 1, 1))
        transforms[:, :3, :3] = symmetry.rotations[1:]
        entries['symmetries_discrete'] = transforms.reshape(-1, 16).tolist()
    if symmetry.axis is not None:
        entries['symmetries_continuous'] = [{'axis': list(symmetry.axis),
                                             'offset': [0.0, 0.0, 0.0]}]
    return entries


def _model(path: Path, obj_id: int, values: Mapping[str, Any]) -> BopModel:
    try:
        low = MILLIMETRE * np.array([values[f'min_{axis}'] for axis in 'xyz'], dtype=np.float64)
        size = MILLIMETRE * np.array([values[f'size_{axis}'] for axis in 'xyz'], dtype=np.float64)
        diameter = MILLIMETRE * float(values['diameter'])
        discrete = np.array(values.get('symmetries_discrete', []), np.float64).reshape(-1, 4, 4)
        lines = tuple(_line(entry) for entry in values.get('symmetries_continuous', []))
    except (KeyError, ValueError, TypeError) as error:
        raise InvalidInputError(
            f'{path}: object {obj_id} cannot be used ({error!r}); it needs diameter, min_x/y/z '
            'and size_x/y/z in mm, and valid symmetries') from error
    discrete[:, :3, 3] *= MILLIMETRE
    for T in discrete:
        if not is_rigid(T, _RIGID_TOLERANCE):
            raise InvalidInputError(f'{path}: a discrete symmetry of object {obj_id} is no rigid '
                                    f'transform: {T.tolist()}; correct it')
    check_extent(np.append(size, diameter), f'{path}, object {obj_id}', 'millimetres')
    return BopModel(obj_id, path.with_name(f'obj_{obj_id:06d}.ply'), diameter, low, size,
                    discrete, lines)


def _line(entry: Mapping[str, Any]) -> SymmetryLine:
    direction = np.array(entry['axis'], dtype=np.float64)
    length = float(np.linalg.norm(direction))
    point = MILLIMETRE * np.array(entry['offset'], dtype=np.float64)
    if (direction.shape != (3,) or point.shape != (3,) or not 0 < length < np.inf
            or not np.isfinite(point).all()):
        raise ValueError(f'symmetry axis {entry}')
    x, y, z = (direction / length).tolist()
    return SymmetryLine((x, y, z), (float(point[0]), float(point[1]), float(point[2])))
