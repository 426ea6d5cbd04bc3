"""Recorded messages as ROS has them."""

from __future__ import annotations

from typing import Any

from rclpy.serialization import deserialize_message

from pose_estimation_ros.core.errors import InvalidInputError
from pose_estimation_ros.datasets.bag import BagMessage
from pose_estimation_ros.nodes.bag_frames import BagFrame
from pose_estimation_ros.nodes.frame_input import RawFrame
from pose_estimation_ros.nodes.message_types import message_type


def read_message(message: BagMessage) -> Any:
    """Return a recorded message as ROS has it.

    Raises:
        InvalidInputError: If it is damaged.
        ConfigurationError: If its type is not installed.
    """
    kind = message_type(message.message_type)
    try:
        return deserialize_message(message.data, kind)
    except Exception as error:  # rclpy has no type of its own for it
        raise InvalidInputError(f'a message of {message.topic} cannot be read as '
                                f'{message.message_type}; the bag is damaged') from error


def raw_frame(frame: BagFrame) -> RawFrame:
    """Return a recorded frame as the estimator gets it.

    Raises:
        InvalidInputError: If a message is damaged.
    """
    depth = None if frame.depth is None else read_message(frame.depth)
    depth_info = None if frame.depth_info is None else read_message(frame.depth_info)
    return RawFrame(read_message(frame.color), depth, read_message(frame.color_info), depth_info)
