"""Depth of one camera, projected into the image of another.

Every pixel of the depth image becomes a patch of the colour image, as large as it looks from
there; where patches overlap, the nearest is seen.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pose_estimation_ros.core.camera import CameraIntrinsics
from pose_estimation_ros.core.errors import InvalidInputError

FloatArray = NDArray[np.float64]
_Floats = NDArray[np.float32]

# Slanted surfaces stretch: without some overlap of the patches there are cracks between them.
_OVERLAP = 0.5
# Nearer to the colour camera nothing is seen, and a patch would be as large as the image.
_NEAREST = 0.05
# Of a patch along each side: 4K beside binned depth of a wide view has nine times the resolution.
_MOST_PIXELS = 16


class DepthRegistration:
    """Projects depth images of one camera into the colour image of another."""

    def __init__(self, depth_camera: CameraIntrinsics, color_camera: CameraIntrinsics,
                 T_color_depth: FloatArray) -> None:
        """Prepare what all images have in common.

        Args:
            depth_camera: Camera of the depth images.
            color_camera: Camera of the colour image; its distortion is kept.
            T_color_depth: (4, 4) from the depth camera's optical frame to the colour camera's.
        """
        self._shape = (depth_camera.height, depth_camera.width)
        self._camera = color_camera
        pixels = np.stack(np.meshgrid(np.arange(depth_camera.width, dtype=np.float64),
                                      np.arange(depth_camera.height, dtype=np.float64)), axis=-1)
        rays = depth_camera.back_project(pixels, np.ones(self._shape)).reshape(-1, 3)
        # By coordinate, as all that follows goes through them one after another.
        self._rays = np.ascontiguousarray(T_color_depth[:3, :3] @ rays.T, dtype=np.float32)
        self._t = T_color_depth[:3, 3].astype(np.float32)
        self._magnification = np.sqrt(color_camera.fx * color_camera.fy
                                      / (depth_camera.fx * depth_camera.fy))

    def register(self, depth: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the (H, W) depth of the colour image, metres along its z, NaN = unknown.

        Args:
            depth: (h, w) float32 metres along the depth camera's z, NaN = unknown.

        Raises:
            InvalidInputError: If the image is not that of the depth camera.
        """
        if depth.shape != self._shape:
            raise InvalidInputError(
                f'depth image is {depth.shape[1]}x{depth.shape[0]} but its camera_info says '
                f'{self._shape[1]}x{self._shape[0]}; both must come from the same stream')
        distance = depth.reshape(-1)
        with np.errstate(invalid='ignore', divide='ignore', over='ignore'):
            x, y, z = (ray * distance + shift
                       for ray, shift in zip(self._rays, self._t, strict=True))
            column, row = self._project(x, y, z)
            half = np.float32(self._magnification / 2.0) * distance / z + np.float32(_OVERLAP / 2)
            # Unknown depth compares as false.
            seen = ((z > _NEAREST) & (column + half >= 0) & (column - half < self._camera.width)
                    & (row + half >= 0) & (row - half < self._camera.height))
        known = np.flatnonzero(seen)
        return self._nearest(column[known], row[known], half[known], z[known])

    def _project(self, x: _Floats, y: _Floats, z: _Floats) -> tuple[_Floats, _Floats]:
        """Return column and row of points of the colour camera's frame."""
        camera = self._camera
        if camera.is_distorted:
            bent = camera.distort(np.stack([x / z, y / z], axis=-1).astype(np.float64))
            x, y = bent[..., 0].astype(np.float32), bent[..., 1].astype(np.float32)
            z = np.ones_like(z)
        return (x / z * np.float32(camera.fx) + np.float32(camera.cx),
                y / z * np.float32(camera.fy) + np.float32(camera.cy))

    def _nearest(self, column: _Floats, row: _Floats, half: _Floats, z: _Floats) -> _Floats:
        """Return the (H, W) nearest depth at each pixel of square patches with a half width."""
        height, width = self._camera.height, self._camera.width
        # One row and column more on every side takes what patches cover outside the image.
        registered = np.full((height + 2, width + 2), np.inf, np.float32)
        flat = registered.reshape(-1)
        left, top = np.ceil(column - half), np.ceil(row - half)
        columns = (np.floor(column + half) - left).astype(np.int8)
        rows = (np.floor(row + half) - top).astype(np.int8)
        for down in range(_MOST_PIXELS):
            for right in range(_MOST_PIXELS):
                chosen = np.flatnonzero((columns >= right) & (rows >= down))
                if not chosen.size:
                    break
                x = np.clip(left[chosen] + right, -1, width) + 1
                y = np.clip(top[chosen] + down, -1, height) + 1
                pixel = (y * (width + 2) + x).astype(np.intp)
                _lower(flat, pixel, z[chosen])
        registered[np.isinf(registered)] = np.nan
        return np.ascontiguousarray(registered[1:-1, 1:-1])


def _lower(flat: _Floats, pixel: NDArray[np.intp], z: _Floats) -> None:
    """Lower the entries of `flat` at pixels, which may repeat, to the least z of each.

    As `np.minimum.at`, which NumPy before 1.25 does one by one; few pixels repeat.
    """
    while True:
        nearer = np.flatnonzero(flat[pixel] > z)
        if not nearer.size:
            return
        pixel, z = pixel[nearer], z[nearer]
        flat[pixel] = z
