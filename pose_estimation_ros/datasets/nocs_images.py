"""The images of a NOCS frame and its list of objects: read, written, and their traps.

Source: Wang et al., Normalized Object Coordinate Space, CVPR 2019; formats as its released files
have them (spec sections 3 and 4.1).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from pose_estimation_ros.core.errors import InvalidInputError
from pose_estimation_ros.datasets.atomic_files import write_atomically
from pose_estimation_ros.datasets.frame_files import depth_counts

# CAMERA's renderer left this count where it saw nothing.
EMPTY_COUNT = 32001
_BACKGROUND = 255
_PNG_END = b'IEND'


@dataclass(frozen=True)
class MetaLine:
    """One line of a `_meta.txt`.

    Attributes:
        instance_id: Value in the mask.
        class_id: 1 to the number of categories; 0 = distractor.
        model: Name of the model.
        synset: WordNet's number in CAMERA, '' in REAL.
    """

    instance_id: int
    class_id: int
    model: str
    synset: str = ''

    def __str__(self) -> str:
        """Return the line as it stands in the file."""
        parts = (self.instance_id, self.class_id, *filter(None, (self.synset, self.model)))
        return ' '.join(map(str, parts))


def read_png(path: Path, flags: int) -> NDArray[Any]:
    """Read a whole image as OpenCV does.

    Raises:
        InvalidInputError: If the file is missing, cut off or no image.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise InvalidInputError(f'cannot read {path}: {error.strerror}; every NOCS frame needs '
                                'its _color, _depth, _mask and _coord image') from error
    # The decoder may return the part of a cut-off image that is there.
    image = (cv2.imdecode(np.frombuffer(content, np.uint8), flags)
             if _PNG_END in content[-64:] else None)
    if image is None:
        raise InvalidInputError(f'{path} ({len(content)} bytes) is cut off or not a PNG image; '
                                'copy or download it again')
    return image


def write_png(path: Path, image: NDArray[Any]) -> None:
    """Write an image as OpenCV does; all of it or nothing."""
    # Fast compression: these files are written by the ten thousand.
    good, content = cv2.imencode('.png', image, [cv2.IMWRITE_PNG_COMPRESSION, 1])
    if not good:
        raise InvalidInputError(f'cannot encode an image of {image.shape} {image.dtype} as {path}')
    write_atomically(path, content.tobytes())


def read_depth(path: Path, unit: float) -> NDArray[np.float32]:
    """Read a depth image of either form: 16-bit counts, or their bytes in two of three channels.

    Args:
        path: The image.
        unit: Metres per count.

    Returns:
        (H, W) float32 metres, NaN = unknown.

    Raises:
        InvalidInputError: If the image cannot be read or is of another form.
    """
    counts = depth_counts(read_png(path, cv2.IMREAD_UNCHANGED), path)
    # In double precision, so that a count of millimetres is the float nearest to count / 1000.
    depth = (counts * np.float64(unit)).astype(np.float32)
    depth[(counts == 0) | (counts == EMPTY_COUNT)] = np.nan
    return depth


def depth_as_counts(depth: NDArray[np.float32]) -> NDArray[np.uint16]:
    """Return (H, W) millimetres, 0 = unknown or beyond 65.535 m."""
    counts = np.rint(np.nan_to_num(depth, nan=0.0, posinf=0.0, neginf=0.0) * 1000.0)
    counts[(counts < 0) | (counts > np.iinfo(np.uint16).max)] = 0
    counts[counts == EMPTY_COUNT] = EMPTY_COUNT - 1
    return np.asarray(counts, dtype=np.uint16)


def in_two_channels(counts: NDArray[np.uint16]) -> NDArray[np.uint8]:
    """Return the (H, W, 3) form of CAMERA: high byte in channel 1, low byte in channel 2."""
    split = np.zeros((*counts.shape, 3), dtype=np.uint8)
    split[..., 1] = counts >> 8
    split[..., 2] = counts & 0xFF
    return split


