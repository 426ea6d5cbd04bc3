"""The node that records what an estimator reads and writes, as an MCAP that can be replayed."""

from __future__ import annotations

import json
import re
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from diagnostic_msgs.msg import DiagnosticArray
from rclpy.clock import Clock, ClockType
from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy
from rclpy.subscription import Subscription

from pose_estimation_ros import __version__
from pose_estimation_ros.core.errors import ConfigurationError
from pose_estimation_ros.nodes.diagnostics import ERROR, OK, WARN, status_message
from pose_estimation_ros.nodes.estimator_topics import estimator_topics
from pose_estimation_ros.nodes.message_types import message_type
from pose_estimation_ros.nodes.parameter_watch import ParameterWatch
from pose_estimation_ros.nodes.parameters import ESTIMATOR_PARAMETERS, declare, values_of
from pose_estimation_ros.nodes.recording import RecordedMessage, Recording, RecordingLimits
from pose_estimation_ros.nodes.recording_parameters import (
    PARAMETERS_NOTE,
    RECORDER_PARAMETERS,
    VERSION_NOTE,
)
from pose_estimation_ros.nodes.spinning import run_node

_QUEUE = 50
_LOOK_SECONDS = 0.5
_MEGABYTE = 1_000_000
# Always published for those who come later, too.
_LATCHED = '/tf_static'
# The estimator makes these only if somebody listens; most can be made again from the rest.
_LAZY = re.compile('overlay/image|object_markers|object_points|grasp_(poses|candidates)(/.*)?')


