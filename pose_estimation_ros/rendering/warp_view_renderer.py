"""Views of single objects on a CUDA device, by casting rays with NVIDIA Warp."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from pose_estimation_ros.core.errors import ConfigurationError
from pose_estimation_ros.rendering.mesh import Mesh
from pose_estimation_ros.rendering.view_renderer import (
    BoundingSpheres,
    ViewBatch,
    Views,
    check_meshes,
)


class WarpViewRenderer:
    """A `ViewRenderer` that draws all pixels of a call with one launch of one kernel.

    Warp also runs on the CPU, on one core: for tests without a GPU.
    """

    def __init__(self, meshes: Sequence[Mesh], device: str = 'cuda') -> None:
        """Copy the meshes to the device and build their search trees.

        Args:
            meshes: Each in its object frame, metres.
            device: 'cuda', 'cuda:1' and so on, or 'cpu'.

        Raises:
            ConfigurationError: If Warp is not installed or the device is not there.
            InvalidInputError: If a mesh cannot be drawn.
        """
        check_meshes(meshes)
        self._warp = _load_warp()
        self._device = self._find_device(device)
        from pose_estimation_ros.rendering.warp_view_kernel import draw_views

        self._kernel = draw_views
        wp = self._warp
        # Warp's meshes die with their Python objects.
        self._meshes = [wp.Mesh(points=self._sent(mesh.vertices, wp.vec3),
                                indices=self._sent(mesh.faces.ravel(), wp.int32))
                        for mesh in meshes]
        self._identifiers = self._sent(
            np.array([mesh.id for mesh in self._meshes], dtype=np.uint64), wp.uint64)
        first = np.cumsum([0] + [len(mesh.vertices) for mesh in meshes[:-1]])
        self._first_vertices = self._sent(first.astype(np.int32), wp.int32)
        self._vertex_normals = self._sent(
            np.concatenate([mesh.vertex_normals for mesh in meshes]), wp.vec3)
        self._spheres = BoundingSpheres.of(meshes)

    def render(self, objects: ArrayLike, T_camera_object: ArrayLike, K: ArrayLike,
               size: int) -> Views:
        """Draw one view of one object per entry of the batch; see `ViewRenderer.render`."""
        batch = ViewBatch.checked(objects, T_camera_object, K, size, len(self._meshes))
        shape = (len(batch.objects), size, size)
        if not len(batch.objects):
            return Views(np.zeros(shape, np.float32), np.zeros(shape, np.float32))
        wp = self._warp
        near, far = self._spheres.depths(batch)
        with wp.ScopedDevice(self._device):
            shade, depth = wp.zeros(shape, dtype=wp.float32), wp.zeros(shape, dtype=wp.float32)
            wp.launch(self._kernel, dim=shape, inputs=[
                self._identifiers, self._first_vertices, self._vertex_normals,
                self._sent(batch.objects.astype(np.int32), wp.int32),
                self._sent(batch.rays.astype(np.float32), wp.mat33),
                self._sent(batch.camera_centres.astype(np.float32), wp.vec3),
                self._sent(batch.lights.astype(np.float32), wp.vec3),
                self._sent(near, wp.float32), self._sent(far, wp.float32)],
                outputs=[shade, depth])
        return Views(shade.numpy(), depth.numpy())

    def _sent(self, values: np.ndarray[Any, Any], dtype: Any) -> Any:
        return self._warp.array(values, dtype=dtype, device=self._device)

    def _find_device(self, name: str) -> Any:
        try:
            return self._warp.get_device(name)
        except (ValueError, RuntimeError) as error:
            there = ', '.join(str(device) for device in self._warp.get_devices())
            raise ConfigurationError(f'Warp finds no device {name!r}, only {there}; check the '
                                     "NVIDIA driver or render on 'cpu'") from error


def _load_warp() -> Any:
    """Import Warp without its greeting.

    Raises:
        ConfigurationError: If it is not installed.
    """
    # Warp takes most of a second to import, and only those who render on a GPU need it.
    try:
        import warp
    except ModuleNotFoundError as error:
        raise ConfigurationError('rendering on a GPU needs NVIDIA Warp, which is not installed; '
                                 "run pip install warp-lang, or render on 'cpu'") from error
    warp.config.log_level = warp.LOG_WARNING
    return warp
