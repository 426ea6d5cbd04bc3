"""Accuracy of a pose backend on rendered frames, given true masks with a detector's errors.

    pose-estimation dataset frames data/frames/primary/test --split test --count 384
    python -m pose_estimation_ros.evaluation.mask_accuracy --data data/frames/primary/test

Detection is left out: every visible object is found.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from pose_estimation_ros.backends.base import BackendOptions, PoseBackend
from pose_estimation_ros.backends.registry import create_backend
from pose_estimation_ros.core.detection import Detection
from pose_estimation_ros.core.object_pose import ObjectPose
from pose_estimation_ros.evaluation.pose_accuracy import (
    COLUMNS,
    PoseError,
    accuracy_table,
    effective_symmetry,
    missing,
    pose_error,
)
from pose_estimation_ros.evaluation.report import Report
from pose_estimation_ros.synthetic.frame_cache import FrameShards
from pose_estimation_ros.synthetic.mask_errors import detector_mask
from pose_estimation_ros.synthetic.synthetic_frame import Instance, SyntheticFrame

# Objects are asked for as from a detector: not if they are hidden, cut off or a few pixels large.
_LEAST_IN_IMAGE = 0.5
_LEAST_PIXELS = 100


def asked_for(frame: SyntheticFrame, visibility: float) -> Iterator[Instance]:
    """Yield the instances that are at least that visible."""
    for instance in frame.instances:
        pixels = int((frame.instance_map == instance.id).sum())
        if (instance.visibility >= visibility and instance.in_image >= _LEAST_IN_IMAGE
                and pixels >= _LEAST_PIXELS):
            yield instance


def frame_errors(backend: PoseBackend, frame: SyntheticFrame, visibility: float,
                 generator: np.random.Generator) -> list[PoseError]:
    """Return the error of every visible object of a frame, a refused pose counted as missing.

    Args:
        backend: What is measured.
        frame: The frame with its truth.
        visibility: Least visible share of an object.
        generator: Source of the mask errors.
    """
    instances = list(asked_for(frame, visibility))
    none = np.zeros(frame.instance_map.shape, dtype=np.bool_)
    detections = []
    for instance in instances:
        mask = detector_mask(frame.instance_map == instance.id, none, generator)
        detections.append(Detection(instance.category, 1.0, np.asarray(instance.box), mask))
    errors = []
    answers = backend.estimate(frame.frame, detections)
    for instance, answer in zip(instances, answers, strict=True):
        if not isinstance(answer, ObjectPose):
            errors.append(missing(instance.category))
            continue
        handle = instance.part_visibility.get('handle', float('nan'))
        errors.append(pose_error(
            instance.category, effective_symmetry(instance.category, handle),
            answer.T_camera_object, answer.size, instance.T_camera_object, instance.size))
    return errors


def main() -> None:
    """Parse the command line, evaluate and print a table."""
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--data', type=Path, required=True, help='folder of frame shards')
    parser.add_argument('--backend', default='spd')
    parser.add_argument('--model', default='', help='model name or folder')
    parser.add_argument('--frames', type=int, default=10**9, help='most frames')
    parser.add_argument('--visibility', type=float, default=0.4,
                        help='leave out objects of which a smaller share can be seen')
    parser.add_argument('--seed', type=int, default=0, help='of the mask errors')
    parser.add_argument('--out', type=Path, help='also write the table here, JSON and Markdown')
    arguments = parser.parse_args()
    backend = create_backend(arguments.backend, BackendOptions(arguments.model, 'cpu'))
    shards = FrameShards(arguments.data)
    count = min(arguments.frames, len(shards))
    generator = np.random.default_rng(arguments.seed)
    errors = [error for index in range(count)
              for error in frame_errors(backend, shards[index], arguments.visibility, generator)]
    report = Report('mask_accuracy', COLUMNS, [row.values() for row in accuracy_table(errors)],
                    {'data': str(arguments.data), 'frames': count,
                     'model': backend.describe()['model'],
                     'least visibility': arguments.visibility, 'seed': arguments.seed})
    sys.stdout.write(report.markdown())
    if arguments.out:
        report.write(arguments.out)


if __name__ == '__main__':
    main()
