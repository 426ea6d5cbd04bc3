"""Time of the lite backends for several objects as one batch: network, choice and alignment.

Objects of simulated frames with their true masks; nothing is detected or tracked here. All of a
backend is that and what is before and after: points and colours taken, confidence judged.

    python benchmarks/lite_speed.py --backends crnet acr
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Sequence
from itertools import islice
from pathlib import Path

from whole_pipeline import publish

from pose_estimation_ros.backends.base import BackendOptions
from pose_estimation_ros.backends.lite import LiteBackend, ObjectPoints
from pose_estimation_ros.backends.registry import create_backend
from pose_estimation_ros.core.categories import CATEGORIES
from pose_estimation_ros.core.detection import Detection
from pose_estimation_ros.core.errors import ConfigurationError
from pose_estimation_ros.core.frame import RGBDFrame
from pose_estimation_ros.evaluation.detection_sources import TrueMasks
from pose_estimation_ros.evaluation.report import Report
from pose_estimation_ros.synthetic.annotation import annotated_frame
from pose_estimation_ros.synthetic.scene import SceneGenerator
from pose_estimation_ros.synthetic.scene_renderer import render_frame

_MOST_SCENES = 300
_BACKENDS = ('acr', 'crnet', 'spd')
_RESOLUTION = '640x480'


def crowded_frames(objects: int, count: int) -> list[tuple[RGBDFrame, tuple[Detection, ...]]]:
    """Return simulated test frames, each with so many objects and their true masks."""
    scenes = SceneGenerator('primary', 'test')
    frames = (annotated_frame(str(seed), render_frame(scenes.scene(seed)), CATEGORIES)
              for seed in range(_MOST_SCENES)
              if len(scenes.scene(seed).instances) >= objects)
    found = ((frame.frame, TrueMasks()(frame)[:objects]) for frame in frames)
    chosen = list(islice((pair for pair in found if len(pair[1]) == objects), count))
    if len(chosen) < count:
        raise SystemExit(f'{_MOST_SCENES} scenes hold only {len(chosen)} frames of {objects} '
                         'objects')
    return chosen


def lite_backend(name: str, threads: int) -> LiteBackend:
    """Return a backend with its default model.

    Raises:
        ConfigurationError: If it does not run a lite network.
    """
    backend = create_backend(name, BackendOptions(threads=threads))
    if not isinstance(backend, LiteBackend):
        raise ConfigurationError(f'the backend {name} runs no lite network; leave it out')
    return backend


def milliseconds(backend: LiteBackend, frame: RGBDFrame, detections: Sequence[Detection],
                 repeats: int) -> tuple[list[float], list[float]]:
    """Return times of network and alignment alone, and of everything that the backend does."""
    taken = [backend.take(frame, detection) for detection in detections]
    objects = ObjectPoints.stack([entry for entry in taken if isinstance(entry, ObjectPoints)])
    labels = [detection.label for detection in detections]
    # The frame keeps the ground's normal, which no backend finds by itself.
    up = frame.up
    solved, whole = [], []
    for _ in range(repeats):
        started = time.perf_counter()
        backend.solve(objects, labels, up)
        ended = time.perf_counter()
        backend.estimate(frame, detections)
        solved.append(1e3 * (ended - started))
        whole.append(1e3 * (time.perf_counter() - ended))
    return solved, whole


def main() -> None:
    """Measure and print a row for each backend."""
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--backends', nargs='+', default=_BACKENDS, metavar='NAME',
                        help=f'which ones; default: {" ".join(_BACKENDS)}')
    parser.add_argument('--objects', type=int, default=6, help='in a batch')
    parser.add_argument('--frames', type=int, default=8, help='different batches')
    parser.add_argument('--repeats', type=int, default=10, help='of each batch')
    parser.add_argument('--threads', type=int, default=2, help='of the network')
    parser.add_argument('--out', type=Path, help='write the table here as JSON and Markdown')
    arguments = parser.parse_args()
    backends = [lite_backend(name, arguments.threads) for name in arguments.backends]
    frames = crowded_frames(arguments.objects, arguments.frames)
    rows = []
    for backend in backends:
        runs = [milliseconds(backend, *frame, arguments.repeats) for frame in frames]
        solved = [value for run, _ in runs for value in run]
        whole = [value for _, run in runs for value in run]
        rows.append((backend.name, backend.describe()['model'], backend.points,
                     statistics.median(solved), min(solved), max(solved),
                     statistics.median(whole)))
    report = Report(
        'lite_speed', ('backend', 'model', 'points', 'network + alignment: median, ms',
                       'fastest, ms', 'slowest, ms', 'all of the backend: median, ms'),
        rows, {'objects': arguments.objects, 'resolution': _RESOLUTION,
               'threads of the network': arguments.threads, 'frames': arguments.frames,
               'repeats': arguments.repeats})
    publish(report, arguments.out)


if __name__ == '__main__':
    main()
