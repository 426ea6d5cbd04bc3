"""Time of the whole pipeline on a 640x480 frame with several objects, by stage, without ROS.

python benchmarks/frame_rate.py --objects 6
"""

from __future__ import annotations

import argparse
import statistics
from pathlib import Path

from crowds import crowded_frame
from whole_pipeline import publish

from pose_estimation_ros.backends.base import BackendOptions
from pose_estimation_ros.backends.registry import backend_names
from pose_estimation_ros.evaluation.report import Report
from pose_estimation_ros.pipeline import (
    PipelineOptions,
    SegmenterOptions,
    create_pipeline,
)


def main() -> None:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--backend', default='spd', choices=backend_names(),
                        help='method that estimates the poses')
    parser.add_argument('--objects', type=int, default=6, help='poses in the frame')
    parser.add_argument('--repeats', type=int, default=30)
    parser.add_argument('--threads', type=int, default=0, help='of each session; 0 = all cores')
    parser.add_argument('--out', type=Path, help='write the table here as JSON and Markdown')
    arguments = parser.parse_args()
    pipeline = create_pipeline(PipelineOptions(
        backend=arguments.backend, backend_options=BackendOptions(threads=arguments.threads),
        segmenter_options=SegmenterOptions(threads=arguments.threads), tracker=None))
    frame = crowded_frame(pipeline, arguments.objects)
    runs = [pipeline.process(frame).timings for _ in range(arguments.repeats)]
    totals = [sum(timings.values()) for timings in runs]
    rows = [(stage, *_milliseconds([timings[stage] for timings in runs])) for stage in runs[0]]
    rows.append(('whole', *_milliseconds(totals)))
    report = Report('frame_rate', ('stage', 'median, ms', 'fastest, ms', 'slowest, ms'), rows,
                    {'backend': arguments.backend, 'objects': arguments.objects,
                     'resolution': '640x480', 'repeats': arguments.repeats,
                     'frames per second': round(1.0 / statistics.median(totals), 1)})
    publish(report, arguments.out)


def _milliseconds(seconds: list[float]) -> tuple[float, float, float]:
    return 1e3 * statistics.median(seconds), 1e3 * min(seconds), 1e3 * max(seconds)


if __name__ == '__main__':
    main()
