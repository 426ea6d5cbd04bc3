"""Detections on disk: ours as JSON lines, and the published pickles of NOCS' detector."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from pose_estimation_ros.core.categories import CATEGORY_NAMES
from pose_estimation_ros.core.detection import Detection
from pose_estimation_ros.core.errors import InvalidInputError
from pose_estimation_ros.datasets.atomic_files import replacing
from pose_estimation_ros.datasets.nocs_pickles import read_pickle
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


def read_nocs_detections(folder: Path, name: str) -> tuple[Detection, ...]:
    """Read one of the detector's published pickles, `results_<subset>_<folder>_<image>.pkl`.

    Args:
        folder: Where the pickles lie, such as results/mrcnn_results/real_test.
        name: The frame's name, such as 'test/scene_1/0000'.

    Raises:
        InvalidInputError: If there is none for the frame, or it holds something else.

    Source:
        Layout of the published results of NOCS and SPD: rois (N, 4) y1 x1 y2 x2, class_ids from
        1, scores, masks (H, W, N).
    """
    path = folder / f'results_{name.replace("/", "_")}.pkl'
    if not path.is_file():
        raise InvalidInputError(f'{path} is missing; put the detector\'s pickles of this split '
                                f'there, or give another source of masks than {folder}')
    content = read_pickle(path)
    try:
        boxes, labels = np.asarray(content['rois']), np.asarray(content['class_ids'])
        scores, masks = np.asarray(content['scores']), np.asarray(content['masks'], bool)
        if labels.size and labels.min() < 1:
            raise IndexError(f'class {labels.min()}')
        return tuple(
            Detection(CATEGORY_NAMES[int(label) - 1], float(score),
                      np.array([box[1], box[0], box[3], box[2]], np.float64), masks[:, :, index])
            for index, (box, label, score) in enumerate(zip(boxes, labels, scores, strict=True)))
    except (KeyError, IndexError, TypeError, ValueError) as error:
        raise InvalidInputError(
            f'{path} does not hold a detector\'s rois, class_ids from 1 to '
            f'{len(CATEGORY_NAMES)}, scores and masks ({type(error).__name__}: {error}); '
            'give the folder of the mrcnn_results') from error


def _as_json(detection: Detection) -> dict[str, Any]:
    return {'label': detection.label, 'score': float(detection.score),
            'box': detection.box.tolist(), 'offset': [int(value) for value in detection.offset],
            'mask': mask_as_runs(detection.mask)}


def _from_json(content: Mapping[str, Any]) -> Detection:
    x, y = content['offset']
    return Detection(content['label'], float(content['score']), np.array(content['box']),
                     mask_from_runs(content['mask']), (int(x), int(y)))
