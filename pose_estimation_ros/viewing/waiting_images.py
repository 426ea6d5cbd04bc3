"""Images that wait for their results: by stamp, for as long as results take, bounded in bytes."""

from __future__ import annotations

from bisect import bisect_left
from typing import Any

from pose_estimation_ros.nodes.conversions import stamp_to_ns

_JUMP_BACK_NS = 1_000_000_000
# So much later than colour, depth may still wait for its own.
_AHEAD_NS = 1_000_000_000
# Room that is made at least, so that it need not be made with every image.
_FREED = 0.25


class WaitingImages:
    """Keeps colour and depth until a result of a later stamp has come.

    Nobody knows before which images an estimator takes. Where all need too much memory, every
    second one is kept, or every fourth, and so on: then some results of a slow estimator have
    their image, where of the newest images alone none would have a result.
    """

    def __init__(self, most_bytes: int, slop_ns: int) -> None:
        """Start empty.

        Args:
            most_bytes: Of the data of all images together.
            slop_ns: Largest difference of the stamps of colour and depth, nanoseconds.
        """
        self._most_bytes = most_bytes
        self._slop_ns = slop_ns
        self._colors: dict[int, Any] = {}
        self._depths: dict[int, Any] = {}
        self._bytes = 0
        self._stride = 1
        self._count = 0
        self.newest_color_ns: int | None = None
        self.newest_depth_ns: int | None = None

    def add_color(self, message: Any) -> None:
        """Take a colour image, which is kept if there is room for every one."""
        stamp_ns = _stamp_after(self._colors, self.newest_color_ns, message)
        self.newest_color_ns = stamp_ns
        self._count += 1
        if self._count % self._stride == 0:
            self._colors[stamp_ns] = message
            self._fit(message)

    def add_depth(self, message: Any) -> None:
        """Take a depth image, which is kept if its colour image is or may still come."""
        stamp_ns = _stamp_after(self._depths, self.newest_depth_ns, message)
        self.newest_depth_ns = stamp_ns
        self._depths[stamp_ns] = message
        self._fit(message)

    def pair(self, stamp_ns: int) -> tuple[Any, Any]:
        """Return the colour image with a stamp and the nearest depth image; None = not here."""
        near = [stamp for stamp in self._depths if abs(stamp - stamp_ns) <= self._slop_ns]
        nearest = min(near, key=lambda stamp: abs(stamp - stamp_ns), default=None)
        return self._colors.get(stamp_ns), None if nearest is None else self._depths[nearest]

    def forget_before(self, stamp_ns: int) -> None:
        """Drop what no later result can need; results come in the order of their images."""
        self._colors = {stamp: image for stamp, image in self._colors.items() if stamp >= stamp_ns}
        self._depths = {stamp: image for stamp, image in self._depths.items()
                        if stamp >= stamp_ns - self._slop_ns}
        self._count_bytes()
        if self._bytes < self._most_bytes / 4:
            self._stride = max(1, self._stride // 2)

    def _fit(self, added: Any) -> None:
        """Make room if an added image is too much."""
        self._bytes += len(added.data)
        if self._bytes <= self._most_bytes:
            return
        self._drop_lone_depths()
        if self._bytes > (1.0 - _FREED) * self._most_bytes:
            self._stride *= 2
            self._colors = dict(list(self._colors.items())[::2])
            self._drop_lone_depths()

    def _drop_lone_depths(self) -> None:
        """Drop depth whose colour image is neither here nor still to come."""
        colors, newest = sorted(self._colors), self.newest_color_ns

        def is_wanted(stamp_ns: int) -> bool:
            place = bisect_left(colors, stamp_ns - self._slop_ns)
            return (place < len(colors) and colors[place] <= stamp_ns + self._slop_ns) or (
                newest is not None and 0 < stamp_ns - newest <= _AHEAD_NS)

        self._depths = {stamp: image for stamp, image in self._depths.items() if is_wanted(stamp)}
        self._count_bytes()

    def _count_bytes(self) -> None:
        self._bytes = sum(len(image.data) for images in (self._colors, self._depths)
                          for image in images.values())


def _stamp_after(images: dict[int, Any], newest_ns: int | None, message: Any) -> int:
    """Return the stamp of a new image; those before are dropped if time has begun anew."""
    stamp_ns = stamp_to_ns(message.header.stamp)
    if newest_ns is not None and stamp_ns < newest_ns - _JUMP_BACK_NS:
        # As of a recording in a loop.
        images.clear()
    return stamp_ns
