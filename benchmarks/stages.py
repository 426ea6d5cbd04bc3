"""Time of every stage of a frame's way through the node, by backend, from message to message.

    python benchmarks/stages.py --backends crnet --objects 6

The stages run one after another here; in the node the two halves, before and after the
segmentation's end, overlap. Throughput is that of frames that overlap like this.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections import defaultdict
from pathlib import Path
from queue import Queue

import numpy as np
from crowds import crowded_frame
from spans import Span, recorded
from whole_path import NETWORK, POSE, SEGMENT, WholePath, stages
from whole_pipeline import publish

from pose_estimation_ros.evaluation.report import Report
from pose_estimation_ros.nodes.worker import TwoStageWorker
from pose_estimation_ros.pipeline import (
    BackendOptions,
    PipelineOptions,
    SegmentedFrame,
    SegmenterOptions,
    create_pipeline,
)

_BACKENDS = ('spd', 'crnet', 'acr')
_PATHS = (('decode',), (SEGMENT,), (SEGMENT, NETWORK), (SEGMENT, 'masks'), (SEGMENT, 'classify'),
          (POSE,), (POSE, 'crop'), (POSE, NETWORK), (POSE, 'alignment'), (POSE, 'confidence'),
          ('track',), ('message',))


def main() -> None:
    """Measure and print a row for each backend."""
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--backends', nargs='+', default=_BACKENDS, metavar='NAME')
    parser.add_argument('--objects', type=int, default=6, help='poses in the frame')
    parser.add_argument('--repeats', type=int, default=20)
    parser.add_argument('--threads', type=int, default=0, help='of each session; 0 = all cores')
    parser.add_argument('--out', type=Path, help='write the table here as JSON and Markdown')
    arguments = parser.parse_args()
    columns = {backend: measured(backend, arguments) for backend in arguments.backends}
    names = ('poses', *(f'{": ".join(place)}, ms' for place in _PATHS), 'whole: median, ms',
             'whole: 10 % to 90 %, ms', 'whole: CPU of all threads, ms',
             'frames/s, one after another', 'frames/s, overlapping')
    publish(Report('stages', ('stage', *columns),
                   list(zip(names, *columns.values(), strict=True)),
                   {'objects': arguments.objects, 'resolution': '640x480',
                    'threads': arguments.threads or 'as many as cores',
                    'repeats': arguments.repeats}), arguments.out)


def measured(backend: str, arguments: argparse.Namespace) -> tuple[object, ...]:
    """Return the values of one row.

    Raises:
        PoseEstimationError: If the backend has no model.
    """
    pipeline = create_pipeline(PipelineOptions(
        backend, BackendOptions(threads=arguments.threads),
        segmenter_options=SegmenterOptions(threads=arguments.threads)))
    frame = crowded_frame(pipeline, arguments.objects)
    runs, walls, cpus = [], [], []
    with WholePath.of(pipeline, frame) as path:
        found = len(path.finish(path.segment()).poses)
        with recorded(stages(pipeline)) as spans:
            for _ in range(arguments.repeats):
                clock, cores = time.perf_counter(), time.process_time()
                path.finish(path.segment())
                walls.append(1e3 * (time.perf_counter() - clock))
                cpus.append(1e3 * (time.process_time() - cores))
                runs.append(_totals(spans))
                spans.clear()
        rate = overlapping_rate(path, arguments.repeats)
    medians = [statistics.median(run[place] for run in runs) for place in _PATHS]
    low, high = np.percentile(walls, (10, 90))
    return (found, *medians, statistics.median(walls), f'{low:.4g} to {high:.4g}',
            statistics.median(cpus), 1e3 / statistics.median(walls), rate)


def overlapping_rate(path: WholePath, frames: int) -> float:
    """Return frames per second of the node's two threads, always fed.

    Raises:
        BaseException: What a stage raised.
    """
    done: Queue[float | BaseException] = Queue()

    def first(job: int) -> SegmentedFrame:
        worker.submit(job)  # There is always a next frame.
        return path.segment()

    def second(segmented: SegmentedFrame) -> None:
        path.finish(segmented)
        done.put(time.perf_counter())

    worker: TwoStageWorker[int, SegmentedFrame] = TwoStageWorker(first, second, done.put)
    worker.submit(0)
    ends = []
    for _ in range(frames + 1):
        end = done.get()
        if isinstance(end, BaseException):
            worker.stop()
            raise end
        ends.append(end)
    worker.stop()
    return frames / (ends[-1] - ends[0])


def _totals(spans: list[Span]) -> dict[tuple[str, ...], float]:
    """Return milliseconds by stage and the outermost stage that it is a part of."""
    totals: dict[tuple[str, ...], float] = defaultdict(float)
    for span in spans:
        if span.name == NETWORK and 'classify' in span.parents:
            continue
        place = (span.parents[0], span.name) if span.parents else (span.name,)
        totals[place] += 1e3 * span.seconds
    return totals


if __name__ == '__main__':
    main()
