"""Guards of the input streams: whether frames come in order, and from one camera only."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any

_JUMP_BACK_NS = 1_000_000_000
_MIXED_SECONDS = 1.0


class FrameOrder:
    """Lets each stamp pass once, and none after a later one; time may jump back as a whole."""

    def __init__(self) -> None:
        self._last_ns: int | None = None
        self._repeats = 0

    @property
    def repeats(self) -> int:
        """How many frames in a row came with the stamp of the one before."""
        return self._repeats

    def problem(self, stamp_ns: int) -> str | None:
        """Return why a frame is left out, None if it may pass.

        A stamp more than a second before the last one is a jump of time, as when a bag starts
        over.
        """
        last_ns = self._last_ns
        if last_ns is None or stamp_ns > last_ns or stamp_ns < last_ns - _JUMP_BACK_NS:
            self._last_ns, self._repeats = stamp_ns, 0
            return None
        if stamp_ns < last_ns:
            return 'out of order'
        self._repeats += 1
        return 'same stamp'


class SenderWatch:
    """Notices when more than one publisher sends on a topic.

    The graph alone cannot tell: a camera that was killed stays in it for a while.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        """Start without senders.

        Args:
            clock: Steady time, seconds.
        """
        self._clock = clock
        self._heard: dict[str, dict[bytes, float]] = {}

    def heard(self, topic: str, info: Mapping[str, Any]) -> None:
        """Note who sent a message; an older rclpy does not tell, then nothing is noticed."""
        sender = info.get('publisher_gid')
        if sender is not None:
            self._heard.setdefault(topic, {})[bytes(sender['data'])] = self._clock()

    def mixed_topic(self) -> tuple[str, int] | None:
        """Return the first topic on which several have sent of late, and how many."""
        oldest = self._clock() - _MIXED_SECONDS
        for topic, senders in self._heard.items():
            if len(senders) < 2:
                continue
            for sender in [key for key, at in senders.items() if at < oldest]:
                del senders[sender]
            if len(senders) > 1:
                return topic, len(senders)
        return None
