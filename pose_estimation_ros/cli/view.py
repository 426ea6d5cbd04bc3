"""`pose-estimation view`: the running graph, a recording or frames, in Rerun."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterable
from pathlib import Path
from queue import SimpleQueue
from typing import TYPE_CHECKING

import typer

from pose_estimation_ros.cli.bag_options import (
    Changes,
    ColorInfoTopic,
    ColorTopic,
    DepthInfoTopic,
    DepthTopic,
    ParamsFile,
)
from pose_estimation_ros.core.errors import PoseEstimationError

if TYPE_CHECKING:
    from pose_estimation_ros.datasets.bag import Bag
    from pose_estimation_ros.viewing.rerun_log import RerunLog
    from pose_estimation_ros.viewing.seen_frame import LostFrame, SeenFrame

_LOOK_SECONDS = 30.0


def view(
        source: Path = typer.Argument(None, help='Recording (folder, .mcap or .db3) or output of '
                                      'the demo; none = the running graph.'),
        save: Path = typer.Option(None, help='Write a file (.rrd) for Rerun instead of opening '
                                  'its viewer.'),
        estimator: str = typer.Option('pose_estimator', help='Node in the graph, with its '
                                      'namespace: /robot/pose_estimator.'),
        seconds: float = typer.Option(0.0, min=0.0, help='End after so long; 0 = at Ctrl+C.'),
        grasps: bool = typer.Option(False, '--grasps', help='Show grasps of the running graph '
                                    'too; the estimator plans them only for those who listen.'),
        rectified: bool = typer.Option(False, '--rectified', help='The images of the graph are '
                                       'rectified, as with color.rectified of the estimator; '
                                       'of a recording: --set color.rectified=true.'),
        color_topic: ColorTopic = '',
        color_info_topic: ColorInfoTopic = '',
        depth_topic: DepthTopic = '',
        depth_info_topic: DepthInfoTopic = '',
        params_file: ParamsFile = None,
        changes: Changes = None,
) -> None:
    """Show images, depth, points, boxes, axes, grasps, times and warnings in Rerun."""
    # The other commands must start without ROS and Rerun.
    from pose_estimation_ros.datasets.bag_camera import CameraTopics
    from pose_estimation_ros.evaluation.bag_results import parameter_values
    from pose_estimation_ros.viewing.rerun_log import RerunLog
    from pose_estimation_ros.viewing.sources import bag_at, frames_in_bag

    bag = None if source is None else bag_at(source)
    if source is not None and bag is None:
        raise PoseEstimationError(f'{source} is no recording; pose-estimation report shows '
                                  'folders of pictures')
    log = RerunLog(save)
    try:
        if bag is None:
            count = _show_graph(log, estimator, seconds, with_grasps=grasps, rectified=rectified)
        else:
            frames = frames_in_bag(
                bag, CameraTopics(color_topic, color_info_topic, depth_topic, depth_info_topic),
                parameter_values(bag, params_file, changes or ()), None)
            count = _show_bag(log, bag, frames)
    finally:
        log.close()
    print(f'{count} frames' + ('' if save is None else f' are in {save}; open it: rerun {save}'))


def _show_bag(log: RerunLog, bag: Bag, frames: Iterable[SeenFrame | LostFrame]) -> int:
    """Show every frame with a result; return how many there were, without those left out."""
    from pose_estimation_ros.viewing.grasp_messages import RecentGrasps, grasps_in
    from pose_estimation_ros.viewing.seen_frame import LostFrame
    from pose_estimation_ros.viewing.warnings_log import (
        complaints,
        diagnostics_in,
        lost_sentence,
        stage_milliseconds,
    )

    count, frame_id, recent = 0, '', RecentGrasps()
    for seen in frames:
        if isinstance(seen, LostFrame):
            log.log_complaint(seen.stamp_ns, lost_sentence([seen]), is_error=False)
            continue
        frame_id = seen.frame.frame_id
        log.log_frame(seen, recent.of_frame(seen.frame.stamp_ns, frame_id))
        count += 1
    # In place of none, with which each frame was shown.
    for message in grasps_in(bag):
        stamp_ns = recent.add(message)
        log.log_grasps(stamp_ns, recent.of_frame(stamp_ns, frame_id))
    diagnostics = list(diagnostics_in(bag))
    for time_ns, message in diagnostics:
        log.log_stages(time_ns, stage_milliseconds(message))
    for entry in complaints(diagnostics, bag.start_ns):
        log.log_complaint(bag.start_ns + round(entry.first * 1e9),
                          f'{entry.part}: {entry.sentence}', is_error=entry.is_error)
    return count


def _show_graph(log: RerunLog, estimator: str, seconds: float, *, with_grasps: bool,
                rectified: bool) -> int:
    """Show what passes until the time is over or a signal comes; return the number of frames."""
    # Images are larger than the shared memory that is usual.
    from pose_estimation_ros.nodes.ros_compat import fastdds_environment

    os.environ |= {name: os.environ.get(name, value)
                   for name, value in fastdds_environment().items()}
    from pose_estimation_ros.viewing.live_view import LiveView

    # Entered in C: Python's own handlers may interrupt each other and wait for each other's lock.
    signals: SimpleQueue[int] = SimpleQueue()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signals.put)

    def is_stopped() -> bool:
        return not signals.empty()

    with LiveView(log, with_grasps=with_grasps, rectified=rectified) as live:
        if not live.find(estimator, _LOOK_SECONDS, is_stopped):
            raise PoseEstimationError(
                f'no active node {estimator} within {_LOOK_SECONDS:g} s; start it, set '
                'ROS_DOMAIN_ID as it has it, or name it: --estimator /namespace/name')
        live.show(seconds or float('inf'), is_stopped)
        return live.count
