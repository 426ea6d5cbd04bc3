"""Ray casting on the CPU with Open3D, which uses Intel's Embree."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pose_estimation_ros.core.errors import ConfigurationError
from pose_estimation_ros.rendering.mesh import Mesh
from pose_estimation_ros.rendering.renderer import Float32Array, RayHits, Rays

_NOTHING_HIT = np.uint32(0xFFFFFFFF)


class Open3DRayCaster:
    """A `RayCaster` over Open3D's `RaycastingScene`.

    It runs on one thread by default: bulk generation uses one process per core.
    """

    def __init__(self, meshes: Sequence[Mesh], threads: int = 1) -> None:
        """Build the search tree of all faces.

        Args:
            meshes: Meshes in one common frame.
            threads: Threads for building and casting; 0 = one per core.

        Raises:
            ConfigurationError: If Open3D is not installed.
        """
        # Open3D takes a second to import, and only those who cast rays need it.
        try:
            import open3d
        except ModuleNotFoundError as error:
            raise ConfigurationError('rendering needs Open3D, which is not installed; run '
                                     'pip install open3d') from error

        self._to_tensor = open3d.core.Tensor.from_numpy
        self._threads = threads
        self._scene = open3d.t.geometry.RaycastingScene(nthreads=threads)
        for mesh in meshes:
            self._scene.add_triangles(self._to_tensor(mesh.vertices),
                                      self._to_tensor(mesh.faces.astype(np.uint32)))

    def cast(self, rays: Rays) -> RayHits:
        """Return the first hit of each ray."""
        answer = self._cast(rays)
        mesh = answer['geometry_ids'].numpy()
        return RayHits(
            answer['t_hit'].numpy(),
            np.where(mesh == _NOTHING_HIT, -1, mesh.astype(np.int32)).astype(np.int32),
            answer['primitive_ids'].numpy().view(np.int32), answer['primitive_uvs'].numpy(),
            answer['primitive_normals'].numpy())

    def distances(self, rays: Rays) -> Float32Array:
        """Return only the (...) distances of the first hits; inf where nothing is hit."""
        return np.asarray(self._cast(rays)['t_hit'].numpy())

    def occluded(self, rays: Rays) -> NDArray[np.bool_]:
        """Return for each ray whether anything lies between its origin and origin + direction."""
        hit = self._scene.test_occlusions(self._packed(rays), tnear=0.0, tfar=1.0,
                                          nthreads=self._threads)
        return np.asarray(hit.numpy(), dtype=np.bool_)

    def surface_distances(self, points: Float32Array) -> Float32Array:
        """Return the (N,) distances, metres, of (N, 3) points from the nearest surface."""
        found = self._scene.compute_distance(
            self._to_tensor(np.ascontiguousarray(points, dtype=np.float32)),
            nthreads=self._threads)
        return np.asarray(found.numpy())

    def _cast(self, rays: Rays) -> Any:
        return self._scene.cast_rays(self._packed(rays), nthreads=self._threads)

    def _packed(self, rays: Rays) -> Any:
        packed = np.empty((*rays.directions.shape[:-1], 6), dtype=np.float32)
        packed[..., :3] = rays.origins
        packed[..., 3:] = rays.directions
        return self._to_tensor(packed)
