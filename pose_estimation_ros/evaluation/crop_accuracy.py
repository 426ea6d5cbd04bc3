"""Accuracy of a point backend on stored crops: true objects, masks with a detector's errors.

python -m pose_estimation_ros.evaluation.crop_accuracy --data data/crops/primary/test \
        --model models/spd_lite
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import numpy as np

from pose_estimation_ros.backends.base import BackendOptions
from pose_estimation_ros.backends.point_preparation import choose_points
from pose_estimation_ros.backends.spd import DEFAULT_MODEL
from pose_estimation_ros.backends.spd_lite import SpdLiteBackend
from pose_estimation_ros.core.categories import CATEGORY_NAMES
from pose_estimation_ros.evaluation.pose_accuracy import (
    COLUMNS,
    PoseError,
    accuracy_table,
    effective_symmetry,
    missing,
    pose_error,
)
from pose_estimation_ros.evaluation.report import Report
from pose_estimation_ros.runtime import ModelStore
from pose_estimation_ros.synthetic.crops import Crops, read_crop_shard
from pose_estimation_ros.synthetic.shard_files import list_shards

_BATCH = 32


def crop_errors(backend: SpdLiteBackend, crops: Crops, points: int,
                seed: int = 0) -> list[PoseError]:
    """Return the error of every crop, a refused pose counted as missing.

    Args:
        backend: What is measured.
        crops: The views.
        points: Points per object that the backend takes.
        seed: Seed of the choice of points.
    """
    generator = np.random.default_rng(seed)
    chosen = np.stack([cloud[choose_points(len(cloud), points, generator)]
                       for cloud in crops.points])
    errors = []
    for start in range(0, len(crops), _BATCH):
        batch = slice(start, start + _BATCH)
        labels = [CATEGORY_NAMES[index] for index in crops.category[batch]]
        poses, _, _ = backend.solve(chosen[batch], labels)
        for row, label in enumerate(labels):
            i = start + row
            if not poses.valid[row]:
                errors.append(missing(label))
                continue
            errors.append(pose_error(
                label, effective_symmetry(label, float(crops.handle_visibility[i])),
                poses.T_camera_object[row], poses.size[row], crops.T_camera_object[i],
                crops.size[i]))
    return errors


def main() -> None:
    """Parse the command line, evaluate, print a table and write JSON if asked."""
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--data', type=Path, required=True, help='folder of crop shards')
    parser.add_argument('--model', default=DEFAULT_MODEL, help='model name or folder')
    parser.add_argument('--shards', type=int, help='use only the first shards')
    parser.add_argument('--visibility', type=float, default=0.0,
                        help='leave out objects that are less visible than this share')
    parser.add_argument('--threads', type=int, default=0)
    parser.add_argument('--out', type=Path, help='also write the table here, JSON and Markdown')
    arguments = parser.parse_args()
    backend = SpdLiteBackend(ModelStore().find(arguments.model, task='pose'),
                             BackendOptions(device='cpu', threads=arguments.threads))
    errors: list[PoseError] = []
    for path in list_shards(arguments.data)[:arguments.shards]:
        crops = read_crop_shard(path)
        found = crop_errors(backend, crops, backend.points)
        errors += [error for error, seen in zip(found, crops.visibility, strict=True)
                   if seen >= arguments.visibility]
    report = Report('crop_accuracy', COLUMNS, [row.values() for row in accuracy_table(errors)],
                    {'data': str(arguments.data), 'model': backend.describe()['model'],
                     'least visibility': arguments.visibility})
    sys.stdout.write(report.markdown())
    if arguments.out:
        report.write(arguments.out)


if __name__ == '__main__':
    main()
