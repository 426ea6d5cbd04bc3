"""Views of single objects on the CPU, by casting rays with Open3D (Intel's Embree)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pose_estimation_ros.rendering.mesh import Mesh
from pose_estimation_ros.rendering.open3d_renderer import Open3DRayCaster
from pose_estimation_ros.rendering.renderer import RayHits, Rays
from pose_estimation_ros.rendering.view_renderer import (
    AMBIENT,
    DIFFUSE,
    PIXEL_CENTRE,
    SHININESS,
    SPECULAR,
    BoundingSpheres,
    Float32Array,
    FloatArray,
    ViewBatch,
    Views,
    check_meshes,
)


@dataclass(frozen=True, eq=False)
class _PixelRays:
    """The rays of the pixels of a batch that may hit their object.

    Attributes:
        pixel: (N,) int64 index into the flattened (B, S, S) pictures.
        view: (N,) int64 view of each ray.
        start: (N,) float32 depth at which each ray begins, metres.
        rays: In the common frame of all meshes.
    """

    pixel: NDArray[np.int64]
    view: NDArray[np.int64]
    start: Float32Array
    rays: Rays


class Open3DViewRenderer:
    """A `ViewRenderer` that casts the rays of all views of a call at once.

    All meshes lie in one scene, in bounding spheres that do not touch. A ray begins where it
    enters the sphere of its object, so what it meets within the sphere is that object.
    """

    def __init__(self, meshes: Sequence[Mesh], threads: int = 1) -> None:
        """Build the search tree of all meshes.

        Args:
            meshes: Each in its object frame, metres.
            threads: Threads for building and casting; 0 = one per core.

        Raises:
            ConfigurationError: If Open3D is not installed.
            InvalidInputError: If a mesh cannot be drawn.
        """
        check_meshes(meshes)
        self._bounds = np.stack([mesh.bounds for mesh in meshes]).astype(np.float64)
        self._spheres = BoundingSpheres.of(meshes)
        # Cells of a compact grid: far from the origin, float32 would lose digits.
        cells = 2.1 * self._spheres.radii.max() * _grid_positions(len(meshes))
        self._shifts = cells - self._spheres.centres
        moved = [Mesh(mesh.vertices + shift, mesh.faces)
                 for mesh, shift in zip(meshes, self._shifts, strict=True)]
        self._caster = Open3DRayCaster(moved, threads)
        self._first_face = np.cumsum([0] + [len(mesh.faces) for mesh in meshes])
        # Normals at the corners of each face: (F, 3, 3), corner, then coordinate.
        self._corner_normals = np.concatenate([mesh.vertex_normals[mesh.faces]
                                               for mesh in meshes])

    def render(self, objects: ArrayLike, T_camera_object: ArrayLike, K: ArrayLike,
               size: int) -> Views:
        """Draw one view of one object per entry of the batch; see `ViewRenderer.render`."""
        batch = ViewBatch.checked(objects, T_camera_object, K, size, len(self._shifts))
        shade, depth = np.zeros((2, len(batch.objects), size, size), dtype=np.float32)
        cast = self._pixel_rays(batch)
        hits = self._caster.cast(cast.rays)
        found = np.flatnonzero(hits.mesh == batch.objects[cast.view])
        pixel = cast.pixel[found]
        depth.reshape(-1)[pixel] = cast.start[found] + hits.distance[found]
        shade.reshape(-1)[pixel] = _shade(
            self._normals(hits, found), batch.lights.astype(np.float32)[cast.view[found]],
            cast.rays.directions[found])
        return Views(shade, depth)

    def _pixel_rays(self, batch: ViewBatch) -> _PixelRays:
        parts = [self._rays_of_view(batch, view) for view in range(len(batch.objects))]
        view = np.repeat(np.arange(len(parts)), [len(part[0]) for part in parts])
        pixel, start, origins, directions = (
            np.concatenate([empty, *columns]) for empty, columns in zip(
                (np.zeros(0, np.int64), np.zeros(0, np.float32), np.zeros((0, 3), np.float32),
                 np.zeros((0, 3), np.float32)),
                zip(*parts, strict=True) if parts else ((),) * 4, strict=True))
        return _PixelRays(pixel, view, start, Rays(origins, directions))

    def _rays_of_view(self, batch: ViewBatch, view: int) -> tuple[
            NDArray[np.int64], Float32Array, Float32Array, Float32Array]:
        """Return pixels, start depths, origins and directions of the rays of one view."""
        mesh, size = batch.objects[view], batch.size
        left, top, right, bottom = self._projected_box(batch, view)
        u, v = np.arange(left, right), np.arange(top, bottom)
        along_u = (u + PIXEL_CENTRE)[:, None] * batch.rays[view, :, 0]
        along_v = (v + PIXEL_CENTRE)[:, None] * batch.rays[view, :, 1] + batch.rays[view, :, 2]
        directions = (along_v[:, None] + along_u[None]).astype(np.float32).reshape(-1, 3)
        from_centre = batch.camera_centres[view] - self._spheres.centres[mesh]
        # |from_centre + depth * direction| = radius, halved linear term.
        square = np.einsum('nx,nx->n', directions, directions)
        linear = directions @ from_centre.astype(np.float32)
        constant = from_centre @ from_centre - self._spheres.radii[mesh] ** 2
        discriminant = linear * linear - square * np.float32(constant)
        meets = np.flatnonzero(discriminant > 0)
        directions = directions[meets]
        start = np.maximum(
            -(linear[meets] + np.sqrt(discriminant[meets])) / square[meets], 0).astype(np.float32)
        camera = (batch.camera_centres[view] + self._shifts[mesh]).astype(np.float32)
        pixel = ((view * size + v)[:, None] * size + u).reshape(-1)[meets]
        return pixel, start, camera + start[:, None] * directions, directions

    def _projected_box(self, batch: ViewBatch, view: int) -> tuple[int, int, int, int]:
        """Return first column, first row, last column + 1, last row + 1 that can show the mesh."""
        mesh, size = batch.objects[view], batch.size
        corners = np.array([[x, y, z] for x in (0, 1) for y in (0, 1) for z in (0, 1)])
        low, high = self._bounds[mesh]
        points = low + corners * (high - low)
        T = batch.T_camera_object[view]
        in_camera = points @ T[:3, :3].T + T[:3, 3]
        if (in_camera[:, 2] <= 0).all():
            return 0, 0, 0, 0
        if (in_camera[:, 2] <= 1e-6).any():  # The mesh reaches behind the camera.
            return 0, 0, size, size
        image = in_camera @ batch.K[view].T
        uv = image[:, :2] / image[:, 2:]
        # One pixel more on each side, against rounding.
        left, top = np.clip(np.floor(uv.min(axis=0) - 1), 0, size).astype(int).tolist()
        right, bottom = np.clip(np.ceil(uv.max(axis=0) + 1), 0, size).astype(int).tolist()
        return left, top, right, bottom

    def _normals(self, hits: RayHits, found: NDArray[np.int64]) -> Float32Array:
        """Return the (N, 3) float32 normals at the found hits, as the corners' are weighed."""
        face = self._first_face[hits.mesh[found]] + hits.face[found]
        corners = self._corner_normals[face]
        b, c = hits.barycentric[found, :1], hits.barycentric[found, 1:]
        return np.asarray((1 - b - c) * corners[:, 0] + b * corners[:, 1] + c * corners[:, 2])


