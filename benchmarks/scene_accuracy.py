"""Accuracy of the whole pipeline on stored synthetic scenes: segmentation and pose together.

pose-estimation dataset frames data/frames/second/test --domain second --split test --count 96
python benchmarks/scene_accuracy.py --data data/frames/second/test
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from whole_pipeline import argument_parser, pipeline_of, publish, settings_of

from pose_estimation_ros.core.categories import CATEGORY_NAMES
from pose_estimation_ros.core.object_pose import ObjectPose
from pose_estimation_ros.evaluation.demo_report import (
    EstimatedObject,
    Row,
    TrueObject,
    compare,
    summarize,
)
from pose_estimation_ros.evaluation.report import Report
from pose_estimation_ros.synthetic.frame_cache import FrameShards
from pose_estimation_ros.synthetic.synthetic_frame import Instance


def true_object(instance: Instance) -> TrueObject:
    """Return an instance as the comparison wants it."""
    return TrueObject(instance.name, instance.category, instance.T_camera_object, instance.size,
                      instance.visibility * instance.in_image,
                      instance.part_visibility.get('handle', float('nan')))


def estimated_object(pose: ObjectPose) -> EstimatedObject:
    """Return a pose as the comparison wants it."""
    return EstimatedObject(str(pose.track_id), pose.label, pose.T_camera_object, pose.size,
                           pose.score)


def figures(name: str, rows: Sequence[Row], frames: int, false_objects: int,
            seconds: float) -> tuple[object, ...]:
    """Return a line of the report."""
    summary = summarize(rows, frames, false_objects, frames / seconds)
    return (name, summary.visible, 100 * summary.found_share, summary.rotation_error,
            summary.translation_error, summary.size_iou, 100 * summary.within_5deg_2cm,
            100 * summary.within_10deg_5cm)


def main() -> None:
    """Run the pipeline over the frames and print a table."""
    parser = argument_parser(__doc__, Path('data/frames/primary/test'))
    parser.add_argument('--frames', type=int, default=10**9, help='most frames')
    arguments = parser.parse_args()
    pipeline = pipeline_of(arguments)
    shards = FrameShards(arguments.data)
    rows: list[Row] = []
    false_objects, seconds = 0, 0.0
    count = min(arguments.frames, len(shards))
    for index in range(count):
        synthetic = shards[index]
        started = time.perf_counter()
        result = pipeline.process(synthetic.frame)
        seconds += time.perf_counter() - started
        found, false = compare(index, [true_object(entry) for entry in synthetic.instances],
                               [estimated_object(pose) for pose in result.poses], 0.0)
        rows += found
        false_objects += false
    table = [figures(name, [row for row in rows if row.category == name], count, 0, seconds)
             for name in CATEGORY_NAMES if any(row.category == name for row in rows)]
    table.append(figures('all', rows, count, false_objects, seconds))
    report = Report(
        'scene_accuracy',
        ('category', 'visible', 'found, %', 'median rotation, °', 'median translation, cm',
         'median IoU', '5°2cm of found, %', '10°5cm of found, %'), table,
        {**settings_of(arguments), 'frames': count,
         'estimates without a true object': false_objects,
         'mean ms per frame': float(np.round(1000 * seconds / max(count, 1)))})
    publish(report, arguments.out)


if __name__ == '__main__':
    main()
