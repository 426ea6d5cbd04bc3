"""Images that image_transport's plugins compressed, back to pixels.

`compressed` is a JPEG or PNG file. `compressedDepth` is a header of 12 bytes (an integer and the
two quantisation parameters of inverse depth) and a PNG file of 16 bits: millimetres of a 16UC1
image, quantised inverse depth of a 32FC1 image.

Source: compressed_depth_image_transport of ros-perception/image_transport_plugins; ISO/IEC 10918-1
annex B for the segments of JPEG files.
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
_MOST_PIXELS = 2 ** 26
_PNG_START, _PNG_SIZE = b'\x89PNG\r\n\x1a\n', slice(16, 24)
_JPEG_START, _JPEG_END = b'\xff\xd8', b'\xff\xd9'
# Cameras may fill up the last block of a stream.
_JPEG_TAIL = 1024
# Tables and an extension among the numbers of the frame headers.
_NO_FRAME_HEADERS = frozenset({0xC4, 0xC8, 0xCC})


def is_of_colors(transport_format: str) -> bool:
    """Return whether a `compressed` image has colours or grey values, as far as its format tells.

    The plugin compresses mosaics and 16 bits as they are, unless it says what it made of them.
    Other publishers' formats, as 'jpeg', tell nothing.
    """
    encoding, separator, compression = transport_format.partition(';')
    is_raw = bool(separator) and (encoding.startswith('bayer_') or '16' in encoding)
    return not is_raw or 'compressed bgr' in compression


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
            'the parameter depth.transport to raw')
    data = np.frombuffer(message.data, np.uint8)
    # The transport of colour images sends depth too, as a mere PNG file.
    is_plain = encoding != '32FC1' and bytes(data[:len(_PNG_START)]) == _PNG_START
    counts = _decode(data[0 if is_plain else _DEPTH_HEADER.size:], cv2.IMREAD_UNCHANGED)
    if counts is None or counts.ndim != 2 or counts.dtype != np.uint16:
        raise InvalidInputError(
            f'compressed depth image ({message.format!r}, {len(data)} bytes) cannot be decoded; '
            'it is truncated or not a PNG file of 16 bits: publish it by the transport '
            'compressedDepth, or as PNG (JPEG would lose what depth means)')
    if encoding != '32FC1':
        return counts
    _, scale, offset = _DEPTH_HEADER.unpack_from(data)
    depth = np.full(counts.shape, np.nan, np.float32)
    known = counts > 0
    depth[known] = np.float32(scale) / (counts[known] - np.float32(offset))
    return depth


def _decode(data: NDArray[np.uint8], flags: int) -> NDArray[Any] | None:
    """Return the image of a whole PNG or JPEG file, None if it is damaged."""
    content = data.tobytes()
    pixels = _png_pixels(content) or _jpeg_pixels(content)
    # A damaged length can ask for gigabytes, which would be allocated before anything else.
    if not 0 < pixels <= _MOST_PIXELS:
        return None
    try:
        return cv2.imdecode(data, flags)
    except cv2.error:
        return None


def _png_pixels(content: bytes) -> int:
    """Return how many pixels a PNG file says that it has, 0 if it is none or ends too early."""
    if not content.startswith(_PNG_START) or len(content) < _PNG_SIZE.stop:
        return 0
    width, height = struct.unpack('>II', content[_PNG_SIZE])
    place = len(_PNG_START)
    # Chunks: four bytes of length, which count neither themselves nor kind and checksum.
    while place + 12 <= len(content):
        if content[place + 4:place + 8] == b'IEND':
            return int(width * height)
        place += 12 + int.from_bytes(content[place:place + 4], 'big')
    return 0


def _jpeg_pixels(content: bytes) -> int:
    """Return how many pixels a JPEG file says that it has, 0 if it is none or ends too early."""
    if not content.startswith(_JPEG_START) or _JPEG_END not in content[-_JPEG_TAIL:]:
        return 0
    place = len(_JPEG_START)
    # Segments up to the frame header: FF, kind, two bytes of length, which counts itself.
    while place + 9 <= len(content) and content[place] == 0xFF:
        kind = content[place + 1]
        if 0xC0 <= kind <= 0xCF and kind not in _NO_FRAME_HEADERS:
            height, width = struct.unpack('>HH', content[place + 5:place + 9])
            return int(width * height)
        place += 1 if kind == 0xFF else 2 + int.from_bytes(content[place + 2:place + 4], 'big')
    return 0
