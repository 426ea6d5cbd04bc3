"""Fewer triangles for the same shape, in the same frame: what a model's folder ships of a mesh."""

from __future__ import annotations

import numpy as np

from pose_estimation_ros.core.errors import ConfigurationError, InvalidInputError
from pose_estimation_ros.rendering.mesh import Mesh


def simplified(mesh: Mesh, faces: int) -> Mesh:
    """Return a mesh of at most so many triangles, by quadric edge collapse.

    Vertices at one place become one, so that collapsing opens no seams: normals are then smooth
    across edges that a CAD file kept apart.

    Args:
        mesh: In any frame, metres.
        faces: Most triangles that are wanted.

    Returns:
        The mesh itself where it has no more; else a mesh in the same frame without unused
        vertices.

    Raises:
        ConfigurationError: If fewer than 4 triangles are asked for or Open3D is not installed.
        InvalidInputError: If nothing is left of the mesh: it is flat or has no area.

    Source: Garland and Heckbert, "Surface simplification using quadric error metrics", SIGGRAPH
    1997, as Open3D has it.
    """
    if faces < 4:
        raise ConfigurationError(f'a mesh cannot be simplified to {faces} triangles: ask for 4 '
                                 'or more')
    if len(mesh.faces) <= faces:
        return mesh
    try:
        import open3d
    except ModuleNotFoundError as error:
        raise ConfigurationError('simplifying meshes needs Open3D, which is not installed; run '
                                 'pip install open3d') from error
    full = open3d.geometry.TriangleMesh(
        open3d.utility.Vector3dVector(mesh.vertices.astype(np.float64)),
        open3d.utility.Vector3iVector(mesh.faces))
    full.remove_duplicated_vertices()
    full.remove_degenerate_triangles()
    fewer = full.simplify_quadric_decimation(faces)
    fewer.remove_degenerate_triangles()
    fewer.remove_unreferenced_vertices()
    if not len(fewer.triangles):
        raise InvalidInputError(f'nothing is left of a mesh of {len(mesh.faces)} triangles that '
                                f'is simplified to {faces}: repair it or keep it whole')
    return Mesh(np.asarray(fewer.vertices, dtype=np.float32),
                np.asarray(fewer.triangles, dtype=np.int32))
