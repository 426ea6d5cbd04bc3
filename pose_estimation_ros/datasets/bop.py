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

# Scenes of grey cameras (ITODD) have `gray` and TIFF images.
COLOR_FOLDERS = ('rgb', 'gray')
DEPTH_FOLDERS = ('depth',)
_SUFFIXES = ('.png', '.jpg', '.tif')


def find_image(scene: Path, folders: tuple[str, ...], image_id: int) -> Path | None:
    """Return the file of an image of a scene, None if there is none.

    Args:
        scene: Folder of the scene.
        folders: Where to look, `COLOR_FOLDERS` or `DEPTH_FOLDERS`, in this order.
        image_id: Number of the image.
    """
    candidates = (scene / folder / f'{image_id:06d}{suffix}'
                  for folder in folders for suffix in _SUFFIXES)
    return next((path for path in candidates if path.is_file()), None)


def list_frames(folder: Path) -> list[FrameFiles]:
    """List the frames of a BOP scene, or of all scenes of a split.

    Args:
        folder: With `scene_camera.json`, `rgb/` or `gray/` and `depth/`, in it or below it.

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
        color = find_image(scene, COLOR_FOLDERS, int(image_id))
        if color is None:
            continue
        if 'cam_K' not in values:
            raise InvalidInputError(f'{cameras}: image {image_id} has no cam_K')
        K = np.array(values['cam_K'], dtype=np.float64).reshape(3, 3)
        unit = MILLIMETRE * float(values.get('depth_scale', 1.0))
        # A frame without depth is found missing when it is loaded.
        depth = (find_image(scene, DEPTH_FOLDERS, int(image_id))
                 or scene / 'depth' / f'{stem}.png')
        frames.append(FrameFiles(f'{scene.name}/{stem}', color, depth,
                                 Calibration(K, np.zeros(0), unit)))
    return frames
