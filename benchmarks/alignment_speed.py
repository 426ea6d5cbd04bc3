"""Time of the robust alignment, against the published rule evaluated one hypothesis at a time.

    OPENBLAS_NUM_THREADS=2 python benchmarks/alignment_speed.py --objects 6

The rule (SPD, spec section 3): samples of five correspondences, a similarity by least squares,
inliers within a tenth of the object's diameter, at most 128 trials, fewer as soon as the inliers
say that enough have been drawn, and a last fit to the inliers. The ONNX graph is what runs beside
a network on a GPU; here it runs on the CPU. All get the same points, the graph in single
precision. The errors are against the true pose.
"""

from __future__ import annotations

import argparse
import math
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from measuring import COLUMNS, in_turn
from numpy.typing import NDArray
from whole_pipeline import publish

from pose_estimation_ros.backends.alignment_graph import AlignmentGraph
from pose_estimation_ros.core.alignment import INLIER_THRESHOLD, SAMPLE_SIZE, align_robustly
from pose_estimation_ros.core.rotation import angle_between, random_rotation
from pose_estimation_ros.evaluation.report import Report

FloatArray = NDArray[np.float64]

_SHARES = (0.0, 0.3, 0.6)
_TRIALS, _CONFIDENCE = 128, 0.99
# Milliseconds per object of 1024 points, spec section 6.
_PUBLISHED = {0.0: 0.5, 0.3: 6.3, 0.6: 13.0}
# Of predicted coordinates, in units of the object's diagonal.
_NOISE = 0.01


@dataclass(frozen=True)
class Problem:
    """Correspondences of B objects, and their true rotations."""

    source: FloatArray
    target: FloatArray
    R: FloatArray


def problem(objects: int, points: int, outliers: float) -> Problem:
    """Return points of boxes, a share of which lie anywhere in the box."""
    generator = np.random.default_rng(0)
    source = generator.uniform(-0.3, 0.3, (objects, points, 3))
    R = np.stack([random_rotation(generator) for _ in range(objects)])
    scale, t = generator.uniform(0.1, 0.4, objects), generator.uniform(0.3, 1.0, (objects, 3))
    target = scale[:, None, None] * source @ np.swapaxes(R, 1, 2) + t[:, None]
    source = source + generator.normal(0.0, _NOISE, source.shape)
    wrong = generator.random((objects, points)) < outliers
    source[wrong] = generator.uniform(-0.5, 0.5, (np.count_nonzero(wrong), 3))
    return Problem(source, target, R)


def one_at_a_time(source: FloatArray, target: FloatArray) -> FloatArray:
    """Return the (3, 3) rotation by the published rule, one trial after another."""
    generator = np.random.default_rng(0)
    centered = source - source.mean(axis=0)
    tolerance = INLIER_THRESHOLD * 2.0 * np.linalg.norm(centered, axis=1).max()
    best = np.zeros(len(source), dtype=np.bool_)
    trials, trial = _TRIALS, 0
    while trial < trials:
        trial += 1
        chosen = generator.integers(len(source), size=SAMPLE_SIZE)
        scale, R, t = _similarity(source[chosen], target[chosen])
        distance = np.linalg.norm(target - (scale * source @ R.T + t), axis=1)
        inliers = distance < scale * tolerance
        if inliers.sum() > best.sum():
            best = inliers
            failure = 1.0 - best.mean() ** SAMPLE_SIZE
            if failure < 1.0:
                needed = 1 if failure <= 0.0 else math.ceil(
                    math.log(1.0 - _CONFIDENCE) / math.log(failure))
                trials = min(trials, max(needed, 1))
    return _similarity(source[best], target[best])[1]


def _similarity(source: FloatArray, target: FloatArray) -> tuple[float, FloatArray, FloatArray]:
    """Return scale, rotation, translation by least squares (Umeyama 1991)."""
    from_center, to_center = source.mean(axis=0), target.mean(axis=0)
    covariance = (target - to_center).T @ (source - from_center) / len(source)
    U, singular, Vt = np.linalg.svd(covariance)
    if np.linalg.det(U) * np.linalg.det(Vt) < 0:
        U[:, 2] *= -1
        singular[2] *= -1
    variance = float(((source - from_center) ** 2).sum() / len(source))
    scale = float(singular.sum()) / max(variance, 1e-12)
    R = U @ Vt
    return scale, R, to_center - scale * R @ from_center


def main() -> None:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--objects', type=int, default=6, help='as one batch')
    parser.add_argument('--points', type=int, default=1024, help='of each object')
    parser.add_argument('--repeats', type=int, default=10)
    parser.add_argument('--out', type=Path, help='write the table here as JSON and Markdown')
    arguments = parser.parse_args()
    rows = []
    graph = AlignmentGraph('cpu', 0, seed=0)
    for share in _SHARES:
        given = problem(arguments.objects, arguments.points, share)
        ways = {'published rule, one trial at a time': partial(_each, given),
                'ours, one batch': partial(_batch, given),
                'ours, ONNX graph on the CPU': partial(_graph, graph, given)}
        times = in_turn(ways, arguments.repeats)
        reference = times['published rule, one trial at a time'].median
        for name, way in ways.items():
            errors = np.degrees(angle_between(way(), given.R))
            rows.append((f'{share:.0%}', name, *times[name].columns(arguments.objects),
                         reference / times[name].median,
                         arguments.objects * _PUBLISHED[share] / times[name].median,
                         float(errors.max())))
    per_object = tuple(f'{head} per object' for head in COLUMNS)
    publish(Report('alignment_speed', (
        'outliers', 'way', *per_object, 'times as fast as one trial at a time',
        'times as fast as published elsewhere', 'largest rotation error, degrees'), rows,
        {'objects': arguments.objects, 'points': arguments.points,
         'repeats': arguments.repeats}), arguments.out)


def _each(given: Problem) -> FloatArray:
    return np.stack([one_at_a_time(source, target)
                     for source, target in zip(given.source, given.target, strict=True)])


def _batch(given: Problem) -> FloatArray:
    return align_robustly(given.source, given.target).similarity.R


def _graph(graph: AlignmentGraph, given: Problem) -> FloatArray:
    nocs, points = given.source.astype(np.float32), given.target.astype(np.float32)
    return graph.align(points, nocs, np.ones(nocs.shape[:2], np.float32)).similarity.R


if __name__ == '__main__':
    main()
