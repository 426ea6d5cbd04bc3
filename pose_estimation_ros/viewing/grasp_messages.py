"""Published grasps: one PoseArray per object, those of a frame together."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from geometry_msgs.msg import PoseArray
from numpy.typing import NDArray

from pose_estimation_ros.datasets.bag import Bag
from pose_estimation_ros.nodes.bag_messages import read_message
from pose_estimation_ros.nodes.conversions import pose_matrix, stamp_to_ns

GRASPS = 'grasp_poses'
_STAMPS_KEPT = 100


class RecentGrasps:
    """Gathers the grasps of the last frames, which come object by object and at any time."""

    def __init__(self) -> None:
        """Start empty."""
        self._messages: dict[int, list[PoseArray]] = {}

    def add(self, message: PoseArray) -> int:
        """Take an object's grasps; return their stamp, nanoseconds."""
        stamp_ns = stamp_to_ns(message.header.stamp)
        self._messages.setdefault(stamp_ns, []).append(message)
        if len(self._messages) > _STAMPS_KEPT:
            del self._messages[next(iter(self._messages))]
        return stamp_ns

    def of_frame(self, stamp_ns: int, frame_id: str) -> NDArray[np.float64]:
        """Return (G, 4, 4) poses of the gripper: all that have come so far.

        Args:
            stamp_ns: Of the frame.
            frame_id: Of the camera; grasps in another frame are left out.
        """
        poses = [pose_matrix(pose) for message in self._messages.get(stamp_ns, ())
                 if message.header.frame_id == frame_id for pose in message.poses]
        return np.array(poses).reshape(-1, 4, 4)


def grasps_in(bag: Bag) -> Iterator[PoseArray]:
    """Yield the messages with grasps in a bag."""
    topics = [name for name in bag.topics if name.rpartition('/')[2] == GRASPS]
    if topics:
        for message in bag.messages(topics):
            yield read_message(message)
