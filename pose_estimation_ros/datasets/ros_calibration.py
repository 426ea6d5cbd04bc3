"""Camera calibrations as ROS writes them to YAML files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import yaml

from pose_estimation_ros.core.errors import InvalidInputError
from pose_estimation_ros.datasets.frame_files import Calibration


def read_ros_calibration(path: Path) -> Calibration:
    """Read a file of camera_calibration, or what `ros2 topic echo --once` prints of camera_info.

    Raises:
        InvalidInputError: If the file cannot be read or lacks the camera matrix.
    """
    try:
        values = next(yaml.safe_load_all(path.read_text(encoding='utf-8')), None)
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise InvalidInputError(f'cannot read {path}: {error}') from error
    try:
        calibration = _from_message(values) if 'k' in values else _from_calibrator(values)
    except (KeyError, ValueError, TypeError) as error:
        raise InvalidInputError(
            f'{path} does not describe a camera ({error!r}); give what `ros2 topic echo --once` '
            'prints of a camera_info topic, or a file of camera_calibration') from error
    return calibration


def _from_message(values: dict[str, Any]) -> Calibration:
    return Calibration(
        np.array(values['k'], dtype=np.float64).reshape(3, 3),
        np.array(values.get('d', []), dtype=np.float64),
        distortion_model=values.get('distortion_model') or 'plumb_bob',
        size=(int(values['width']), int(values['height'])))


def _from_calibrator(values: dict[str, Any]) -> Calibration:
    distortion = values.get('distortion_coefficients', {'data': []})
    return Calibration(
        np.array(values['camera_matrix']['data'], dtype=np.float64).reshape(3, 3),
        np.array(distortion['data'], dtype=np.float64),
        distortion_model=values.get('distortion_model') or 'plumb_bob',
        size=(int(values['image_width']), int(values['image_height'])))
