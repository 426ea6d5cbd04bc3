"""The interface of rendering known objects alone: poses and cameras in, shade and depth out.

An implementation holds a fixed set of meshes. `open3d_view_renderer` runs on the CPU,
`warp_view_renderer` on CUDA.

Source: MRC-Net, CVPR 2024: the rendering of the coarse pose.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pose_estimation_ros.core.errors import ConfigurationError, InvalidInputError
from pose_estimation_ros.rendering.mesh import Mesh

FloatArray = NDArray[np.float64]
Float32Array = NDArray[np.float32]

_LOG = logging.getLogger(__name__)

# Light reflected by a grey object: 0.6 * (ambient 0.8 + diffuse 0.3) + highlight.
AMBIENT = 0.6 * 0.8
DIFFUSE = 0.6 * 0.3
SPECULAR = 0.06
SHININESS = 10

# The centre of the pixel in column i is at u = i + 0.5.
PIXEL_CENTRE = 0.5


@dataclass(frozen=True, eq=False)
class Views:
    """Square pictures of single objects before nothing.

    Attributes:
        shade: (B, S, S) float32 grey, 0 to 0.72; 0 = background.
        depth: (B, S, S) float32 metres along the camera's z; 0 = background.
    """

    shade: Float32Array
    depth: Float32Array


class ViewRenderer(Protocol):
    """Draws objects of a fixed set of meshes, each alone, all of a call as one batch."""

    def render(self, objects: ArrayLike, T_camera_object: ArrayLike, K: ArrayLike,
               size: int) -> Views:
        """Draw one view of one object per entry of the batch.

        Both sides of faces are drawn. Pixels whose centre lies on an outline, to rounding, may
        differ between renderers.

        Args:
            objects: (B,) index of the mesh of each view.
            T_camera_object: (B, 4, 4) poses of the objects, camera optical frame, metres.
            K: (B, 3, 3) camera matrices of the square pictures; the centre of pixel i is i + 0.5.
            size: Side S of the pictures, pixels.

        Returns:
            The views, in the order of the batch.

        Raises:
            InvalidInputError: If a shape is wrong, a number not finite or a mesh not there.
        """


@dataclass(frozen=True, eq=False)
class ViewBatch:
    """What is asked of a renderer, checked.

    Attributes:
        objects: (B,) int64 index of the mesh of each view.
        T_camera_object: (B, 4, 4) float64 metres.
        rays: (B, 3, 3) float64 that take a pixel (u, v, 1) to the direction, of depth 1, in the
            object frame.
        K: (B, 3, 3) float64.
        size: Side of the pictures, pixels.
    """

    objects: NDArray[np.int64]
    T_camera_object: FloatArray
    rays: FloatArray
    K: FloatArray
    size: int

    @classmethod
    def checked(cls, objects: ArrayLike, T_camera_object: ArrayLike, K: ArrayLike, size: int,
                meshes: int) -> ViewBatch:
        """Return the arguments of `ViewRenderer.render` as arrays of one batch.

        Args:
            objects: (B,).
            T_camera_object: (B, 4, 4).
            K: (B, 3, 3).
            size: Pixels.
            meshes: Number of meshes that the renderer holds.

        Raises:
            InvalidInputError: If a shape is wrong, a number not finite or a mesh not there.
        """
        index = np.asarray(objects, dtype=np.int64)
        T = np.asarray(T_camera_object, dtype=np.float64)
        cameras = np.asarray(K, dtype=np.float64)
        count = len(index) if index.ndim == 1 else -1
        if T.shape != (count, 4, 4) or cameras.shape != (count, 3, 3) or size < 1:
            raise InvalidInputError(
                f'views need (B,) objects, (B, 4, 4) poses, (B, 3, 3) cameras and a size of 1 or '
                f'more, got {index.shape}, {T.shape}, {cameras.shape} and {size}')
        if ((index < 0) | (index >= meshes)).any():
            raise InvalidInputError(f'views of the objects {np.unique(index).tolist()} are asked '
                                    f'for, but there are {meshes} meshes: count from 0')
        if not (np.isfinite(T).all() and np.isfinite(cameras).all()):
            wrong = ~(np.isfinite(T).all(axis=(1, 2)) & np.isfinite(cameras).all(axis=(1, 2)))
            raise InvalidInputError(f'the pose or camera of view {int(np.argmax(wrong))} is not '
                                    'finite; leave it out')
        if (np.abs(cameras[:, 2] - (0, 0, 1)) > 0).any() or (
                cameras[:, 0, 0] * cameras[:, 1, 1] <= 0).any():
            raise InvalidInputError('a camera matrix needs focal lengths and the last row '
                                    f'(0, 0, 1), got {cameras.tolist()}')
        rays = np.swapaxes(T[:, :3, :3], 1, 2) @ np.linalg.inv(cameras)
        return cls(index, T, rays, cameras, int(size))

    @property
    def camera_centres(self) -> FloatArray:
        """(B, 3) float64 position of the cameras in the object frames, metres."""
        T = self.T_camera_object
        return np.asarray(-np.einsum('bji,bj->bi', T[:, :3, :3], T[:, :3, 3]))

    @property
    def lights(self) -> FloatArray:
        """(B, 3) float64 unit direction to the light: where the object's origin sees the camera.

        One direction serves the whole object.
        """
        centres = self.camera_centres
        lengths = np.linalg.norm(centres, axis=1, keepdims=True)
        return np.asarray(centres / np.maximum(lengths, 1e-12))


@dataclass(frozen=True, eq=False)
class BoundingSpheres:
    """Balls around meshes, a little too large, so that rounding leaves no vertex outside.

    Attributes:
        centres: (M, 3) float64 metres, each in its object frame.
        radii: (M,) float64 metres.
    """

    centres: FloatArray
    radii: FloatArray

    @classmethod
    def of(cls, meshes: Sequence[Mesh]) -> BoundingSpheres:
        """Return the spheres about the middles of the meshes' boxes."""
        centres = np.stack([mesh.bounds.mean(axis=0, dtype=np.float64) for mesh in meshes])
        return cls(centres, 1.01 * np.array([
            np.linalg.norm(mesh.vertices - centre, axis=1).max()
            for mesh, centre in zip(meshes, centres, strict=True)]))

    def depths(self, batch: ViewBatch) -> tuple[Float32Array, Float32Array]:
        """Return where each view's rays enter the depths of its sphere, and how deep those are.

        Returns:
            (B,) float32 depth of the nearest point, at least 0, and (B,) float32 depth from there
            to the farthest point, at least 0, metres.
        """
        T = batch.T_camera_object
        middle = np.einsum('bj,bj->b', T[:, 2, :3], self.centres[batch.objects]) + T[:, 2, 3]
        radius = self.radii[batch.objects]
        near = np.maximum(middle - radius, 0).astype(np.float32)
        return near, np.maximum(middle + radius - near, 0).astype(np.float32)


