"""The files of one recorded RGB-D frame and how they are read."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from pose_estimation_ros.core.camera import CameraIntrinsics
from pose_estimation_ros.core.errors import InvalidInputError
from pose_estimation_ros.core.frame import RGBDFrame

FRAME_ID = 'camera_color_optical_frame'
MILLIMETRE = 0.001


@dataclass(frozen=True)
class Calibration:
    """What is known of the camera before an image is read.

    Attributes:
        K: (3, 3) float64 camera matrix, pixels.
        D: (k,) float64 distortion coefficients, empty = none.
        depth_unit: Metres per count of the depth image.
        distortion_model: Of `D`, one of `core.camera.DISTORTION_MODELS`.
        size: Width and height of the images, pixels; None = that of the colour image.
    """

    K: NDArray[np.float64]
    D: NDArray[np.float64]
    depth_unit: float = MILLIMETRE
    distortion_model: str = 'plumb_bob'
    size: tuple[int, int] | None = None


@dataclass(frozen=True)
class FrameFiles:
    """One frame on disk.

    Attributes:
        name: For people.
        color: Colour image.
        depth: Depth image, see `read_depth`; None = colour only.
        calibration: Of the camera.
    """

    name: str
    color: Path
    depth: Path | None
    calibration: Calibration

    def load(self, stamp_ns: int) -> RGBDFrame:
        """Read the images.

        Raises:
            InvalidInputError: If an image is missing or damaged, or sizes do not agree.
        """
        rgb = cv2.cvtColor(read_image(self.color, cv2.IMREAD_COLOR), cv2.COLOR_BGR2RGB)
        width, height = self.calibration.size or (rgb.shape[1], rgb.shape[0])
        camera = CameraIntrinsics(width, height, self.calibration.K,
                                  self.calibration.distortion_model, self.calibration.D)
        depth = (None if self.depth is None
                 else read_depth(self.depth, self.calibration.depth_unit))
        return RGBDFrame(stamp_ns, FRAME_ID, rgb, depth, camera)


def read_calibration(path: Path) -> Calibration:
    """Read a `camera.json`: `K` (3x3) or `fx fy cx cy`, and how much a depth count is.

    `depth_unit_m` is metres per count; `depth_scale` (BOP) is millimetres per count. Without
    either a count is a millimetre. `D`, if present, holds plumb_bob coefficients.

    Raises:
        InvalidInputError: If the file cannot be read or lacks the camera matrix.
    """
    values = read_json(path)
    try:
        if 'K' in values:
            K = np.array(values['K'], dtype=np.float64).reshape(3, 3)
        else:
            K = np.array([[values['fx'], 0.0, values['cx']], [0.0, values['fy'], values['cy']],
                          [0.0, 0.0, 1.0]], dtype=np.float64)
        unit = float(values.get('depth_unit_m', MILLIMETRE * values.get('depth_scale', 1.0)))
        D = np.array(values.get('D', []), dtype=np.float64)
    except (KeyError, ValueError, TypeError) as error:
        raise InvalidInputError(
            f'{path} does not describe a camera ({error!r}); it needs K (3x3) or fx, fy, cx, cy, '
            'in pixels') from error
    return Calibration(K, D, unit)


def read_depth(path: Path, unit: float = MILLIMETRE) -> NDArray[np.float32]:
    """Read a depth image.

    Args:
        path: An image of 16-bit counts, of three 8-bit channels (NOCS CAMERA) or of 32-bit
            floats (TIFF), or a .npy array of 16-bit counts or floats. Floats are metres.
        unit: Metres per count.

    Returns:
        (H, W) float32 metres, NaN = unknown.

    Raises:
        InvalidInputError: If the file is missing, damaged or of another kind.
    """
    image = _read_array(path) if path.suffix == '.npy' else read_image(path, cv2.IMREAD_UNCHANGED)
    if image.ndim == 2 and image.dtype.kind == 'f':
        depth = image.astype(np.float32)
    else:
        depth = depth_counts(image, path).astype(np.float32) * np.float32(unit)
    depth[~((depth > 0) & (depth < np.inf))] = np.nan
    return depth


def read_json(path: Path) -> dict[str, Any]:
    """Read a JSON object.

    Raises:
        InvalidInputError: If the file is missing or is not a JSON object.
    """
    try:
        values = json.loads(path.read_text(encoding='utf-8'))
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise InvalidInputError(f'cannot read {path}: {reason}; correct it, or copy or download '
                                'it again') from error
    if not isinstance(values, dict):
        raise InvalidInputError(f'{path} must hold a JSON object, not {type(values).__name__}')
    return values


def depth_counts(image: NDArray[Any], path: Path) -> NDArray[np.uint16]:
    """Return an image's depth as (H, W) uint16 counts.

    NOCS CAMERA keeps the high byte in the green and the low byte in the red channel: 1 and 2 of
    the image as OpenCV reads it.

    Raises:
        InvalidInputError: If the image is of another kind.
    """
    if image.ndim == 3 and image.dtype == np.uint8 and image.shape[2] >= 3:
        return image[..., 1].astype(np.uint16) * np.uint16(256) + image[..., 2]
    if image.ndim == 2 and image.dtype == np.uint16:
        return image
    raise InvalidInputError(f'{path} holds {image.shape} {image.dtype}; depth must be a 16-bit '
                            'image of one channel, or floats in metres')


def _read_array(path: Path) -> NDArray[Any]:
    try:
        array = np.load(path, allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise InvalidInputError(f'{path} is missing or not a .npy array that can be read '
                                f'({error})') from error
    return np.asarray(array)


def read_image(path: Path, flags: int) -> NDArray[Any]:
    """Read an image as OpenCV does.

    Args:
        path: Of the image.
        flags: `cv2.IMREAD_COLOR`, `cv2.IMREAD_GRAYSCALE` or `cv2.IMREAD_UNCHANGED`.

    Raises:
        InvalidInputError: If the file is missing or damaged.
    """
    # OpenCV prints a warning of its own about a missing file.
    image = cv2.imread(str(path), flags) if path.is_file() else None
    if image is None:
        raise InvalidInputError(f'{path} is missing or not an image that can be read; copy or '
                                'download it again')
    return image
