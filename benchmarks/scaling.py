"""Time against the number of objects, the resolution and the threads.

    python benchmarks/scaling.py objects --backends spd crnet acr
    python benchmarks/scaling.py resolution
    python benchmarks/scaling.py threads

By objects: a backend alone on true masks, so that it has exactly so many, beside what the time of
one object, as many times, would be. By resolution and threads: the whole pipeline.
"""

from __future__ import annotations

import argparse
import os
import statistics
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import numpy as np
from crowds import NUMBERS, RESOLUTIONS, crowd, resized
from measuring import COLUMNS, in_turn
from numpy.typing import NDArray
from whole_pipeline import publish

from pose_estimation_ros.backends.base import BackendOptions
from pose_estimation_ros.backends.registry import create_backend
from pose_estimation_ros.evaluation.plots import plot_lines
from pose_estimation_ros.evaluation.report import Report
from pose_estimation_ros.pipeline import (
    Pipeline,
    PipelineOptions,
    SegmenterOptions,
    Selection,
    create_pipeline,
)

_MOST_OBJECTS = 64


def by_objects(arguments: argparse.Namespace) -> Report:
    """Return milliseconds of the backends for each number of objects."""
    backends = {name: create_backend(name, BackendOptions(threads=arguments.threads))
                for name in arguments.backends}
    medians: dict[str, list[float]] = {name: [] for name in backends}
    rows = []
    for number in NUMBERS:
        seen = crowd(number)
        times = in_turn({name: partial(backend.estimate, seen.frame, seen.detections)
                         for name, backend in backends.items()}, arguments.repeats)
        for name, taken in times.items():
            medians[name].append(taken.median)
            rows.append((name, number, *taken.columns(), taken.median / number,
                         taken.median / (number * medians[name][0])))
    rows.sort(key=lambda row: arguments.backends.index(row[0]))
    pictures = _plotted(arguments.out, 'scaling_objects', 'objects in the frame', NUMBERS, medians)
    return Report('scaling_objects', (
        'backend', 'objects', *COLUMNS, 'ms per object', 'times as long as one, for each'),
        rows, _facts(arguments), pictures=pictures)


def by_resolution(arguments: argparse.Namespace) -> Report:
    """Return milliseconds of the stages of the pipeline for each resolution."""
    rows = []
    curves: dict[str, list[float]] = {'segmentation': [], 'pose': []}
    pipeline = _pipeline(arguments, arguments.threads)
    seen = crowd(arguments.objects)
    for size in RESOLUTIONS:
        frame = resized(seen.frame, *size)
        pipeline.process(frame)
        runs = [pipeline.process(frame) for _ in range(arguments.repeats)]
        stages = {name: [1e3 * run.timings[name] for run in runs]
                  for name in ('undistort', *curves)}
        for name, curve in curves.items():
            curve.append(statistics.median(stages[name]))
        whole = [sum(values) for values in zip(*stages.values(), strict=True)]
        low, high = np.percentile(whole, (10, 90))
        rows.append((f'{size[0]}x{size[1]}', len(runs[0].poses),
                     *(statistics.median(values) for values in stages.values()),
                     statistics.median(whole), f'{low:.4g} to {high:.4g}'))
    pipeline.close()
    megapixels = [width * height / 1e6 for width, height in RESOLUTIONS]
    pictures = _plotted(arguments.out, 'scaling_resolution', 'megapixels', megapixels, curves)
    return Report('scaling_resolution', (
        'resolution', 'poses', 'undistort, ms', 'segmentation, ms', 'pose, ms', 'whole, ms',
        '10 % to 90 %, ms'), rows,
        {'backend': arguments.backends[0], 'objects': arguments.objects, **_facts(arguments)},
        pictures=pictures)


def by_threads(arguments: argparse.Namespace) -> Report:
    """Return milliseconds of the pipeline for each number of threads of its networks."""
    seen = crowd(arguments.objects)
    numbers = sorted({1, 2, os.cpu_count() or 1})
    pipelines = {number: _pipeline(arguments, number) for number in numbers}
    times = in_turn({str(number): partial(pipeline.process, seen.frame)
                     for number, pipeline in pipelines.items()}, arguments.repeats)
    providers = {number: pipeline.describe() for number, pipeline in pipelines.items()}
    rows = [(number, providers[number]['pose.provider'], *times[str(number)].columns())
            for number in numbers]
    return Report('scaling_threads', ('threads', 'provider', *COLUMNS), rows,
                  {'backend': arguments.backends[0], 'objects': arguments.objects,
                   'repeats': arguments.repeats})


_WAYS = {'objects': by_objects, 'resolution': by_resolution, 'threads': by_threads}


def main() -> None:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('by', choices=_WAYS)
    parser.add_argument('--backends', nargs='+', default=['crnet'], metavar='NAME',
                        help='by resolution and threads the first one counts')
    parser.add_argument('--objects', type=int, default=6, help='by resolution and threads')
    parser.add_argument('--repeats', type=int, default=7)
    parser.add_argument('--threads', type=int, default=0, help='of each session; 0 = all cores')
    parser.add_argument('--out', type=Path, help='write table and picture into this folder')
    arguments = parser.parse_args()
    publish(_WAYS[arguments.by](arguments), arguments.out)


def _pipeline(arguments: argparse.Namespace, threads: int) -> Pipeline:
    return create_pipeline(PipelineOptions(
        arguments.backends[0], BackendOptions(threads=threads),
        segmenter_options=SegmenterOptions(threads=threads, max_objects=_MOST_OBJECTS),
        tracker=None, selection=Selection(max_objects=_MOST_OBJECTS)))


def _facts(arguments: argparse.Namespace) -> dict[str, object]:
    return {'threads': arguments.threads or 'as many as cores', 'repeats': arguments.repeats}


def _plotted(out: Path | None, name: str, axis: str, x: Sequence[float],
             curves: dict[str, list[float]]) -> tuple[str, ...]:
    """Draw medians over x, with straight lines through the first ones; return the file's name."""
    if out is None:
        return ()
    heights: dict[str, NDArray[np.float64]] = {
        title: np.array(curve) for title, curve in curves.items()}
    plot_lines(out / f'{name}.png', axis, 'median, ms', np.array(x, dtype=float), heights)
    return (f'{name}.png',)


if __name__ == '__main__':
    main()
