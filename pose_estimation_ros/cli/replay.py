"""`pose-estimation replay`: a recording as a regression test."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from pose_estimation_ros.cli.bag_options import (
    Changes,
    ColorInfoTopic,
    ColorTopic,
    DepthInfoTopic,
    DepthTopic,
    ParamsFile,
)
from pose_estimation_ros.core.errors import ConfigurationError

if TYPE_CHECKING:
    from pose_estimation_ros.datasets.bag import Bag
    from pose_estimation_ros.datasets.bag_camera import CameraTopics
    from pose_estimation_ros.evaluation.bag_results import FrameResult


def replay(
        bag: Path = typer.Argument(..., help='Recording: folder, .mcap or .db3.'),
        other: Path = typer.Option(None, '--with', help='Compare with the poses of another '
                                   'recording of the same frames, instead of estimating.'),
        color_topic: ColorTopic = '',
        color_info_topic: ColorInfoTopic = '',
        depth_topic: DepthTopic = '',
        depth_info_topic: DepthInfoTopic = '',
        params_file: ParamsFile = None,
        changes: Changes = None,
        translation: float = typer.Option(0.1, min=0.0, help='Largest difference of positions '
                                          'and sizes, millimetres.'),
        rotation: float = typer.Option(0.1, min=0.0, help='Largest difference of rotations, '
                                       'degrees.'),
) -> None:
    """Estimate the frames of a recording again and compare with the poses in it.

    Only frames with recorded results are estimated, in their order, so that the tracks are the
    same too. Exit code 1 if anything differs.
    """
    # The other commands must start without ROS.
    from pose_estimation_ros.datasets.bag import open_bag
    from pose_estimation_ros.datasets.bag_camera import CameraTopics
    from pose_estimation_ros.evaluation.bag_results import parameter_values, recorded_results
    from pose_estimation_ros.evaluation.pose_agreement import (
        Tolerance,
        agreement,
        results_by_stamp,
    )

    recording = open_bag(bag)
    recorded = list(recorded_results(recording))
    if other is not None:
        again = list(recorded_results(open_bag(other)))
    else:
        values = parameter_values(recording, params_file, changes or ())
        topics = CameraTopics(color_topic, color_info_topic, depth_topic, depth_info_topic)
        again = list(_estimated(recording, topics, {result.stamp_ns for result in recorded},
                                values))
    tolerance = Tolerance(translation, rotation)
    found = agreement(recorded, results_by_stamp(again, other, tolerance), tolerance)
    print(found.text())
    print('the same' if found.is_same else 'NOT the same')
    raise typer.Exit(0 if found.is_same else 1)


def _estimated(recording: Bag, wanted: CameraTopics, stamps: set[int],
               values: dict[str, Any]) -> Iterator[FrameResult]:
    """Yield what the pipeline says of the frames with the given stamps."""
    from pose_estimation_ros.core.camera import turned_camera
    from pose_estimation_ros.core.se3 import inverse
    from pose_estimation_ros.datasets.bag_camera import choose_camera
    from pose_estimation_ros.evaluation.bag_results import FrameResult
    from pose_estimation_ros.evaluation.demo_report import EstimatedObject
    from pose_estimation_ros.nodes.bag_frames import frames_of
    from pose_estimation_ros.nodes.bag_messages import raw_frame
    from pose_estimation_ros.nodes.naming import object_name
    from pose_estimation_ros.nodes.settings import EstimatorSettings
    from pose_estimation_ros.pipeline import create_pipeline

    if values['output_frame'] or values['depth.register']:
        raise ConfigurationError(
            'the recorded poses needed TF (output_frame or depth.register), which this command '
            'does not know; record a run of the nodes on the bag and compare with --with: '
            'ros2 bag play BAG --clock --topics, with the topics of the camera, /tf and '
            '/tf_static, not the recorded results')
    settings = EstimatorSettings.from_values(values)
    topics = choose_camera(recording, wanted)
    T_camera_turned = inverse(turned_camera(settings.input.quarters))
    pipeline = create_pipeline(settings.pipeline)
    try:
        # Depth may have been there and be missing in the bag alone.
        needed = () if pipeline.depth_use == 'needed' else stamps
        for entry in frames_of(recording, topics, settings.input.slop_ns, needed):
            if entry.color.stamp_ns not in stamps:
                continue
            frame, _ = raw_frame(entry).read_usable(rectified=settings.input.rectified,
                                                    quarters=settings.input.quarters)
            result = pipeline.process(frame)
            yield FrameResult(frame.stamp_ns, frame.frame_id, tuple(
                EstimatedObject(object_name(pose, index), pose.label,
                                T_camera_turned @ pose.T_camera_object, *pose.box(),
                                pose.score)
                for index, pose in enumerate(result.poses)))
    finally:
        pipeline.close()
