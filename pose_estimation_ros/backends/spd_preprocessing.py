"""From a detection to the inputs of the full SPD network, as the published evaluation makes them.

Every published weight file depends on these rules: the size of the crop, its resampling, which
pixels become points and how points find their pixel in the resized crop.

Source: evaluation code of Tian et al., ECCV 2020 (spec section 3).
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import ArrayLike, NDArray

from pose_estimation_ros.backends.point_preparation import choose_points
from pose_estimation_ros.core.detection import Detection
from pose_estimation_ros.core.errors import InvalidInputError
from pose_estimation_ros.core.frame import RGBDFrame

CROP_SIZE = 192
# Name of the rule of `crop_window`, for manifests.
CROP_RULE = 'square-of-40s'
IMAGE_MEAN = np.array([0.485, 0.456, 0.406], dtype=np.float32)
IMAGE_STD = np.array([0.229, 0.224, 0.225], dtype=np.float32)
# With fewer observed pixels than this the published evaluation does not try.
MINIMUM_POINTS = 32

_WINDOW_STEP = 40


@dataclass(frozen=True)
class CropWindow:
    """A square of an image.

    Attributes:
        x: Its first column.
        y: Its first row.
        size: Its width and height, pixels.
    """

    x: int
    y: int
    size: int


@dataclass(frozen=True)
class ObjectInput:
    """What the network takes of one object.

    Attributes:
        points: (N, 3) float32 metres, camera optical frame, neither centred nor scaled.
        image: (3, 192, 192) float32 RGB crop with ImageNet's mean and deviation taken out.
        pixel_index: (N,) int64 pixel of each point in the crop, row * 192 + column.
    """

    points: NDArray[np.float32]
    image: NDArray[np.float32]
    pixel_index: NDArray[np.int64]


def object_input(
    frame: RGBDFrame, detection: Detection, number: int, generator: np.random.Generator
) -> ObjectInput | None:
    """Return the network's inputs for a detection, or None with fewer than 32 usable pixels.

    Args:
        frame: Undistorted frame with depth.
        detection: The object's box and mask.
        number: Points to return: a random subset in raster order where there are more, cyclic
            repetition where there are fewer.
        generator: Source of randomness.

    Raises:
        InvalidInputError: The frame has no depth, or is too small for a crop.
    """
    if frame.depth is None:
        raise InvalidInputError('the frame has no depth; SPD needs depth aligned to colour')
    height, width = frame.depth.shape
    window = crop_window(detection.box, height, width)
    rows, columns = detection.pixels()
    inside = (
        (rows >= window.y) & (rows < window.y + window.size)
        & (columns >= window.x) & (columns < window.x + window.size)
    )
    rows, columns = rows[inside], columns[inside]
    depth = frame.depth[rows, columns]
    known = np.isfinite(depth) & (depth > 0)
    rows, columns, depth = rows[known], columns[known], depth[known]
    if len(depth) < MINIMUM_POINTS:
        return None
    chosen = choose_points(len(depth), number, generator)
    rows, columns, depth = rows[chosen], columns[chosen], depth[chosen]
    pixels = np.stack([columns, rows], axis=1).astype(np.float64)
    return ObjectInput(
        points=frame.intrinsics.back_project(pixels, depth).astype(np.float32),
        image=normalized_image(resized_crop(frame.rgb, window)),
        pixel_index=crop_pixel_index(rows - window.y, columns - window.x, window.size),
    )


def crop_window(box: ArrayLike, height: int, width: int) -> CropWindow:
    """Return the square window around a box.

    Its size is the next multiple of 40 above the box's longer side, at most the largest one
    below the image's shorter side (440 of 640x480 images). It is shifted, not shrunk, into the
    image. Objects larger than that lose what lies outside.

    Args:
        box: (4,) x_min, y_min, x_max, y_max, pixels, upper bounds exclusive.
        height: Image height, pixels.
        width: Image width, pixels.

    Raises:
        InvalidInputError: The image is too small for any window.
    """
    largest = (min(height, width) - 1) // _WINDOW_STEP * _WINDOW_STEP
    if largest < _WINDOW_STEP:
        raise InvalidInputError(
            f'an image of {width}x{height} pixels has no room for a crop of {_WINDOW_STEP} '
            'pixels; use a larger image'
        )
    low = np.floor(np.asarray(box, dtype=np.float64)[:2]).astype(int)
    high = np.ceil(np.asarray(box, dtype=np.float64)[2:]).astype(int)
    size = min((int((high - low).max()) // _WINDOW_STEP + 1) * _WINDOW_STEP, largest)
    first = (low + high) // 2 - size // 2
    x, y = np.clip(first, 0, (width - size, height - size))
    return CropWindow(int(x), int(y), size)


def resized_crop(rgb: NDArray[np.uint8], window: CropWindow) -> NDArray[np.uint8]:
    """Return the (192, 192, 3) uint8 crop."""
    crop = rgb[window.y:window.y + window.size, window.x:window.x + window.size]
    resized = cv2.resize(crop, (CROP_SIZE, CROP_SIZE), interpolation=cv2.INTER_LINEAR)
    return np.asarray(resized, dtype=np.uint8)


def normalized_image(rgb: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Turn (..., H, W, 3) uint8 colours into the network's (..., 3, H, W) float32."""
    normalized = (rgb.astype(np.float32) / np.float32(255.0) - IMAGE_MEAN) / IMAGE_STD
    return np.ascontiguousarray(np.moveaxis(normalized, -1, -3))


def crop_pixel_index(
    rows: NDArray[np.intp], columns: NDArray[np.intp], size: int
) -> NDArray[np.int64]:
    """Return the pixel of the resized crop in which each pixel of the window ends up.

    Args:
        rows: (N,) rows in the window, 0 to size - 1.
        columns: (N,) columns in the window.
        size: Size of the window, pixels.

    Returns:
        (N,) int64 row * 192 + column of the 192x192 crop.
    """
    resized_rows = rows.astype(np.int64) * CROP_SIZE // size
    return resized_rows * CROP_SIZE + columns.astype(np.int64) * CROP_SIZE // size


def first_of_each_pixel(pixel_index: NDArray[np.int64]) -> NDArray[np.intp]:
    """Return, sorted by pixel, the index of the first point of each distinct crop pixel.

    The published evaluation aligns with these points only, which also removes the points that
    were repeated to fill up their number.
    """
    return np.unique(pixel_index, return_index=True)[1]


def box_centre(shape: NDArray[np.floating]) -> NDArray[np.float64]:
    """Return the (..., 3) centre of the tight box of (..., V, 3) points.

    Published mugs have their origin on the cup's axis, not in the box's centre (spec 4.1); this
    is where the centre of the reconstructed mug lies in that frame.
    """
    shape = np.asarray(shape, dtype=np.float64)
    return np.asarray(0.5 * (shape.min(axis=-2) + shape.max(axis=-2)))
