"""What happens to frames while the node is active: read, segment, estimate, publish, answer."""

from __future__ import annotations

import threading
import time
import traceback
from collections.abc import Callable, Collection
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray
from rclpy.lifecycle import LifecycleNode
from rclpy.task import Future

from pose_estimation_ros.core.errors import PoseEstimationError
from pose_estimation_ros.core.frame import RGBDFrame
from pose_estimation_ros.nodes.diagnostics import Monitor
from pose_estimation_ros.nodes.frame_input import FrameInput, RawFrame
from pose_estimation_ros.nodes.naming import object_name
from pose_estimation_ros.nodes.publishers import ResultPublisher
from pose_estimation_ros.nodes.ros_compat import TransformLookup
from pose_estimation_ros.nodes.settings import EstimatorSettings
from pose_estimation_ros.nodes.worker import TwoStageWorker
from pose_estimation_ros.pipeline import Pipeline, PipelineResult, SegmentedFrame


@dataclass(frozen=True)
class Answer:
    """What a caller of ~/estimate is told."""

    success: bool
    message: str


@dataclass(frozen=True)
class _Job:
    """A frame on its way, and the callers of ~/estimate who wait for it."""

    raw: RawFrame
    requests: tuple[Future[Answer], ...]


@dataclass(frozen=True)
class _HalfJob:
    """A segmented frame and where its results go."""

    segmented: SegmentedFrame
    frame_id: str
    T_output_camera: NDArray[np.float64] = field(repr=False)
    requests: tuple[Future[Answer], ...] = ()


class _JobError(Exception):
    """A stage failed; carries those who wait for its job."""

    def __init__(self, cause: Exception, requests: tuple[Future[Answer], ...]) -> None:
        super().__init__(str(cause))
        self.cause = cause
        self.requests = requests


