"""Measure how fast synthetic frames and crops are made: per second, and per second of one core.

python benchmarks/synthetic_data.py --seconds 10
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path

import cv2
from whole_pipeline import publish

from pose_estimation_ros.evaluation.report import Report
from pose_estimation_ros.synthetic.crops import iterate_crops
from pose_estimation_ros.synthetic.scene import DOMAINS, SCENES_PER_POOL, SceneGenerator
from pose_estimation_ros.synthetic.scene_renderer import render_frame

_WARM_UP = 3
_CROPS = ('crops', 'colored crops')


@dataclass(frozen=True)
class Rate:
    """What one process made.

    Attributes:
        count: Number of things.
        seconds: Time that passed.
        core_seconds: Time that a core worked on them.
    """

    count: int
    seconds: float
    core_seconds: float


def _frames(domain: str, resolution: tuple[int, int], worker: int) -> Iterator[object]:
    scenes = SceneGenerator(domain, 'train')
    seed = worker * 1000 * SCENES_PER_POOL
    while True:
        yield render_frame(scenes.scene(seed), resolution)
        seed += 1


def _measure(task: str, domain: str, seconds: float, worker: int) -> Rate:
    """Make things for some seconds, after a short warm-up, and count them."""
    cv2.setNumThreads(1)
    things: Iterator[object]
    if task in _CROPS:
        things = iterate_crops(domain, 'train', 0, worker, 64, colored=task == 'colored crops')
    else:
        width, height = (int(side) for side in task.rsplit(maxsplit=1)[-1].split('x'))
        things = _frames(domain, (width, height), worker)
    for _ in islice(things, _WARM_UP):
        pass
    count, start, core_start = 0, time.perf_counter(), time.process_time()
    while time.perf_counter() - start < seconds:
        next(things)
        count += 1
    return Rate(count, time.perf_counter() - start, time.process_time() - core_start)


def measure(task: str, domain: str, seconds: float, processes: int) -> list[object]:
    """Return one row: task, domain, processes, rate, and rate per second of one core."""
    with ProcessPoolExecutor(processes, multiprocessing.get_context('spawn')) as pool:
        rates = list(pool.map(partial(_measure, task, domain, seconds), range(processes)))
    total = sum(rate.count / rate.seconds for rate in rates)
    per_core = sum(rate.count for rate in rates) / sum(rate.core_seconds for rate in rates)
    return [task, domain, processes, total, per_core]


def main() -> None:
    """Measure, print and write the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--seconds', type=float, default=10.0, help='time per row')
    parser.add_argument('--processes', type=int, default=os.cpu_count(),
                        help='one thread each; by default one per core')
    parser.add_argument('--out', type=Path, help='write the table here as JSON and Markdown')
    arguments = parser.parse_args()
    tasks = (*_CROPS, 'scenes 320x240', 'scenes 640x480')
    counts = sorted({1, arguments.processes})
    rows = [measure(task, domain, arguments.seconds, processes)
            for task in tasks for domain in DOMAINS for processes in counts]
    report = Report('synthetic_data',
                    ['what', 'domain', 'processes', 'per second', 'per second of one core'], rows,
                    {'seconds per row': arguments.seconds, 'points per crop': 1024,
                     'load before': round(os.getloadavg()[0], 2)})
    publish(report, arguments.out)


if __name__ == '__main__':
    main()
