"""Why an input topic brings no messages, or too few: what the graph and the middleware show."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from rclpy.utilities import get_rmw_implementation_identifier

from pose_estimation_ros.nodes.ros_compat import fastdds_variable, share_file

_WINDOW = 30
# Of the last messages; a few are lost whenever a subscription begins.
_LOSS_WORTH_A_WORD = 0.2
_LOST_AT_LEAST = 5
_PAUSE_NS = 1_000_000_000


@dataclass(frozen=True)
class InputFacts:
    """One input topic as the graph shows it.

    Attributes:
        name: For people: 'colour', 'depth', 'camera_info'.
        topic: Full topic name.
        publishers: How many nodes publish it now.
        argument: What to do if nobody publishes it.
        needed: Without it no frame is processed.
        wrong_type: What is published there instead of the type that is read; empty = nothing.
        missed: Frames are processed without it, but not as they should be.
    """

    name: str
    topic: str
    publishers: int
    argument: str
    needed: bool = True
    wrong_type: str = ''
    missed: bool = False

    def values(self) -> dict[str, str]:
        """Return topic and publishers for the diagnostics' table."""
        return {f'{self.name}.topic': self.topic, f'{self.name}.publishers': str(self.publishers)}


@dataclass(frozen=True)
class Problem:
    """Something that is wrong with the inputs.

    Attributes:
        sentence: Fault, value and cure.
        stops_frames: No frame comes because of it; otherwise frames come, but not as they should.
    """

    sentence: str
    stops_frames: bool


@dataclass
class InputRecord:
    """What has come over one topic since the activation."""

    received: int = 0
    lost: int = 0
    arrivals: deque[int] = field(default_factory=lambda: deque(maxlen=_WINDOW))
    losses: deque[int] = field(default_factory=lambda: deque(maxlen=_WINDOW))
    incompatible: str = ''

    def note(self, now_ns: int) -> None:
        """Note that a message arrived."""
        if self.arrivals and now_ns < self.arrivals[-1]:
            # The clock was set back: times from before tell nothing any more.
            self.arrivals.clear()
            self.losses.clear()
        self.received += 1
        self.arrivals.append(now_ns)
        self.losses.append(0)

    def note_loss(self, count: int) -> None:
        """Note that so many messages were lost since the last one that arrived."""
        self.lost += count
        if self.losses:
            self.losses[-1] += count

    def lost_share(self) -> float:
        """Return the share of the last messages that was lost on the way, 0 to 1."""
        lost = sum(self.losses)
        return lost / (lost + len(self.losses)) if lost >= _LOST_AT_LEAST else 0.0

    def values(self, now_ns: int) -> dict[str, str]:
        """Return counts and rate for the diagnostics' table.

        Args:
            now_ns: Present time of the node's clock.
        """
        table = {'received': str(self.received), 'lost': str(self.lost),
                 'rate_hz': f'{rate(self.arrivals, now_ns):.2f}'}
        if self.incompatible:
            table['incompatible'] = self.incompatible
        return table


def rate(stamps: Sequence[int], now_ns: int) -> float:
    """Return the mean rate of events, Hz; 0 = unknown. It falls while none has come for a second.

    Args:
        stamps: When they came, nanoseconds.
        now_ns: Present time, nanoseconds.
    """
    if len(stamps) < 2 or stamps[-1] <= stamps[0]:
        return 0.0
    until = max(stamps[-1], now_ns - _PAUSE_NS)
    return (len(stamps) - 1) * 1e9 / (until - stamps[0])


def problems(facts: Sequence[InputFacts], records: Mapping[str, InputRecord], now_ns: int,
             timeout_ns: int) -> list[Problem]:
    """Return what is wrong with the inputs, what stops all frames first.

    Args:
        facts: What the graph shows.
        records: What has come, by the inputs' names.
        now_ns: Present time of the node's clock.
        timeout_ns: Silence that is worth a word.
    """
    found: list[Problem] = []
    for fact in facts:
        record = records.get(fact.name, InputRecord())
        last = record.arrivals[-1] if record.arrivals else None
        if last is None or abs(now_ns - last) > timeout_ns:
            if fact.needed or fact.missed or record.incompatible or fact.wrong_type:
                found.append(Problem(_silence(fact, record), fact.needed))
            continue
        if fact.publishers > 1:
            found.append(Problem(
                f'{fact.publishers} nodes publish {fact.topic}: frames of several cameras would '
                'mix; stop all but one, or remap the topics', stops_frames=False))
        if record.lost_share() > _LOSS_WORTH_A_WORD:
            found.append(Problem(
                f'{record.lost_share():.0%} of the messages on {fact.topic} are lost on their '
                f'way; {_transport_cure()}', stops_frames=False))
    return sorted(found, key=lambda problem: not problem.stops_frames)


def _silence(fact: InputFacts, record: InputRecord) -> str:
    silent = f'{"no more" if record.received else "no"} {fact.name}'
    if fact.publishers == 0:
        return f'{silent}: nobody publishes {fact.topic}; {fact.argument}'
    if fact.wrong_type:
        return (f'{silent}: {fact.topic} is published as {fact.wrong_type}; set color.transport '
                'or depth.transport to what the camera sends, or remap to another topic')
    if record.incompatible:
        cure = ('set input_reliability to what the camera offers'
                if record.incompatible == 'reliability' else
                'change that quality of service in the camera')
        return (f'{silent}: {fact.topic} is published with incompatible {record.incompatible}; '
                f'{cure}')
    return (f'{silent}: {fact.publishers} publisher(s) on {fact.topic} but nothing arrives; if '
            f'the camera is running, {_transport_cure()}')


def _transport_cure() -> str:
    if 'fastrtps' in get_rmw_implementation_identifier():
        return ('its images may exceed the shared memory of Fast DDS: start it with '
                f'{fastdds_variable()}={share_file("config/fastdds.xml")}, or set '
                'input_reliability to reliable')
    return ('its images may exceed the buffers of the network: raise net.core.rmem_max as your '
            'middleware recommends, or set input_reliability to reliable')
