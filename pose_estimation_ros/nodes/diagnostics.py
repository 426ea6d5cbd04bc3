"""What the node tells about itself: why there is no output, rates, latencies, drops, model.

`Monitor` gathers facts from all threads; `status_message` makes an entry of them.
"""

from __future__ import annotations

import threading
from collections import Counter, deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from diagnostic_msgs.msg import DiagnosticStatus, KeyValue

from pose_estimation_ros.nodes.ros_compat import fastdds_variable

OK, WARN, ERROR = DiagnosticStatus.OK, DiagnosticStatus.WARN, DiagnosticStatus.ERROR
_WINDOW = 30
_EMPTY_FRAMES_WORTH_A_WARNING = 10


@dataclass
class _Input:
    received: int = 0
    last_ns: int | None = None
    arrivals: deque[int] = field(default_factory=lambda: deque(maxlen=_WINDOW))
    incompatible: str = ''


@dataclass(frozen=True)
class InputFacts:
    """One input topic as the graph shows it.

    Attributes:
        name: For people: 'colour', 'depth', 'camera_info'.
        topic: Full topic name.
        publishers: How many nodes publish it now.
        argument: What to do if nobody publishes it.
    """

    name: str
    topic: str
    publishers: int
    argument: str


class Monitor:
    """Counts and times of everything; safe to use from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._inputs: dict[str, _Input] = {}
        self._dropped: Counter[str] = Counter()
        self._timings: dict[str, deque[float]] = {}
        self._finished: deque[int] = deque(maxlen=_WINDOW)
        self._frames = 0
        self._empty_in_a_row = 0
        self._objects = 0
        self._reasons: tuple[str, ...] = ()
        self._fault: str | None = None

    def received(self, name: str, now_ns: int) -> None:
        """Note that a message of an input arrived."""
        with self._lock:
            entry = self._inputs.setdefault(name, _Input())
            entry.received += 1
            entry.last_ns = now_ns
            entry.arrivals.append(now_ns)

    def incompatible(self, name: str, policy: str) -> None:
        """Note that a publisher of an input offers a quality of service that does not fit."""
        with self._lock:
            self._inputs.setdefault(name, _Input()).incompatible = policy

    def dropped(self, reason: str) -> None:
        """Count a frame that was not processed, by reason."""
        with self._lock:
            self._dropped[reason] += 1

    def fault(self, sentence: str) -> None:
        """Keep the reason why the newest frame gave no result, until one succeeds."""
        with self._lock:
            self._fault = sentence
            self._dropped['bad input'] += 1

    def finished(self, now_ns: int, objects: int, reasons: Sequence[str],
                 timings: Mapping[str, float]) -> None:
        """Note a processed frame with its seconds by stage."""
        with self._lock:
            self._fault = None
            self._frames += 1
            self._objects = objects
            self._reasons = tuple(reasons)
            self._empty_in_a_row = 0 if objects else self._empty_in_a_row + 1
            self._finished.append(now_ns)
            for stage, seconds in timings.items():
                self._timings.setdefault(stage, deque(maxlen=_WINDOW)).append(seconds)

    def input_problem(self, facts: Sequence[InputFacts], now_ns: int,
                      timeout_ns: int) -> str | None:
        """Return the first reason why an input does not arrive, None if all do."""
        with self._lock:
            for fact in facts:
                entry = self._inputs.get(fact.name, _Input())
                if entry.last_ns is None or abs(now_ns - entry.last_ns) > timeout_ns:
                    return _silence(fact, entry)
        return None

    def processing(self) -> tuple[bytes, str]:
        """Return level and sentence of the frames' processing."""
        with self._lock:
            if self._fault is not None:
                return ERROR, self._fault
            if self._frames == 0:
                return WARN, 'no frame processed yet'
            if self._empty_in_a_row >= _EMPTY_FRAMES_WORTH_A_WARNING:
                return WARN, self._emptiness()
            return OK, f'{self._objects} objects in the last frame'

    def lasting_emptiness(self) -> str | None:
        """Return why so many frames in a row gave no object, None if they gave some."""
        with self._lock:
            lasts = self._empty_in_a_row >= _EMPTY_FRAMES_WORTH_A_WARNING
            return self._emptiness() if lasts else None

    def _emptiness(self) -> str:
        why = self._reasons[0] if self._reasons else (
            'the segmenter found nothing; lower segmentation.min_score or show one of its '
            'categories')
        return f'no object in the last {self._empty_in_a_row} frames ({why})'

    def values(self) -> dict[str, str]:
        """Return rates, latencies and counts for the diagnostics' table."""
        with self._lock:
            table = {f'{name}.received': str(entry.received)
                     for name, entry in self._inputs.items()}
            table |= {f'{name}.rate_hz': f'{_rate(entry.arrivals):.2f}'
                      for name, entry in self._inputs.items()}
            table['frames.processed'] = str(self._frames)
            table['frames.rate_hz'] = f'{_rate(self._finished):.2f}'
            for reason, count in self._dropped.items():
                table[f'frames.dropped.{reason.replace(" ", "_")}'] = str(count)
            for stage, seconds in self._timings.items():
                table[f'milliseconds.{stage}'] = f'{1e3 * float(np.median(list(seconds))):.1f}'
            table['objects'] = str(self._objects)
            for index, reason in enumerate(self._reasons):
                table[f'dropped_object.{index}'] = reason
            return table


def status_message(name: str, hardware: str, level: bytes, sentence: str,
                   values: Mapping[str, str]) -> DiagnosticStatus:
    """Return one diagnostics entry."""
    return DiagnosticStatus(
        name=name, hardware_id=hardware, level=level, message=sentence,
        values=[KeyValue(key=key, value=value) for key, value in values.items()])


def _silence(fact: InputFacts, entry: _Input) -> str:
    silent = 'no' if entry.last_ns is None else 'no more'
    if fact.publishers == 0:
        return f'{silent} {fact.name}: nobody publishes {fact.topic}; {fact.argument}'
    if entry.incompatible:
        cure = ('set input_reliability to what the camera offers'
                if entry.incompatible == 'reliability' else
                'change that quality of service in the camera')
        return (f'{silent} {fact.name}: {fact.topic} is published with incompatible '
                f'{entry.incompatible}; {cure}')
    return (f'{silent} {fact.name}: {fact.publishers} publisher(s) on {fact.topic} but nothing '
            'arrives; if the camera is running, its images may exceed the shared memory of Fast '
            f'DDS: start it with {fastdds_variable()}=config/fastdds.xml of this package, '
            'or set input_reliability to reliable')


def _rate(stamps: deque[int]) -> float:
    if len(stamps) < 2 or stamps[-1] <= stamps[0]:
        return 0.0
    return (len(stamps) - 1) * 1e9 / (stamps[-1] - stamps[0])
