"""Showing a bag as a camera: at the recorded times, at a rate, or as fast as results come."""

from __future__ import annotations

import threading
import time
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from rclpy.clock import Clock as SteadyClock
from rclpy.clock import ClockType
from rclpy.node import Node
from rclpy.publisher import Publisher
from rclpy.qos import QoSProfile
from rclpy.qos_overriding_options import QoSOverridingOptions
from rosgraph_msgs.msg import Clock
from vision_msgs.msg import Detection3DArray

from pose_estimation_ros.core.errors import InvalidInputError
from pose_estimation_ros.datasets.bag import Bag, BagMessage
from pose_estimation_ros.datasets.bag_camera import COMPRESSED, CameraTopics
from pose_estimation_ros.nodes.bag_frames import frames_of
from pose_estimation_ros.nodes.bag_topics import RESULTS, results_topic
from pose_estimation_ros.nodes.conversions import ns_to_stamp, stamp_to_ns
from pose_estimation_ros.nodes.message_types import message_type

_QUEUE = 5
# A frame that is lost on the way is shown again after this share of the longest wait.
_SECOND_TRY = 0.3
_LOOK_SECONDS = 0.1
# Fast DDS announces a process every three seconds; who misses the first time is found then.
_SETTLED_SECONDS = 3.5
# /clock is told again this often: who comes late must not wait for the next frame.
_CLOCK_SECONDS = 0.05

Pace: TypeAlias = Literal['recorded', 'rate', 'results']


@dataclass(frozen=True)
class PlayOptions:
    """How a bag is shown.

    Attributes:
        pace: At the recorded times, at `rate`, or when the last frame's results have come.
        rate: Frames per second.
        result_timeout: Longest wait for results, seconds.
        loop: Start over after the last frame.
        keep_stamps: Stamps stay as recorded; otherwise they are moved to the present.
        clock: Publish the recorded time on /clock.
        slop_ns: Largest difference of the stamps of colour and depth, nanoseconds.
        stamps: Of the images that are shown, with depth or without, nanoseconds; None = of all
            that have it. Not at the recorded times.
    """

    pace: Pace
    rate: float
    result_timeout: float
    loop: bool
    keep_stamps: bool
    clock: bool
    slop_ns: int
    stamps: Collection[int] | None = None


@dataclass(frozen=True)
class _Batch:
    """Messages that are published together.

    Attributes:
        time_ns: When they were recorded.
        messages: In their order.
        color: The colour image among them, None if there is none.
    """

    time_ns: int
    messages: tuple[BagMessage, ...]
    color: BagMessage | None


def answered_stamps(bag: Bag) -> frozenset[int]:
    """Return the stamps of the images that have results in a bag, nanoseconds.

    Raises:
        InvalidInputError: If none has.
        ConfigurationError: If there are results of several estimators.
    """
    topic = results_topic(bag)
    stamps = frozenset(message.stamp_ns for message in bag.messages([topic]))
    if not stamps:
        raise InvalidInputError(f'{bag.path} has no {RESULTS}, so no image is answered; it has '
                                f'{bag.listing()}. Set frames to all')
    return stamps


