"""Square views of an object for MRC-Net: their cameras, pixels and auxiliary numbers.

A view is a crop of the image after that was turned by quarter turns about its principal point.
Crop pixel (column, row) samples the image at the point that the crop camera projects to it, with
pixel centres at integers; the renderer of coarse poses samples half a pixel further. The
published network was trained with that offset, so it stays.

Everything scales with the side of the crop; the published one is 256 pixels.

Source: MRC-Net (CVPR 2024) and its published code; facts in spec section 1.1.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import ArrayLike, NDArray

from pose_estimation_ros.core.errors import InvalidInputError

FloatArray = NDArray[np.float64]

QUARTER_TURNS = 4
# The crop is this much larger than the longer side of the box.
_MARGIN = 1.5
# The box is widened by this share of its size on every side before it is drawn.
_DILATION = 0.125
# More samples than this per pixel and direction are not taken, for the sake of time.
_MOST_SAMPLES = 8
# Cosine and sine of the four turns, exactly.
_COSINES, _SINES = (1.0, 0.0, -1.0, 0.0), (0.0, 1.0, 0.0, -1.0)


@dataclass(frozen=True)
class CropSquare:
    """The square of an image that a view of an object shows.

    Attributes:
        center: (2,) u, v of its centre, pixels.
        side: Its side, pixels of the image.
        box_size: (2,) width and height of the object's box, pixels of the image.
    """

    center: FloatArray
    side: float
    box_size: FloatArray


@dataclass(frozen=True)
class CropView:
    """One view of an object, possibly with the camera turned about its optical axis.

    Attributes:
        crop: Side of the view, pixels.
        square: What it shows, in the turned image.
        K: (3, 3) camera matrix of the view, pixels of the crop, for the turned camera.
        R_turned_camera: (3, 3) rotation from the camera to the turned camera: a pose R, t of the
            image is the pose (R_turned_camera R, R_turned_camera t) of the view.
        from_image: (2, 3) affine map from pixels of the image to pixels of the crop.
        quarter_turns: How many times the camera was turned, 0 to 3.
        unturned_center: (2,) centre of the square in the image that is not turned, pixels.
        camera: (3, 3) camera matrix of the image.
    """

    crop: int
    square: CropSquare
    K: FloatArray
    R_turned_camera: FloatArray
    from_image: FloatArray
    quarter_turns: int
    unturned_center: FloatArray
    camera: FloatArray


def crop_square(box: ArrayLike, shift: ArrayLike = (0.0, 0.0), zoom: float = 0.0,
                largest: float = np.inf) -> CropSquare:
    """Return the square around a box.

    Args:
        box: (4,) x_min, y_min, x_max, y_max, pixels; fractions are cut off.
        shift: (2,) how far its centre is moved, in widths and heights of the box; in training
            0.25 times uniform numbers from -1 to 1.
        zoom: By which share the square is larger; in training 0.25 times such a number.
        largest: Its side is at most this, pixels; in training the longer side of the image.

    Raises:
        InvalidInputError: The box has no extent.
    """
    low, high = np.trunc(np.asarray(box, dtype=np.float64)).reshape(2, 2)
    size = high - low
    if not size.max() > 0:
        raise InvalidInputError(f'a box of {size[0]:g}x{size[1]:g} pixels has no crop; drop '
                                'detections without extent')
    side = min(_MARGIN * size.max() * (1.0 + zoom), largest)
    return CropSquare(0.5 * (low + high) + np.asarray(shift, dtype=np.float64) * size,
                      float(side), size)


def quarter_turn(quarter_turns: int) -> FloatArray:
    """Return the (3, 3) rotation about the optical axis by quarter turns, exactly."""
    cosine, sine = _COSINES[quarter_turns % 4], _SINES[quarter_turns % 4]
    return np.array([[cosine, -sine, 0.0], [sine, cosine, 0.0], [0.0, 0.0, 1.0]])


def crop_view(K: FloatArray, square: CropSquare, crop: int, quarter_turns: int = 0) -> CropView:
    """Return the view of a square, with the camera turned about its optical axis.

    Args:
        K: (3, 3) camera matrix of the image, pixels.
        square: In the image that is not turned.
        crop: Side of the view, pixels.
        quarter_turns: 0 to 3.
    """
    R = quarter_turn(quarter_turns)
    turn = K @ R @ np.linalg.inv(K)
    center = (turn @ np.append(square.center, 1.0))[:2]
    box_size = square.box_size[::-1] if quarter_turns % 2 else square.box_size
    to_crop = _square_to_crop(center, square.side, crop)
    return CropView(crop, CropSquare(center, square.side, box_size), to_crop @ K, R,
                    (to_crop @ turn)[:2], quarter_turns, square.center, K)


def crop_pixels(image: NDArray[np.generic], view: CropView) -> NDArray[np.float32]:
    """Resample what a view shows, bilinearly, with zeros outside the image.

    Where a pixel of the crop holds two pixels of the image in each direction or more, as many
    samples are averaged: what is not sampled would come and go with every small movement. With the
    published crop that only happens to boxes of more than 341 pixels.

    Args:
        image: (H, W, C) or (H, W), float32 or anything that becomes it; convert an image once if
            several views are taken of it.
        view: The view.

    Returns:
        (crop, crop, C) or (crop, crop) float32.
    """
    scale = float(np.sqrt(abs(np.linalg.det(view.from_image[:, :2]))))
    samples = int(np.clip(1.0 / scale, 1, _MOST_SAMPLES))
    # Sample 0 of pixel 0 is (samples - 1) / 2 samples before the middle of the pixel.
    finer = samples * view.from_image
    finer[:, 2] += 0.5 * (samples - 1)
    pixels = cv2.warpAffine(image.astype(np.float32, copy=False), finer,
                            (samples * view.crop, samples * view.crop), flags=cv2.INTER_LINEAR)
    if samples > 1:
        pixels = cv2.resize(pixels, (view.crop, view.crop), interpolation=cv2.INTER_AREA)
    return np.asarray(pixels, dtype=np.float32)


def detection_box_map(view: CropView) -> NDArray[np.float32]:
    """Return the (crop, crop) float32 map that is 1 in the object's widened box.

    The box is drawn in the middle even if the square was shifted against it, as published.
    """
    half = 0.5 * view.square.box_size / view.square.side
    return box_map(0.5 - half, 0.5 + half, view.crop)


def rendering_box_map(depth: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the (crop, crop) float32 map that is 1 in the widened box of a rendering.

    Args:
        depth: (crop, crop) metres, 0 = background; without an object the map is zero.
    """
    covered = depth > 0
    columns, rows = np.flatnonzero(covered.any(axis=0)), np.flatnonzero(covered.any(axis=1))
    if not columns.size:
        return np.zeros(depth.shape, dtype=np.float32)
    crop = len(depth)
    # The last index, not the one after it: so the published network was trained.
    first, last = np.array([columns[0], rows[0]]), np.array([columns[-1], rows[-1]])
    return box_map(first / crop, last / crop, crop)


