"""Listening to topics from a script: messages as they arrive, and a recording of the best of them.

`make demo` looks at the system from outside with it, as any other program would.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

import rclpy
from rclpy.context import Context
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.qos import QoSProfile, ReliabilityPolicy
from rclpy.serialization import deserialize_message
from rosbags.interfaces import Nodetype
from rosbags.rosbag2 import CompressionFormat, CompressionMode, StoragePlugin, Writer
from rosbags.typesys import Stores, get_types_from_msg, get_typestore

from pose_estimation_ros.nodes.ros_compat import share_folder

_QUEUE = 200


@dataclass(frozen=True)
class Arrival:
    """One message as it came.

    Attributes:
        topic: Name of its topic.
        time_ns: Time of arrival by the recorder's clock, nanoseconds.
        data: Its bytes (CDR).
        message: What they mean.
    """

    topic: str
    time_ns: int
    data: bytes
    message: Any


class Recorder:
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
        self._node = Node('recorder', context=self._context)
        self._executor = SingleThreadedExecutor(context=self._context)
        self._executor.add_node(self._node)
        # Best effort is compatible with every publisher; on one machine nothing gets lost.
        qos = QoSProfile(depth=_QUEUE, reliability=ReliabilityPolicy.BEST_EFFORT)
        for topic, message_type in topics.items():
            self._node.create_subscription(
                message_type, topic, self._receiver(topic, message_type, on_arrival), qos,
                raw=True)

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

    def __enter__(self) -> Recorder:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None,
                 trace: TracebackType | None) -> None:
        self.close()

    def _receiver(self, topic: str, message_type: type,
                  on_arrival: Callable[[Arrival], None]) -> Callable[[bytes], None]:
        clock = self._node.get_clock()

        def receive(data: bytes) -> None:
            now_ns = clock.now().nanoseconds
            on_arrival(Arrival(topic, now_ns, data, deserialize_message(data, message_type)))

        return receive


def write_bag(folder: Path, topics: Mapping[str, type], arrivals: list[Arrival]) -> None:
    """Write messages as a rosbag2 in the MCAP format, compressed, in the order of arrival.

    Args:
        folder: Of the bag; must not exist yet.
        topics: Message type by topic name.
        arrivals: What to write.
    """
    writer = Writer(folder, version=9, storage_plugin=StoragePlugin.MCAP)
    writer.set_compression(CompressionMode.STORAGE, CompressionFormat.ZSTD)
    types = get_typestore(Stores.ROS2_KILTED)
    with writer:
        connections = {}
        for topic, message_type in topics.items():
            name = _type_name(message_type)
            _learn(types, name)
            connections[topic] = writer.add_connection(topic, name, typestore=types)
        for arrival in sorted(arrivals, key=lambda a: a.time_ns):
            writer.write(connections[arrival.topic], arrival.time_ns, arrival.data)


def _type_name(message_type: type) -> str:
    package, folder = message_type.__module__.split('.')[:2]
    return f'{package}/{folder}/{message_type.__name__}'


def _learn(types: Any, name: str) -> None:
    """Teach the type store a message that it lacks, from the installed definition."""
    if name in types.fielddefs:
        return
    package, _, short = name.split('/')
    definition = share_folder(package) / 'msg' / f'{short}.msg'
    found = get_types_from_msg(definition.read_text(encoding='utf-8'), name)
    for _, fields in found.values():
        for _, field in fields:
            _learn_field(types, field)
    types.register(found)


def _learn_field(types: Any, field: Any) -> None:
    """Teach what a field's description names: a message, or an array of something."""
    kind, content = field
    if kind is Nodetype.NAME:
        _learn(types, content)
    elif kind in (Nodetype.ARRAY, Nodetype.SEQUENCE):
        _learn_field(types, content[0])