class EstimationSession:
    """Everything between one activation and the next deactivation."""

    def __init__(self, node: LifecycleNode, settings: EstimatorSettings, pipeline: Pipeline,
                 transforms: TransformLookup | None, monitor: Monitor,
                 log_fault: Callable[[str], None]) -> None:
        """Subscribe, publish and start the worker's threads.

        Args:
            node: Owner of subscriptions and publishers.
            settings: Of the node.
            pipeline: Loaded models; stays the caller's.
            transforms: Looks up `output_frame`; None if it is not set.
            monitor: Is told about every frame.
            log_fault: Logs the reason why a frame gave no result.
        """
        pipeline.reset_tracks()
        self._started = time.monotonic()
        self._node = node
        self._settings = settings
        self._pipeline = pipeline
        self._transforms = transforms
        self._monitor = monitor
        self._log_fault = log_fault
        self._requests: dict[Future[Answer], float] = {}
        self._unanswered: set[Future[Answer]] = set()
        self._requests_lock = threading.Lock()
        labels = pipeline.backend.categories if settings.publish_per_label else ()
        self._publisher = ResultPublisher(node, replace(settings.output, per_label=labels))
        self._worker: TwoStageWorker[_Job, _HalfJob] = TwoStageWorker(
            self._segment, self._estimate, self._on_error)
        try:
            options = replace(settings.input, depth=pipeline.depth_use)
            self._frames = FrameInput(node, options, monitor, self._on_frame, self._report)
        except Exception:
            self._worker.stop()
            self._publisher.destroy()
            raise

    def request(self) -> Future[Answer]:
        """Ask for what comes of the next frame; called in the executor's thread."""
        future: Future[Answer] = Future(executor=self._node.executor)
        with self._requests_lock:
            self._requests[future] = time.monotonic()
            self._unanswered.add(future)
        return future

    def expire_requests(self, reason: str) -> None:
        """Answer callers for whom no frame came in the time that inputs may be silent."""
        oldest = time.monotonic() - self._settings.silence
        with self._requests_lock:
            expired = [future for future, asked in self._requests.items() if asked < oldest]
            for future in expired:
                del self._requests[future]
        self._answer(expired, Answer(success=False, message=f'no frame came: {reason}'))

    @property
    def is_settled(self) -> bool:
        """Whether inputs have had the time that they may be silent to arrive."""
        return time.monotonic() - self._started > self._settings.silence

    def input_problem(self) -> str | None:
        """Return why no frame comes, None if all inputs arrive."""
        return self._monitor.input_problem(
            self._frames.facts(), self._node.get_clock().now().nanoseconds,
            round(self._settings.silence * 1e9))

    def close(self) -> None:
        """Unsubscribe, finish the frames in flight and take the markers away."""
        self._frames.destroy()
        self._worker.stop()
        if self._node.context.ok():
            self._publisher.delete_markers()
        self._publisher.destroy()
        # This includes those who wait for a frame that the worker did not take any more.
        self._answer(tuple(self._unanswered),
                     Answer(success=False, message='the node was deactivated'))

    def _on_frame(self, raw: RawFrame) -> None:
        """Hand the newest frame to the worker. Runs in the executor's thread."""
        requests = self._take_requests()
        if self._settings.on_demand and not requests:
            self._monitor.dropped('not requested')
            return
        dropped = self._worker.submit(_Job(raw, requests))
        if dropped is not None:
            self._monitor.dropped('newer frame came')
            # Whoever waited for the dropped frame is answered with the next one.
            with self._requests_lock:
                self._requests |= dict.fromkeys(dropped.requests, time.monotonic())

    def _take_requests(self) -> tuple[Future[Answer], ...]:
        with self._requests_lock:
            requests = tuple(self._requests)
            self._requests.clear()
        return requests

    def _segment(self, job: _Job) -> _HalfJob:
        """Read and segment a frame. Runs in the worker's first thread."""
        try:
            frame = job.raw.read(rectified=self._settings.input.rectified)
            frame_id, T_output_camera = self._output_frame(frame)
            return _HalfJob(self._pipeline.segment(frame), frame_id, T_output_camera,
                            job.requests)
        except Exception as error:
            raise _JobError(error, job.requests) from error

    def _output_frame(self, frame: RGBDFrame) -> tuple[str, NDArray[np.float64]]:
        """Return the outputs' frame and the transform into it, looked up before inference."""
        target = self._settings.output_frame
        if self._transforms is None or not target:
            return frame.frame_id, np.eye(4)
        return target, self._transforms.lookup(target, frame.frame_id, frame.stamp_ns,
                                               self._settings.tf_timeout)

    def _estimate(self, half: _HalfJob) -> None:
        """Estimate and publish. Runs in the worker's second thread."""
        try:
            result = self._pipeline.estimate(half.segmented)
            started = time.perf_counter()
            # A signal may have shut ROS down meanwhile; then nobody listens any more.
            if self._node.context.ok():
                if self._settings.publish_per_label:
                    # Known objects may have been added since the start.
                    self._publisher.offer_labels(pose.label for pose in result.poses)
                self._publisher.publish(result, half.frame_id, half.T_output_camera)
        except Exception as error:
            raise _JobError(error, half.requests) from error
        now_ns = self._node.get_clock().now().nanoseconds
        timings = {**result.timings, 'publish': time.perf_counter() - started,
                   'latency': (now_ns - result.frame.stamp_ns) / 1e9}
        self._monitor.finished(now_ns, len(result.poses), result.dropped, timings)
        self._answer(half.requests, Answer(success=True, message=_summary(result)))

    def _on_error(self, error: Exception) -> None:
        cause = error.cause if isinstance(error, _JobError) else error
        sentence = str(cause)
        if not isinstance(cause, PoseEstimationError):
            sentence = f'internal error: {cause!r}'
            self._node.get_logger().error(''.join(traceback.format_exception(cause)))
        self._report(sentence)
        if isinstance(error, _JobError):
            self._answer(error.requests, Answer(success=False, message=sentence))

    def _report(self, sentence: str) -> None:
        self._monitor.fault(sentence)
        self._log_fault(sentence)

    def _answer(self, requests: Collection[Future[Answer]], answer: Answer) -> None:
        for future in requests:
            self._unanswered.discard(future)
            future.set_result(answer)
        if requests and self._node.executor is not None:
            self._node.executor.wake()


def _summary(result: PipelineResult) -> str:
    names = ', '.join(object_name(pose, index) for index, pose in enumerate(result.poses))
    return f'{len(result.poses)} objects' + (f': {names}' if names else '')
