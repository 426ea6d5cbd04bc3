"""Which camera an image is of: the last messages of `camera_info`, looked up by stamp."""

from __future__ import annotations

from collections import deque
from typing import TypeAlias

import numpy as np
from sensor_msgs.msg import CameraInfo, CompressedImage, Image

from pose_estimation_ros.nodes.conversions import stamp_to_ns

AnyImage: TypeAlias = Image | CompressedImage

_INFOS_KEPT = 30
_CAMERA_FIELDS = ('height', 'width', 'distortion_model', 'd', 'k', 'r', 'p', 'binning_x',
                  'binning_y', 'roi')


class CameraInfos:
    """The last infos of one camera; a camera may change, so the stamp decides which is meant."""

    def __init__(self) -> None:
        """Start empty."""
        self._infos: deque[CameraInfo] = deque(maxlen=_INFOS_KEPT)

    def add(self, info: CameraInfo) -> None:
        """Keep an info; the oldest goes."""
        self._infos.append(info)

    def has_that_of(self, image: AnyImage) -> bool:
        """Return whether there is an info with the image's stamp."""
        return any(info.header.stamp == image.header.stamp for info in self._infos)

    def tell_without_own(self, image: AnyImage) -> bool:
        """Return whether other infos than an image's own tell its camera; not so while one zooms.

        They do if those before and after it are alike, or all that are kept: many cameras send
        one with every few images only.
        """
        before, after = self._around(image)
        told = (before, after) if before is not None and after is not None else self._infos
        return all(_is_same_camera(info, told[0]) for info in told)

    def belonging_to(self, image: AnyImage) -> CameraInfo | None:
        """Return the info of the image's stamp, else that before it, else the newest.

        None if there is none at all.
        """
        same = (info for info in self._infos if info.header.stamp == image.header.stamp)
        before, _ = self._around(image)
        return next(same, before or (self._infos[-1] if self._infos else None))

    def _around(self, image: AnyImage) -> tuple[CameraInfo | None, CameraInfo | None]:
        """Return the infos next before and next after an image by their stamps."""
        stamp_ns = stamp_to_ns(image.header.stamp)
        infos = sorted(self._infos, key=lambda info: stamp_to_ns(info.header.stamp))
        before = [info for info in infos if stamp_to_ns(info.header.stamp) <= stamp_ns]
        after = infos[len(before):]
        return before[-1] if before else None, after[0] if after else None


def _is_same_camera(one: CameraInfo, other: CameraInfo) -> bool:
    return all(np.array_equal(getattr(one, name), getattr(other, name)) for name in _CAMERA_FIELDS)
