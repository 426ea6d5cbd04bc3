"""Detections on disk, as JSON lines."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from pose_estimation_ros.core.detection import Detection
from pose_estimation_ros.core.errors import InvalidInputError
from pose_estimation_ros.datasets.atomic_files import replacing
from pose_estimation_ros.evaluation.predictions import mask_as_runs, mask_from_runs


@dataclass(frozen=True, eq=False)
class FrameDetections:
    """All that was detected in a frame.

    Attributes:
        name: The frame's name within its data set (`AnnotatedFrame.name`).
        detections: In any order.
        seconds: Time that it took; NaN = unknown.
    """

    name: str
    detections: tuple[Detection, ...]
    seconds: float = float('nan')


def write_detections(path: Path, frames: Iterable[FrameDetections]) -> None:
    """Write JSON lines as the frames come; the file appears whole or not at all."""
    with replacing(path) as partial, partial.open('w', encoding='utf-8') as file:
        for frame in frames:
            content = {
                'name': frame.name,
                'seconds': None if math.isnan(frame.seconds) else frame.seconds,
                'detections': [_as_json(detection) for detection in frame.detections]}
            file.write(json.dumps(content, allow_nan=False) + '\n')


def read_detections(path: Path) -> list[FrameDetections]:
    """Read a file that `write_detections` made.

    Raises:
        InvalidInputError: If it is missing or a line of it is not a frame's detections.
    """
    if not path.is_file():
        raise InvalidInputError(f'there is no file of detections at {path}; write one with '
                                '`pose-estimation evaluate ... --protocol detection`')
    with path.open(encoding='utf-8') as file:
        return [_frame_from_json(path, number, line) for number, line in enumerate(file, start=1)]


def _frame_from_json(path: Path, number: int, line: str) -> FrameDetections:
    try:
        content = json.loads(line)
        seconds = content['seconds']
        return FrameDetections(content['name'],
                               tuple(_from_json(entry) for entry in content['detections']),
                               math.nan if seconds is None else float(seconds))
    except (ValueError, KeyError, TypeError, InvalidInputError) as error:
        raise InvalidInputError(f"line {number} of {path} is not a frame's detections: "
                                f'{type(error).__name__} {error}') from error


def _as_json(detection: Detection) -> dict[str, Any]:
    return {'label': detection.label, 'score': float(detection.score),
            'box': detection.box.tolist(), 'offset': [int(value) for value in detection.offset],
            'mask': mask_as_runs(detection.mask)}


def _from_json(content: Mapping[str, Any]) -> Detection:
    x, y = content['offset']
    return Detection(content['label'], float(content['score']), np.array(content['box']),
                     mask_from_runs(content['mask']), (int(x), int(y)))
