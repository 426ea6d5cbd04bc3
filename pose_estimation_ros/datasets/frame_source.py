"""Recorded frames as a sequence, whatever the layout on disk."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from pose_estimation_ros.core.errors import InvalidInputError
from pose_estimation_ros.core.frame import RGBDFrame
from pose_estimation_ros.datasets import bop, nocs, rgbd_folder
from pose_estimation_ros.datasets.frame_files import FrameFiles

_LAYOUTS: tuple[Callable[[Path], list[FrameFiles]], ...] = (
    bop.list_frames, nocs.list_frames, rgbd_folder.list_frames)


@dataclass(frozen=True)
class FrameSource:
    """Recorded frames in their order; images are read when they are asked for.

    Attributes:
        files: Where each frame lies.
    """

    files: Sequence[FrameFiles]

    def __len__(self) -> int:
        """Return the number of frames."""
        return len(self.files)

    def name(self, index: int) -> str:
        """Return the name of a frame: its folder or number."""
        return self.files[index].name

    def stamp_ns(self, index: int) -> int:
        """Return the stamp of a frame, nanoseconds: its index is taken as seconds."""
        return index * 1_000_000_000

    def load(self, index: int) -> RGBDFrame:
        """Read one frame.

        Raises:
            InvalidInputError: If an image is missing or damaged, or sizes do not agree.
        """
        return self.files[index].load(self.stamp_ns(index))


def open_frames(folder: Path) -> FrameSource:
    """Find the RGB-D frames in a folder.

    Args:
        folder: One frame (`rgb.png`, `depth.png`, `camera.json`), a folder of such folders, a
            sequence (`rgb/`, `depth/`, `camera.json`), a NOCS folder (`*_color.png`,
            `*_depth.png`) or a BOP scene or split (`scene_camera.json`).

    Returns:
        The frames, sorted by name.

    Raises:
        InvalidInputError: If the folder does not exist or holds no frame of a known layout.
    """
    if not folder.exists():
        raise InvalidInputError(f'{folder} does not exist; give a bag of rosbag2 or a folder of '
                                'recorded frames')
    if folder.suffix == '.bag':
        raise InvalidInputError(f'{folder} is a bag of ROS 1; make one of ROS 2 of it: '
                                f'rosbags-convert --src {folder} --dst {folder.with_suffix("")}')
    if not folder.is_dir():
        raise InvalidInputError(f'{folder} is neither a bag of rosbag2 (a folder, .mcap or .db3) '
                                'nor a folder of recorded frames; give one of these')
    for layout in _LAYOUTS:
        files = layout(folder)
        if files:
            return FrameSource(files)
    raise InvalidInputError(
        f'{folder} holds no RGB-D frames; known layouts are rgb.png + depth.png + camera.json '
        '(alone or one folder per frame), rgb/ + depth/ + camera.json, NOCS (*_color.png, '
        '*_depth.png) and BOP (scene_camera.json)')
