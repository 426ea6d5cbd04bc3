"""The running node over DDS between processes: start, memory, delay and rate.

    python benchmarks/running_node.py --backends crnet --objects 6

The estimator runs in a process of its own, this process is the camera and the reader of poses.
Start is from the start of the process to the first pose that is received, which includes Python,
ROS's discovery and the models. Delay is from the stamp of a frame, taken as it is published, to
the last of its /object_poses here: of single frames, each sent when the one before is answered,
and of a camera of 30 frames per second, of which the node takes what it can.
"""

from __future__ import annotations

import argparse
import os
import re
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from types import TracebackType

import numpy as np
import rclpy
from crowds import crowd
from geometry_msgs.msg import PoseStamped
from rclpy.context import Context
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.qos import QoSProfile
from vision_msgs.msg import Detection3DArray
from whole_pipeline import publish

from pose_estimation_ros.core.frame import RGBDFrame
from pose_estimation_ros.evaluation.report import Report
from pose_estimation_ros.nodes.camera_publisher import CameraMessages, CameraPublisher
from pose_estimation_ros.nodes.conversions import stamp_to_ns

_ROOT = Path(__file__).resolve().parents[1]
_PATIENCE = 120.0
_RATE = 30.0
_RATE_SECONDS = 5.0
_FRAME_ID = 'camera_color_optical_frame'


class Estimator:
    """The estimator in a process of its own."""

    def __init__(self, domain: int, backend: str, max_objects: int, log: Path) -> None:
        """Start it."""
        command = [sys.executable, '-m', 'pose_estimation_ros.nodes.pose_estimator', '--ros-args',
                   '-p', f'backend:={backend}', '-p', f'max_objects:={max_objects}']
        environment = {**os.environ, 'ROS_DOMAIN_ID': str(domain), 'PYTHONPATH': os.pathsep.join(
            filter(None, (str(_ROOT), os.environ.get('PYTHONPATH', ''))))}
        self._log = log
        with log.open('w') as stream:
            self.process = subprocess.Popen(command, env=environment, cwd=_ROOT, stdout=stream,
                                            stderr=subprocess.STDOUT)

    def memory(self) -> tuple[float, float]:
        """Return the resident memory now and at most so far, MB."""
        text = Path(f'/proc/{self.process.pid}/status').read_text(encoding='utf-8')
        now, peak = (re.search(rf'{key}:\s+(\d+) kB', text) for key in ('VmRSS', 'VmHWM'))
        assert now is not None and peak is not None
        return int(now[1]) / 1e3, int(peak[1]) / 1e3

    def cpu_seconds(self) -> float:
        """Return the time that all its threads have had so far."""
        fields = Path(f'/proc/{self.process.pid}/stat').read_text(
            encoding='utf-8').rpartition(')')[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf('SC_CLK_TCK')

    def __enter__(self) -> Estimator:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None,
                 trace: TracebackType | None) -> None:
        self.process.send_signal(signal.SIGINT)
        try:
            self.process.wait(timeout=20.0)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        if error is not None:
            sys.stderr.write(self._log.read_text(encoding='utf-8')[-2000:])


class Bench:
    """A camera, and a reader of all results."""

    def __init__(self, domain: int, frame: RGBDFrame) -> None:
        """Make the publishers and subscriptions."""
        self._context = Context()
        rclpy.init(context=self._context, domain_id=domain)
        self._node = Node('bench', context=self._context)
        self._executor = SingleThreadedExecutor(context=self._context)
        self._executor.add_node(self._node)
        self._camera = CameraPublisher(self._node)
        self._messages = CameraMessages(frame, _FRAME_ID)
        self.delays: dict[int, float] = {}
        self.poses: dict[int, int] = {}
        self._node.create_subscription(PoseStamped, 'object_poses', self._receive,
                                       QoSProfile(depth=256))
        self.answered: set[int] = set()
        self._node.create_subscription(
            Detection3DArray, 'object_detections',
            lambda message: self.answered.add(stamp_to_ns(message.header.stamp)), 20)

    def send(self) -> int:
        """Publish the frame with the time as its stamp; return the stamp, nanoseconds."""
        now = self._node.get_clock().now()
        self._messages.stamp(now.to_msg())
        self._camera.publish(self._messages)
        return int(now.nanoseconds)

    def spin(self, seconds: float) -> None:
        """Receive for some time."""
        until = time.monotonic() + seconds
        while (left := until - time.monotonic()) > 0:
            self._executor.spin_once(timeout_sec=left)

    def wait_for_poses(self, stamp_ns: int, count: int) -> None:
        """Receive until so many poses of a frame are here.

        Raises:
            SystemExit: If they do not come.
        """
        deadline = time.monotonic() + _PATIENCE
        while self.poses.get(stamp_ns, 0) < count:
            self._executor.spin_once(timeout_sec=0.05)
            if time.monotonic() > deadline:
                raise SystemExit(f'{self.poses.get(stamp_ns, 0)} of {count} poses came')

    def close(self) -> None:
        """End it."""
        self._executor.shutdown()
        self._node.destroy_node()
        rclpy.try_shutdown(context=self._context)

    def _receive(self, message: PoseStamped) -> None:
        stamp = stamp_to_ns(message.header.stamp)
        self.delays[stamp] = (self._node.get_clock().now().nanoseconds - stamp) / 1e6
        self.poses[stamp] = self.poses.get(stamp, 0) + 1


