"""What a demo run receives, and what it leaves behind: table, pictures, recording, summary."""

from __future__ import annotations

import os
import shutil
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from types import TracebackType
from typing import Any

import cv2
import numpy as np
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from geometry_msgs.msg import PoseStamped
from numpy.typing import NDArray
from sensor_msgs.msg import CameraInfo, Image
from tf2_msgs.msg import TFMessage
from vision_msgs.msg import Detection3D, Detection3DArray

from pose_estimation_ros.cli.json_output import json_text, write_whole
from pose_estimation_ros.core.camera import CameraIntrinsics
from pose_estimation_ros.drawing.shapes import draw_box
from pose_estimation_ros.evaluation.bag_results import box_size, frame_result
from pose_estimation_ros.evaluation.demo_report import (
    EstimatedObject,
    Row,
    TrueObject,
    compare,
    estimates_table,
    summarize,
    summary_text,
    table,
)
from pose_estimation_ros.evaluation.report import circumstances
from pose_estimation_ros.nodes.bag_writer import write_bag
from pose_estimation_ros.nodes.conversions import camera_intrinsics, pose_matrix, stamp_to_ns
from pose_estimation_ros.nodes.graph_listener import Arrival, GraphListener
from pose_estimation_ros.nodes.ros_compat import fastdds_environment

_COLOR, _DEPTH, _INFO = '/color/image_raw', '/depth/image_raw', '/color/camera_info'
_DETECTIONS, _OVERLAY, _TRUTH = '/object_detections', '/overlay/image', '/ground_truth_poses'
_POSES, _TF, _DIAGNOSTICS = '/object_poses', '/tf', '/diagnostics'
_TOPICS: dict[str, type] = {
    _COLOR: Image, _DEPTH: Image, _INFO: CameraInfo, _DETECTIONS: Detection3DArray,
    _OVERLAY: Image, _POSES: PoseStamped, _TF: TFMessage, _DIAGNOSTICS: DiagnosticArray}
_FORGOTTEN_AFTER_NS = 5_000_000_000
_TRUTH_COLOR = (255, 255, 255)


