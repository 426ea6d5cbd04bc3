"""What the node tells about itself: why there is no output, rates, latencies, drops, model.

`Monitor` gathers facts from all threads; `status_message` makes an entry of them.
"""

from __future__ import annotations

import re
import threading
import time
from collections import Counter, deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from diagnostic_msgs.msg import DiagnosticStatus, KeyValue

from pose_estimation_ros.nodes.input_health import (
    InputFacts,
    InputRecord,
    Problem,
    problems,
    rate,
)

OK, WARN, ERROR = DiagnosticStatus.OK, DiagnosticStatus.WARN, DiagnosticStatus.ERROR
_WINDOW = 30
# The 99th percentile needs more than the mean does.
_TIMINGS_KEPT = 300
_EMPTY_FRAMES_WORTH_A_WARNING = 10
_REASONS_SHOWN = 20
_SAME_SENTENCE_SECONDS = 10.0
_NUMBER = re.compile(r'\d+(\.\d+)?')


class NewsFilter:
    """Says which sentences are worth the log: new ones, and old ones once in a while."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._told: dict[str, float] = {}

    def is_news(self, sentence: str) -> bool:
        """Return whether to log a sentence; one that differs in its numbers only is the same."""
        kind, now = _NUMBER.sub('#', sentence), time.monotonic()
        with self._lock:
            self._told = {known: told for known, told in self._told.items()
                          if now - told <= _SAME_SENTENCE_SECONDS}
            if kind in self._told:
                return False
            self._told[kind] = now
            return True


@dataclass(frozen=True)
class FrameOutcome:
    """What became of one frame.

    Attributes:
        objects: How many poses it gave.
        reasons: A sentence for each object that gave none.
        fallback: Why its poses come from colour alone, by a fallback or because depth that is not
            needed cannot be used; empty = they do not.
        agreements: Share of the visible surface at the observed depth, by object; NaN = unknown.
        tracks: How many tracks are in each state.
    """

    objects: int = 0
    reasons: Sequence[str] = ()
    fallback: str = ''
    agreements: Mapping[str, float] = field(default_factory=dict)
    tracks: Mapping[str, int] = field(default_factory=dict)


@dataclass
class _Frames:
    """Counts of the frames of one activation, and what became of the last ones."""

    processed: int = 0
    finished: deque[int] = field(default_factory=lambda: deque(maxlen=_WINDOW))
    dropped: Counter[str] = field(default_factory=Counter)
    empty_in_a_row: int = 0
    fault: str | None = None
    last: FrameOutcome = field(default_factory=FrameOutcome)


class Monitor:
    """Counts and times of everything; safe to use from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._inputs: dict[str, InputRecord] = {}
        self._timings: dict[str, deque[float]] = {}
        self._frames = _Frames()

    def received(self, name: str, now_ns: int) -> None:
        """Note that a message of an input arrived."""
        with self._lock:
            self._inputs.setdefault(name, InputRecord()).note(now_ns)

    def incompatible(self, name: str, policy: str) -> None:
        """Note that a publisher of an input offers a quality of service that does not fit."""
        with self._lock:
            self._inputs.setdefault(name, InputRecord()).incompatible = policy

    def lost(self, name: str, count: int) -> None:
        """Note that the middleware lost messages of an input on their way."""
        with self._lock:
            self._inputs.setdefault(name, InputRecord()).note_loss(count)

    def dropped(self, reason: str) -> None:
        """Count a frame that was not processed, by reason."""
        with self._lock:
            self._frames.dropped[reason] += 1

    def fault(self, sentence: str, reason: str = 'bad input') -> None:
        """Keep the reason why the newest frame gave no result, until one succeeds."""
        with self._lock:
            self._frames.fault = sentence
            self._frames.dropped[reason] += 1

    def finished(self, now_ns: int, outcome: FrameOutcome, timings: Mapping[str, float]) -> None:
        """Note a processed frame.

        Args:
            now_ns: Present time of the node's clock.
            outcome: What became of it.
            timings: Seconds by stage.
        """
        with self._lock:
            frames = self._frames
            frames.fault = None
            frames.last = outcome
            frames.processed += 1
            frames.empty_in_a_row = 0 if outcome.objects else frames.empty_in_a_row + 1
            if frames.finished and now_ns < frames.finished[-1]:
                # The clock was set back: times from before tell nothing any more.
                frames.finished.clear()
            frames.finished.append(now_ns)
            for stage, seconds in timings.items():
                self._timings.setdefault(stage, deque(maxlen=_TIMINGS_KEPT)).append(seconds)

    def present_fault(self) -> str | None:
        """Return why the newest frame gave no result, None if it gave one."""
        with self._lock:
            return self._frames.fault

    def input_problems(self, facts: Sequence[InputFacts], now_ns: int,
                       timeout_ns: int) -> list[Problem]:
        """Return what is wrong with the inputs, what stops all frames first."""
        with self._lock:
            return problems(facts, self._inputs, now_ns, timeout_ns)

    def processing(self) -> tuple[bytes, str]:
        """Return level and sentence of the frames' processing."""
        with self._lock:
            frames = self._frames
            if frames.fault is not None:
                return ERROR, frames.fault
            if frames.processed == 0:
                return WARN, 'no frame processed yet'
            if frames.empty_in_a_row >= _EMPTY_FRAMES_WORTH_A_WARNING:
                return WARN, self._emptiness()
            told = f'{frames.last.objects} objects in the last frame'
            fallback = frames.last.fallback
            return (WARN, f'{told}; {fallback}') if fallback else (OK, told)

    def lasting_emptiness(self) -> str | None:
        """Return why so many frames in a row gave no object, None if they gave some."""
        with self._lock:
            lasts = self._frames.empty_in_a_row >= _EMPTY_FRAMES_WORTH_A_WARNING
            return self._emptiness() if lasts else None

    def _emptiness(self) -> str:
        reasons = self._frames.last.reasons
        why = reasons[0] if reasons else (
            'the segmenter found nothing; lower segmentation.min_score or show one of its '
            'categories')
        return f'no object in the last {self._frames.empty_in_a_row} frames ({why})'

    def input_values(self, facts: Sequence[InputFacts], now_ns: int) -> dict[str, str]:
        """Return what is known about each input, for the diagnostics' table.

        Args:
            facts: What the graph shows.
            now_ns: Present time of the node's clock.
        """
        table: dict[str, str] = {}
        with self._lock:
            for fact in facts:
                record = self._inputs.get(fact.name, InputRecord())
                table |= fact.values() | {f'{fact.name}.{key}': value
                                          for key, value in record.values(now_ns).items()}
        return table

    def values(self, now_ns: int) -> dict[str, str]:
        """Return rates, latencies and counts for the diagnostics' table.

        Of each stage the median and the 99th percentile; 'latency' is from the frame's stamp to
        the end of publishing, by the node's clock.

        Args:
            now_ns: Present time of the node's clock.
        """
        with self._lock:
            frames = self._frames
            table = {'frames.processed': str(frames.processed),
                     'frames.rate_hz': f'{rate(frames.finished, now_ns):.2f}'}
            for reason, count in frames.dropped.items():
                table[f'frames.dropped.{reason.replace(" ", "_")}'] = str(count)
            for stage, seconds in self._timings.items():
                median, slow = 1e3 * np.percentile(list(seconds), (50, 99))
                table[f'milliseconds.{stage}'] = f'{median:.1f}'
                table[f'milliseconds.{stage}.p99'] = f'{slow:.1f}'
            last = frames.last
            table['objects'] = str(last.objects)
            table |= {f'tracks.{state}': str(count) for state, count in last.tracks.items()}
            if last.fallback:
                table['fallback'] = last.fallback
            table |= {f'agreement.{name}': f'{share:.2f}'
                      for name, share in last.agreements.items() if not np.isnan(share)}
            for index, reason in enumerate(last.reasons[:_REASONS_SHOWN]):
                table[f'dropped_object.{index}'] = reason
            return table


def status_message(name: str, hardware: str, level: bytes, sentence: str,
                   values: Mapping[str, str]) -> DiagnosticStatus:
    """Return one diagnostics entry."""
    return DiagnosticStatus(
        name=name, hardware_id=hardware, level=level, message=sentence,
        values=[KeyValue(key=key, value=value) for key, value in values.items()])
