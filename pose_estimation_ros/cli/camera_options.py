"""The camera of an image file, from another file or from numbers on the command line."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from pose_estimation_ros.core.errors import ConfigurationError

if TYPE_CHECKING:
    from pose_estimation_ros.datasets.frame_files import Calibration

_ROS_SUFFIXES = ('.yaml', '.yml')


def read_camera(file: Path | None, fx: float | None, fy: float | None, cx: float | None,
                cy: float | None, depth_unit: float | None) -> Calibration:
    """Return the camera that the options describe.

    Args:
        file: camera.json, or a YAML file of ROS.
        fx: Focal length along x, pixels; instead of a file, with `fy`, `cx` and `cy`.
        fy: Focal length along y, pixels.
        cx: Principal point, x, pixels.
        cy: Principal point, y, pixels.
        depth_unit: Metres per count of the depth image; None = what the file says, else 0.001.

    Raises:
        ConfigurationError: If both or neither are given, or some of the numbers are missing.
        InvalidInputError: If the file cannot be used.
    """
    numbers = {'--fx': fx, '--fy': fy, '--cx': cx, '--cy': cy}
    missing = [name for name, value in numbers.items() if value is None]
    if file is None and missing:
        raise ConfigurationError(
            f'the camera is not known: {", ".join(missing)} are missing; give --camera FILE, or '
            '--fx, --fy, --cx and --cy')
    if file is not None and len(missing) < len(numbers):
        raise ConfigurationError(f'--camera {file} and focal lengths or centre are both given; '
                                 'leave one of them out')
    calibration = _of_file(file) if file is not None else _of_numbers(*numbers.values())
    if depth_unit is not None:
        calibration = replace(calibration, depth_unit=depth_unit)
    return calibration


def _of_file(file: Path) -> Calibration:
    from pose_estimation_ros.datasets.frame_files import read_calibration
    from pose_estimation_ros.datasets.ros_calibration import read_ros_calibration

    return (read_ros_calibration if file.suffix in _ROS_SUFFIXES else read_calibration)(file)


def _of_numbers(fx: float, fy: float, cx: float, cy: float) -> Calibration:
    import numpy as np

    from pose_estimation_ros.datasets.frame_files import Calibration

    return Calibration(np.array([[fx, 0.0, cx], [0.0, fy, cy], [0.0, 0.0, 1.0]]), np.zeros(0))
