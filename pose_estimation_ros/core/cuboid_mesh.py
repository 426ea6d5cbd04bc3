"""A cuboid whose six faces are grids of vertices: the shape of a category in a neural mesh.

Source: Ma et al., Robust category-level 6D pose estimation with coarse-to-fine rendering of
neural features (ECCV 2022), and its released meshes: the number of vertices and their order.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pose_estimation_ros.core.errors import ConfigurationError

FloatArray = NDArray[np.float64]
IndexArray = NDArray[np.intp]

# Of each face: the axis it is square to, the slow axis of its grid, the fast one. Each axis has
# its lower face, then its upper face.
_FACE_AXES = ((2, 1, 0), (1, 2, 0), (0, 2, 1))
_FACE_OF_AXIS = np.array([[4, 5], [2, 3], [0, 1]])


@dataclass(frozen=True)
class CuboidFace:
    """A face of a cuboid as a grid of vertices.

    Attributes:
        axis: 0, 1 or 2, the axis that the face is square to.
        upper: Whether it is the face at the upper end of that axis.
        rows: Vertices along `slow_axis`.
        columns: Vertices along `fast_axis`.
        slow_axis: The axis along which whole rows follow each other.
        fast_axis: The axis along which the vertices of a row follow each other.
        first: Index of its first vertex in the mesh; row by row, the others follow.
    """

    axis: int
    upper: bool
    rows: int
    columns: int
    slow_axis: int
    fast_axis: int
    first: int

    @property
    def vertices(self) -> slice:
        """Its vertices in the mesh."""
        return slice(self.first, self.first + self.rows * self.columns)


@dataclass(frozen=True)
class CuboidMesh:
    """An axis-aligned cuboid in the object frame; build it with `cuboid_mesh`.

    Vertices on an edge belong to one face each and are there twice, those at a corner thrice.

    Attributes:
        lower: (3,) float64 lower corner, metres.
        upper: (3,) float64 upper corner, metres.
        counts: Vertices along x, y and z, at least 2 each.
    """

    lower: FloatArray
    upper: FloatArray
    counts: tuple[int, int, int]

    @property
    def extents(self) -> FloatArray:
        """(3,) float64 lengths of the edges, metres."""
        return np.asarray(self.upper - self.lower)

    @property
    def spacing(self) -> FloatArray:
        """(3,) float64 distances between neighbouring vertices along x, y and z, metres."""
        return np.asarray(self.extents / (np.array(self.counts) - 1))

    @cached_property
    def faces(self) -> tuple[CuboidFace, ...]:
        """The six faces: z lower, z upper, y lower, y upper, x lower, x upper."""
        faces, first = [], 0
        for axis, slow, fast in _FACE_AXES:
            for upper in (False, True):
                rows, columns = self.counts[slow], self.counts[fast]
                faces.append(CuboidFace(axis, upper, rows, columns, slow, fast, first))
                first += rows * columns
        return tuple(faces)

    @cached_property
    def vertices(self) -> FloatArray:
        """(V, 3) float64 metres, object frame, face after face."""
        lines = [np.linspace(self.lower[axis], self.upper[axis], self.counts[axis])
                 for axis in range(3)]
        points = np.empty((sum(face.rows * face.columns for face in self.faces), 3))
        for face in self.faces:
            grid = points[face.vertices].reshape(face.rows, face.columns, 3)
            grid[..., face.axis] = (self.upper if face.upper else self.lower)[face.axis]
            grid[..., face.slow_axis] = lines[face.slow_axis][:, None]
            grid[..., face.fast_axis] = lines[face.fast_axis]
        return points

    @cached_property
    def face_of_vertex(self) -> IndexArray:
        """(V,) index into `faces` of each vertex."""
        return np.repeat(np.arange(6), [face.rows * face.columns for face in self.faces])

    def face_index(self, axis: IndexArray, upper: NDArray[np.bool_]) -> IndexArray:
        """Return the index into `faces` of the faces square to an axis, lower or upper."""
        return np.asarray(_FACE_OF_AXIS[axis, upper.astype(np.intp)])

    def faces_turned_to(self, eye: FloatArray) -> NDArray[np.bool_]:
        """Return which faces are seen from a point.

        Args:
            eye: (..., 3) metres, object frame.

        Returns:
            (..., 6) bool, in the order of `faces`; none for a point within the cuboid.
        """
        seen = [eye[..., face.axis] > self.upper[face.axis] if face.upper
                else eye[..., face.axis] < self.lower[face.axis] for face in self.faces]
        return np.stack(seen, axis=-1)


def cuboid_mesh(lower: ArrayLike, upper: ArrayLike, vertices: int = 1000) -> CuboidMesh:
    """Return a cuboid with about so many vertices, as far apart along each axis as they can be.

    Args:
        lower: (3,) lower corner, metres, object frame.
        upper: (3,) upper corner, metres.
        vertices: How many squares of the spacing's size cover the surface; there are a few more
            vertices, as those at the edges are there twice.

    Returns:
        A mesh with at least two vertices along each axis.

    Raises:
        ConfigurationError: If an extent is not positive or `vertices` is below 8.
    """
    low, high = np.asarray(lower, dtype=np.float64), np.asarray(upper, dtype=np.float64)
    extents = high - low
    if extents.shape != (3,) or not (extents > 0).all() or not np.isfinite(extents).all():
        raise ConfigurationError(f'a cuboid needs three positive extents, not {extents.tolist()}: '
                                 'give the lower corner, then the upper one')
    if vertices < 8:
        raise ConfigurationError(f'a cuboid has 8 corners, so {vertices} vertices are too few; '
                                 'about 1000 are usual')
    width, depth, height = extents
    edge = np.sqrt(2 * (width * height + height * depth + width * depth) / vertices)
    x, y, z = (max(int(extent / edge + 1), 2) for extent in extents)
    return CuboidMesh(low, high, (x, y, z))


def centered_cuboid(extents: ArrayLike, vertices: int = 1000) -> CuboidMesh:
    """Return the cuboid of (3,) extents whose centre is the object's origin; see `cuboid_mesh`."""
    half = np.asarray(extents, dtype=np.float64) / 2
    return cuboid_mesh(-half, half, vertices)