class BagPlayer:
    """Publishes the messages of a bag in a thread of its own, as the bytes that they are."""

    def __init__(self, node: Node, bag: Bag, topics: CameraTopics, options: PlayOptions) -> None:
        """Offer the camera's topics.

        Args:
            node: Owner of publishers and subscriptions.
            bag: What is shown.
            topics: Of the camera in the bag.
            options: How it is shown.
        """
        self._node = node
        self._bag = bag
        self._topics = topics
        self._options = options
        self._publishers = {
            recorded: self._offer(bag.topics[recorded].message_type, shown)
            for recorded, shown in self._shown_topics().items()}
        self._clock: Publisher[Any] | None = None
        self._time_ns: int | None = None
        # The timer's thread and the player's both tell it.
        self._time_lock = threading.Lock()
        if options.clock:
            self._clock = node.create_publisher(Clock, '/clock', 10)
            node.create_timer(_CLOCK_SECONDS, self._tell_time,
                              clock=SteadyClock(clock_type=ClockType.STEADY_TIME))
        self._stopping = threading.Event()
        self._answered: set[int] = set()
        self._answer_came = threading.Condition()
        if options.pace == 'results':
            node.create_subscription(Detection3DArray, RESULTS, self._on_result, 10)
        self.fault: Exception | None = None
        self._thread = threading.Thread(target=self._run, name='player', daemon=True)

    def start(self) -> None:
        """Begin to show it."""
        self._thread.start()

    def close(self) -> None:
        """Stop."""
        self._stopping.set()
        with self._answer_came:
            self._answer_came.notify_all()
        if self._thread.is_alive():
            self._thread.join()

    def _shown_topics(self) -> dict[str, str]:
        """Return the topics of a camera by the bag's own."""
        topics = self._topics
        shown = {topics.color: 'color/image_raw', topics.depth: 'depth/image_raw'}
        suffixes = {topics.color: '/compressed', topics.depth: '/compressedDepth'}
        images = {name: shown[name] + (
            suffixes[name] if self._bag.topics[name].message_type == COMPRESSED else '')
            for name in shown if name}
        infos = {topics.color_info: 'color/camera_info', topics.depth_info: 'depth/camera_info'}
        return images | {name: topic for name, topic in infos.items() if name}

    def _offer(self, type_name: str, topic: str) -> Publisher[Any]:
        return self._node.create_publisher(
            message_type(type_name), topic, QoSProfile(depth=_QUEUE),
            qos_overriding_options=QoSOverridingOptions.with_default_policies())

    def _on_result(self, message: Detection3DArray) -> None:
        with self._answer_came:
            self._answered.add(stamp_to_ns(message.header.stamp))
            self._answer_came.notify_all()

    def _run(self) -> None:
        """Show the bag, and keep an error for the executor's thread, which can end the node."""
        try:
            self._play_all()
        except Exception as error:
            self.fault = error

    def _play_all(self) -> None:
        if self._options.pace == 'results':
            self._wait_for_listener()
        while not self._stopping.is_set():
            shown = self._play_once()
            if not shown and not self._stopping.is_set():
                raise InvalidInputError(
                    f'{self._bag.path} gives no frame: no colour image has depth within sync.slop '
                    f'{self._options.slop_ns / 1e9:g} s and a calibration; raise sync.slop or '
                    'choose other topics')
            if not self._options.loop:
                self._node.get_logger().info(f'all {shown} frames were shown')
                return

    def _play_once(self) -> int:
        """Show every batch once; return how many frames there were."""
        first_ns, shown = None, 0
        shift_ns, is_anchored = 0, False
        for number, batch in enumerate(self._batches()):
            if first_ns is None:
                # Not before: a large bag takes seconds to open.
                first_ns, started = batch.time_ns, time.monotonic()
            due = (number / self._options.rate if self._options.pace == 'rate'
                   else (batch.time_ns - first_ns) / 1e9 if self._options.pace == 'recorded'
                   else 0.0)
            if self._stopping.wait(max(0.0, started + due - time.monotonic())):
                break
            if not self._options.keep_stamps and not (
                    is_anchored and self._options.pace == 'recorded'):
                # Frames by themselves are as new as can be; else the recorded distances stay.
                # Only an image tells the camera's time: it need not be the recorder's.
                is_anchored = batch.color is not None
                stamp_ns = batch.time_ns if batch.color is None else batch.color.stamp_ns
                shift_ns = self._node.get_clock().now().nanoseconds - stamp_ns
                if self._options.pace == 'recorded':
                    # What was late till now is not caught up with stamps of the future.
                    started = time.monotonic() - due
            self._publish(batch, shift_ns)
            if batch.color is not None:
                shown += 1
                if self._options.pace == 'results':
                    self._wait_for_result(batch, shift_ns)
        return shown

    def _batches(self) -> Iterator[_Batch]:
        if self._options.pace == 'recorded':
            for message in self._bag.messages(self._topics.names):
                color = message if message.topic == self._topics.color else None
                yield _Batch(message.time_ns, (message,), color)
        else:
            stamps = self._options.stamps
            for frame in frames_of(self._bag, self._topics, self._options.slop_ns, stamps or ()):
                if stamps is not None and frame.color.stamp_ns not in stamps:
                    continue
                yield _Batch(frame.color.time_ns, frame.messages, frame.color)

    def _tell_time(self, time_ns: int | None = None) -> None:
        """Tell a new time, or the last one again; never that before the last."""
        with self._time_lock:
            self._time_ns = self._time_ns if time_ns is None else time_ns
            if self._clock is not None and self._time_ns is not None:
                self._clock.publish(Clock(clock=ns_to_stamp(self._time_ns)))

    def _publish(self, batch: _Batch, shift_ns: int) -> None:
        self._tell_time(batch.time_ns)
        for message in batch.messages:
            moved = message.restamped(message.stamp_ns + shift_ns) if shift_ns else message
            self._publishers[message.topic].publish(moved.data)

    def _wait_for_listener(self) -> None:
        """Wait until somebody listens to the camera and publishes results, and nobody else comes.

        Listeners are found one after the other, and so are the topics of one; a recorder is to
        get the first frame too. The time of the first frame is told meanwhile.
        """
        first = next(self._batches(), None)
        self._tell_time(None if first is None else first.time_ns)
        color = self._publishers[self._topics.color]
        found, since = self._found(), time.monotonic()
        while not (color.get_subscription_count() and self._node.count_publishers(RESULTS)
                   and time.monotonic() > since + _SETTLED_SECONDS):
            if self._stopping.wait(_LOOK_SECONDS):
                return
            if self._found() != found:
                found, since = self._found(), time.monotonic()

    def _found(self) -> list[int]:
        """Return how many listeners of each topic, and how many sources of results, are known."""
        publishers = [*self._publishers.values(), *filter(None, [self._clock])]
        return [*(publisher.get_subscription_count() for publisher in publishers),
                self._node.count_publishers(RESULTS)]

    def _wait_for_result(self, batch: _Batch, shift_ns: int) -> None:
        """Wait for the results of a frame; show it once more if they do not come."""
        assert batch.color is not None
        stamp_ns = batch.color.stamp_ns + shift_ns
        timeout = self._options.result_timeout
        if self._has_result(stamp_ns, _SECOND_TRY * timeout):
            return
        self._publish(batch, shift_ns)
        if not self._has_result(stamp_ns, (1.0 - _SECOND_TRY) * timeout):
            self._node.get_logger().warning(
                f'no {RESULTS} came for the frame of {stamp_ns / 1e9:.3f} s within '
                f'{timeout:g} s; going on (/diagnostics of the estimator says why)')

    def _has_result(self, stamp_ns: int, timeout: float) -> bool:
        with self._answer_came:
            came = self._answer_came.wait_for(
                lambda: stamp_ns in self._answered or self._stopping.is_set(), timeout)
            self._answered.clear()
        return came
