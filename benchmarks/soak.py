"""The node for an hour: memory, latency and drops, minute by minute.

    python benchmarks/soak.py --minutes 60

Camera and estimator run as processes of their own, this process reads everything that the node
publishes, drawings too, as RViz would. Memory is the estimator's resident memory, the median of
each minute: within a frame it rises and falls by many megabytes. The command fails if the memory
of the last minute is more than 10 MB above that after the first ten, in which buffers fill and all
kinds of frames have come once.
"""

from __future__ import annotations

import argparse
import os
import re
import statistics
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from diagnostic_msgs.msg import DiagnosticArray
from sensor_msgs.msg import Image, PointCloud2
from vision_msgs.msg import Detection3DArray
from visualization_msgs.msg import MarkerArray
from whole_pipeline import publish

from pose_estimation_ros.backends.registry import backend_names
from pose_estimation_ros.cli.demo import NodeProcess
from pose_estimation_ros.evaluation.report import Report
from pose_estimation_ros.nodes.conversions import stamp_to_ns
from pose_estimation_ros.nodes.graph_listener import Arrival, GraphListener

_TOPICS = {'/object_detections': Detection3DArray, '/object_markers': MarkerArray,
           '/object_points': PointCloud2, '/overlay/image': Image,
           '/diagnostics': DiagnosticArray}
_MOST_GROWTH = 10.0
_PATIENCE = 300.0
_LOOK_SECONDS = 2.0
_MEMORY = re.compile(r'VmRSS:\s+(\d+) kB')


class Soak:
    """What has come of the node so far."""

    def __init__(self, pid: int) -> None:
        """Start empty.

        Args:
            pid: Process of the estimator.
        """
        self._status = Path(f'/proc/{pid}/status')
        self.latencies: list[float] = []
        self.dropped: dict[str, int] = {}

    def receive(self, arrival: Arrival) -> None:
        """Note a message of the node."""
        if arrival.topic == '/object_detections':
            stamp_ns = stamp_to_ns(arrival.message.header.stamp)
            self.latencies.append((arrival.time_ns - stamp_ns) / 1e6)
        elif arrival.topic == '/diagnostics':
            self.dropped |= {
                value.key.rpartition('.')[2]: int(value.value)
                for status in arrival.message.status for value in status.values
                if value.key.startswith('frames.dropped.')}

    def memory(self) -> float:
        """Return the resident memory of the estimator, MB."""
        found = _MEMORY.search(self._status.read_text(encoding='utf-8'))
        assert found is not None
        return int(found[1]) / 1e3


def main() -> None:
    """Run the nodes, print a row for each minute, and judge the memory."""
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--minutes', type=float, default=60.0)
    parser.add_argument('--settle', type=float, default=10.0,
                        help='minutes after which memory counts')
    parser.add_argument('--rate', type=float, default=10.0, help='of the camera, frames/s')
    parser.add_argument('--source', type=Path, help='recorded frames instead of simulated ones')
    parser.add_argument('--backend', default='spd', choices=backend_names())
    parser.add_argument('--domain', type=int, default=84, help='ROS domain')
    parser.add_argument('--out', type=Path, help='write the table here as JSON and Markdown')
    arguments = parser.parse_args()
    if not 0 < arguments.settle < arguments.minutes:
        parser.error('--settle must be shorter than --minutes')
    os.environ['ROS_AUTOMATIC_DISCOVERY_RANGE'] = 'LOCALHOST'
    camera, parameters = 'simulated_camera', {'rate': str(arguments.rate)}
    if arguments.source is not None:
        camera, parameters['source'] = 'replay_camera', str(arguments.source.resolve())
    with (tempfile.TemporaryDirectory() as folder,
          NodeProcess(camera, parameters, arguments.domain, Path(folder)) as shown,
          NodeProcess('pose_estimator', {'backend': arguments.backend}, arguments.domain,
                      Path(folder)) as estimator):
        rows, soak = _watch(arguments, (shown, estimator))
    minutes, memory = np.array([row[0] for row in rows]), np.array([row[-1] for row in rows])
    settled = minutes >= arguments.settle
    growth = float(memory[-1] - memory[settled][0])
    slope = float(np.polyfit(minutes[settled], memory[settled], 1)[0]) * 60.0
    p50, p99 = np.percentile(soak.latencies, (50, 99))
    publish(Report(
        'soak', ('minute', 'results', 'latency p50, ms', 'latency p99, ms', 'memory, MB'), rows,
        {'backend': arguments.backend, 'camera': f'{camera}, {arguments.rate:g} frames/s',
         'minutes': arguments.minutes, 'results': len(soak.latencies),
         'latency p50 / p99, ms': f'{p50:.4g} / {p99:.4g}',
         'dropped': ', '.join(f'{count} {name}' for name, count in soak.dropped.items()) or 0,
         f'growth since minute {arguments.settle:g}, MB': growth,
         'slope, MB/h': slope}), arguments.out)
    if growth > _MOST_GROWTH:
        sys.exit(f'the memory has grown by {growth:.1f} MB since minute {arguments.settle:g}, '
                 f'more than {_MOST_GROWTH:g} MB')


def _watch(arguments: argparse.Namespace,
           processes: tuple[NodeProcess, NodeProcess]) -> tuple[list[tuple[float, ...]], Soak]:
    """Receive for the time asked for; return a row for each minute, and everything.

    Raises:
        SystemExit: If no result comes.
    """
    soak = Soak(processes[1].pid)
    rows: list[tuple[float, ...]] = []
    with GraphListener(_TOPICS, soak.receive, arguments.domain) as listener:
        if not listener.spin_until(lambda: bool(soak.latencies), _PATIENCE):
            raise SystemExit(f'no result came\n{processes[0].tail()}\n{processes[1].tail()}')
        began = time.monotonic()
        soak.latencies.clear()
        counted = 0
        while (elapsed := time.monotonic() - began) < 60.0 * arguments.minutes:
            until = elapsed + 60.0
            memory: list[float] = []
            while (elapsed := time.monotonic() - began) < min(until, 60.0 * arguments.minutes):
                listener.spin_until(lambda: False, _LOOK_SECONDS)
                for process in processes:
                    process.check()
                memory.append(soak.memory())
            latest = soak.latencies[counted:]
            counted += len(latest)
            p50, p99 = np.percentile(latest, (50, 99)) if latest else (np.nan, np.nan)
            rows.append((elapsed / 60.0, len(latest), float(p50), float(p99),
                         statistics.median(memory)))
            print(f'minute {rows[-1][0]:.1f}: {len(latest)} results, {p50:.0f} ms, '
                  f'{rows[-1][-1]:.1f} MB', flush=True)
    return rows, soak


if __name__ == '__main__':
    main()
