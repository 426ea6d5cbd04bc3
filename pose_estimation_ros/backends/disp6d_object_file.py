"""A known object as one file: its codes seen from everywhere, its mesh, and what made them.

One file, so that it can be replaced and removed in one step while a node reads it.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

import numpy as np
from numpy.typing import NDArray

from pose_estimation_ros.backends.disp6d_codebook import PackedCodes
from pose_estimation_ros.core.errors import (
    InvalidInputError,
    ModelError,
    PoseEstimationError,
)
from pose_estimation_ros.core.reference_rotations import ReferenceRotations
from pose_estimation_ros.core.symmetry import Symmetry
from pose_estimation_ros.rendering.array_archive import DAMAGES
from pose_estimation_ros.rendering.mesh import Mesh

SUFFIX = '.npz'
_FORMAT = 1
_NAME = re.compile(r'\w[\w. -]*')


@dataclass(frozen=True)
class ObjectIdentity:
    """What an object is called and how it looks the same.

    Attributes:
        name: Its label in all outputs, and the name of its file.
        detected_as: Labels of detections that may be this object; usually its name alone.
        symmetry: Rotations that leave it unchanged.
    """

    name: str
    detected_as: tuple[str, ...]
    symmetry: Symmetry

    def __post_init__(self) -> None:
        """Check the name.

        Raises:
            InvalidInputError: If it cannot be that of a file and a label.
        """
        if not _NAME.fullmatch(self.name):
            raise InvalidInputError(f'{self.name!r} is no name for an object: it begins with a '
                                    'letter, digit or _ and goes on with those, spaces, . and -')
        if not self.detected_as or not all(self.detected_as):
            raise InvalidInputError(f'{self.name!r} is detected as {self.detected_as}: name at '
                                    'least one label of the detector')


@dataclass(frozen=True, eq=False)
class KnownObject:
    """An object whose views are known.

    Attributes:
        identity: Name, labels, symmetry.
        encoder: What made the codes; those of another encoder mean nothing.
        mesh: Of the CAD file's frame, metres; for pictures of results.
        center: (3,) point of that frame at which the cameras of the views looked, metres.
        distance: From the cameras to that point, metres.
        rotations: Of the views.
        boxes: (K, 4) float32 of the object in each view, as x/z and y/z.
        codes: K of them.
    """

    identity: ObjectIdentity
    encoder: str
    mesh: Mesh
    center: NDArray[np.float64]
    distance: float
    rotations: ReferenceRotations
    boxes: NDArray[np.float32]
    codes: PackedCodes

    def __post_init__(self) -> None:
        """Check that the mesh has a thickness.

        Raises:
            InvalidInputError: As `check_thickness`.
        """
        check_thickness(self.mesh, self.identity.name)


def check_thickness(mesh: Mesh, name: str) -> None:
    """Check that an object has an extent along all three axes, as the box of a pose has.

    Raises:
        InvalidInputError: If it is flat.
    """
    extent = np.ptp(mesh.bounds, axis=0)
    if not (extent > 0).all():
        size = ' x '.join(f'{1000 * side:.4g}' for side in extent)
        raise InvalidInputError(f'the CAD model of {name!r} is flat, {size} mm; give it the '
                                'thickness of the object')


def object_path(folder: Path, name: str) -> Path:
    """Return the file of an object in a folder of objects."""
    return folder / f'{name}{SUFFIX}'


def write_object(known: KnownObject, folder: Path) -> Path:
    """Write an object's file into a folder, in the place of an older one; whole or not at all.

    Raises:
        ModelError: If the folder cannot be written.
    """
    path = object_path(folder, known.identity.name)
    identity = {'format': _FORMAT, 'encoder': known.encoder, 'name': known.identity.name,
                'detected_as': known.identity.detected_as,
                'symmetry': known.identity.symmetry.as_plain()}
    # Hidden, and without the suffix: whoever lists the objects must not take it for one.
    partial = folder / f'.{path.name}.{uuid4().hex}.part'
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with partial.open('wb') as file:
            np.savez(file, identity=np.array(json.dumps(identity)), vertices=known.mesh.vertices,
                     faces=known.mesh.faces, center=known.center, distance=known.distance,
                     views=known.rotations.views, turns=known.rotations.turns,
                     boxes=known.boxes, codes=known.codes.numbers, step=known.codes.step,
                     mean=known.codes.mean)
        partial.replace(path)
    except OSError as error:
        raise ModelError(f'{path} cannot be written: {error.strerror or error}; free some space, '
                         'or choose a folder that you may write to') from error
    finally:
        partial.unlink(missing_ok=True)
    return path


def read_object(path: Path) -> KnownObject:
    """Read an object's file.

    Raises:
        ModelError: If it is not there, not whole, or none of this version.
    """
    try:
        # The archive holds a checksum of each array.
        with np.load(path, allow_pickle=False) as archive:
            arrays: dict[str, NDArray[Any]] = dict(archive)
        known = _known_object(arrays)
    except (*DAMAGES, PoseEstimationError) as error:
        raise ModelError(f'{path} is not the whole file of an object ({error}); '
                         f'{_add_again(path.stem)}') from error
    if object_path(path.parent, known.identity.name) != path:
        raise ModelError(f'{path} is the file of {known.identity.name!r}; give it that name, or '
                         f'{_add_again(path.stem)}')
    return known


def check_encoder(known: KnownObject, encoder: str, model: str) -> None:
    """Check that codes are of a model's encoder.

    Raises:
        ModelError: If they are of another one.
    """
    if known.encoder != encoder:
        raise ModelError(f'the views of {known.identity.name!r} were made with another encoder '
                         f'({known.encoder[:12]}…) than that of the model {model!r} '
                         f'({encoder[:12]}…); {_add_again(known.identity.name)}')


def _known_object(arrays: dict[str, NDArray[Any]]) -> KnownObject:
    identity = json.loads(str(arrays['identity']))
    if identity['format'] != _FORMAT:
        raise ValueError(f'its format is {identity["format"]}, this version reads {_FORMAT}')
    known = KnownObject(
        ObjectIdentity(str(identity['name']), tuple(map(str, identity['detected_as'])),
                       Symmetry.from_plain(identity['symmetry'])),
        str(identity['encoder']), Mesh(arrays['vertices'], arrays['faces']), arrays['center'],
        float(arrays['distance']), ReferenceRotations(arrays['views'], arrays['turns']),
        arrays['boxes'], PackedCodes(arrays['codes'], float(arrays['step']), arrays['mean']))
    count = len(known.rotations)
    if (known.codes.numbers.shape != (count, len(known.codes.mean))
            or known.boxes.shape != (count, 4) or known.codes.numbers.dtype != np.int16):
        raise ValueError(f'it has {count} rotations, {known.codes.numbers.shape} codes and '
                         f'{known.boxes.shape} boxes')
    return known


def _add_again(name: str) -> str:
    return f'add it again: pose-estimation models add-object <mesh> --name {name!r}'
