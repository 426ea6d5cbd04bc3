"""Encoded pictures one after the other in one array, as shards of views and pictures hold them."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from pose_estimation_ros.core.errors import InvalidInputError

Bytes = NDArray[np.uint8]

_JPEG = [cv2.IMWRITE_JPEG_QUALITY, 95,
         cv2.IMWRITE_JPEG_SAMPLING_FACTOR, cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444]


def packed_colors(pictures: Sequence[NDArray[np.uint8]]) -> tuple[Bytes, NDArray[np.int64]]:
    """Return (h, w, 3) uint8 RGB pictures as the bytes of JPEG files and where each file ends."""
    return _packed([cv2.imencode('.jpg', rgb[..., ::-1], _JPEG)[1] for rgb in pictures])


def packed_maps(maps: Sequence[NDArray[np.uint8]]) -> tuple[Bytes, NDArray[np.int64]]:
    """Return (h, w) uint8 maps as the bytes of PNG files and where each file ends."""
    return _packed([cv2.imencode('.png', values)[1] for values in maps])


def unpacked_colors(files: Bytes, ends: NDArray[np.int64], row: int) -> NDArray[np.uint8]:
    """Return the (h, w, 3) uint8 RGB picture of a row.

    Raises:
        InvalidInputError: If it is damaged.
    """
    bgr = _unpacked(files, ends, row, cv2.IMREAD_COLOR)
    return np.asarray(cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB), dtype=np.uint8)


def unpacked_map(files: Bytes, ends: NDArray[np.int64], row: int) -> NDArray[np.uint8]:
    """Return the (h, w) uint8 map of a row.

    Raises:
        InvalidInputError: If it is damaged.
    """
    return _unpacked(files, ends, row, cv2.IMREAD_GRAYSCALE)


def _packed(files: Sequence[NDArray[np.uint8]]) -> tuple[Bytes, NDArray[np.int64]]:
    return (np.concatenate([file.ravel() for file in files]),
            np.cumsum([file.size for file in files]))


def _unpacked(files: Bytes, ends: NDArray[np.int64], row: int, kind: int) -> NDArray[np.uint8]:
    pixels = cv2.imdecode(files[ends[row - 1] if row else 0:ends[row]], kind)
    if pixels is None:
        raise InvalidInputError(f'picture {row} of a shard is damaged; delete the shards and give '
                                'the command that made them again')
    return np.asarray(pixels, dtype=np.uint8)
