"""The running graph in Rerun."""

from __future__ import annotations

from collections.abc import Callable
from types import TracebackType

from diagnostic_msgs.msg import DiagnosticStatus

from pose_estimation_ros.core.errors import InvalidInputError
from pose_estimation_ros.nodes.conversions import stamp_to_ns
from pose_estimation_ros.nodes.estimator_topics import EstimatorTopic
from pose_estimation_ros.nodes.graph_listener import Arrival, GraphListener
from pose_estimation_ros.nodes.message_types import message_type
from pose_estimation_ros.viewing.grasp_messages import GRASPS, RecentGrasps
from pose_estimation_ros.viewing.live_frames import LiveFrames
from pose_estimation_ros.viewing.rerun_log import RerunLog
from pose_estimation_ros.viewing.seen_frame import SeenFrame
from pose_estimation_ros.viewing.warnings_log import stage_milliseconds

_DIAGNOSTICS = '/diagnostics'


class LiveView:
    """Listens to an estimator and its camera and shows both."""

    def __init__(self, log: RerunLog, *, with_grasps: bool, rectified: bool) -> None:
        """Join the graph.

        Args:
            log: Where it is shown.
            with_grasps: Listen to grasps, so that the estimator plans them.
            rectified: The images are rectified by the driver.
        """
        self.count = 0
        self._log = log
        self._with_grasps = with_grasps
        self._rectified = rectified
        self._listener = GraphListener({}, self._on_arrival)
        self._topics: list[EstimatorTopic] = []
        self._frames: LiveFrames | None = None
        self._grasps = RecentGrasps()
        self._frame_id = ''
        self._said: dict[str, str] = {}

    def find(self, estimator: str, timeout: float, is_stopped: Callable[[], bool]) -> bool:
        """Subscribe to an estimator's topics; return whether it is active within `timeout` s."""
        return self._listener.spin_until(
            lambda: is_stopped() or self._subscribe(estimator), timeout)

    def show(self, seconds: float, is_stopped: Callable[[], bool]) -> None:
        """Show what passes, for a time or until `is_stopped` says so."""
        self._listener.spin_until(is_stopped, seconds)

    def __enter__(self) -> LiveView:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None,
                 trace: TracebackType | None) -> None:
        self._listener.close()

    def _subscribe(self, estimator: str) -> bool:
        before, self._topics = self._topics, self._listener.topics_of(estimator)
        topics = self._topics
        frames = LiveFrames(topics, self._on_frame, rectified=self._rectified)
        # Topics become known one by one: that of depth may be the last.
        if not frames.is_complete or topics != before:
            return False
        self._frames = frames
        wanted = frames.names | {_DIAGNOSTICS}
        if self._with_grasps:
            wanted |= {topic.name for topic in topics if topic.name.rpartition('/')[2] == GRASPS}
        self._listener.subscribe({topic.name: message_type(topic.message_type)
                                  for topic in topics if topic.name in wanted})
        return True

    def _on_frame(self, seen: SeenFrame) -> None:
        self.count += 1
        self._frame_id = seen.frame.frame_id
        self._log.log_frame(
            seen, self._grasps.of_frame(seen.frame.stamp_ns, seen.frame.frame_id))

    def _on_arrival(self, arrival: Arrival) -> None:
        if arrival.topic == _DIAGNOSTICS:
            self._log_diagnostics(arrival)
        elif arrival.topic.rpartition('/')[2] == GRASPS:
            stamp_ns = self._grasps.add(arrival.message)
            self._log.log_grasps(stamp_ns, self._grasps.of_frame(stamp_ns, self._frame_id))
        elif self._frames is not None:
            try:
                self._frames.add(arrival)
            except InvalidInputError as error:
                # The next frame may be better.
                self._log.log_complaint(stamp_to_ns(arrival.message.header.stamp), str(error),
                                        is_error=True)

    def _log_diagnostics(self, arrival: Arrival) -> None:
        """Show times, and each sentence of a part once as long as it stays the same."""
        stamp_ns = stamp_to_ns(arrival.message.header.stamp)
        self._log.log_stages(stamp_ns, stage_milliseconds(arrival.message))
        for status in arrival.message.status:
            is_news = self._said.get(status.name) != status.message
            self._said[status.name] = status.message
            if is_news and status.level != DiagnosticStatus.OK:
                self._log.log_complaint(stamp_ns, f'{status.name}: {status.message}',
                                        is_error=status.level != DiagnosticStatus.WARN)