def check_meshes(meshes: Sequence[Mesh]) -> None:
    """Refuse what cannot be drawn.

    Raises:
        InvalidInputError: If there is no mesh, or one has no face or is not finite.
    """
    if not meshes:
        raise InvalidInputError('a view renderer needs at least one mesh')
    for number, mesh in enumerate(meshes):
        if not len(mesh.faces) or not np.isfinite(mesh.vertices).all():
            raise InvalidInputError(f'mesh {number} has {len(mesh.faces)} faces and must have at '
                                    'least one, with finite vertices; repair or leave it out')


def rendering_device(networks: str) -> str:
    """Return where to render for networks on a device: there if that can be, else on the CPU.

    Args:
        networks: 'cpu', or 'cuda', 'cuda:1' and so on; there Warp renders, and without it views
            are drawn on the CPU, which is logged as a warning.
    """
    if networks == 'cpu' or find_spec('warp') is not None:
        return networks
    _LOG.warning('views of objects are rendered on the CPU, which is slower, though the networks '
                 'run on %s: NVIDIA Warp is not installed; run pip install warp-lang', networks)
    return 'cpu'


def make_view_renderer(meshes: Sequence[Mesh], device: str = 'cpu',
                       threads: int = 1) -> ViewRenderer:
    """Return the renderer of a device.

    Args:
        meshes: Each in its object frame, metres.
        device: 'cpu' (Open3D), or 'cuda', 'cuda:1' and so on (Warp).
        threads: Threads of the CPU renderer; 0 = one per core.

    Raises:
        ConfigurationError: If the device is unknown or its library is not installed.
        InvalidInputError: If a mesh cannot be drawn.
    """
    if device == 'cpu':
        from pose_estimation_ros.rendering.open3d_view_renderer import Open3DViewRenderer

        return Open3DViewRenderer(meshes, threads)
    if device.partition(':')[0] == 'cuda':
        from pose_estimation_ros.rendering.warp_view_renderer import WarpViewRenderer

        return WarpViewRenderer(meshes, device)
    raise ConfigurationError(f"there is no view renderer for {device!r}: choose 'cpu' or 'cuda'")
