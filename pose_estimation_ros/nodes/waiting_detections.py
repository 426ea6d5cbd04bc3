"""Detections that wait for the shapes of their frame, which come on a topic of their own."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable

from builtin_interfaces.msg import Time
from vision_msgs.msg import Detection3DArray


class WaitingDetections:
    """Hands detections on in the order they came in, each once.

    Two topics keep no order between them: the next detections may come before the shapes of
    these.
    """

    def __init__(self, patience: float, clock: Callable[[], float] = time.monotonic) -> None:
        """Start empty.

        Args:
            patience: How long shapes are waited for, seconds.
            clock: Steady time, seconds.
        """
        self._patience = patience
        self._clock = clock
        self._waiting: deque[tuple[float, Detection3DArray]] = deque()

    def add(self, detections: Detection3DArray) -> None:
        """Keep detections that have just come."""
        self._waiting.append((self._clock(), detections))

    def up_to(self, stamp: Time) -> list[Detection3DArray]:
        """Take out those of a frame, which come last, and all before; none if they do not wait."""
        places = [place for place, (_, detections) in enumerate(self._waiting)
                  if detections.header.stamp == stamp]
        return self._take(places[-1] + 1 if places else 0)

    def overdue(self) -> list[Detection3DArray]:
        """Take out those whose shapes have not come in time."""
        oldest = self._clock() - self._patience
        return self._take(sum(came < oldest for came, _ in self._waiting))

    def all(self) -> list[Detection3DArray]:
        """Take out all."""
        return self._take(len(self._waiting))

    def _take(self, count: int) -> list[Detection3DArray]:
        return [self._waiting.popleft()[1] for _ in range(count)]
