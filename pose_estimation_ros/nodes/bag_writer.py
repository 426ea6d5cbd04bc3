"""Bags in the MCAP format of rosbag2, written message by message where rosbag2 is missing."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from rosbags.interfaces import (
    Connection,
    Nodetype,
    Qos,
    QosDurability,
    QosHistory,
    QosLiveliness,
    QosReliability,
    QosTime,
)
from rosbags.rosbag2 import CompressionFormat, CompressionMode, StoragePlugin, Writer, WriterError
from rosbags.typesys import Stores, get_types_from_msg, get_typestore

from pose_estimation_ros.core.errors import ConfigurationError
from pose_estimation_ros.nodes.graph_listener import Arrival
from pose_estimation_ros.nodes.message_types import type_name
from pose_estimation_ros.nodes.ros_compat import share_folder

# sensor_msgs/Range has grown since Humble.
_STORE = (Stores.ROS2_HUMBLE if os.environ.get('ROS_DISTRO') == 'humble'
          else Stores.ROS2_KILTED)


_FOREVER = QosTime(9223372036, 854775807)
# What rosbag2 plays nobody gets who listens for latched messages, unless the bag says that it was
# offered so.
_LATCHED = Qos(QosHistory.KEEP_ALL, 0, QosReliability.RELIABLE, QosDurability.TRANSIENT_LOCAL,
               _FOREVER, _FOREVER, QosLiveliness.AUTOMATIC, _FOREVER,
               avoid_ros_namespace_conventions=False)


class BagWriter:
    """Writes a folder that rosbag2 and Foxglove read; a megabyte at most waits in memory."""

    def __init__(self, folder: Path, *, compressed: bool) -> None:
        """Make the folder.

        Args:
            folder: Of the bag; must not exist yet.
            compressed: Compress with Zstandard.

        Raises:
            ConfigurationError: If the folder exists or cannot be made.
        """
        self.folder = folder
        self._types = get_typestore(_STORE)
        self._connections: dict[str, Connection] = {}
        try:
            # Of the versions that rosbags writes the one that Humble reads, too.
            self._writer = Writer(folder, version=8, storage_plugin=StoragePlugin.MCAP)
            if compressed:
                self._writer.set_compression(CompressionMode.STORAGE, CompressionFormat.ZSTD)
            self._writer.open()
        except WriterError as error:
            raise ConfigurationError(f'{folder} exists already; choose another folder for the '
                                     'recording') from error
        except OSError as error:
            raise ConfigurationError(f'{folder} cannot be made: {error.strerror}; choose another '
                                     'folder for the recording') from error

    def add_topic(self, topic: str, message_type: str, *, latched: bool = False) -> None:
        """Announce a topic; its messages may follow.

        Args:
            topic: Full name.
            message_type: Such as 'sensor_msgs/msg/Image'.
            latched: Those who come later are to get its messages when the bag is played, too.

        Raises:
            ConfigurationError: If the type's definition is not installed.
        """
        if topic not in self._connections:
            _learn(self._types, message_type)
            self._connections[topic] = self._writer.add_connection(
                topic, message_type, typestore=self._types,
                offered_qos_profiles=[_LATCHED] if latched else [])

    def write(self, topic: str, time_ns: int, data: bytes) -> None:
        """Write a message of an announced topic.

        Args:
            topic: Full name.
            time_ns: When it arrived, nanoseconds.
            data: Its bytes (CDR).

        Raises:
            OSError: If the disk does not take it.
        """
        self._writer.write(self._connections[topic], time_ns, data)

    def note(self, key: str, value: str) -> None:
        """Keep a fact beside the messages, in the bag's metadata."""
        self._writer.set_custom_data(key, value)

    def close(self) -> None:
        """Write index and metadata: only then is the bag whole.

        Raises:
            OSError: If the disk does not take them.
        """
        self._writer.close()

    def abort(self) -> None:
        """Close the file as it is, without an index."""
        self._writer.abort()


def write_bag(folder: Path, topics: Mapping[str, type], arrivals: Iterable[Arrival]) -> None:
    """Write messages in the order of arrival.

    Args:
        folder: Of the bag; must not exist yet.
        topics: Message type by topic name.
        arrivals: What to write.

    Raises:
        ConfigurationError: If the folder exists or cannot be made.
    """
    writer = BagWriter(folder, compressed=True)
    for topic, message_class in topics.items():
        writer.add_topic(topic, type_name(message_class))
    for arrival in sorted(arrivals, key=lambda a: a.time_ns):
        writer.write(arrival.topic, arrival.time_ns, arrival.data)
    writer.close()


def _learn(types: Any, name: str) -> None:
    """Teach the type store a message that it lacks, from the installed definition."""
    if name in types.fielddefs:
        return
    package, _, short = name.split('/')
    definition = share_folder(package) / 'msg' / f'{short}.msg'
    try:
        text = definition.read_text(encoding='utf-8')
    except OSError as error:
        raise ConfigurationError(f'{name} cannot be recorded: {definition} cannot be read; '
                                 'install its package, or leave its topics out') from error
    found = get_types_from_msg(text, name)
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
