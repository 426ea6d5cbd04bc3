"""Folders in the layout of the NOCS data sets (CAMERA and Real).

Source: Wang et al., Normalized Object Coordinate Space, CVPR 2019, and its released data.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np

from pose_estimation_ros.core.frame import RGBDFrame
from pose_estimation_ros.datasets.frame_files import Calibration, FrameFiles, read_calibration
from pose_estimation_ros.datasets.nocs_images import EMPTY_COUNT

# The released data carry no calibration; these are the published values.
REAL_CAMERA = Calibration(
    np.array([[591.0125, 0.0, 322.525], [0.0, 590.16775, 244.11084], [0.0, 0.0, 1.0]]),
    np.zeros(0))
SYNTHETIC_CAMERA = Calibration(
    np.array([[577.5, 0.0, 319.5], [0.0, 577.5, 239.5], [0.0, 0.0, 1.0]]), np.zeros(0))


class NocsFrameFiles(FrameFiles):
    """A frame whose depth has a second count that means unknown."""

    def load(self, stamp_ns: int) -> RGBDFrame:
        """Read the images.

        Raises:
            InvalidInputError: If an image is missing or damaged, or sizes do not agree.
        """
        frame = super().load(stamp_ns)
        if frame.depth is None:
            return frame
        counts = np.rint(frame.depth / np.float32(self.calibration.depth_unit))
        return replace(frame, depth=np.where(counts == EMPTY_COUNT, np.float32(np.nan),
                                             frame.depth))


def list_frames(folder: Path) -> list[FrameFiles]:
    """List the frames of a NOCS scene, or of all scenes below a folder.

    Args:
        folder: With `0000_color.png` and `0000_depth.png` in it or in folders below. A
            `camera.json` in a scene replaces the published calibration.

    Returns:
        The frames by scene and number; empty if the folder has another layout.

    Raises:
        InvalidInputError: If a `camera.json` cannot be used.
    """
    frames: list[FrameFiles] = []
    calibrations: dict[Path, Calibration] = {}
    for color in sorted(folder.rglob('*_color.png')):
        depth = color.with_name(color.name.replace('_color.png', '_depth.png'))
        # A folder with a dot is still being written.
        if not depth.is_file() or color.parent.name.startswith('.'):
            continue
        if color.parent not in calibrations:
            calibrations[color.parent] = _calibration(color.parent, depth)
        name = color.relative_to(folder).as_posix().removesuffix('_color.png')
        frames.append(NocsFrameFiles(name, color, depth, calibrations[color.parent]))
    return frames


def _calibration(scene: Path, depth: Path) -> Calibration:
    if (scene / 'camera.json').is_file():
        return read_calibration(scene / 'camera.json')
    image = cv2.imread(str(depth), cv2.IMREAD_UNCHANGED)
    is_synthetic = image is not None and image.ndim == 3
    return SYNTHETIC_CAMERA if is_synthetic else REAL_CAMERA
