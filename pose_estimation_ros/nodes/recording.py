"""A bag that is written in a thread of its own: bounded in memory, and whole when the disk fills.

Writing may be slower than the camera for a while; what waits is counted in bytes, and what does
not fit is dropped and counted too, so that neither memory nor the sender suffers.
"""

from __future__ import annotations

import shutil
import threading
from collections import Counter, deque
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pose_estimation_ros.nodes.bag_writer import BagWriter

# The free space is asked for once in so many bytes.
_BYTES_BETWEEN_LOOKS = 4_000_000
_MEGABYTE = 1e6


@dataclass(frozen=True)
class RecordedMessage:
    """One message to be written.

    Attributes:
        topic: Full name.
        message_type: Such as 'sensor_msgs/msg/Image'.
        time_ns: When it arrived, nanoseconds.
        data: Its bytes (CDR).
        latched: Those who came later got it too.
    """

    topic: str
    message_type: str
    time_ns: int
    data: bytes
    latched: bool = False


@dataclass(frozen=True)
class RecordingLimits:
    """What a recording may take.

    Attributes:
        buffer_bytes: Most bytes that wait in memory.
        min_free_bytes: The recording ends when the disk has less left.
    """

    buffer_bytes: int
    min_free_bytes: int


@dataclass(frozen=True)
class RecordingStatus:
    """How a recording goes.

    Attributes:
        messages: Number of those written, by topic.
        megabytes: Of their data, before compression.
        dropped: Number of those that came faster than the disk.
        refused: Why a topic is not written, by topic.
        fault: Why the recording has ended early; None while it goes on.
    """

    messages: Mapping[str, int]
    megabytes: float
    dropped: int
    refused: Mapping[str, str]
    fault: str | None


class Recording:
    """Takes messages from any thread and writes them in the order in which they came."""

    def __init__(self, writer: BagWriter, limits: RecordingLimits) -> None:
        """Start the thread.

        Args:
            writer: Of a new bag; closed by `close`, or when the disk is full.
            limits: Of memory and disk.
        """
        self._writer = writer
        self._limits = limits
        self._waiting: deque[RecordedMessage] = deque()
        self._waiting_bytes = 0
        self._changed = threading.Condition()
        self._closing = False
        self._notes: dict[str, str] = {}
        self._messages: Counter[str] = Counter()
        self._bytes = self._dropped = 0
        self._refused: dict[str, str] = {}
        self._bytes_to_next_look = 0
        self._fault: str | None = None
        self._thread = threading.Thread(target=self._run, name='recording', daemon=True)
        self._thread.start()

    def add(self, message: RecordedMessage) -> None:
        """Hand over a message; it is dropped if too much is waiting or the recording has ended."""
        with self._changed:
            if self._fault is not None or self._closing:
                return
            if self._waiting_bytes + len(message.data) > self._limits.buffer_bytes:
                self._dropped += 1
                return
            self._waiting.append(message)
            self._waiting_bytes += len(message.data)
            self._changed.notify()

    def note(self, key: str, value: str) -> None:
        """Keep a fact for the bag's metadata."""
        with self._changed:
            self._notes[key] = value

    def status(self) -> RecordingStatus:
        """Return how it goes."""
        with self._changed:
            return RecordingStatus(dict(self._messages), self._bytes / _MEGABYTE,
                                   self._dropped, dict(self._refused), self._fault)

    def close(self) -> None:
        """Write what is waiting, then the index."""
        with self._changed:
            self._closing = True
            self._changed.notify()
        self._thread.join()

    def _run(self) -> None:
        """Write until `close`, or until the disk is full; either way the bag is made whole."""
        try:
            while (message := self._next()) is not None:
                self._check_space(len(message.data))
                if message.topic not in self._refused:
                    self._write(message)
        except _DiskFullError as error:
            self._end(str(error))
        except OSError as error:
            self._lose(error)
            return
        try:
            for key, value in self._notes.items():
                self._writer.note(key, value)
            self._writer.close()
        except OSError as error:
            self._lose(error)

    def _write(self, message: RecordedMessage) -> None:
        try:
            self._writer.add_topic(message.topic, message.message_type,
                                   latched=message.latched)
            self._writer.write(message.topic, message.time_ns, message.data)
        except OSError:
            raise
        except Exception as error:  # of rosbags, which has many kinds
            with self._changed:
                self._refused[message.topic] = f'{message.topic} is not recorded: {error}'
            return
        with self._changed:
            self._messages[message.topic] += 1
            self._bytes += len(message.data)

    def _next(self) -> RecordedMessage | None:
        """Return the message whose turn it is, None when there will be none."""
        with self._changed:
            self._changed.wait_for(lambda: self._waiting or self._closing)
            if not self._waiting:
                return None
            message = self._waiting.popleft()
            self._waiting_bytes -= len(message.data)
            return message

    def _check_space(self, size: int) -> None:
        """Look at the disk now and then: the index must still fit when it is nearly full."""
        self._bytes_to_next_look -= size
        if self._bytes_to_next_look > 0:
            return
        self._bytes_to_next_look = _BYTES_BETWEEN_LOOKS
        free = shutil.disk_usage(self._writer.folder).free
        if free < self._limits.min_free_bytes:
            raise _DiskFullError(
                f'recording ended: the disk of {self._writer.folder} has {free / _MEGABYTE:.0f} '
                f'MB left, less than min_free {self._limits.min_free_bytes / _MEGABYTE:.0f} MB; '
                'what was recorded is whole. Make room and start the recorder again')

    def _end(self, reason: str) -> None:
        with self._changed:
            self._fault = reason
            self._waiting.clear()
            self._waiting_bytes = 0

    def _lose(self, error: OSError) -> None:
        """Keep what the disk has taken; without an index only repair tools read it."""
        self._end(f'recording ended: {self._writer.folder} takes no more data ({error.strerror}); '
                  'its file has no index ("mcap recover" of the MCAP tools makes one). Record to '
                  'another disk')
        with suppress(OSError):
            self._writer.abort()


class _DiskFullError(Exception):
    """The disk has less room than must stay free."""
