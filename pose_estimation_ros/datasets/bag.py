"""Bags of rosbag2, read without ROS: MCAP and SQLite, as folders or single files.

Messages stay the bytes that were recorded (CDR): their types need not be known to be shown again.
"""

from __future__ import annotations

import struct
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import yaml

from pose_estimation_ros.core.errors import ConfigurationError, InvalidInputError

if TYPE_CHECKING:
    from rosbags.rosbag2 import Reader

_METADATA = 'metadata.yaml'
_SUFFIXES = ('.mcap', '.db3')
# A message begins with how it is encoded, then, where there is a header, with its stamp.
_ENCODING_BYTES = 4
_STAMP_END = 12


@dataclass(frozen=True)
class BagTopic:
    """A topic of a bag.

    Attributes:
        name: Full name.
        message_type: Such as 'sensor_msgs/msg/Image'.
        count: Number of its messages.
    """

    name: str
    message_type: str
    count: int


@dataclass(frozen=True)
class BagMessage:
    """One recorded message.

    Attributes:
        topic: Full name of its topic.
        message_type: Such as 'sensor_msgs/msg/Image'.
        time_ns: When it was recorded, nanoseconds.
        data: Its bytes (CDR).
    """

    topic: str
    message_type: str
    time_ns: int
    data: bytes

    @property
    def stamp_ns(self) -> int:
        """Stamp of its header, nanoseconds; only for types that begin with a header."""
        seconds, nanoseconds = struct.unpack_from(_stamp_format(self.data), self.data,
                                                  _ENCODING_BYTES)
        return int(seconds) * 1_000_000_000 + int(nanoseconds)

    def restamped(self, stamp_ns: int) -> BagMessage:
        """Return the message with another stamp in its header."""
        stamp = struct.pack(_stamp_format(self.data), *divmod(stamp_ns, 1_000_000_000))
        data = self.data[:_ENCODING_BYTES] + stamp + self.data[_STAMP_END:]
        return BagMessage(self.topic, self.message_type, self.time_ns, data)


@dataclass(frozen=True)
class Bag:
    """A bag that was found whole; its messages are read when they are asked for.

    Attributes:
        path: Folder with metadata.yaml, or .mcap or .db3 file.
        topics: What it holds, by name; only topics that have messages.
        notes: Facts that the recorder kept beside the messages, by key.
        start_ns: When its first message was recorded, nanoseconds.
        duration_ns: From the first to the last message, nanoseconds.
    """

    path: Path
    topics: Mapping[str, BagTopic]
    notes: Mapping[str, str]
    start_ns: int
    duration_ns: int

    def messages(self, topics: Collection[str]) -> Iterator[BagMessage]:
        """Yield the messages of topics in the order in which they were recorded.

        Raises:
            InvalidInputError: If the bag is damaged.
        """
        with _opened(self.path) as reader:
            wanted = [c for c in reader.connections if c.topic in topics]
            if not wanted:
                return
            for connection, time_ns, data in reader.messages(wanted):
                yield BagMessage(connection.topic, connection.msgtype, time_ns, bytes(data))

    def listing(self) -> str:
        """Return what the bag has, for error messages."""
        return ', '.join(f'{topic.name} ({topic.message_type}, {topic.count})'
                         for topic in self.topics.values()) or 'no messages'


def is_bag(path: Path) -> bool:
    """Return whether a path looks like a bag of rosbag2."""
    return (path / _METADATA).is_file() or any(
        entry.suffix in _SUFFIXES for entry in ([path] if path.is_file() else
                                                path.iterdir() if path.is_dir() else []))


def open_bag(path: Path) -> Bag:
    """Open a bag of rosbag2.

    Args:
        path: Folder with metadata.yaml, or .mcap or .db3 file.

    Raises:
        InvalidInputError: If it does not exist, is damaged or was not closed.
    """
    folder = path if path.is_dir() else path.parent
    if path.is_dir() and not (path / _METADATA).is_file():
        files = sorted(entry for entry in path.iterdir() if entry.suffix in _SUFFIXES)
        if len(files) != 1:
            raise InvalidInputError(f'{path} has no {_METADATA}: the recording was not closed, or '
                                    'it is no bag; run "ros2 bag reindex" on it')
        path = files[0]
    notes, files_of_bag = _metadata(folder / _METADATA)
    if files_of_bag == [path.name]:
        path = folder
    with _opened(path) as reader:
        counts: dict[tuple[str, str], int] = {}
        for connection in reader.connections:
            key = connection.topic, connection.msgtype
            counts[key] = counts.get(key, 0) + connection.msgcount
        start, duration = reader.start_time, reader.duration
    topics = {name: BagTopic(name, message_type, count)
              for (name, message_type), count in sorted(counts.items()) if count}
    return Bag(path, topics, notes, start, duration)


def _stamp_format(data: bytes) -> str:
    return '<iI' if data[1] & 1 else '>iI'


def _metadata(path: Path) -> tuple[dict[str, str], list[str]]:
    """Return the notes and the files of a bag; nothing where it has no metadata."""
    if not path.is_file():
        return {}, []
    try:
        facts = yaml.safe_load(path.read_text(encoding='utf-8'))['rosbag2_bagfile_information']
        files = [Path(file).name for file in facts['relative_file_paths']]
        return dict(facts.get('custom_data') or {}), files
    except (OSError, ValueError, KeyError, TypeError, yaml.YAMLError) as error:
        raise InvalidInputError(f'{path} does not describe a bag ({error!r}); run "ros2 bag '
                                'reindex" on its folder') from error


@contextmanager
def _opened(path: Path) -> Iterator[Reader]:
    """Open a bag with rosbags, whose many errors become ours."""
    # Folders of pictures are read without it.
    try:
        from rosbags.rosbag2 import Reader, ReaderError
    except ModuleNotFoundError as error:
        raise ConfigurationError('reading a bag needs rosbags, which is not installed; run pip '
                                 'install rosbags') from error

    try:
        with Reader(path) as reader:
            yield reader
    except (ReaderError, OSError, ValueError, struct.error, EOFError, AssertionError) as error:
        reason = ' '.join(str(error).split()) or repr(error)
        raise InvalidInputError(f'{path} cannot be read as a bag of rosbag2: {reason.rstrip(".")};'
                                ' it is missing, damaged or was not closed ("mcap recover" or '
                                '"ros2 bag reindex" may save it)') from error