@dataclass(frozen=True)
class VertexView:
    """The vertices of a cuboid as a camera sees them, for one pose or a batch.

    Attributes:
        pixels: (..., V, 2) float64 (u, v) where each projects to; not finite behind the camera.
        depth: (..., V) float64 metres along the optical axis.
        visible: (..., V) bool, whether it is before the camera and its face is turned to it.
    """

    pixels: FloatArray
    depth: FloatArray
    visible: NDArray[np.bool_]


def view_vertices(mesh: CuboidMesh, T_camera_object: FloatArray, K: FloatArray) -> VertexView:
    """Project the vertices and find the visible ones; a cuboid is convex, so none hides another.

    Args:
        mesh: In the object frame.
        T_camera_object: (..., 4, 4), optical frame.
        K: (3, 3) camera matrix of the image or feature map, without distortion.

    Returns:
        Pixels of that image and visibilities.
    """
    R, t = T_camera_object[..., :3, :3], T_camera_object[..., :3, 3]
    points = mesh.vertices @ np.swapaxes(R, -1, -2) + t[..., None, :]
    depth = points[..., 2]
    with np.errstate(divide='ignore', invalid='ignore'):
        pixels = points[..., :2] / depth[..., None] * K.diagonal()[:2] + K[:2, 2]
    before = depth > 0
    eye = -np.einsum('...ji,...j->...i', R, t)
    visible = mesh.faces_turned_to(eye)[..., mesh.face_of_vertex] & before
    return VertexView(np.where(before[..., None], pixels, np.nan), depth, visible)
