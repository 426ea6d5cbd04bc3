"""Listening to topics from a script: messages as they arrive.

`make demo` and `pose-estimation view` look at the system from outside with it, as any other
program would.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Any

import rclpy
from rclpy.context import Context
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.qos import QoSProfile, ReliabilityPolicy
from rclpy.serialization import deserialize_message

from pose_estimation_ros.nodes.estimator_topics import EstimatorTopic, estimator_topics

_QUEUE = 200


@dataclass(frozen=True)
class Arrival:
    """One message as it came.

    Attributes:
        topic: Name of its topic.
        time_ns: Time of arrival by the listener's clock, nanoseconds.
        data: Its bytes (CDR).
        message: What they mean.
    """

    topic: str
    time_ns: int
    data: bytes
    message: Any


class GraphListener:
    """Subscribes to topics and hands every message to a callback."""

    def __init__(self, topics: Mapping[str, type], on_arrival: Callable[[Arrival], None],
                 domain_id: int | None = None) -> None:
        """Join the graph.

        Args:
            topics: Message type by topic name.
            on_arrival: Called with every message, during `spin_until`.
            domain_id: ROS domain; None = that of the environment.
        """
        self._context = Context()
        rclpy.init(context=self._context, domain_id=domain_id)
        self._node = Node('listener', context=self._context)
        self._executor = SingleThreadedExecutor(context=self._context)
        self._executor.add_node(self._node)
        self._on_arrival = on_arrival
        self.subscribe(topics)

    def subscribe(self, topics: Mapping[str, type]) -> None:
        """Listen to further topics.

        Args:
            topics: Message type by topic name.
        """
        # Best effort is compatible with every publisher; on one machine nothing gets lost.
        qos = QoSProfile(depth=_QUEUE, reliability=ReliabilityPolicy.BEST_EFFORT)
        for topic, message_type in topics.items():
            self._node.create_subscription(
                message_type, topic, self._receiver(topic, message_type), qos, raw=True)

    def topics_of(self, estimator: str) -> list[EstimatorTopic]:
        """Return the topics of an estimator; its namespace is / unless the name has one."""
        namespace, _, name = estimator.rpartition('/')
        return estimator_topics(self._node, name, namespace or '/')

    def spin_until(self, condition: Callable[[], bool], timeout: float) -> bool:
        """Receive until a condition holds; return whether it did within `timeout` seconds."""
        deadline = time.monotonic() + timeout
        while not condition():
            if time.monotonic() > deadline:
                return False
            self._executor.spin_once(timeout_sec=0.1)
        return True

    def close(self) -> None:
        """Leave the graph."""
        self._executor.shutdown()
        self._node.destroy_node()
        rclpy.try_shutdown(context=self._context)

    def __enter__(self) -> GraphListener:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None,
                 trace: TracebackType | None) -> None:
        self.close()

    def _receiver(self, topic: str, message_type: type) -> Callable[[bytes], None]:
        clock, on_arrival = self._node.get_clock(), self._on_arrival

        def receive(data: bytes) -> None:
            now_ns = clock.now().nanoseconds
            on_arrival(Arrival(topic, now_ns, data, deserialize_message(data, message_type)))

        return receive
