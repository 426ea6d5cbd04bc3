"""Scenes in the BOP format.

Source: https://github.com/thodan/bop_toolkit/blob/master/docs/bop_datasets_format.md
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from pose_estimation_ros.core.errors import InvalidInputError
from pose_estimation_ros.datasets.frame_files import (
    MILLIMETRE,
    Calibration,
    FrameFiles,
    read_json,
)


def list_frames(folder: Path) -> list[FrameFiles]:
    """List the frames of a BOP scene, or of all scenes of a split.

    Args:
        folder: With `scene_camera.json`, `rgb/` and `depth/` in it or in folders below.

    Returns:
        The frames by scene and image id; empty if the folder has another layout.

    Raises:
        InvalidInputError: If a `scene_camera.json` cannot be used.
    """
    return [frame for cameras in sorted(folder.rglob('scene_camera.json'))
            for frame in _scene(cameras)]


def _scene(cameras: Path) -> list[FrameFiles]:
    scene = cameras.parent
    frames = []
    for image_id, values in sorted(read_json(cameras).items(), key=lambda item: int(item[0])):
        stem = f'{int(image_id):06d}'
        color = next((scene / 'rgb' / f'{stem}{suffix}' for suffix in ('.png', '.jpg')
                      if (scene / 'rgb' / f'{stem}{suffix}').is_file()), None)
        if color is None:
            continue
        if 'cam_K' not in values:
            raise InvalidInputError(f'{cameras}: image {image_id} has no cam_K')
        K = np.array(values['cam_K'], dtype=np.float64).reshape(3, 3)
        unit = MILLIMETRE * float(values.get('depth_scale', 1.0))
        frames.append(FrameFiles(f'{scene.name}/{stem}', color, scene / 'depth' / f'{stem}.png',
                                 Calibration(K, np.zeros(0), unit)))
    return frames
