"""The interface of ray casting: rays in, surface hits out.

An implementation holds a fixed set of meshes. `open3d_renderer` is the CPU one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from pose_estimation_ros.core.camera import CameraIntrinsics

Float32Array = NDArray[np.float32]


@dataclass(frozen=True)
class Window:
    """A rectangle of pixels of an image, optionally only every `stride`-th of them.

    Attributes:
        x: First column.
        y: First row.
        width: Number of columns that are sampled.
        height: Number of rows that are sampled.
        stride: Distance of neighbouring samples, pixels.
    """

    x: int
    y: int
    width: int
    height: int
    stride: int = 1

    @classmethod
    def full(cls, intrinsics: CameraIntrinsics) -> Window:
        """Return the window of a whole image."""
        return cls(0, 0, intrinsics.width, intrinsics.height)

    def intrinsics(self, full: CameraIntrinsics) -> CameraIntrinsics:
        """Return the camera of the windowed image, given that of the `full` one.

        The sample at window pixel (i, j) is the pixel (x + i * stride, y + j * stride).
        """
        s = self.stride
        return CameraIntrinsics.pinhole(self.width, self.height, full.fx / s, full.fy / s,
                                        (full.cx - self.x) / s, (full.cy - self.y) / s)


@dataclass(frozen=True)
class Rays:
    """Straight lines to follow; their shape (...) is that of the answer.

    Attributes:
        origins: (..., 3) float32 metres, frame of the meshes.
        directions: (..., 3) float32, any length: distances are counted in it.
    """

    origins: Float32Array
    directions: Float32Array

    def at(self, distance: Float32Array) -> Float32Array:
        """Return the (..., 3) points at (...) distances along the rays; NaN where it is inf."""
        reached = np.where(np.isfinite(distance), distance, np.float32(np.nan))
        return np.asarray(self.origins + reached[..., None] * self.directions)


@dataclass(frozen=True)
class RayHits:
    """The first surface that each ray of a (...) shaped bundle meets.

    Attributes:
        distance: (...) float32 in lengths of the ray's direction; inf where nothing is hit.
        mesh: (...) int32 index of the mesh that is hit; -1 = none.
        face: (...) int32 face of that mesh; undefined where nothing is hit.
        barycentric: (..., 2) float32 weights of the face's second and third corner.
        normal: (..., 3) float32 unit normal of the face; not turned towards the ray.
    """

    distance: Float32Array
    mesh: NDArray[np.int32]
    face: NDArray[np.int32]
    barycentric: Float32Array
    normal: Float32Array


class RayCaster(Protocol):
    """Finds what rays hit in a fixed set of meshes."""

    def cast(self, rays: Rays) -> RayHits:
        """Return the first hit of each ray."""

    def distances(self, rays: Rays) -> Float32Array:
        """Return only the (...) distances of the first hits; inf where nothing is hit."""

    def occluded(self, rays: Rays) -> NDArray[np.bool_]:
        """Return for each ray whether anything lies between its origin and origin + direction."""


def camera_rays(intrinsics: CameraIntrinsics, T_world_camera: NDArray[np.float64],
                window: Window | None = None) -> Rays:
    """Return one ray per pixel, with directions of depth 1, so distances are depths along z.

    Args:
        intrinsics: Camera of the full image, without distortion.
        T_world_camera: (4, 4) pose of its optical frame in the frame of the meshes.
        window: Pixels to look at; None = all.

    Returns:
        Rays of shape (height, width) of the window.
    """
    view = Window.full(intrinsics) if window is None else window
    u = view.x + view.stride * np.arange(view.width)
    v = view.y + view.stride * np.arange(view.height)
    directions = np.empty((view.height, view.width, 3), dtype=np.float32)
    R = np.asarray(T_world_camera, dtype=np.float64)[:3, :3]
    along_x = ((u - intrinsics.cx) / intrinsics.fx)[:, None] * R[:, 0]
    along_y = ((v - intrinsics.cy) / intrinsics.fy)[:, None] * R[:, 1] + R[:, 2]
    np.add(along_y[:, None, :], along_x[None, :, :], out=directions, casting='same_kind')
    origins = np.broadcast_to(T_world_camera[:3, 3].astype(np.float32), directions.shape)
    return Rays(origins, directions)
