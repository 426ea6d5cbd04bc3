"""Accuracy of full networks and of the shipped lite ones, on the same test frames.

    python benchmarks/full_accuracy.py data/models/spd_full --data data/frames/primary/test

True masks and the protocol nocs-compat, as docs/accuracy.md measures the lite models. "Visible"
leaves out objects of which less than 40 % can be seen. A millisecond is one of a backend alone:
crops, network and alignment of all objects of a frame, by the number of poses.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from whole_pipeline import publish

from pose_estimation_ros.evaluation.accuracy_document import LEAST_VISIBILITY
from pose_estimation_ros.evaluation.data_folders import Data
from pose_estimation_ros.evaluation.methods import Method, models_of
from pose_estimation_ros.evaluation.predictions import FrameTruth
from pose_estimation_ros.evaluation.protocols import published_tables
from pose_estimation_ros.evaluation.report import Report
from pose_estimation_ros.evaluation.runner import read_truth, run_poses
from pose_estimation_ros.runtime import Model, ModelStore

_ROOT = Path(__file__).resolve().parents[1]
_FIGURES = ('NOCS "IoU" > 0.5, %', '5°2cm, %', '10°5cm, %')


def row_of(model: Model, method: Method, data: Data, truth: Sequence[FrameTruth]
           ) -> tuple[object, ...]:
    """Return what a model was trained on, its accuracy and its time."""
    with TemporaryDirectory() as folder:
        frames = run_poses(data, method, Path(folder))
    poses = sum(len(frame.predictions) for frame in frames)
    figures = []
    for least in (0.0, LEAST_VISIBILITY):
        table = next(report for report in published_tables(truth, frames, {}, least).reports
                     if report.name == 'nocs-compat')
        mean = dict(zip(table.columns, next(row for row in table.rows if row[0] == 'mean'),
                        strict=True))
        figures += [mean[column] for column in _FIGURES]
    manifest = model.manifest
    return (manifest.backend, manifest.size, manifest.training.get('samples', np.nan), *figures,
            1e3 * sum(frame.seconds for frame in frames) / max(poses, 1))


def main() -> None:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('full', type=Path, nargs='+', help='folders of full models')
    parser.add_argument('--data', type=Path, default=_ROOT / 'data/frames/primary/test')
    parser.add_argument('--frames', type=int, default=224)
    parser.add_argument('--threads', type=int, default=2)
    parser.add_argument('--out', type=Path, help='write the table here as JSON and Markdown')
    arguments = parser.parse_args()
    data = Data(arguments.data, frames=arguments.frames).resolved()
    truth = read_truth(data)
    rows, models = [], {}
    for folder in arguments.full:
        full = ModelStore().find(str(folder.resolve()))
        for model in (full, ModelStore().find(f'{full.manifest.backend}_lite')):
            method = Method(model.manifest.backend, str(model.folder), 'truth',
                            threads=arguments.threads)
            rows.append(row_of(model, method, data, truth))
            models |= models_of(method, 'poses')
    publish(Report('full_accuracy', (
        'backend', 'size', 'views of its last training', *_FIGURES,
        *(f'visible, {column}' for column in _FIGURES), 'ms a pose'), rows,
        {'masks': 'truth', 'protocol': 'nocs-compat', 'frames': data.frames,
         'objects': sum(len(frame.objects) for frame in truth), 'threads': arguments.threads},
        models), arguments.out)


if __name__ == '__main__':
    main()
