"""Rendering of a cuboid with values at its vertices, and how the picture moves with the pose.

A cuboid needs no rasteriser of meshes: each pixel's ray enters it at one point in closed form.
Values come to that point from the three vertices of its triangle, as a renderer of meshes with
perspective-correct interpolation gives them.

A small motion of a pose is (dt, w), both in the object frame: t + R dt, R exp([w]x). A point X of
the object that a fixed ray meets then moves over its face by q - d q_k / d_k with
q = -(dt + w x X), where d is the ray's direction and k the axis that the face is square to.

Source: the neural mesh's rendering, Ma et al., ECCV 2022, equations 2 and 3; the closed forms are
ours.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from pose_estimation_ros.core.cuboid_mesh import CuboidMesh
from pose_estimation_ros.core.ray_box import enter_box

FloatArray = NDArray[np.float64]
IndexArray = NDArray[np.intp]
_Value = TypeVar('_Value', np.bool_, np.float32, np.float64)


@dataclass(frozen=True)
class CuboidRaster:
    """The pixels of B pictures that show a cuboid: n in all, picture after picture.

    Attributes:
        shape: (height, width) of a picture.
        poses: B.
        pose: (n,) which picture each pixel belongs to, ascending.
        pixel: (n,) v * width + u.
        corners: (n, 3) the vertices of the triangle that is seen: its right angle's, its
            neighbour along the row, its neighbour along the column.
        offset: (2, n) float64 where within the triangle, in units of its sides: along the row and
            along the column, away from the right angle, 0 to 1.
        side: (n,) +1.0 where row and column lead from the right angle to larger coordinates,
            -1.0 in the other triangle of a cell.
        axis: (3, n) of the face: fast axis, slow axis, the axis it is square to.
        depth: (n,) float64 metres along the camera's optical axis.
        point: (3, n) float64 metres, on the mesh, before `stretch`.
        direction: (3, n) float64 of the ray there; z of the camera's frame is 1.
        stretch: (3, n) float64 how many times as long as the mesh the cuboid is along each axis.
    """

    shape: tuple[int, int]
    poses: int
    pose: IndexArray
    pixel: IndexArray
    corners: IndexArray
    offset: FloatArray
    side: FloatArray
    axis: IndexArray
    depth: FloatArray
    point: FloatArray
    direction: FloatArray
    stretch: FloatArray

    @property
    def weights(self) -> FloatArray:
        """(n, 3) float64 shares of the three corners; they sum to 1."""
        along_row, along_column = self.offset
        return np.stack([1 - along_row - along_column, along_row, along_column], axis=1)

    def masks(self) -> NDArray[np.bool_]:
        """Return the (B, height, width) bool pictures of where the cuboid is seen."""
        seen = np.zeros((self.poses, self.shape[0] * self.shape[1]), dtype=bool)
        seen[self.pose, self.pixel] = True
        return seen.reshape(self.poses, *self.shape)

    def images(self, values: NDArray[_Value]) -> NDArray[_Value]:
        """Return the (B, height, width, ...) pictures of (n, ...) values, zero elsewhere."""
        picture = np.zeros((self.poses, self.shape[0] * self.shape[1], *values.shape[1:]),
                           dtype=values.dtype)
        picture[self.pose, self.pixel] = values
        return picture.reshape(self.poses, *self.shape, *values.shape[1:])

    def interpolate(self, features: NDArray[np.floating]) -> FloatArray:
        """Return the (n, D) features of the points from (V, D) features of the vertices."""
        return np.asarray(np.einsum('nc,ncd->nd', self.weights, features[self.corners]))

    def sample(self, values: NDArray[np.floating],
               rows: IndexArray | slice = slice(None)) -> tuple[FloatArray, FloatArray]:
        """Return interpolated values and how they change over the face.

        Args:
            values: (m, 3) at the corners of some of the n pixels.
            rows: (m,) which of the pixels; all by default.

        Returns:
            (m,) values and their (2, m) derivatives by the coordinates along row and column, in
            vertices.
        """
        along_row, along_column = self.offset[:, rows]
        corner, beside, below = values.T.astype(np.float64)
        slope = np.stack([beside - corner, below - corner])
        return (corner + along_row * slope[0] + along_column * slope[1],
                slope * self.side[rows])

    def motion(self, mesh: CuboidMesh) -> FloatArray:
        """Return how fast the seen points move over the face's grid as the pose changes.

        Returns:
            (2, 6, n) float64 derivatives of the coordinates along row and column, in vertices, by
            (dt, w).
        """
        rays = np.arange(self.pixel.size)
        fast, slow, normal = self.axis
        x, y, z = self.point * self.stretch
        zero, one = np.zeros_like(x), np.ones_like(x)
        # -(dt + w x X), one (3, n) block for each of the six numbers.
        moved = -np.array([[one, zero, zero], [zero, one, zero], [zero, zero, one],
                           [zero, -z, y], [z, zero, -x], [-y, x, zero]]) / self.stretch
        through = moved[:, normal, rays] / self.direction[normal, rays]
        return np.stack([
            (moved[:, axis, rays] - through * self.direction[axis, rays]) / mesh.spacing[axis]
            for axis in (fast, slow)])


def rasterize(mesh: CuboidMesh, T_camera_object: FloatArray, K: FloatArray,
              shape: tuple[int, int], stretch: FloatArray | None = None) -> CuboidRaster:
    """Find what each pixel's ray meets of a cuboid, for a batch of poses.

    Args:
        mesh: In the object frame.
        T_camera_object: (B, 4, 4), optical frame.
        K: (3, 3) camera matrix of the picture, whose pixels' centres are whole numbers.
        shape: (height, width) of the picture, pixels.
        stretch: (B, 3) how many times as long as the mesh each cuboid is along its axes, about
            the object's origin; None = they are like the mesh.

    Returns:
        The pixels that meet it. A camera within the cuboid sees none.
    """
    t = T_camera_object[:, :3, 3]
    scale = np.ones_like(t) if stretch is None else stretch
    # Rays are brought to the mesh: d = S^-1 R^T K^-1 (u, v, 1).
    to_mesh = np.swapaxes(T_camera_object[:, :3, :3], 1, 2) / scale[..., None]
    lift = to_mesh @ np.linalg.inv(K)
    eye = -np.einsum('bij,bj->bi', to_mesh, t)
    pose, column, row = _pixels_around(mesh, T_camera_object[:, :3, :3] * scale[:, None], t, K,
                                       shape)
    directions = (lift[pose, :, 0] * column[:, None] + lift[pose, :, 1] * row[:, None]
                  + lift[pose, :, 2])
    hits = enter_box(eye[pose], directions, mesh.lower, mesh.upper)
    met = np.flatnonzero(hits.hit)
    pose, direction = pose[met], directions[met].T.copy()
    point = eye.T[:, pose] + hits.distance[met] * direction
    pixel = row[met] * shape[1] + column[met]
    face = mesh.face_index(hits.axis[met], hits.upper[met])
    return CuboidRaster(shape, len(t), pose, pixel, *_on_triangles(mesh, point, face),
                        _face_axes(mesh)[:, face], hits.distance[met], point, direction,
                        scale.T[:, pose])


def _pixels_around(mesh: CuboidMesh, to_camera: FloatArray, t: FloatArray, K: FloatArray,
                   shape: tuple[int, int]) -> tuple[IndexArray, IndexArray, IndexArray]:
    """Return pose, column and row of all pixels of the rectangles around the cuboids.

    A point X of the mesh is at to_camera X + t in the camera's frame.
    """
    height, width = shape
    corner = np.stack(np.meshgrid(*np.stack([mesh.lower, mesh.upper], axis=1), indexing='ij'),
                      axis=-1).reshape(-1, 3)
    points = corner @ np.swapaxes(to_camera, 1, 2) + t[:, None]
    # A cuboid that reaches behind the camera may be seen anywhere.
    nearest = points[..., 2].min(axis=1)
    before = nearest > 1e-6 * np.linalg.norm(mesh.extents)
    with np.errstate(divide='ignore', invalid='ignore'):
        projected = points @ K.T
        projected = projected[..., :2] / projected[..., 2:]
    last = np.array([width, height]) - 1
    first_pixel = np.where(before[:, None], np.ceil(projected.min(axis=1) - 1e-6), 0)
    last_pixel = np.where(before[:, None], np.floor(projected.max(axis=1) + 1e-6), last)
    low = np.clip(first_pixel, 0, last + 1).astype(np.intp)
    size = np.maximum(np.clip(last_pixel, -1, last).astype(np.intp) - low + 1, 0)
    count = size.prod(axis=1)
    pose = np.repeat(np.arange(len(t)), count)
    place = np.arange(pose.size) - np.repeat(np.cumsum(count) - count, count)
    columns = np.maximum(size[pose, 0], 1)
    return pose, low[pose, 0] + place % columns, low[pose, 1] + place // columns


def _face_axes(mesh: CuboidMesh) -> IndexArray:
    """Return the (3, 6) fast axis, slow axis and normal of each face."""
    return np.array([[face.fast_axis, face.slow_axis, face.axis] for face in mesh.faces]).T


def _on_triangles(mesh: CuboidMesh, point: FloatArray,
                  face: IndexArray) -> tuple[IndexArray, FloatArray, FloatArray]:
    """Return corners, offset and side of the triangles in which (3, n) points on faces lie."""
    columns = np.array([f.columns for f in mesh.faces])[face]
    rows = np.array([f.rows for f in mesh.faces])[face]
    fast, slow, _ = _face_axes(mesh)[:, face]
    place = (point - mesh.lower[:, None]) / mesh.spacing[:, None]
    rays = np.arange(face.size)
    along_row, along_column = place[fast, rays], place[slow, rays]
    # A point on the far edge belongs to the last cell.
    cell_column = np.clip(along_row.astype(np.intp), 0, columns - 2)
    cell_row = np.clip(along_column.astype(np.intp), 0, rows - 2)
    along_row, along_column = along_row - cell_column, along_column - cell_row
    a = np.array([f.first for f in mesh.faces])[face] + cell_row * columns + cell_column
    b, c, d = a + 1, a + columns, a + columns + 1
    near = along_row + along_column <= 1
    # Triangle (d, b, c): along its row from d lies c, along its column b.
    corners = np.where(near, (a, b, c), (d, c, b)).T
    offset = np.where(near, (along_row, along_column), (1 - along_row, 1 - along_column))
    return corners, offset, np.where(near, 1.0, -1.0)
