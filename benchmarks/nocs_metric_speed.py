"""Time of both NOCS tables on a set as large as REAL275's test: 2754 images, 15 000 objects.

python benchmarks/nocs_metric_speed.py
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import numpy as np

from pose_estimation_ros.core.categories import CATEGORIES
from pose_estimation_ros.core.rotation import axis_rotation, random_rotation
from pose_estimation_ros.core.se3 import make_transform
from pose_estimation_ros.datasets.annotated_frame import ObjectAnnotation
from pose_estimation_ros.evaluation import nocs_metric, pose_recall
from pose_estimation_ros.evaluation.category_pool import categories_of, pool
from pose_estimation_ros.evaluation.nocs_tables import nocs_tables
from pose_estimation_ros.evaluation.predictions import FramePredictions, FrameTruth, Prediction
from pose_estimation_ros.evaluation.report import Report

FRAMES, OBJECTS = 2754, 15_000
_MISSED, _FALSE = 0.1, 0.1


def synthetic_set(frames: int, objects: int, seed: int
                  ) -> tuple[list[FrameTruth], list[FramePredictions]]:
    """Return truth and predictions with errors, misses and false objects."""
    generator = np.random.default_rng(seed)
    counts = np.bincount(generator.integers(frames, size=objects), minlength=frames)
    truth, predictions = [], []
    for number, count in enumerate(counts):
        true = tuple(_annotation(index + 1, generator) for index in range(count))
        found = [_prediction(entry, generator) for entry in true
                 if generator.random() > _MISSED]
        found += [_prediction(_annotation(1, generator), generator) for _ in true
                  if generator.random() < _FALSE]
        truth.append(FrameTruth(f'{number:06d}', true))
        predictions.append(FramePredictions(f'{number:06d}', tuple(found)))
    return truth, predictions


def _annotation(number: int, generator: np.random.Generator) -> ObjectAnnotation:
    category = CATEGORIES[generator.integers(len(CATEGORIES))]
    centre = generator.uniform((-0.3, -0.2, 0.5), (0.3, 0.2, 1.5))
    return ObjectAnnotation(number, category.name, '',
                            make_transform(random_rotation(generator), centre),
                            generator.uniform(0.05, 0.3, 3), category.symmetry, generator.random(),
                            handle_visible=bool(generator.random() < 0.8))


def _prediction(true: ObjectAnnotation, generator: np.random.Generator) -> Prediction:
    error = make_transform(axis_rotation(generator.standard_normal(3), generator.exponential(0.2)),
                           generator.normal(0, 0.015, 3))
    return Prediction(true.label, generator.random(), true.T_camera_object @ error,
                      true.size * generator.uniform(0.8, 1.2, 3))


def main() -> None:
    """Make the set, evaluate it and print the times."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--frames', type=int, default=FRAMES)
    parser.add_argument('--objects', type=int, default=OBJECTS)
    parser.add_argument('--seed', type=int, default=0)
    parser.add_argument('--out', type=Path, help='folder for nocs_metric_speed.json and .md')
    arguments = parser.parse_args()
    truth, predictions = synthetic_set(arguments.frames, arguments.objects, arguments.seed)
    pairs = list(zip(truth, predictions, strict=True))
    rows = []
    started = time.perf_counter()
    pools = [pool(pairs, category) for category in categories_of(pairs)]
    rows.append(('gather frames', time.perf_counter() - started))
    started = time.perf_counter()
    nocs_metric.nocs_curves(pools)
    rows.append(('nocs-compat', time.perf_counter() - started))
    started = time.perf_counter()
    errors = [pose_recall.true_errors(pooled) for pooled in pools]
    rows.append(('overlap of oriented boxes', time.perf_counter() - started))
    started = time.perf_counter()
    pose_recall.oriented_box_curves(pools, errors)
    rows.append(('oriented-box', time.perf_counter() - started))
    started = time.perf_counter()
    nocs_tables(truth, predictions)
    rows.append(('all tables and curves together', time.perf_counter() - started))
    report = Report('nocs_metric_speed', ('step', 'seconds'), rows,
                    {'frames': arguments.frames, 'objects': arguments.objects,
                     'predictions': sum(len(frame.predictions) for frame in predictions),
                     'pairs': sum(len(pooled.pair_objects) for pooled in pools),
                     'seed': arguments.seed, 'processes': 1})
    print(report.markdown())
    if arguments.out is not None:
        report.write(arguments.out)


if __name__ == '__main__':
    main()
