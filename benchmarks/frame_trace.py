"""A trace of a few frames on their way through the node's two threads: a picture, and a file.

    python benchmarks/frame_trace.py --backend crnet --out docs/results/speed

The file trace.json is for chrome://tracing and https://ui.perfetto.dev.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from queue import Queue

from crowds import crowded_frame
from spans import Span, recorded, write_trace
from whole_path import WholePath, stages

from pose_estimation_ros.evaluation.plots import Bar, plot_timeline
from pose_estimation_ros.nodes.worker import TwoStageWorker
from pose_estimation_ros.pipeline import PipelineOptions, SegmentedFrame, create_pipeline

# Let caches fill and threads start.
_WARM_UP = 3


def traced(path: WholePath, frames: int) -> list[Span]:
    """Return the spans of some frames that follow each other without a pause."""
    done: Queue[BaseException | None] = Queue()

    def first(number: int) -> SegmentedFrame:
        worker.submit(number + 1)
        return path.segment()

    def second(segmented: SegmentedFrame) -> None:
        path.finish(segmented)
        done.put(None)

    with recorded(stages(path.pipeline)) as spans:
        worker: TwoStageWorker[int, SegmentedFrame] = TwoStageWorker(first, second, done.put)
        worker.submit(0)
        starts = []
        for _ in range(_WARM_UP + frames):
            error = done.get()
            starts.append(len(spans))
            if error is not None:
                raise error
        worker.stop()
    # Whole stages only: from the first that began after the warm-up to the last that ended.
    halves = [span for span in spans if not span.parents]
    began = min(span.start for span in halves if span.start >= spans[starts[_WARM_UP - 1] - 1].end)
    ended = spans[starts[-1] - 1].end
    kept = [span for span in halves if began <= span.start and span.end <= ended]
    return [span for span in spans if any(
        span.thread == half.thread and half.start <= span.start and span.end <= half.end
        for half in kept)]


def bars(spans: Sequence[Span]) -> list[Bar]:
    """Return what is drawn: a lane for each thread, and in it one for each depth."""
    began = min(span.start for span in spans)
    return [Bar(f'thread {span.thread}', len(span.parents), span.name,
                1e3 * (span.start - began), 1e3 * span.seconds) for span in spans]


def main() -> None:
    """Trace and draw."""
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--backend', default='crnet')
    parser.add_argument('--objects', type=int, default=6, help='in each frame')
    parser.add_argument('--frames', type=int, default=3)
    parser.add_argument('--out', type=Path, default=Path('docs/results/speed'),
                        help='folder of trace.json, trace.png')
    arguments = parser.parse_args()
    pipeline = create_pipeline(PipelineOptions(arguments.backend))
    frame = crowded_frame(pipeline, arguments.objects)
    with WholePath.of(pipeline, frame) as path:
        spans = traced(path, arguments.frames)
    write_trace(spans, arguments.out / 'trace.json')
    plot_timeline(arguments.out / 'trace.png', 'ms', bars(spans))
    print(f'wrote {arguments.out}/trace.json and trace.png')


if __name__ == '__main__':
    main()
