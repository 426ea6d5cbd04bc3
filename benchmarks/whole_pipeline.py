"""What the benchmarks of the whole pipeline share: their options and the pipeline itself."""

from __future__ import annotations

import argparse
from pathlib import Path

from pose_estimation_ros.backends.base import UPRIGHT_TOLERANCE, BackendOptions
from pose_estimation_ros.backends.registry import backend_names
from pose_estimation_ros.evaluation.report import Report
from pose_estimation_ros.pipeline import (
    Pipeline,
    PipelineOptions,
    SegmenterOptions,
    create_pipeline,
)


def argument_parser(description: str, data: Path) -> argparse.ArgumentParser:
    """Return a parser of the options that every accuracy benchmark has.

    Args:
        description: Help text.
        data: Default folder of the frames.
    """
    parser = argparse.ArgumentParser(description=description,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--data', type=Path, default=data, help='folder of the frames')
    parser.add_argument('--backend', default='spd', choices=backend_names(),
                        help='method that estimates the poses')
    parser.add_argument('--model', default='', help="its model; the method's own by default")
    parser.add_argument('--segmentation-model', default='', help='detector')
    parser.add_argument('--score', type=float,
                        help="least detection score; the model's own by default")
    parser.add_argument('--out', type=Path, help='write the table here as JSON and Markdown')
    return parser


def pipeline_of(arguments: argparse.Namespace,
                upright_tolerance: float = UPRIGHT_TOLERANCE) -> Pipeline:
    """Return the pipeline that the options ask for, without tracking."""
    return create_pipeline(PipelineOptions(
        backend=arguments.backend, backend_options=BackendOptions(
            arguments.model, upright_tolerance=upright_tolerance),
        segmenter_options=SegmenterOptions(arguments.segmentation_model,
                                           min_score=arguments.score), tracker=None))


def settings_of(arguments: argparse.Namespace) -> dict[str, object]:
    """Return the settings for a report."""
    return {'data': str(arguments.data), 'backend': arguments.backend,
            'least score': "the model's own" if arguments.score is None else arguments.score}


def publish(report: Report, out: Path | None) -> None:
    """Print a table, and write it where a folder is given."""
    print(report.markdown())
    if out is not None:
        for path in report.write(out):
            print(f'wrote {path}')
