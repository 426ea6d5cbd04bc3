"""Time that the node adds to the pipeline: equal frames through both, by real DDS.

python benchmarks/node_overhead.py --frames 40

Each frame goes through the pipeline in this process and then through a node in a process of its
own, from the moment before its images are published until its detections have come. The
difference holds sending 1.5 MB of images, pairing, conversion, publishing and receiving. The
node runs with tracking and TF on, as by default; nobody looks at its pictures.
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from crowds import crowded_frame
from whole_pipeline import publish

from pose_estimation_ros.backends.base import BackendOptions
from pose_estimation_ros.backends.registry import backend_names
from pose_estimation_ros.cli.demo import NodeProcess
from pose_estimation_ros.core.frame import RGBDFrame
from pose_estimation_ros.evaluation.report import Report
from pose_estimation_ros.nodes.ros_compat import fastdds_environment
from pose_estimation_ros.pipeline import (
    PipelineOptions,
    SegmenterOptions,
    TrackerOptions,
    create_pipeline,
)

_DOMAIN_ID = 40 + os.getpid() % 60
_PATIENCE = 120.0
_WARM_UP = 5


class Camera:
    """Publishes one frame again and again, and waits for what the node makes of it."""

    def __init__(self, frame: RGBDFrame) -> None:
        """Join the graph of the node."""
        import rclpy
        from diagnostic_msgs.msg import DiagnosticArray
        from rclpy.context import Context
        from rclpy.executors import SingleThreadedExecutor
        from rclpy.node import Node
        from vision_msgs.msg import Detection3DArray

        from pose_estimation_ros.nodes.camera_publisher import CameraMessages, CameraPublisher

        self._context = Context()
        rclpy.init(context=self._context, domain_id=_DOMAIN_ID)
        self._node = Node('benchmark', context=self._context)
        self._executor = SingleThreadedExecutor(context=self._context)
        self._executor.add_node(self._node)
        self._publisher = CameraPublisher(self._node)
        self._messages = CameraMessages(frame, 'camera_color_optical_frame')
        self._answer: Detection3DArray | None = None
        self._diagnostics = DiagnosticArray()
        self._node.create_subscription(Detection3DArray, 'object_detections', self._take, 10)
        self._node.create_subscription(DiagnosticArray, '/diagnostics', self._note, 10)

    def _take(self, message: object) -> None:
        self._answer = message

    def _note(self, message: object) -> None:
        self._diagnostics = message

    def wait_for_node(self) -> None:
        """Wait until the node has subscribed to colour, depth and their infos."""
        self._wait(lambda: all(self._node.count_subscribers(topic) for topic in (
            'color/image_raw', 'color/camera_info', 'depth/image_raw', 'depth/camera_info')))

    def round_trip(self) -> tuple[float, int]:
        """Publish the frame; return the seconds until its detections came, and their number."""
        self._answer = None
        stamp = self._node.get_clock().now().to_msg()
        self._messages.stamp(stamp)
        began = time.perf_counter()
        self._publisher.publish(self._messages)
        self._wait(lambda: self._answer is not None and self._answer.header.stamp == stamp)
        return time.perf_counter() - began, len(self._answer.detections)

    def stages(self) -> dict[str, float]:
        """Return the node's own medians, milliseconds by stage."""
        return {pair.key.removeprefix('milliseconds.'): float(pair.value)
                for status in self._diagnostics.status for pair in status.values
                if pair.key.startswith('milliseconds.') and not pair.key.endswith('.p99')}

    def close(self) -> None:
        """Leave the graph."""
        self._executor.shutdown()
        self._node.destroy_node()
        self._context.try_shutdown()

    def _wait(self, condition: Callable[[], bool]) -> None:
        deadline = time.monotonic() + _PATIENCE
        while not condition():
            if time.monotonic() > deadline:
                raise SystemExit(f'the node gave no answer; it says {self._diagnostics.status}')
            self._executor.spin_once(timeout_sec=0.05)


def main() -> None:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--backend', default='spd', choices=backend_names(),
                        help='method that estimates the poses')
    parser.add_argument('--objects', type=int, default=3, help='poses in the frame')
    parser.add_argument('--frames', type=int, default=40)
    parser.add_argument('--threads', type=int, default=0, help='of each session; 0 = all cores')
    parser.add_argument('--out', type=Path, help='write the table here as JSON and Markdown')
    arguments = parser.parse_args()
    os.environ |= {'ROS_AUTOMATIC_DISCOVERY_RANGE': 'LOCALHOST', **fastdds_environment()}
    options = PipelineOptions(
        backend=arguments.backend, backend_options=BackendOptions(threads=arguments.threads),
        segmenter_options=SegmenterOptions(threads=arguments.threads), tracker=None)
    pipeline = create_pipeline(options)
    frame = crowded_frame(pipeline, arguments.objects)
    pipeline.retune(options, replace(options, tracker=TrackerOptions()))
    parameters = {'backend': arguments.backend, 'threads': str(arguments.threads)}
    with tempfile.TemporaryDirectory() as folder, NodeProcess(
            'pose_estimator', parameters, _DOMAIN_ID, Path(folder)):
        camera = Camera(frame)
        camera.wait_for_node()
        alone, through = [], []
        for number in range(_WARM_UP + arguments.frames):
            began = time.perf_counter()
            poses = len(pipeline.process(replace(frame, stamp_ns=time.time_ns())).poses)
            measured = time.perf_counter() - began
            seconds, detections = camera.round_trip()
            if number < _WARM_UP:
                continue
            if detections != poses:
                raise SystemExit(f'the node gave {detections} objects, the pipeline {poses}')
            alone.append(measured)
            through.append(seconds)
        stages = camera.stages()
        camera.close()
    rows = [('pipeline alone', *_milliseconds(alone)), ('through the node', *_milliseconds(
        through)), ('difference, frame by frame', *_milliseconds(
            [node - bare for node, bare in zip(through, alone, strict=True)]))]
    rows += [(f'in the node: {stage}', value, '', '') for stage, value in stages.items()]
    publish(Report('node_overhead', ('what', 'median, ms', 'fastest, ms', 'slowest, ms'), rows,
                   {'backend': arguments.backend, 'objects': arguments.objects,
                    'resolution': '640x480', 'frames': arguments.frames,
                    'threads': arguments.threads}), arguments.out)


def _milliseconds(seconds: list[float]) -> tuple[float, float, float]:
    return 1e3 * statistics.median(seconds), 1e3 * min(seconds), 1e3 * max(seconds)


if __name__ == '__main__':
    main()