class Recorder(Node):
    """Finds the topics of an estimator in the graph and writes all their messages to a bag."""

    def __init__(self) -> None:
        """Open the bag.

        Raises:
            ConfigurationError: If the bag's folder exists or cannot be made, or rosbags is not
                installed.
        """
        try:
            from pose_estimation_ros.nodes.bag_writer import BagWriter
        except ModuleNotFoundError as error:
            raise ConfigurationError('recording needs rosbags, which is not installed; run pip '
                                     'install rosbags') from error
        super().__init__('recorder')
        declare(self, RECORDER_PARAMETERS)
        values = values_of(self, RECORDER_PARAMETERS)
        self._with_lazy: bool = values['lazy_outputs']
        self._extra = {self.resolve_topic_name(topic.strip())
                       for topic in values['extra_topics'].split(',') if topic.strip()}
        namespace, _, self._estimator = values['estimator'].rpartition('/')
        self._namespace = namespace or self.get_namespace()
        self.folder = Path(values['output'] or _dated_name()).expanduser()
        self._recording = Recording(
            BagWriter(self.folder, compressed=values['compression']),
            RecordingLimits(values['buffer'] * _MEGABYTE, values['min_free'] * _MEGABYTE))
        self._recording.note(VERSION_NOTE, __version__)
        self._subscriptions_by_topic: dict[str, Subscription[Any]] = {}
        self._unknown: set[str] = set()
        self._early: dict[str, deque[RecordedMessage]] = {}
        self._told: str | None = None
        self._noted: Mapping[str, Any] = {}
        self._parameter_watch = ParameterWatch(
            self, f'{self._namespace.rstrip("/")}/{self._estimator}',
            [spec.name for spec in ESTIMATOR_PARAMETERS], self._keep_parameters)
        self._diagnostics = self.create_publisher(DiagnosticArray, '/diagnostics', 10)
        # A steady clock: it must go on when /clock stands still.
        self._timer = self.create_timer(_LOOK_SECONDS, self._look,
                                        clock=Clock(clock_type=ClockType.STEADY_TIME))

    def start(self) -> None:
        """Say where the bag is, and look at the graph at once."""
        self.get_logger().info(f'records {self._namespace.rstrip("/")}/{self._estimator} to '
                               f'{self.folder.resolve()}')
        self._look()

    def close(self) -> None:
        """Write what is waiting and make the bag whole."""
        self._timer.cancel()
        self._recording.close()
        status = self._recording.status()
        count = sum(status.messages.values())
        self.get_logger().info(
            status.fault or f'{count} messages, {status.megabytes:.1f} MB are in {self.folder}')

    def _look(self) -> None:
        """Subscribe to topics that have appeared, and tell how the recording goes."""
        for topic, name in self._wanted_topics():
            if topic in self._subscriptions_by_topic or topic in self._unknown:
                continue
            try:
                self._subscribe(topic, name)
            except ConfigurationError as error:
                self._unknown.add(topic)
                self.get_logger().warning(f'{topic} is not recorded: {error}')
        self._parameter_watch.look()
        if time_ns := self.get_clock().now().nanoseconds:
            self._add_early(time_ns)
        self._tell()

    def _wanted_topics(self) -> Iterator[tuple[str, str]]:
        prefix = f'{self._namespace.rstrip("/")}/'
        for topic in estimator_topics(self, self._estimator, self._namespace):
            is_lazy = not topic.is_input and _LAZY.fullmatch(topic.name.removeprefix(prefix))
            if self._with_lazy or not is_lazy:
                yield topic.name, topic.message_type
        if self._extra:
            for name, types in self.get_topic_names_and_types():
                if name in self._extra:
                    yield name, types[0]

    def _subscribe(self, topic: str, name: str) -> None:
        """Subscribe as all publishers of a topic allow."""
        offered = [info.qos_profile for info in self.get_publishers_info_by_topic(topic)]
        images = name.startswith('sensor_msgs/')
        # Cameras are not to wait for a recorder.
        reliable = topic.endswith(_LATCHED) or (not images and bool(offered) and all(
            qos.reliability == ReliabilityPolicy.RELIABLE for qos in offered))
        # The estimator may listen to it before anybody is seen who publishes it.
        latched = topic.endswith(_LATCHED) or (bool(offered) and all(
            qos.durability == DurabilityPolicy.TRANSIENT_LOCAL for qos in offered))
        qos = QoSProfile(
            depth=_QUEUE,
            reliability=(ReliabilityPolicy.RELIABLE if reliable
                         else ReliabilityPolicy.BEST_EFFORT),
            durability=(DurabilityPolicy.TRANSIENT_LOCAL if latched
                        else DurabilityPolicy.VOLATILE))
        receiver = self._receiver(topic, name, latched=latched)
        self._subscriptions_by_topic[topic] = self.create_subscription(
            message_type(name), topic, receiver, qos, raw=True)

    def _receiver(self, topic: str, name: str, *, latched: bool) -> Callable[[bytes], None]:
        clock, add = self.get_clock(), self._recording.add

        def receive(data: bytes) -> None:
            # With use_sim_time it is 0 until the first /clock: nobody knows when that was.
            if time_ns := clock.now().nanoseconds:
                self._add_early(time_ns)
                add(RecordedMessage(topic, name, time_ns, data, latched))
            elif latched:
                # It does not come again, and holds for all that follows.
                early = self._early.setdefault(topic, deque(maxlen=_QUEUE))
                early.append(RecordedMessage(topic, name, 0, data, latched))

        return receive

    def _add_early(self, time_ns: int) -> None:
        """Record what came before time was known, as of the first time that is."""
        while self._early:
            for message in self._early.popitem()[1]:
                self._recording.add(replace(message, time_ns=time_ns))

    def _keep_parameters(self, values: Mapping[str, Any]) -> None:
        """Keep the estimator's parameters in the bag: with them its poses can be made again."""
        if not self._noted:
            self.get_logger().info(f'has the parameters of {self._estimator}')
        changes = [f'{name} from {before} to {values[name]}'
                   for name, before in self._noted.items() if values.get(name) != before]
        if changes:
            # A bag has one set of them.
            self.get_logger().warning(f'{self._estimator} changed {", ".join(changes)}; the bag '
                                      'keeps the newer values for all of its messages')
        self._noted = values
        self._recording.note(PARAMETERS_NOTE, json.dumps(values))

    def _tell(self) -> None:
        status = self._recording.status()
        if status.fault is not None and self._told is None:
            self._told = status.fault
            self.get_logger().error(status.fault)
        level, sentence = OK, f'records to {self.folder}'
        if status.fault is not None:
            level, sentence = ERROR, status.fault
        elif not self._subscriptions_by_topic:
            level, sentence = WARN, (f'there is no node {self._estimator} in namespace '
                                     f'{self._namespace}; start it, or set the parameter '
                                     'estimator')
        elif status.refused:
            level, sentence = WARN, '; '.join(status.refused.values())
        elif status.dropped:
            level, sentence = WARN, (f'{status.dropped} messages came faster than the disk takes '
                                     'them; set compression of the recorder to false, or record '
                                     'fewer topics')
        message = DiagnosticArray(status=[status_message(
            f'{self.get_name()}: recording', self.get_fully_qualified_name(), level, sentence,
            {'megabytes': f'{status.megabytes:.1f}', 'dropped': str(status.dropped),
             **{topic: str(status.messages.get(topic, 0))
                for topic in sorted(self._subscriptions_by_topic)}})])
        message.header.stamp = self.get_clock().now().to_msg()
        self._diagnostics.publish(message)


def _dated_name() -> str:
    return f'recording_{datetime.now(tz=timezone.utc):%Y_%m_%d-%H_%M_%S}'


def main() -> None:
    """Run the node until SIGINT or SIGTERM."""
    run_node(Recorder)


if __name__ == '__main__':
    main()
