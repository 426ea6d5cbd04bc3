"""The meshes of a model of known objects in one file: an .npz without pickles."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from pose_estimation_ros.core.errors import InvalidInputError, ModelError
from pose_estimation_ros.rendering.array_archive import DAMAGES, read_arrays, write_arrays
from pose_estimation_ros.rendering.mesh import Mesh

_PARTS = 'vertices', 'faces'


def write_mesh_archive(path: Path, meshes: Mapping[str, Mesh]) -> None:
    """Write meshes by the names of their objects; the file appears whole or not at all.

    Args:
        path: The .npz file.
        meshes: Each in its object frame, metres.
    """
    write_arrays(path, {name: {part: getattr(mesh, part) for part in _PARTS}
                        for name, mesh in meshes.items()})


def read_mesh_archive(path: Path) -> dict[str, Mesh]:
    """Return the meshes of a file by the names of their objects, metres.

    Raises:
        ModelError: If the file is no archive of meshes.
    """
    try:
        return {name: Mesh(*arrays) for name, arrays in read_arrays(path, _PARTS).items()}
    except (*DAMAGES, InvalidInputError) as error:
        raise ModelError(f'{path} is no archive of meshes ({error}); export the model '
                         'again') from error
