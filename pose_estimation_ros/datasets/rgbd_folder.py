"""Plain folders of RGB-D frames with a `camera.json`."""

from __future__ import annotations

from pathlib import Path

from pose_estimation_ros.datasets.frame_files import FrameFiles, read_calibration

_COLOR_SUFFIXES = frozenset({'.png', '.jpg', '.jpeg'})


def list_frames(folder: Path) -> list[FrameFiles]:
    """List the frames of a single frame's folder, a folder of such, or a sequence.

    Args:
        folder: `rgb.png`, `depth.png`, `camera.json`; or folders with these; or `rgb/` and
            `depth/` with equally named images beside one `camera.json`.

    Returns:
        The frames by name; empty if the folder has another layout.

    Raises:
        InvalidInputError: If a `camera.json` cannot be used.
    """
    if (folder / 'rgb.png').is_file():
        return [_single(folder)]
    if (folder / 'rgb').is_dir() and (folder / 'camera.json').is_file():
        return _sequence(folder)
    return [_single(child) for child in sorted(folder.iterdir()) if (child / 'rgb.png').is_file()]


def _single(folder: Path) -> FrameFiles:
    return FrameFiles(folder.name, folder / 'rgb.png', folder / 'depth.png',
                      read_calibration(folder / 'camera.json'))


def _sequence(folder: Path) -> list[FrameFiles]:
    calibration = read_calibration(folder / 'camera.json')
    return [FrameFiles(color.stem, color, folder / 'depth' / f'{color.stem}.png', calibration)
            for color in sorted((folder / 'rgb').iterdir())
            if color.suffix.lower() in _COLOR_SUFFIXES]
