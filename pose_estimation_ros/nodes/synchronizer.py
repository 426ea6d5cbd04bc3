"""Pairs of colour and depth by stamp; only the newest pair counts."""

from __future__ import annotations

from collections import deque
from typing import Generic, TypeVar

import numpy as np

Color = TypeVar('Color')
Depth = TypeVar('Depth')

# Depth that is compressed or sent far may come half a second after its colour.
QUEUE_LENGTH = 20
# A gap is worth a word only when it lasts: depth may simply come a little later than colour.
_PATIENCE = 3
_JUMP_BACK_NS = 1_000_000_000
_FEWEST_STEPS = 3


class StampSynchronizer(Generic[Color, Depth]):
    """Finds for each new message its partner with the nearest stamp."""

    def __init__(self, slop_ns: int) -> None:
        """Start empty.

        Args:
            slop_ns: Largest difference of two stamps that belong together, nanoseconds; see
                `limit_ns`.
        """
        self.slop_ns = slop_ns
        self._colors: deque[tuple[int, Color]] = deque(maxlen=QUEUE_LENGTH)
        self._depths: deque[tuple[int, Depth]] = deque(maxlen=QUEUE_LENGTH)
        self._color_stamps: deque[int] = deque(maxlen=QUEUE_LENGTH)
        self._unpaired_colors = 0
        self._colors_since_depth = 0

    @property
    def limit_ns(self) -> int:
        """Largest difference of stamps that belong together now, nanoseconds.

        Never more than half the time between two colour images: beyond it the next image is
        nearer, and it may only not have come yet.
        """
        steps = np.diff(np.unique(self._color_stamps))
        if len(steps) < _FEWEST_STEPS:
            return self.slop_ns
        # The lower quartile: where images get lost, steps are longer than the camera's.
        period = int(np.sort(steps)[len(steps) // 4])
        return min(self.slop_ns, period // 2)

    def add_color(self, stamp_ns: int, color: Color) -> tuple[Color, Depth] | None:
        """Take a colour image; return a pair if its depth is there."""
        self._clear_after_jump_back(self._colors, stamp_ns)
        self._colors.append((stamp_ns, color))
        self._color_stamps.append(stamp_ns)
        self._unpaired_colors += 1
        self._colors_since_depth += 1
        found = _nearest(self._depths, stamp_ns, self.limit_ns)
        return None if found is None else self._pair((stamp_ns, color), found)

    def add_depth(self, stamp_ns: int, depth: Depth) -> tuple[Color, Depth] | None:
        """Take a depth image; return a pair if its colour is there."""
        self._clear_after_jump_back(self._depths, stamp_ns)
        self._depths.append((stamp_ns, depth))
        self._colors_since_depth = 0
        found = _nearest(self._colors, stamp_ns, self.limit_ns)
        return None if found is None else self._pair(found, (stamp_ns, depth))

    def fault(self) -> str | None:
        """Return why colour and depth, which both come, make no pairs, and the cure.

        None while pairs are found, or while one of the two is missing altogether.
        """
        if self._unpaired_colors < _PATIENCE or not self._colors or not self._depths:
            return None
        if self._colors_since_depth >= QUEUE_LENGTH:
            return None
        newest, latest_depth = self._colors[-1][0], self._depths[-1][0]
        oldest = self._colors[0][0]
        if len(self._colors) == QUEUE_LENGTH and latest_depth < oldest - self.limit_ns:
            return (f'depth arrives {(newest - latest_depth) / 1e9:.3g} s after the colour of its '
                    f'stamp, which is kept for {(newest - oldest) / 1e9:.3g} s; make it faster '
                    '(less compression, a nearer republisher) or the camera slower, and let both '
                    'stamps be of one clock')
        gap = min(abs(newest - stamp) for stamp, _ in self._depths) / 1e9
        limit_ns = self.limit_ns
        apart = f'colour and depth stamps are {gap:.3g} s apart, more than {limit_ns / 1e9:.3g} s'
        cure = 'switch synchronisation on in the camera (RealSense: enable_sync:=true)'
        if limit_ns < self.slop_ns:
            return (f'{apart}, half the time between two images, beyond which other images are '
                    f'nearer; {cure}, or let both streams have one rate')
        return (f'{apart} (sync.slop); {cure} or raise sync.slop (launch files of cameras set it '
                'by camera_preset)')

    def clear(self) -> None:
        """Forget everything."""
        self._colors.clear()
        self._depths.clear()
        self._color_stamps.clear()
        self._unpaired_colors = 0

    def _pair(self, color: tuple[int, Color], depth: tuple[int, Depth]) -> tuple[Color, Depth]:
        """Return the pair's messages and forget both, with all that is older."""
        self._colors = _after(self._colors, color[0])
        self._depths = _after(self._depths, depth[0])
        self._unpaired_colors = 0
        return color[1], depth[1]

    def _clear_after_jump_back(self, queue: deque[tuple[int, Color]] | deque[tuple[int, Depth]],
                               stamp_ns: int) -> None:
        """Forget everything when one input's time is set back, as when a bag starts over."""
        if queue and stamp_ns < queue[-1][0] - _JUMP_BACK_NS:
            self.clear()


def _after(queue: deque[tuple[int, Color]], stamp_ns: int) -> deque[tuple[int, Color]]:
    return deque((entry for entry in queue if entry[0] > stamp_ns), maxlen=QUEUE_LENGTH)


def _nearest(queue: deque[tuple[int, Color]], stamp_ns: int,
             limit_ns: int) -> tuple[int, Color] | None:
    nearest = min(queue, key=lambda entry: abs(entry[0] - stamp_ns), default=None)
    if nearest is None or abs(nearest[0] - stamp_ns) > limit_ns:
        return None
    return nearest
