"""The meshes of a model of known objects in one file: an .npz without pickles."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from pose_estimation_ros.core.errors import InvalidInputError, ModelError
from pose_estimation_ros.rendering.mesh import Mesh

_NAMES = 'names'


def write_mesh_archive(path: Path, meshes: Mapping[str, Mesh]) -> None:
    """Write meshes by the names of their objects; the file appears whole or not at all.

    Args:
        path: The .npz file.
        meshes: Each in its object frame, metres.
    """
    arrays: dict[str, NDArray[Any]] = {_NAMES: np.array(list(meshes), dtype=np.str_)}
    for number, mesh in enumerate(meshes.values()):
        arrays |= {f'vertices_{number}': mesh.vertices, f'faces_{number}': mesh.faces}
    partial = path.with_name(f'{path.name}.{os.getpid()}.part')
    with partial.open('wb') as file:
        # NumPy's stubs take every named array for `allow_pickle`, which is a bool.
        np.savez_compressed(file, **arrays)  # type: ignore[arg-type]
    partial.replace(path)


def read_mesh_archive(path: Path) -> dict[str, Mesh]:
    """Return the meshes of a file by the names of their objects, metres.

    Raises:
        ModelError: If the file is no archive of meshes.
    """
    try:
        with np.load(path, allow_pickle=False) as archive:
            return {str(name): Mesh(archive[f'vertices_{number}'], archive[f'faces_{number}'])
                    for number, name in enumerate(archive[_NAMES])}
    except (OSError, KeyError, ValueError, EOFError, BadZipFile, InvalidInputError) as error:
        raise ModelError(f'{path} is no archive of meshes ({error}); export the model '
                         'again') from error
