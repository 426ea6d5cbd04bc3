"""What happens to frames while the node is active: read, segment, estimate, publish, answer."""

from __future__ import annotations

import threading
import time
import traceback
from collections import Counter
from collections.abc import Callable, Collection, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray
from rclpy.node import Node
from rclpy.task import Future

from pose_estimation_ros.core.camera import turned_camera
from pose_estimation_ros.core.errors import InvalidInputError, PoseEstimationError
from pose_estimation_ros.core.frame import RGBDFrame
from pose_estimation_ros.core.se3 import inverse
from pose_estimation_ros.nodes.conversions import stamp_to_ns
from pose_estimation_ros.nodes.depth_registrar import DepthRegistrar
from pose_estimation_ros.nodes.diagnostics import FrameOutcome, Monitor
from pose_estimation_ros.nodes.frame_input import FrameInput, RawFrame
from pose_estimation_ros.nodes.input_health import Problem
from pose_estimation_ros.nodes.naming import object_name
from pose_estimation_ros.nodes.publishers import ResultPublisher
from pose_estimation_ros.nodes.ros_compat import TransformLookup
from pose_estimation_ros.nodes.settings import EstimatorSettings
from pose_estimation_ros.nodes.worker import TwoStageWorker
from pose_estimation_ros.pipeline import (
    Pipeline,
    PipelineResult,
    SegmentedFrame,
    Surroundings,
)

# A stage that is longer at one frame is worth an error, seconds.
_SLOWEST_FRAME = 10.0


@dataclass(frozen=True)
class Answer:
    """What a caller of a service is told."""

    success: bool
    message: str


@dataclass(frozen=True)
class _Job:
    """A frame on its way, and the callers of ~/estimate who wait for it.

    Attributes:
        raw: The frame.
        requests: The callers.
        arrived: When it came, `time.monotonic()`.
        T_output_camera: (4, 4) into the outputs' frame; None if TF did not know it yet.
    """

    raw: RawFrame
    requests: tuple[Future[Answer], ...]
    arrived: float
    T_output_camera: NDArray[np.float64] | None = field(repr=False)


@dataclass(frozen=True)
class _HalfJob:
    """A segmented frame and where its results go."""

    segmented: SegmentedFrame
    frame_id: str
    T_output_camera: NDArray[np.float64] = field(repr=False)
    requests: tuple[Future[Answer], ...] = ()
    timings: Mapping[str, float] = field(default_factory=dict)
    unused_depth: str = ''


class _JobError(Exception):
    """A stage failed; carries those who wait for its job."""

    def __init__(self, cause: BaseException, requests: tuple[Future[Answer], ...]) -> None:
        super().__init__(str(cause))
        self.cause = cause
        self.requests = requests


