"""Time of the backend mrc per object: crops, both networks, the rendering between them.

Objects of annotated frames with their true boxes; nothing is detected, tracked or fitted to depth
here.

    python benchmarks/mrc_speed.py data/lmo/test --model models/mrc_lite --objects 1 4
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Sequence
from itertools import chain, islice, product
from pathlib import Path

from whole_pipeline import publish

from pose_estimation_ros.backends.base import BackendOptions, PoseBackend
from pose_estimation_ros.backends.mrc_options import HYPOTHESES, ROTATED_COPIES, MRCOptions
from pose_estimation_ros.backends.registry import create_backend
from pose_estimation_ros.core.detection import Detection
from pose_estimation_ros.core.frame import RGBDFrame
from pose_estimation_ros.evaluation.data_folders import EVERYTHING, Data
from pose_estimation_ros.evaluation.detection_sources import TrueMasks
from pose_estimation_ros.evaluation.report import Report

_LIST = ', '


def frames_with(data: Data, labels: Sequence[str], objects: int,
                count: int) -> list[tuple[RGBDFrame, list[Detection]]]:
    """Return frames with so many true boxes of known objects each, repeated where they lack."""
    dataset = data.open()
    found = []
    for index in range(len(dataset)):
        frame = dataset[index]
        known = [entry for entry in TrueMasks()(frame) if entry.label in labels]
        if known:
            found.append((frame.frame, list(islice(chain.from_iterable(
                [known] * objects), objects))))
        if len(found) == count:
            return found
    raise SystemExit(f'{data.folder} has only {len(found)} frames with objects of the model')


def times(backend: PoseBackend, frames: Sequence[tuple[RGBDFrame, list[Detection]]],
          repeats: int) -> list[tuple[float, float]]:
    """Return milliseconds per object of each call: by the clock, and of all cores together."""
    measured = []
    for frame, detections in frames:
        backend.estimate(frame, detections)
        for _ in range(repeats):
            clock, cores = time.perf_counter(), time.process_time()
            backend.estimate(frame, detections)
            measured.append((1e3 * (time.perf_counter() - clock) / len(detections),
                             1e3 * (time.process_time() - cores) / len(detections)))
    return measured


def main() -> None:
    """Measure and print a row for each number of objects, of copies and of hypotheses."""
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('data', type=Path, help='annotated frames with masks')
    parser.add_argument('--split', default='', help='of the data set')
    parser.add_argument('--model', default='', help="name or folder; '' = the shipped one")
    parser.add_argument('--objects', type=int, nargs='+', default=[1, 4], help='in a frame')
    parser.add_argument('--copies', nargs='+', default=['one', 'four'], choices=ROTATED_COPIES)
    parser.add_argument('--hypotheses', nargs='+', default=['one', 'four'], choices=HYPOTHESES)
    parser.add_argument('--frames', type=int, default=8, help='different ones')
    parser.add_argument('--repeats', type=int, default=5, help='of each frame')
    parser.add_argument('--threads', type=int, default=2, help='of networks and renderer')
    parser.add_argument('--device', default='cpu', help='auto, cpu, cuda or tensorrt')
    parser.add_argument('--out', type=Path, help='write the table here as JSON and Markdown')
    arguments = parser.parse_args()
    data = Data(arguments.data, arguments.split, EVERYTHING)
    rows, described = [], {}
    for copies, hypotheses in product(arguments.copies, arguments.hypotheses):
        backend = create_backend('mrc', BackendOptions(
            arguments.model, arguments.device, arguments.threads,
            mrc=MRCOptions(copies, hypotheses=hypotheses, refinement='none')))
        described = backend.describe()
        for objects in arguments.objects:
            frames = frames_with(data, backend.categories, objects, arguments.frames)
            clock, cores = zip(*times(backend, frames, arguments.repeats), strict=True)
            rows.append((described['rotated copies'], described['hypotheses'], objects,
                         statistics.median(clock), min(clock), max(clock),
                         statistics.median(cores)))
        backend.close()
    report = Report(
        'mrc_speed', ('rotated copies', 'hypotheses', 'objects in the frame',
                      'ms per object: median', 'fastest', 'slowest',
                      'CPU ms per object: median'), rows,
        {'model': described['model'], 'provider': described['provider'],
         'renderer': described['renderer'], 'threads': arguments.threads,
         'frames': arguments.frames, 'repeats': arguments.repeats,
         'objects': _LIST.join(map(str, arguments.objects))})
    publish(report, arguments.out)


if __name__ == '__main__':
    main()