def measured(backend: str, arguments: argparse.Namespace, frame: RGBDFrame,
             domain: int) -> tuple[object, ...]:
    """Return the values of one row.

    Raises:
        SystemExit: If the node does not answer.
    """
    bench = Bench(domain, frame)
    try:
        with tempfile.TemporaryDirectory() as folder:
            began = time.perf_counter()
            with Estimator(domain, backend, max(arguments.objects, 32),
                           Path(folder) / 'log') as estimator:
                while not bench.poses:
                    if time.perf_counter() - began > _PATIENCE:
                        raise SystemExit(f'{backend}: no pose came')
                    bench.send()
                    bench.spin(0.1)
                start = time.perf_counter() - began
                bench.spin(1.0)  # What was sent meanwhile is answered, too.
                count = max(bench.poses.values())
                delays = []
                for _ in range(arguments.repeats):
                    stamp = bench.send()
                    bench.wait_for_poses(stamp, count)
                    delays.append(bench.delays[stamp])
                before, cpu = len(bench.answered), estimator.cpu_seconds()
                bench.delays.clear()
                clock = time.perf_counter()
                while time.perf_counter() - clock < _RATE_SECONDS:
                    bench.send()
                    bench.spin(1.0 / _RATE)
                elapsed = time.perf_counter() - clock
                frames = len(bench.answered) - before
                cpu = (estimator.cpu_seconds() - cpu) / max(frames, 1)
                streamed = list(bench.delays.values())
                now, peak = estimator.memory()
    finally:
        bench.close()
    low, high = np.percentile(delays, (10, 90))
    return (backend, count, start, statistics.median(delays), f'{low:.4g} to {high:.4g}',
            statistics.median(streamed), frames / elapsed, 1e3 * cpu, now, peak)


def main() -> None:
    """Measure and print a row for each backend."""
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--backends', nargs='+', default=['spd', 'crnet', 'acr'], metavar='NAME')
    parser.add_argument('--objects', type=int, default=6, help='in the frame')
    parser.add_argument('--repeats', type=int, default=15, help='single frames')
    parser.add_argument('--domain', type=int, default=85, help='ROS domain')
    parser.add_argument('--out', type=Path, help='write the table here as JSON and Markdown')
    arguments = parser.parse_args()
    os.environ['FASTDDS_DEFAULT_PROFILES_FILE'] = str(_ROOT / 'config' / 'fastdds.xml')
    os.environ['ROS_AUTOMATIC_DISCOVERY_RANGE'] = 'LOCALHOST'
    frame = crowd(arguments.objects).frame
    rows = [measured(backend, arguments, frame, arguments.domain + number)
            for number, backend in enumerate(arguments.backends)]
    publish(Report('running_node', (
        'backend', 'poses', 'start to first pose, s', 'single frame: delay, median, ms',
        '10 % to 90 %, ms', f'camera of {_RATE:.0f} Hz: delay, median, ms', 'frames/s',
        'CPU of all threads, ms a frame', 'memory, MB', 'most memory, MB'), rows,
        {'objects': arguments.objects, 'resolution': '640x480', 'repeats': arguments.repeats}),
        arguments.out)


if __name__ == '__main__':
    main()
