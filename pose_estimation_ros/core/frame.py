"""One RGB-D frame as a plain value."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from pose_estimation_ros.core.camera import CameraIntrinsics
from pose_estimation_ros.core.errors import InvalidInputError
from pose_estimation_ros.core.up_direction import estimate_up


@dataclass(frozen=True)
class RGBDFrame:
    """A colour image, the depth aligned to it, and the camera that saw both.

    Attributes:
        stamp_ns: Time of exposure, nanoseconds, from the image header.
        frame_id: TF name of the camera's optical frame.
        rgb: (H, W, 3) uint8, red first.
        depth: (H, W) float32, metres along z, NaN = unknown; None for a colour-only camera.
        intrinsics: Camera of the colour image.
    """

    stamp_ns: int
    frame_id: str
    rgb: NDArray[np.uint8]
    depth: NDArray[np.float32] | None
    intrinsics: CameraIntrinsics

    def __post_init__(self) -> None:
        """Check that image, depth and camera belong together.

        Raises:
            InvalidInputError: If types or sizes do not agree.
        """
        if self.rgb.ndim != 3 or self.rgb.shape[2] != 3 or self.rgb.dtype != np.uint8:
            raise InvalidInputError(
                f'colour image must be HxWx3 uint8, got {self.rgb.shape} {self.rgb.dtype}')
        height, width = self.rgb.shape[:2]
        camera = (self.intrinsics.width, self.intrinsics.height)
        if camera != (width, height):
            raise InvalidInputError(
                f'colour image is {width}x{height} but camera_info says {camera[0]}x{camera[1]}; '
                'both must come from the same stream')
        if self.depth is not None:
            if self.depth.dtype != np.float32 or self.depth.ndim != 2:
                raise InvalidInputError(
                    f'depth must be HxW float32 metres, got {self.depth.shape} '
                    f'{self.depth.dtype}')
            if self.depth.shape != (height, width):
                raise InvalidInputError(
                    f'depth is {self.depth.shape[1]}x{self.depth.shape[0]} but colour is '
                    f'{width}x{height}; subscribe to depth aligned to colour '
                    '(RealSense: align_depth.enable:=true)')

    @cached_property
    def up(self) -> NDArray[np.float64] | None:
        """Unit direction away from the ground, (3,) camera optical frame; None = not seen.

        Several stages want it, and it is estimated once.
        """
        return None if self.depth is None else estimate_up(self.depth, self.intrinsics)
