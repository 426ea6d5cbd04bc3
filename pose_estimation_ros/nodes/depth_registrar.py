"""Depth that is not aligned to colour: refused with the cure, or projected with TF."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from pose_estimation_ros.core.camera import CameraIntrinsics
from pose_estimation_ros.core.depth_registration import DepthRegistration
from pose_estimation_ros.core.errors import InvalidInputError

# (target frame, source frame, stamp in nanoseconds) -> (4, 4) T_target_source
FindTransform = Callable[[str, str, int], NDArray[np.float64]]

ALIGNMENT_CURE = (
    'subscribe to depth aligned to colour (RealSense: align_depth.enable:=true and '
    'depth_image:=<camera>/aligned_depth_to_color/image_raw; Orbbec: depth_registration:=true; '
    'OAK-D: stereo.i_align_depth; Azure Kinect: depth_to_rgb/image_raw), or set depth.register '
    'so that the node projects it with TF')


class DepthRegistrar:
    """Projects depth into the colour image with the transform that TF knows."""

    def __init__(self, find_transform: FindTransform) -> None:
        """Start without a camera.

        Args:
            find_transform: Looks up TF; raises InvalidInputError if it does not know.
        """
        self._find_transform = find_transform
        self._key: tuple[bytes, ...] = ()
        self._registration: DepthRegistration | None = None

    def register(self, depth: NDArray[np.float32], cameras: tuple[CameraIntrinsics, ...],
                 frames: tuple[str, str], stamp_ns: int) -> NDArray[np.float32]:
        """Return the depth of the colour image, see `DepthRegistration.register`.

        Args:
            depth: (h, w) metres, NaN = unknown.
            cameras: Of the colour image, and of the depth image.
            frames: Optical frames of both, colour first.
            stamp_ns: Of the colour image.

        Raises:
            InvalidInputError: If TF does not know how the cameras stand to each other.
        """
        T_color_depth = (np.eye(4) if frames[0] == frames[1]
                         else self._find_transform(*frames, stamp_ns))
        key = (T_color_depth.tobytes(), *(
            array.tobytes() for camera in cameras for array in
            (camera.K, camera.D, np.array([camera.width, camera.height]))))
        # Cameras that are mounted together stand still to each other.
        if self._registration is None or key != self._key:
            color, depth_camera = cameras
            self._registration = DepthRegistration(depth_camera, color, T_color_depth)
            self._key = key
        return self._registration.register(depth)


def refuse(fault: str) -> InvalidInputError:
    """Return the error of depth that is not aligned, with the cures."""
    return InvalidInputError(f'{fault}; {ALIGNMENT_CURE}')
