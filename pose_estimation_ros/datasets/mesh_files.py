"""Triangle meshes of data sets: files, extents and diameters."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pose_estimation_ros.core.errors import InvalidInputError
from pose_estimation_ros.datasets.atomic_files import temporary_name
from pose_estimation_ros.datasets.obj_files import read_obj

FloatArray = NDArray[np.float64]

# What a camera looks at on a table, in a bin or on a shelf lies between these, metres.
SMALLEST_EXTENT = 0.002
LARGEST_EXTENT = 5.0
_HULL_BLOCK = 1024


@dataclass(frozen=True, eq=False)
class MeshData:
    """The surface of a model.

    Attributes:
        vertices: (V, 3) float64, in the unit that the reader was told.
        faces: (F, 3) int32 vertex indices, counter-clockwise seen from outside.
        colors: (V, 3) uint8 red, green, blue of the vertices; None if the file gives none.
    """

    vertices: FloatArray
    faces: NDArray[np.int32]
    colors: NDArray[np.uint8] | None = None

    @property
    def size(self) -> FloatArray:
        """(3,) float64 extent along the axes."""
        return np.asarray(np.ptp(self.vertices, axis=0))


def read_mesh(path: Path, unit: float) -> MeshData:
    """Read an OBJ, PLY, OFF or other file that Open3D knows; polygons are split into triangles.

    Vertices of no triangle are left out: they are not to be seen, but would widen the box.

    Args:
        path: Of the file.
        unit: Metres per unit of the file: 0.001 for BOP, 1 to keep the file's own unit.

    Raises:
        InvalidInputError: If the file is missing, damaged, without a triangle or not finite.
    """
    import open3d

    if not path.is_file():
        raise InvalidInputError(f'{path} is missing; download or write the models of the data set')
    colors = None
    quiet = open3d.utility.VerbosityContextManager(open3d.utility.VerbosityLevel.Error)
    with quiet:
        if path.suffix.lower() == '.obj':
            vertices, faces = read_obj(path)
        else:
            mesh = open3d.io.read_triangle_mesh(str(path))
            vertices = np.array(mesh.vertices, dtype=np.float64)
            faces = np.array(mesh.triangles, dtype=np.int32)
            if mesh.has_vertex_colors():
                colors = np.round(255 * np.asarray(mesh.vertex_colors)).astype(np.uint8)
    vertices = vertices * unit
    if not len(vertices) or not len(faces):
        raise InvalidInputError(f'{path} holds {len(vertices)} vertices and {len(faces)} '
                                'triangles; it is damaged or no triangle mesh')
    if not np.isfinite(vertices).all():
        raise InvalidInputError(f'{path} has vertices that are NaN or infinite; repair the mesh')
    if faces.min() < 0 or faces.max() >= len(vertices):
        raise InvalidInputError(f'{path} has triangles of vertices {faces.min()} to {faces.max()},'
                                f' but {len(vertices)} vertices; export the mesh again')
    used, index = np.unique(faces, return_inverse=True)
    return MeshData(vertices[used], index.reshape(faces.shape).astype(np.int32),
                    None if colors is None else colors[used])


def write_ply(path: Path, vertices: FloatArray, faces: NDArray[np.integer], unit: float,
              colors: NDArray[np.uint8] | None = None) -> None:
    """Write a PLY in ASCII with vertex normals, whole or not at all.

    Args:
        path: Where to write.
        vertices: (V, 3) metres.
        faces: (F, 3) vertex indices, counter-clockwise seen from outside.
        unit: Metres per unit of the file.
        colors: (V, 3) red, green, blue of the vertices; None = none.

    Raises:
        InvalidInputError: If the file cannot be written.
    """
    import open3d

    mesh = open3d.geometry.TriangleMesh(
        open3d.utility.Vector3dVector(np.asarray(vertices, dtype=np.float64) / unit),
        open3d.utility.Vector3iVector(np.asarray(faces, dtype=np.int32)))
    mesh.compute_vertex_normals()
    if colors is not None:
        mesh.vertex_colors = open3d.utility.Vector3dVector(colors / 255.0)
    partial = temporary_name(path).with_suffix('.ply')  # Open3D goes by the suffix
    # BOP's own reader knows the types of ASCII files only by their text.
    if not open3d.io.write_triangle_mesh(str(partial), mesh, write_ascii=True):
        raise InvalidInputError(f'cannot write {path}; check the folder and the space on the disk')
    partial.replace(path)


def check_extent(size: FloatArray, source: Path | str, unit_name: str) -> None:
    """Refuse a model that is far too large or too small to be in the unit it claims.

    Args:
        size: (3,) extent, metres, as converted from `unit_name`.
        source: The file or model, for the message.
        unit_name: Unit that was declared: 'metres' or 'millimetres'.

    Raises:
        InvalidInputError: If the largest extent is below 2 mm or above 5 m.
    """
    largest = float(np.max(size))
    if not np.isfinite(largest):
        raise InvalidInputError(f'{source}: the extent {np.asarray(size).tolist()} m is not '
                                'finite; repair the model')
    if SMALLEST_EXTENT <= largest <= LARGEST_EXTENT:
        return
    likely, cure = (('millimetres', 'multiply its coordinates by 0.001')
                    if largest > LARGEST_EXTENT else
                    ('metres', 'multiply its coordinates by 1000'))
    if likely == unit_name:
        likely, cure = 'an unknown unit', 'scale it'
    raise InvalidInputError(
        f'{source}: the model is {largest:.6g} m large if its unit is {unit_name}; between '
        f'{SMALLEST_EXTENT:g} and {LARGEST_EXTENT:g} m was expected. It is probably in {likely}: '
        f'{cure}')


def diameter(vertices: FloatArray) -> float:
    """Return the largest distance between any two of the (V, 3) points."""
    from scipy.spatial import ConvexHull, QhullError
    from scipy.spatial.distance import cdist

    try:
        # The two points that lie farthest apart are corners of the hull.
        points = vertices[ConvexHull(vertices).vertices]
    except QhullError:  # All points lie in a plane.
        points = np.unique(vertices, axis=0)
    blocks = range(0, len(points), _HULL_BLOCK)
    return max(float(cdist(points[start:start + _HULL_BLOCK], points).max()) for start in blocks)