class EstimationSession:
    """Everything between one activation and the next deactivation."""

    def __init__(self, node: Node, settings: EstimatorSettings, pipeline: Pipeline,
                 transforms: TransformLookup | None, monitor: Monitor,
                 log_fault: Callable[[str], None]) -> None:
        """Subscribe, publish and start the worker's threads.

        Args:
            node: Owner of subscriptions and publishers.
            settings: Of the node.
            pipeline: Loaded models; stays the caller's.
            transforms: Looks up TF; None if the settings need none of it.
            monitor: Is told about every frame.
            log_fault: Logs the reason why a frame gave no result.
        """
        pipeline.reset_tracks()
        self._started = time.monotonic()
        self._node = node
        self._settings = settings
        self._pipeline = pipeline
        self._transforms = transforms
        self._registrar = (DepthRegistrar(self._place_of_depth) if settings.input.register
                           else None)
        self._monitor = monitor
        self._log_fault = log_fault
        self._is_fallback = False
        self._is_closed = False
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

    def input_health(self) -> tuple[list[Problem], dict[str, str]]:
        """Return what is wrong with the inputs, and a table of what is known of each."""
        facts = self._frames.facts()
        now_ns = self._node.get_clock().now().nanoseconds
        return (self._monitor.input_problems(facts, now_ns, round(self._settings.silence * 1e9)),
                self._monitor.input_values(facts, now_ns))

    def trouble(self) -> str | None:
        """Return what is wrong with the threads that process frames, None if nothing is."""
        return self._worker.trouble(_SLOWEST_FRAME)

    def at_work(self) -> dict[str, str]:
        """Return a table of the seconds that each stage has been at work on its frame."""
        return {f'at_work.{stage}': f'{seconds:.1f}'
                for stage, seconds in self._worker.at_work().items()}

    def retune(self, settings: EstimatorSettings) -> None:
        """Follow other settings from the next frame on, as far as they change at any time."""
        self._settings = settings
        self._frames.retune(settings.input.slop_ns, settings.input.patience_ns)
        self._publisher.retune(settings.output)

    def stop_input(self) -> None:
        """Unsubscribe; frames in flight go on. Called in the executor's thread."""
        self._frames.destroy()

    def finish(self, timeout: float) -> bool:
        """Wait for the frames in flight; any thread may.

        Args:
            timeout: Longest wait, seconds.

        Returns:
            Whether they are finished. Otherwise a stage goes on with the models.
        """
        return self._worker.stop(timeout)

    def close(self) -> None:
        """Take the markers away and end everything; frames still in flight give no result."""
        self._is_closed = True
        self._frames.destroy()
        if self._node.context.ok():
            self._publisher.delete_markers()
        self._publisher.destroy()
        # This includes those who wait for a frame that the worker did not take any more.
        self._answer(tuple(self._unanswered),
                     Answer(success=False, message='the node was deactivated'))

    def _on_frame(self, raw: RawFrame) -> None:
        """Hand the newest frame to the worker. Runs in the executor's thread."""
        header = raw.color.header
        stamp_ns = stamp_to_ns(header.stamp)
        if self._transforms is not None:
            self._transforms.arrived(stamp_ns)
        age = (self._node.get_clock().now().nanoseconds - stamp_ns) / 1e9
        if self._is_stale(age):
            self._report(_staleness(age, self._settings.max_age), 'stale')
            return
        requests = self._take_requests()
        if self._settings.on_demand and not requests:
            self._monitor.dropped('not requested')
            return
        waiting = self._worker.withdraw()
        if waiting is not None:
            self._monitor.dropped('newer frame came')
            # Whoever waited for it is answered with this one.
            requests = waiting.requests + requests
        T_output_camera = None
        with suppress(InvalidInputError):  # The worker waits for what TF does not know yet.
            T_output_camera = self._place(header.frame_id, stamp_ns)
        self._worker.submit(_Job(raw, requests, time.monotonic(), T_output_camera))

    def _take_requests(self) -> tuple[Future[Answer], ...]:
        with self._requests_lock:
            requests = tuple(self._requests)
            self._requests.clear()
        return requests

    def _segment(self, job: _Job) -> _HalfJob:
        """Read and segment a frame. Runs in the worker's first thread."""
        try:
            started = time.perf_counter()
            queued = time.monotonic() - job.arrived
            frame, unused_depth = self._read(job.raw)
            read = time.perf_counter()
            T_output_camera = job.T_output_camera
            if T_output_camera is None:
                T_output_camera = self._place(frame.frame_id, frame.stamp_ns,
                                              max(0.0, self._settings.tf_timeout - queued))
            # Turned images are those of a turned camera.
            T_output_camera = T_output_camera @ inverse(
                turned_camera(self._settings.input.quarters))
            timings = {'queue': queued, 'read': read - started, 'tf': time.perf_counter() - read}
            return _HalfJob(self._pipeline.segment(frame),
                            self._settings.output_frame or frame.frame_id, T_output_camera,
                            job.requests, timings, unused_depth)
        except BaseException as error:
            raise _JobError(error, job.requests) from error

    def _read(self, raw: RawFrame) -> tuple[RGBDFrame, str]:
        """Return a frame, and why its depth is left out if it cannot be used and need not be.

        Raises:
            InvalidInputError: If anything else cannot be used, or depth is needed.
        """
        options = self._settings.input
        if self._pipeline.depth_use != 'if_any':
            return raw.read(rectified=options.rectified, quarters=options.quarters,
                            registrar=self._registrar), ''
        frame, fault = raw.read_usable(rectified=options.rectified, quarters=options.quarters,
                                       registrar=self._registrar)
        return frame, fault and f'{fault}. Meanwhile poses come from colour alone'

    def _place(self, frame_id: str, stamp_ns: int, timeout: float = 0.0) -> NDArray[np.float64]:
        """Return the (4, 4) transform from the camera's frame into the outputs' frame.

        Raises:
            InvalidInputError: If TF does not know it within `timeout` seconds.
        """
        if self._transforms is None or not self._settings.output_frame:
            return np.eye(4)
        return self._transforms.lookup(self._settings.output_frame, frame_id, stamp_ns, timeout)

    def _place_of_depth(self, color_frame: str, depth_frame: str,
                        stamp_ns: int) -> NDArray[np.float64]:
        """Return the (4, 4) transform from the depth camera's frame into the colour camera's."""
        assert self._transforms is not None
        return self._transforms.lookup(color_frame, depth_frame, stamp_ns,
                                       self._settings.tf_timeout, 'depth.register')

    def _is_stale(self, age: float) -> bool:
        """Return whether a stamp differs too much from the clock, if somebody publishes one."""
        limit = self._settings.max_age
        return 0.0 < limit < abs(age) and self._node.get_clock().now().nanoseconds > 0

    def _estimate(self, half: _HalfJob) -> None:
        """Estimate and publish. Runs in the worker's second thread."""
        try:
            # In a frame that does not move with the camera, objects are followed more surely.
            is_fixed = bool(self._settings.output_frame)
            result = self._pipeline.estimate(half.segmented,
                                             half.T_output_camera if is_fixed else None)
            if self._is_closed:  # The node has not waited for this frame.
                return
            if self._publisher.wants_grasps:
                result = self._pipeline.plan_grasps(
                    result, self._surroundings(result, half.T_output_camera))
            started = time.perf_counter()
            # A signal may have shut ROS down meanwhile; then nobody listens any more.
            if self._node.context.ok():
                if self._settings.publish_per_label:
                    self._offer_labels(result)
                self._publisher.publish(result, half.frame_id, half.T_output_camera)
        except BaseException as error:
            raise _JobError(error, half.requests) from error
        now_ns = self._node.get_clock().now().nanoseconds
        timings = {**half.timings, **result.timings, 'publish': time.perf_counter() - started,
                   'latency': (now_ns - result.frame.stamp_ns) / 1e9}
        why = result.fallback or half.unused_depth
        self._monitor.finished(now_ns, replace(_outcome(result), fallback=why), timings)
        self._tell_fallback(why)
        self._answer(half.requests, Answer(success=True, message=_summary(result)))

    def _offer_labels(self, result: PipelineResult) -> None:
        """Let known objects that were added since the start have topics from the next frame on."""
        labels = self._publisher.without_topics(pose.label for pose in result.poses)
        if not labels:
            return

        def offer() -> None:
            if self._is_closed:
                return
            try:
                self._publisher.offer_labels(labels)
            except Exception as error:  # It would end the executor.
                self._on_error(error)

        self._node.executor.create_task(offer)

    def _surroundings(self, result: PipelineResult,
                      T_output_camera: NDArray[np.float64]) -> Surroundings:
        """Return where up and the robot are: by the output frame if there is one."""
        if self._settings.output_frame and self._settings.grasps_up == 'auto':
            T_camera_output = inverse(T_output_camera)
            return Surroundings(T_camera_output[:3, 2], T_camera_output[:3, 3])
        return Surroundings(result.frame.up)

    def _tell_fallback(self, sentence: str) -> None:
        """Log when poses begin to come from the fallback, and when they no longer do."""
        if sentence and not self._is_fallback:
            self._node.get_logger().warning(sentence)
        elif self._is_fallback and not sentence:
            self._node.get_logger().info('depth is back: poses come from backend '
                                         f'{self._pipeline.backend.name} again')
        self._is_fallback = bool(sentence)

    def _on_error(self, error: BaseException) -> None:
        if self._is_closed:
            return
        cause = error.cause if isinstance(error, _JobError) else error
        sentence, reason = str(cause), 'bad input'
        if isinstance(cause, MemoryError):
            reason = 'out of memory'
            sentence = (f'this computer is out of memory ({cause}); end other programs, or choose '
                        'a smaller model or image')
        elif not isinstance(cause, PoseEstimationError):
            sentence, reason = f'internal error: {cause!r}', 'internal error'
            self._node.get_logger().error(''.join(traceback.format_exception(cause)))
        self._report(sentence, reason)
        if isinstance(error, _JobError):
            self._answer(error.requests, Answer(success=False, message=sentence))

    def _report(self, sentence: str, reason: str = 'bad input') -> None:
        self._monitor.fault(sentence, reason)
        self._log_fault(sentence)

    def _answer(self, requests: Collection[Future[Answer]], answer: Answer) -> None:
        with self._requests_lock:
            waiting = self._unanswered.intersection(requests)
            self._unanswered -= waiting
        for future in waiting:
            future.set_result(answer)
        if waiting and self._node.executor is not None:
            self._node.executor.wake()


def _staleness(age: float, limit: float) -> str:
    where = f'{age:.3g} s behind' if age > 0 else f'{-age:.3g} s ahead of'
    return (f"the stamps of the images are {where} the node's clock when they arrive, more than "
            f'max_age {limit:g} s; synchronise the clocks of camera and node (NTP, PTP), play a '
            'bag with --clock and use_sim_time:=true, or set max_age to 0 to take any stamp')


def _outcome(result: PipelineResult) -> FrameOutcome:
    agreements = {object_name(pose, index): pose.agreement
                  for index, pose in enumerate(result.poses)}
    tracks = Counter(track.state.value for track in result.tracks)
    return FrameOutcome(len(result.poses), result.dropped, result.fallback, agreements, tracks)


def _summary(result: PipelineResult) -> str:
    names = ', '.join(object_name(pose, index) for index, pose in enumerate(result.poses))
    return f'{len(result.poses)} objects' + (f': {names}' if names else '')
