"""What is to be warned of: complaints of the nodes and lost frames; and times of the stages."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus

from pose_estimation_ros.datasets.bag import Bag
from pose_estimation_ros.nodes.bag_messages import read_message
from pose_estimation_ros.viewing.seen_frame import LostFrame

_TYPE = 'diagnostic_msgs/msg/DiagnosticArray'
_STAGE = 'milliseconds.'
_SLOWEST = '.p99'
_MOST_NAMES = 10
_NUMBER = re.compile(r'\d+(\.\d+)?')


@dataclass(frozen=True)
class Complaint:
    """A sentence of the diagnostics or of this program, with how often it was said.

    Attributes:
        is_error: It is an error; otherwise a warning.
        part: Who says it: node and part, or what it is about.
        sentence: What is said.
        first: Seconds after the beginning.
        last: Seconds after the beginning.
        count: How many messages say it, or how many frames it is about.
    """

    is_error: bool
    part: str
    sentence: str
    first: float
    last: float
    count: int


def diagnostics_in(bag: Bag) -> Iterator[tuple[int, DiagnosticArray]]:
    """Yield the diagnostics in a bag with the time when they were recorded, nanoseconds."""
    topics = [topic.name for topic in bag.topics.values() if topic.message_type == _TYPE]
    if topics:
        for message in bag.messages(topics):
            yield message.time_ns, read_message(message)


def complaints(messages: Iterable[tuple[int, DiagnosticArray]], start_ns: int) -> list[Complaint]:
    """Return warnings and errors, the first first; of sentences with other numbers the last.

    Args:
        messages: Diagnostics with their times, nanoseconds.
        start_ns: Beginning of what is reported, nanoseconds.
    """
    found: dict[tuple[str, str], Complaint] = {}
    for time_ns, message in messages:
        seconds = (time_ns - start_ns) / 1e9
        for status in message.status:
            if status.level == DiagnosticStatus.OK:
                continue
            key = status.name, _NUMBER.sub('#', status.message)
            before = found.get(key)
            found[key] = Complaint(
                status.level != DiagnosticStatus.WARN, status.name, status.message,
                seconds if before is None else before.first, seconds,
                1 if before is None else before.count + 1)
    return sorted(found.values(), key=lambda entry: entry.first)


def complaints_of_lost(lost: Iterable[LostFrame], start_ns: int) -> list[Complaint]:
    """Return a warning for each fault of frames that cannot be shown, with their names.

    Args:
        lost: The frames in their order.
        start_ns: Beginning of what is reported, nanoseconds.
    """
    by_fault: defaultdict[str, list[LostFrame]] = defaultdict(list)
    for frame in lost:
        by_fault[frame.fault].append(frame)
    return [Complaint(is_error=False, part='frames', sentence=lost_sentence(frames),
                      first=(frames[0].stamp_ns - start_ns) / 1e9,
                      last=(frames[-1].stamp_ns - start_ns) / 1e9, count=len(frames))
            for frames in by_fault.values()]


def lost_sentence(frames: Sequence[LostFrame]) -> str:
    """Say that frames with one fault are left out."""
    names = ', '.join(frame.name for frame in frames[:_MOST_NAMES])
    more = len(frames) - _MOST_NAMES
    return (f'left out: frame {names}{f" and {more} more" if more > 0 else ""}: '
            f'{frames[0].fault}')


def stage_milliseconds(message: Any) -> Mapping[str, float]:
    """Return the median milliseconds of each stage in a diagnostics message."""
    return {entry.key.removeprefix(_STAGE): float(entry.value)
            for status in message.status for entry in status.values
            if entry.key.startswith(_STAGE) and not entry.key.endswith(_SLOWEST)}