def _grid_positions(count: int) -> FloatArray:
    """Return (N, 3) whole numbers, as many different points near the origin."""
    side = int(np.ceil(round(count ** (1 / 3), 6)))
    cells = np.stack(np.unravel_index(np.arange(count), (side, side, side)), axis=1)
    return np.asarray(cells - (side - 1) / 2, dtype=np.float64)


def _shade(normals: Float32Array, lights: Float32Array,
           directions: Float32Array) -> Float32Array:
    """Return the (N,) grey values that a camera sees.

    Args:
        normals: (N, 3), any length; zero where a mesh has no normal.
        lights: (N, 3) unit vectors towards the light.
        directions: (N, 3) from the camera to the surface, any length.
    """
    length = np.sqrt(np.einsum('nx,nx->n', normals, normals))
    facing = np.einsum('nx,nx->n', normals, lights) / np.maximum(length, 1e-12)
    distance = np.sqrt(np.einsum('nx,nx->n', directions, directions))
    along = np.einsum('nx,nx->n', normals, directions) / (np.maximum(length, 1e-12) * distance)
    light_along = np.einsum('nx,nx->n', lights, directions) / distance
    # The camera is at -direction; the reflected ray is 2 (n.l) n - l.
    reflected = np.maximum(light_along - 2 * facing * along, 0) * (facing > 0)
    return np.asarray(AMBIENT + DIFFUSE * np.maximum(facing, 0) + SPECULAR * reflected**SHININESS)
