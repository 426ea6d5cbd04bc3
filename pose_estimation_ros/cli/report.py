"""`pose-estimation report`: one HTML page about a recording or a folder of frames."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from pose_estimation_ros.cli.backend_option import BACKEND_HELP, complete_backend
from pose_estimation_ros.cli.bag_options import (
    Changes,
    ColorInfoTopic,
    ColorTopic,
    DepthInfoTopic,
    DepthTopic,
    ParamsFile,
)
from pose_estimation_ros.cli.json_output import write_whole

if TYPE_CHECKING:
    from pose_estimation_ros.datasets.bag import Bag
    from pose_estimation_ros.pipeline import Pipeline
    from pose_estimation_ros.viewing.report_page import Subject
    from pose_estimation_ros.viewing.seen_frame import LostFrame, SeenFrame


def report(
        source: Path = typer.Argument(..., help='Recording (folder, .mcap or .db3), output of '
                                      'the demo, or folder of recorded RGB-D frames.'),
        output: Path = typer.Option(Path('report.html'), help='Page to write.'),
        pictures: int = typer.Option(24, min=1, help='Most pictures on the page, evenly spaced.'),
        color_topic: ColorTopic = '',
        color_info_topic: ColorInfoTopic = '',
        depth_topic: DepthTopic = '',
        depth_info_topic: DepthInfoTopic = '',
        params_file: ParamsFile = None,
        changes: Changes = None,
        backend: str = typer.Option('spd', help=f'{BACKEND_HELP} Used for frames that have no '
                                    'recorded results.', autocompletion=complete_backend),
        model: str = typer.Option('', help="Its model; empty = the method's default."),
        segmentation: str = typer.Option('mask_rcnn', help='Method that finds the objects.'),
        device: str = typer.Option('auto', help='auto, cpu, cuda or tensorrt.'),
) -> None:
    """Write one self-contained HTML page: pictures, poses, times and warnings.

    Frames without recorded results, as in a bag of a camera alone or a folder of pictures, are
    estimated first.
    """
    # The other commands must start without ROS, OpenCV and ONNX Runtime.
    from pose_estimation_ros.datasets.bag_camera import CameraTopics
    from pose_estimation_ros.evaluation.bag_results import parameter_values
    from pose_estimation_ros.pipeline import (
        BackendOptions,
        PipelineOptions,
        SegmenterOptions,
        create_pipeline,
    )
    from pose_estimation_ros.viewing.report_page import Subject, report_page
    from pose_estimation_ros.viewing.sources import (
        bag_at,
        frames_in_bag,
        frames_in_folder,
        has_results,
    )

    bag = bag_at(source)
    pipeline: Pipeline | None = None
    if bag is None or not has_results(bag):
        pipeline = create_pipeline(PipelineOptions(
            backend=backend, backend_options=BackendOptions(model, device),
            segmenter=segmentation, segmenter_options=SegmenterOptions('', device)))
    try:
        frames: Iterator[SeenFrame | LostFrame]
        if bag is not None:
            values = parameter_values(bag, params_file, changes or ())
            subject = _subject(bag, values)
            topics = CameraTopics(color_topic, color_info_topic, depth_topic, depth_info_topic)
            frames = frames_in_bag(bag, topics, values, pipeline)
        else:
            assert pipeline is not None
            subject = Subject(source.resolve().name, pipeline.describe(), axis='frames')
            frames = frames_in_folder(source, pipeline)
        page = report_page(subject, frames, pictures)
    finally:
        if pipeline is not None:
            pipeline.close()
    write_whole(output, page.encode())
    print(f'{output}, {output.stat().st_size / 1e6:.1f} MB')


def _subject(bag: Bag, values: Mapping[str, Any]) -> Subject:
    """Return what the page says of a bag beside its frames."""
    from datetime import datetime, timezone

    from pose_estimation_ros.nodes.parameters import ESTIMATOR_PARAMETERS
    from pose_estimation_ros.nodes.recording_parameters import VERSION_NOTE
    from pose_estimation_ros.viewing.report_page import Subject
    from pose_estimation_ros.viewing.warnings_log import (
        complaints,
        diagnostics_in,
        stage_milliseconds,
    )

    changed = {spec.name: values[spec.name] for spec in ESTIMATOR_PARAMETERS
               if values[spec.name] != spec.default}
    diagnostics = list(diagnostics_in(bag))
    stages: dict[str, float] = {}
    for _, message in diagnostics:
        stages |= stage_milliseconds(message)
    begun = datetime.fromtimestamp(bag.start_ns / 1e9, tz=timezone.utc)
    facts = {'recorded': f'{begun:%Y-%m-%d %H:%M:%S} UTC, {bag.duration_ns / 1e9:.1f} s'}
    if version := bag.notes.get(VERSION_NOTE):
        facts['recorded with'] = f'pose_estimation_ros {version}'
    return Subject(bag.path.resolve().name, facts, complaints(diagnostics, bag.start_ns), stages,
                   changed)
