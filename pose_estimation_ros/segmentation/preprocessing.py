"""From an RGB-D frame to the detector's input tensor; training and run time both use this.

Colour tells a detector trained on synthetic pictures less about the real world than geometry
does, so the detector also sees depth: its inverse, where it is known, and surface normals.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from pose_estimation_ros.core.camera import CameraIntrinsics
from pose_estimation_ros.core.color_normalization import COLOR_DEVIATION, COLOR_MEAN
from pose_estimation_ros.core.errors import InvalidInputError
from pose_estimation_ros.core.frame import RGBDFrame

Image = NDArray[np.uint8]
DepthImage = NDArray[np.float32]
Channels = NDArray[np.float32]

CHANNEL_NAMES = ('red', 'green', 'blue', 'inverse_depth', 'depth_known',
                 'normal_x', 'normal_y', 'normal_z')
COLOR_CHANNELS = CHANNEL_NAMES[:3]
# Depth outside this range says nothing about tabletop objects; both bounds in metres.
NEAREST_DEPTH, FARTHEST_DEPTH = 0.15, 6.0
_NORMAL_WINDOW = 5
_LEAST_KNOWN_SHARE = 0.3


@dataclass(frozen=True)
class InputSize:
    """How a frame is fitted into the detector's fixed input.

    Attributes:
        width: Input width, pixels.
        height: Input height, pixels.
    """

    width: int = 320
    height: int = 240

    def fit(self, width: int, height: int) -> tuple[int, int]:
        """Return the (width, height) an image takes in the top left corner of the input.

        The aspect ratio is kept; what remains of the input stays empty.
        """
        scale = min(self.width / width, self.height / height)
        return (min(max(round(width * scale), 1), self.width),
                min(max(round(height * scale), 1), self.height))


def detector_input(frame: RGBDFrame, size: InputSize) -> Channels:
    """Return the (8, height, width) input tensor of a frame; see `CHANNEL_NAMES`."""
    height, width = frame.rgb.shape[:2]
    fitted = size.fit(width, height)
    rgb = resize_color(frame.rgb, *fitted)
    depth = None if frame.depth is None else resize_depth(frame.depth, *fitted)
    channels = stack_channels(rgb, depth, frame.intrinsics.resize(*fitted))
    return pad_to(channels, size)


def color_input(rgb: Image, size: InputSize, mean: NDArray[np.float32],
                deviation: NDArray[np.float32]) -> Channels:
    """Return the (3, height, width) input tensor of a colour-only detector.

    Args:
        rgb: (H, W, 3) uint8.
        size: Input size of the detector.
        mean: (3,) mean of each channel, colours being 0 to 1.
        deviation: (3,) standard deviation of each channel.
    """
    fitted = size.fit(rgb.shape[1], rgb.shape[0])
    colors = resize_color(rgb, *fitted).astype(np.float32) / np.float32(255)
    normalised = (colors - mean) / deviation
    return pad_to(np.ascontiguousarray(normalised.transpose(2, 0, 1), dtype=np.float32), size)


def resize_color(rgb: Image, width: int, height: int) -> Image:
    """Return the image resampled by area when it shrinks and linearly when it grows."""
    shrinks = width <= rgb.shape[1] and height <= rgb.shape[0]
    return np.asarray(cv2.resize(
        rgb, (width, height), interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR),
        dtype=np.uint8)


def resize_depth(depth: DepthImage, width: int, height: int) -> DepthImage:
    """Return the depth resampled by nearest neighbour, which never mixes two surfaces."""
    return np.asarray(cv2.resize(depth, (width, height), interpolation=cv2.INTER_NEAREST),
                      dtype=np.float32)


def stack_channels(rgb: Image, depth: DepthImage | None,
                   intrinsics: CameraIntrinsics) -> Channels:
    """Return the channels of an image that already has its final size.

    Args:
        rgb: (h, w, 3) uint8.
        depth: (h, w) float32 metres, NaN = unknown; None gives empty depth channels.
        intrinsics: Camera of the resized image.

    Returns:
        (8, h, w) float32 in the order of `CHANNEL_NAMES`.

    Raises:
        InvalidInputError: If the sizes do not agree.
    """
    height, width = rgb.shape[:2]
    if depth is not None and depth.shape != (height, width):
        raise InvalidInputError(
            f'detector got colour of {width}x{height} but depth of {depth.shape[1]}x'
            f'{depth.shape[0]}; align depth to colour')
    channels = np.zeros((len(CHANNEL_NAMES), height, width), dtype=np.float32)
    scale = np.float32(1 / (255 * COLOR_DEVIATION))
    for index in range(3):
        np.multiply(rgb[..., index], scale, out=channels[index])
    channels[:3] -= np.float32(COLOR_MEAN / COLOR_DEVIATION)
    if depth is None:
        return channels
    with np.errstate(invalid='ignore'):
        known = (depth >= NEAREST_DEPTH) & (depth <= FARTHEST_DEPTH)
    inverse = np.zeros((height, width), dtype=np.float32)
    np.divide(np.float32(1), depth, out=inverse, where=known)
    channels[3] = np.where(known, inverse - np.float32(1), np.float32(0))
    channels[4] = known
    channels[5:] = _normals(inverse, known, intrinsics)
    return channels


def pad_to(channels: Channels, size: InputSize) -> Channels:
    """Return the channels in the top left corner of an input of that size, zeros elsewhere."""
    count, height, width = channels.shape
    if (width, height) == (size.width, size.height):
        return channels
    padded = np.zeros((count, size.height, size.width), dtype=np.float32)
    padded[:, :height, :width] = channels
    return padded


def _normals(inverse_depth: DepthImage, known: NDArray[np.bool_],
             intrinsics: CameraIntrinsics) -> Channels:
    """Return (3, h, w) unit normals that face the camera, zero where unknown.

    A plane n . p = d seen along the ray (x, y, 1) has 1/z = (n . (x, y, 1)) / d: inverse depth is
    linear in the image, its slopes are the first two components of the normal, and its noise
    is the same at every distance for a stereo camera. So one box filter and one difference do.
    """
    weight = known.astype(np.float32)
    window = (_NORMAL_WINDOW, _NORMAL_WINDOW)
    share = cv2.boxFilter(weight, -1, window)
    smooth = np.asarray(cv2.boxFilter(inverse_depth, -1, window)
                        / np.maximum(share, np.float32(1e-6)), dtype=np.float32)
    enough = (share > _LEAST_KNOWN_SHARE).astype(np.float32)
    slopes = []
    for axis, focal_length in ((1, intrinsics.fx), (0, intrinsics.fy)):
        ahead, behind = _shifted(smooth, axis)
        ahead_known, behind_known = _shifted(enough, axis)
        slopes.append((ahead - behind) * (ahead_known * behind_known)
                      * np.float32(focal_length / 4))
    height, width = inverse_depth.shape
    x = ((np.arange(width) - intrinsics.cx) / intrinsics.fx).astype(np.float32)[None, :]
    y = ((np.arange(height) - intrinsics.cy) / intrinsics.fy).astype(np.float32)[:, None]
    slope_x, slope_y = slopes
    along = smooth - slope_x * x - slope_y * y
    length = np.sqrt(slope_x ** 2 + slope_y ** 2 + along ** 2)
    usable = known & (length > 0)
    factor = np.zeros_like(length)
    np.divide(np.float32(-1), length, out=factor, where=usable)
    return np.stack([slope_x * factor, slope_y * factor, along * factor])


def _shifted(image: Channels, axis: int) -> tuple[Channels, Channels]:
    """Return the image moved two pixels back and forth along an axis, borders repeated."""
    pad = ((2, 2), (0, 0)) if axis == 0 else ((0, 0), (2, 2))
    padded = np.pad(image, pad, mode='edge')
    last = image.shape[axis]
    if axis == 0:
        return padded[4:], padded[:last]
    return padded[:, 4:], padded[:, :last]
