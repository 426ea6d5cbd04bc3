"""Frames as a pinhole camera would have seen them."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
from numpy.typing import NDArray

from pose_estimation_ros.core.camera import CameraIntrinsics
from pose_estimation_ros.core.frame import RGBDFrame


class Undistorter:
    """Removes lens distortion; the maps are kept as long as the camera stays the same."""

    def __init__(self) -> None:
        self._key: tuple[object, ...] | None = None
        self._maps: tuple[NDArray[np.float32], NDArray[np.float32]] | None = None
        self._intrinsics: CameraIntrinsics | None = None

    def undistort(self, frame: RGBDFrame) -> RGBDFrame:
        """Return the frame as a pinhole camera would have seen it.

        Colour is interpolated; depth is not, because a mean over an edge is a depth that nothing
        has. Pixels that the lens did not see become black and NaN.
        """
        camera = frame.intrinsics
        if not camera.is_distorted:
            return frame
        key = (camera.width, camera.height, camera.distortion_model, camera.K.tobytes(),
               camera.D.tobytes())
        if key != self._key or self._maps is None or self._intrinsics is None:
            self._maps = camera.undistortion_map()
            self._intrinsics = camera.undistort()
            self._key = key
        rgb = cv2.remap(frame.rgb, *self._maps, cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT,
                        borderValue=(0, 0, 0))
        depth = frame.depth
        if depth is not None:
            depth = np.asarray(
                cv2.remap(depth, *self._maps, cv2.INTER_NEAREST,
                          borderMode=cv2.BORDER_CONSTANT, borderValue=(float('nan'),) * 4),
                np.float32)
        return replace(frame, rgb=np.asarray(rgb, np.uint8), depth=depth,
                       intrinsics=self._intrinsics)
