"""The meshes in the folder of a model of known objects: what is rendered, and what is shown."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from pose_estimation_ros.rendering.mesh import Mesh
from pose_estimation_ros.rendering.mesh_archive import write_mesh_archive
from pose_estimation_ros.rendering.mesh_simplification import simplified

# Their roles in the model's manifest.
MESHES, SHOWN = 'meshes', 'shown_meshes'
# Scans have ten times as many, which only makes checkpoints and models larger.
DRAWN_FACES = 5000
# Every marker of every frame holds all triangles of its mesh: these are as many as one can tell.
SHOWN_FACES = 2000


def write_model_meshes(folder: Path, meshes: Mapping[str, Mesh]) -> dict[str, Path]:
    """Write what is rendered, as it is given, and what is shown, with fewer triangles.

    Args:
        folder: Of the model.
        meshes: By the names of their objects, each in its own frame, metres.

    Returns:
        The files by role.

    Raises:
        ConfigurationError: If a mesh has to be simplified and Open3D is not installed.
    """
    files = {role: folder / f'{role}.npz' for role in (MESHES, SHOWN)}
    write_mesh_archive(files[MESHES], meshes)
    write_mesh_archive(files[SHOWN], {name: simplified(mesh, SHOWN_FACES)
                                      for name, mesh in meshes.items()})
    return files