def box_map(low: FloatArray, high: FloatArray, crop: int) -> NDArray[np.float32]:
    """Return the (crop, crop) float32 map that is 1 in a box widened by an eighth on every side.

    Args:
        low: (2,) x, y of its first corner, shares of the crop.
        high: (2,) x, y of its last corner.
        crop: Side of the map, pixels.
    """
    margin = _DILATION * (high - low)
    # np.round halves to even, as the published code does.
    first = np.clip(np.round((low - margin) * crop), 0, crop).astype(int)
    last = np.clip(np.round((high + margin) * crop), 0, crop).astype(int)
    filled = np.zeros((crop, crop), dtype=np.float32)
    filled[first[1]:last[1], first[0]:last[0]] = 1.0
    return filled


def color_input(rgb: NDArray[np.float32], boxes: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the (4, crop, crop) network input of a crop: blue, green, red, box map.

    Args:
        rgb: (crop, crop, 3) 0 to 255, red first.
        boxes: (crop, crop) box map.
    """
    bgr = np.moveaxis(rgb[..., ::-1], -1, 0) * np.float32(1.0 / 255.0)
    return np.concatenate([bgr, boxes[None]])


def rendering_input(shade: NDArray[np.float32], depth: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the (4, crop, crop) network input of a rendering: its shade thrice, box map.

    Args:
        shade: (crop, crop) grey, 0 to 1.
        depth: (crop, crop) metres, 0 = background.
    """
    return np.stack([shade, shade, shade, rendering_box_map(depth)])


def classifier_aux(view: CropView) -> NDArray[np.float32]:
    """Return the (3,) float32 that tell the classifier where in the image the view looks.

    These are the direction of its centre and the width it sees at distance 1.
    """
    return _aux_from(view, view.camera[:2, 2])


def published_inference_aux(view: CropView) -> NDArray[np.float32]:
    """Return `classifier_aux` as the published `inference.py` makes it, by an oversight.

    Its principal point is overwritten by the centre of the box before that is turned, so that
    the direction is zero in the view that is not turned. The published training does not do so.
    """
    return _aux_from(view, view.unturned_center)


def regressor_aux(view: CropView, t: FloatArray) -> NDArray[np.float32]:
    """Return the (3,) float32 that tell the regressor where the coarse pose lies.

    Args:
        view: The view.
        t: (3,) position of the coarse pose, metres, turned camera.
    """
    return np.array([t[0] / t[2], t[1] / t[2], view.square.side / view.camera[0, 0]],
                    dtype=np.float32)


def _aux_from(view: CropView, origin: FloatArray) -> NDArray[np.float32]:
    focal = view.camera[[0, 1], [0, 1]]
    direction = (view.square.center - origin) / focal
    return np.append(direction, view.square.side / focal[0]).astype(np.float32)


def _square_to_crop(center: FloatArray, side: float, crop: int) -> FloatArray:
    scale = crop / side
    low = center - 0.5 * side
    return np.array([[scale, 0.0, -scale * low[0]], [0.0, scale, -scale * low[1]],
                     [0.0, 0.0, 1.0]])
