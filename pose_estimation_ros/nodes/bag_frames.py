"""Frames of a bag: recorded colour, depth and calibration that belong together."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass

from pose_estimation_ros.datasets.bag import Bag, BagMessage
from pose_estimation_ros.datasets.bag_camera import CameraTopics
from pose_estimation_ros.nodes.synchronizer import QUEUE_LENGTH, StampSynchronizer


@dataclass(frozen=True)
class BagFrame:
    """The messages of one frame as they were recorded.

    Attributes:
        color: Colour image.
        depth: Its depth; None where the bag has none.
        color_info: Calibration with the image's stamp, or else the newest.
        depth_info: The same of depth; None where the bag has none.
    """

    color: BagMessage
    depth: BagMessage | None
    color_info: BagMessage
    depth_info: BagMessage | None

    @property
    def messages(self) -> tuple[BagMessage, ...]:
        """All of them; calibrations first, since readers need them for images."""
        everything = (self.color_info, self.depth_info, self.color, self.depth)
        return tuple(message for message in everything if message is not None)


def frames_of(bag: Bag, topics: CameraTopics, slop_ns: int,
              needed: Collection[int] = ()) -> Iterator[BagFrame]:
    """Yield the frames of a bag; images without partner or calibration are left out.

    A frame that was recorded twice, as one that `replay_camera` showed again, comes once.

    Args:
        bag: The bag.
        topics: Of the camera.
        slop_ns: Largest difference of the stamps of colour and depth, nanoseconds.
        needed: Stamps of images that come without depth if they have no partner, nanoseconds:
            an estimator goes on from colour where it can.
    """
    last: BagMessage | None = None
    for frame in _all_frames(bag, topics, slop_ns, needed):
        # A camera that does not stamp its images gives other images of one stamp.
        if last is None or frame.color.data != last.data:
            yield frame
        last = frame.color


def _all_frames(bag: Bag, topics: CameraTopics, slop_ns: int,
                needed: Collection[int]) -> Iterator[BagFrame]:
    pairs: StampSynchronizer[BagMessage, BagMessage] = StampSynchronizer(slop_ns)
    infos: dict[str, BagMessage] = {}
    # Needed images that have no partner yet, by stamp, with their number.
    alone: dict[int, tuple[int, BagMessage]] = {}
    colors = 0
    pending: tuple[BagMessage, BagMessage | None] | None = None
    for message in bag.messages(topics.names):
        pair: tuple[BagMessage, BagMessage | None] | None = None
        if message.topic == topics.color:
            colors += 1
            if topics.depth and message.stamp_ns in needed:
                alone[message.stamp_ns] = colors, message
            pair = (pairs.add_color(message.stamp_ns, message) if topics.depth
                    else (message, None))
        elif message.topic == topics.depth:
            pair = pairs.add_depth(message.stamp_ns, message)
        else:
            infos[message.topic] = message
        if pair is not None:
            alone.pop(pair[0].stamp_ns, None)
        # Pairs come in their order, and depth comes no later than so many images.
        lone = [stamp_ns for stamp_ns, (number, _) in alone.items()
                if (pair is not None and stamp_ns < pair[0].stamp_ns)
                or colors - number > QUEUE_LENGTH]
        # The calibration of an image may be recorded after it.
        if pending is not None and (pair is not None or lone
                                    or _have(infos, topics, pending[0])):
            yield from _frame(pending, infos, topics)
            pending = None
        for stamp_ns in lone:
            yield from _frame((alone.pop(stamp_ns)[1], None), infos, topics)
        if pair is not None and _have(infos, topics, pair[0]):
            yield from _frame(pair, infos, topics)
        elif pair is not None:
            pending = pair
    if pending is not None:
        yield from _frame(pending, infos, topics)
    for _, message in alone.values():
        yield from _frame((message, None), infos, topics)


def _have(infos: dict[str, BagMessage], topics: CameraTopics, color: BagMessage) -> bool:
    """Return whether the calibration with the stamp of an image is there."""
    info = infos.get(topics.color_info)
    return info is not None and info.stamp_ns == color.stamp_ns


def _frame(pair: tuple[BagMessage, BagMessage | None], infos: dict[str, BagMessage],
           topics: CameraTopics) -> Iterator[BagFrame]:
    color_info = infos.get(topics.color_info)
    if color_info is not None:
        yield BagFrame(pair[0], pair[1], color_info, infos.get(topics.depth_info))