def read_instance_map(path: Path) -> NDArray[np.int32]:
    """Read a mask.

    Returns:
        (H, W) int32 instance ids, 0 = background. An instance 0, should there be one, becomes 255.

    Raises:
        InvalidInputError: If the image cannot be read or has no background.
    """
    image = read_png(path, cv2.IMREAD_UNCHANGED)
    if image.dtype != np.uint8 or (image.ndim == 3 and image.shape[2] < 3):
        raise InvalidInputError(f'{path} holds {image.shape} {image.dtype}; a mask must have one, '
                                'three or four 8-bit channels')
    mask = image[..., 2] if image.ndim == 3 else image
    if not (mask == _BACKGROUND).any():
        raise InvalidInputError(
            f'{path} has no background: none of its pixels is {_BACKGROUND} (found '
            f'{np.unique(mask)[:8].tolist()}). Some released masks are damaged like this: take '
            'the frame out of the list')
    return exchange_background(mask).astype(np.int32)


def exchange_background(mask: NDArray[Any]) -> NDArray[Any]:
    """Exchange 0 and 255: the background of an instance map and of a mask file."""
    exchanged = mask.copy()
    exchanged[mask == _BACKGROUND] = 0
    exchanged[mask == 0] = _BACKGROUND
    return exchanged


def read_nocs_map(path: Path) -> NDArray[np.float32]:
    """Read NOCS coordinates.

    The file keeps x, y, z as red, green, blue from 0 to 1 with the z axis pointing the wrong way.

    Returns:
        (H, W, 3) float32, -0.5 to 0.5; without meaning off the objects.

    Raises:
        InvalidInputError: If the image cannot be read.
    """
    image = read_png(path, cv2.IMREAD_UNCHANGED)
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] < 3:
        raise InvalidInputError(f'{path} holds {image.shape} {image.dtype}; coordinates must be '
                                'three 8-bit channels')
    nocs = image[..., 2::-1].astype(np.float32) / np.float32(255.0)
    nocs[..., 2] = 1.0 - nocs[..., 2]
    return nocs - np.float32(0.5)


def nocs_map_image(nocs_map: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Return the (H, W, 3) image of NOCS coordinates, white where they are NaN."""
    nocs = nocs_map + np.float32(0.5)
    nocs[..., 2] = 1.0 - nocs[..., 2]
    levels = np.rint(np.nan_to_num(nocs, nan=1.0).clip(0.0, 1.0) * 255.0)
    return np.ascontiguousarray(levels.astype(np.uint8)[..., ::-1])


def read_meta(path: Path, categories: int) -> tuple[MetaLine, ...]:
    """Read a list of objects: `instance class model`, or `instance class synset model`.

    Args:
        path: The `_meta.txt`.
        categories: Number of categories.

    Raises:
        InvalidInputError: If the file cannot be read, has another form, or names a class or an
            instance that cannot be.
    """
    try:
        text = path.read_text(encoding='utf-8')
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidInputError(f'cannot read {path}: {error}; it lists the objects of the frame'
                                ) from error
    lines = tuple(_meta_line(line, path) for line in text.splitlines() if line.strip())
    for line in lines:
        if not 0 <= line.class_id <= categories:
            raise InvalidInputError(
                f'{path}: instance {line.instance_id} has class {line.class_id}; classes are 1 to '
                f'{categories}, 0 = distractor. Describe more categories in a categories.json '
                'beside CAMERA/ or correct the file')
    ids = [line.instance_id for line in lines]
    if len(set(ids)) < len(ids):
        raise InvalidInputError(f'{path} names an instance twice: {sorted(ids)}')
    return lines


def write_meta(path: Path, lines: Sequence[MetaLine]) -> None:
    """Write a list of objects; all of it or nothing."""
    write_atomically(path, ''.join(f'{line}\n' for line in lines).encode())


def _meta_line(line: str, path: Path) -> MetaLine:
    words = line.split()
    try:
        instance_id, class_id = int(words[0]), int(words[1])
        synset, model = ('', *words[2:]) if len(words) == 3 else words[2:]
    except (IndexError, ValueError) as error:
        raise InvalidInputError(
            f'{path} holds the line {line!r}; it must be "instance class model" (REAL) or '
            '"instance class synset model" (CAMERA)') from error
    if not 0 <= instance_id <= _BACKGROUND - 1:
        raise InvalidInputError(f'{path} names instance {instance_id}; a mask can hold 0 to '
                                f'{_BACKGROUND - 1}')
    return MetaLine(instance_id or _BACKGROUND, class_id, model, synset)