class DemoOutput:
    """Collects one complete result of every different picture.

    Attributes:
        folder: Of everything that is left behind.
        complaint: The worst that the newest diagnostics say.
        model_fault: Why the estimator's models cannot be loaded, None if nothing is wrong.
        is_active: Whether the estimator has loaded its models and takes images.
    """

    def __init__(self, folder: Path, domain_id: int, names: Mapping[int, str], *,
                 with_truth: bool) -> None:
        """Join the graph and make room for the results.

        Args:
            folder: For everything that is left behind; what an older run left is replaced.
            domain_id: ROS domain.
            names: Of recorded pictures by the checksum of their pixels; empty for simulated ones.
            with_truth: Wait for `ground_truth_poses` as well.
        """
        os.environ |= {'ROS_AUTOMATIC_DISCOVERY_RANGE': 'LOCALHOST', **fastdds_environment()}
        self.folder = folder
        self.complaint = 'nothing'
        self.model_fault: str | None = None
        self.is_active = False
        self._names = names
        self._topics = _TOPICS | ({_TRUTH: Detection3DArray} if with_truth else {})
        self._needed = [_COLOR, _INFO, _DETECTIONS, _OVERLAY, *([_TRUTH] if with_truth else [])]
        self._by_stamp: dict[int, dict[str, list[Arrival]]] = {}
        self._complete: dict[int, dict[str, list[Arrival]]] = {}
        self._result_times: list[int] = []
        self._diagnostics: list[Arrival] = []
        self._listener = GraphListener(self._topics, self._on_arrival, domain_id)

    @property
    def answered(self) -> int:
        """Number of different pictures with a complete result."""
        return len(self._complete)

    @property
    def measured_seconds(self) -> float:
        """Time between the first and the last result, seconds."""
        times = self._result_times
        return (times[-1] - times[0]) / 1e9 if times else 0.0

    def receive(self, seconds: float) -> None:
        """Receive messages for a while."""
        self._listener.spin_until(lambda: False, seconds)
        newest = max(self._by_stamp, default=0)
        self._by_stamp = {stamp: arrivals for stamp, arrivals in self._by_stamp.items()
                          if stamp > newest - _FORGOTTEN_AFTER_NS}

    def finish(self) -> str:
        """Write pictures, recording and summary; return the report for people."""
        results = list(self._complete.values())
        for made_before in ('overlays', 'recording'):
            shutil.rmtree(self.folder / made_before, ignore_errors=True)
        for number, arrivals in enumerate(results):
            self._write_overlay(number, arrivals)
        recorded = [arrival for arrivals in results for group in arrivals.values()
                    for arrival in group]
        write_bag(self.folder / 'recording', self._topics, recorded + self._diagnostics)
        rate = (len(self._result_times) - 1) / max(self.measured_seconds, 1e-9)
        text, summary = (self._compared(results, rate) if _TRUTH in self._topics
                         else self._listed(results, rate))
        content = json_text({**summary, **circumstances()})
        write_whole(self.folder / 'summary.json', f'{content}\n'.encode())
        return (f'{text}\n\nPictures, the recording (MCAP) and summary.json are in '
                f'{self.folder}')

    def __enter__(self) -> DemoOutput:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None,
                 trace: TracebackType | None) -> None:
        self._listener.close()

    def _on_arrival(self, arrival: Arrival) -> None:
        if arrival.topic == _DIAGNOSTICS:
            self._diagnostics.append(arrival)
            statuses = arrival.message.status
            self.complaint = max(statuses, key=lambda status: status.level).message
            self.model_fault = next(
                (status.message for status in statuses
                 if status.name.endswith(': model') and status.level == DiagnosticStatus.ERROR),
                None)
            self.is_active = any(status.name.endswith(': processing')
                                 and not status.message.startswith('not active')
                                 for status in statuses)
            return
        if arrival.topic == _DETECTIONS:
            self._result_times.append(arrival.time_ns)
        header = (arrival.message.transforms[0].header if arrival.topic == _TF
                  else arrival.message.header)
        group = self._by_stamp.setdefault(stamp_to_ns(header.stamp), {})
        group.setdefault(arrival.topic, []).append(arrival)
        if all(topic in group for topic in self._needed):
            self._complete.setdefault(_checksum(group), group)

    def _compared(self, results: Sequence[dict[str, list[Arrival]]],
                  rate: float) -> tuple[str, dict[str, Any]]:
        rows: list[Row] = []
        false_objects = 0
        for number, arrivals in enumerate(results):
            truth = [_true_object(d) for d in arrivals[_TRUTH][0].message.detections]
            frame_rows, unmatched = compare(number, truth, _estimates(arrivals),
                                            _latency(arrivals))
            rows += frame_rows
            false_objects += unmatched
        summary = summarize(rows, len(results), false_objects, rate)
        text = f'{table(rows)}\n\n{summary_text(summary, rows)}'
        return text, {'summary': asdict(summary), 'objects': [asdict(row) for row in rows]}

    def _listed(self, results: Sequence[dict[str, list[Arrival]]],
                rate: float) -> tuple[str, dict[str, Any]]:
        listed = {self._name(number, arrivals): (_estimates(arrivals), _latency(arrivals))
                  for number, arrivals in enumerate(results)}
        entries = [{'frame': name, 'category': pose.category, 'score': pose.score,
                    'T_camera_object': pose.T_camera_object.tolist(), 'size': pose.size.tolist(),
                    'latency_ms': latency}
                   for name, (poses, latency) in listed.items() for pose in poses]
        text = (f'{estimates_table(listed)}\n\n{len(listed)} frames, {len(entries)} objects, '
                f'{rate:.2f} results per second')
        return text, {'rate': rate, 'objects': entries}

    def _name(self, number: int, arrivals: dict[str, list[Arrival]]) -> str:
        return self._names.get(_checksum(arrivals), f'{number:03d}')

    def _write_overlay(self, number: int, arrivals: dict[str, list[Arrival]]) -> None:
        message = arrivals[_OVERLAY][0].message
        image = np.frombuffer(message.data, np.uint8).reshape(message.height, message.width, 3)
        image = image.copy()
        if _TRUTH in arrivals:
            _draw_truth(image, camera_intrinsics(arrivals[_INFO][0].message),
                        arrivals[_TRUTH][0].message.detections)
        path = self.folder / 'overlays' / f'{self._name(number, arrivals)}.png'
        path.parent.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(path), cv2.cvtColor(image, cv2.COLOR_RGB2BGR))


def _draw_truth(image: NDArray[np.uint8], intrinsics: CameraIntrinsics,
                detections: Sequence[Detection3D]) -> None:
    """Draw thin white boxes where the objects really are."""
    for detection in detections:
        true = _true_object(detection)
        draw_box(image, intrinsics, true.T_camera_object, true.size, _TRUTH_COLOR, thickness=1)


def _true_object(detection: Detection3D) -> TrueObject:
    shares = {result.hypothesis.class_id: result.hypothesis.score for result in detection.results}
    category = detection.results[0].hypothesis.class_id
    return TrueObject(detection.id, category, pose_matrix(detection.bbox.center),
                      box_size(detection), shares[category],
                      shares.get(f'{category}/handle', float('nan')))


def _estimates(arrivals: dict[str, list[Arrival]]) -> list[EstimatedObject]:
    arrival = arrivals[_DETECTIONS][0]
    return list(frame_result(arrival.message, arrival.time_ns).objects)


def _checksum(arrivals: dict[str, list[Arrival]]) -> int:
    """Return what tells one picture from another, whenever it is shown."""
    return zlib.crc32(arrivals[_COLOR][0].message.data)


def _latency(arrivals: dict[str, list[Arrival]]) -> float:
    """Return the milliseconds from the stamp of the image to the arrival of its result."""
    arrival = arrivals[_DETECTIONS][0]
    return (arrival.time_ns - stamp_to_ns(arrival.message.header.stamp)) / 1e6
