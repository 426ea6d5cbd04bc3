"""Images that image_transport's plugins compressed, back to pixels.

`compressed` is a JPEG or PNG file. `compressedDepth` is a header of 12 bytes (an integer and the
two quantisation parameters of inverse depth) and a PNG file of 16 bits: millimetres of a 16UC1
image, quantised inverse depth of a 32FC1 image.

Source: compressed_depth_image_transport of ros-perception/image_transport_plugins.
"""

from __future__ import annotations

import struct
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from sensor_msgs.msg import CompressedImage

from pose_estimation_ros.core.errors import InvalidInputError

_DEPTH_HEADER = struct.Struct('<iff')
_DEPTH_ENCODINGS = ('16UC1', 'mono16', '32FC1')


def decode_color(message: CompressedImage) -> NDArray[np.uint8]:
    """Return the (H, W, 3) uint8 RGB image of a `compressed` message.

    Raises:
        InvalidInputError: If it cannot be decoded.
    """
    decoded = _decode(np.frombuffer(message.data, np.uint8), cv2.IMREAD_COLOR)
    if decoded is None:
        raise InvalidInputError(
            f'compressed colour image ({message.format!r}, {len(message.data)} bytes) cannot be '
            'decoded; it is truncated or neither JPEG nor PNG')
    return np.asarray(cv2.cvtColor(decoded, cv2.COLOR_BGR2RGB), np.uint8)


def decode_depth(message: CompressedImage) -> NDArray[Any]:
    """Return the image of a `compressedDepth` message.

    Returns:
        (H, W) uint16 millimetres, 0 = unknown, or float32 metres, NaN = unknown, as the image
        was before it was compressed.

    Raises:
        InvalidInputError: If it is of another kind or cannot be decoded.
    """
    encoding, _, compression = message.format.partition(';')
    # Older plugins knew PNG only and said nothing of it.
    if encoding not in _DEPTH_ENCODINGS or 'rvl' in compression:
        raise InvalidInputError(
            f'compressed depth image has the format {message.format!r}; publish 16UC1 or 32FC1 '
            "depth as PNG (set the camera's compressedDepth format to png), or set "
            'depth.transport:=raw')
    data = np.frombuffer(message.data, np.uint8)
    counts = _decode(data[_DEPTH_HEADER.size:], cv2.IMREAD_UNCHANGED)
    if counts is None or counts.ndim != 2 or counts.dtype != np.uint16:
        raise InvalidInputError(
            f'compressed depth image ({message.format!r}, {len(data)} bytes) cannot be decoded; '
            'it is truncated or not a PNG file of 16 bits from compressed_depth_image_transport')
    if encoding != '32FC1':
        return counts
    _, scale, offset = _DEPTH_HEADER.unpack_from(data)
    depth = np.full(counts.shape, np.nan, np.float32)
    known = counts > 0
    depth[known] = np.float32(scale) / (counts[known] - np.float32(offset))
    return depth


def _decode(data: NDArray[np.uint8], flags: int) -> NDArray[Any] | None:
    try:
        return None if data.size == 0 else cv2.imdecode(data, flags)
    except cv2.error:  # a header that asks for more than OpenCV allows
        return None
