"""Frames with results as they pass in the graph: images and detections of one stamp."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from typing import Any

from pose_estimation_ros.datasets.bag_camera import COMPRESSED, IMAGE, INFO
from pose_estimation_ros.evaluation.bag_results import frame_result
from pose_estimation_ros.nodes.conversions import stamp_to_ns
from pose_estimation_ros.nodes.estimator_topics import EstimatorTopic
from pose_estimation_ros.nodes.frame_input import RawFrame
from pose_estimation_ros.nodes.graph_listener import Arrival
from pose_estimation_ros.runtime.undistortion import Undistorter
from pose_estimation_ros.viewing.seen_frame import SeenFrame, seen_frame, seen_input
from pose_estimation_ros.viewing.waiting_images import WaitingImages

_RESULTS = 'object_detections'
_SLOP_NS = 20_000_000
# At 640x480 and 30 Hz colour and depth of 11 s.
_MOST_BYTES = 512_000_000
# Depth that comes so much later than colour does not come.
_PATIENCE_NS = 1_000_000_000
_MOST_RESULTS = 100


class LiveFrames:
    """Joins the messages of an estimator's inputs and results into frames."""

    def __init__(self, topics: Sequence[EstimatorTopic], on_frame: Callable[[SeenFrame], None], *,
                 rectified: bool) -> None:
        """Find out which topic is what.

        Args:
            topics: Of the estimator.
            on_frame: Gets each frame that has a result.
            rectified: The images are rectified by the driver.
        """
        images = [topic.name for topic in topics
                  if topic.is_input and topic.message_type in (IMAGE, COMPRESSED)]
        infos = [topic.name for topic in topics if topic.is_input and topic.message_type == INFO]
        self._depth_topics = {name for name in images if _is_of_depth(name)}
        self._color_topics = set(images) - self._depth_topics
        self._info_topics = {name for name in infos if not _is_of_depth(name)} or set(infos)
        self._results = {topic.name for topic in topics
                         if topic.name.rpartition('/')[2] == _RESULTS and not topic.is_input}
        self._on_frame = on_frame
        self._rectified = rectified
        self._images = WaitingImages(_MOST_BYTES, _SLOP_NS)
        self._results_waiting: deque[Arrival] = deque(maxlen=_MOST_RESULTS)
        self._info: Any = None
        self._undistorter = Undistorter()

    @property
    def is_complete(self) -> bool:
        """Whether there are images, a calibration and results."""
        return bool(self._color_topics and self._info_topics and self._results)

    @property
    def names(self) -> set[str]:
        """The topics that are needed."""
        return self._color_topics | self._depth_topics | self._info_topics | self._results

    def add(self, arrival: Arrival) -> None:
        """Take a message; a result may come before its images and long after them.

        Raises:
            InvalidInputError: If an image cannot be used.
        """
        if arrival.topic in self._info_topics:
            self._info = arrival.message
        elif arrival.topic in self._color_topics:
            self._images.add_color(arrival.message)
        elif arrival.topic in self._depth_topics:
            self._images.add_depth(arrival.message)
        elif arrival.topic in self._results:
            # Results of later images are those of a time that has begun anew.
            while self._results_waiting and _stamp_ns(self._results_waiting[-1]) > _stamp_ns(
                    arrival):
                self._results_waiting.pop()
            self._results_waiting.append(arrival)
        while self._results_waiting and self._is_settled(_stamp_ns(self._results_waiting[0])):
            self._join(self._results_waiting.popleft())

    def _is_settled(self, stamp_ns: int) -> bool:
        """Return whether all that belongs to a stamp is here, or will not come."""
        color_ns, depth_ns = self._images.newest_color_ns, self._images.newest_depth_ns
        if self._info is None or color_ns is None or color_ns < stamp_ns:
            return False
        return depth_ns is None or depth_ns >= stamp_ns or color_ns > stamp_ns + _PATIENCE_NS

    def _join(self, arrival: Arrival) -> None:
        stamp_ns = _stamp_ns(arrival)
        color, depth = self._images.pair(stamp_ns)
        self._images.forget_before(stamp_ns)
        if color is None:
            return
        frame, remarks = seen_input(RawFrame(color, depth, self._info, None),
                                    rectified=self._rectified)
        result = frame_result(arrival.message, arrival.time_ns)
        self._on_frame(seen_frame(f'{stamp_ns / 1e9:.3f}', self._undistorter.undistort(frame),
                                  result, remarks))


def _stamp_ns(arrival: Arrival) -> int:
    return stamp_to_ns(arrival.message.header.stamp)


def _is_of_depth(topic: str) -> bool:
    """Return whether a topic is that of depth by its own name or the one before.

    What stands further in front is the camera's name, which may be anything.
    """
    parts = topic.removesuffix('/compressed').removesuffix('/compressedDepth').split('/')
    return any(word in part.lower() for part in parts[-2:] for word in ('depth', 'stereo'))
