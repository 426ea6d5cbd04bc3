"""Publishing RGB-D frames as a camera driver does; shared by the simulated and replay cameras."""

from __future__ import annotations

import numpy as np
from builtin_interfaces.msg import Time
from numpy.typing import NDArray
from rclpy.node import Node
from rclpy.publisher import Publisher
from rclpy.qos import QoSProfile
from rclpy.qos_overriding_options import QoSOverridingOptions
from sensor_msgs.msg import CameraInfo, Image
from std_msgs.msg import Header

from pose_estimation_ros.core.frame import RGBDFrame
from pose_estimation_ros.nodes.conversions import camera_info_message, image_message

_QUEUE = 5
_FARTHEST_MILLIMETRES = 65535.0


class CameraMessages:
    """The messages of one frame, made once and stamped anew each time they are published."""

    def __init__(self, frame: RGBDFrame, frame_id: str) -> None:
        """Make the messages.

        Args:
            frame: Colour, depth and camera.
            frame_id: Of the messages' headers.
        """
        header = Header(frame_id=frame_id)
        self.color: Image = image_message(frame.rgb, 'rgb8', header)
        self.info: CameraInfo = camera_info_message(frame.intrinsics, header)
        self.depth: Image | None = None
        if frame.depth is not None:
            self.depth = image_message(millimetres(frame.depth), '16UC1', header)

    def stamp(self, stamp: Time) -> None:
        """Set the stamp of all messages."""
        for message in (self.color, self.info, self.depth):
            if message is not None:
                message.header.stamp = stamp


class CameraPublisher:
    """Publishes colour, aligned depth and both camera infos."""

    def __init__(self, node: Node) -> None:
        def create(message_type: type, topic: str) -> Publisher:
            return node.create_publisher(
                message_type, topic, QoSProfile(depth=_QUEUE),
                qos_overriding_options=QoSOverridingOptions.with_default_policies())

        self._color = create(Image, 'color/image_raw')
        self._color_info = create(CameraInfo, 'color/camera_info')
        self._depth = create(Image, 'depth/image_raw')
        self._depth_info = create(CameraInfo, 'depth/camera_info')

    def publish(self, messages: CameraMessages) -> None:
        """Publish the messages of one frame; infos first, since readers need them for images."""
        self._color_info.publish(messages.info)
        if messages.depth is not None:
            self._depth_info.publish(messages.info)
        self._color.publish(messages.color)
        if messages.depth is not None:
            self._depth.publish(messages.depth)


def millimetres(depth: NDArray[np.float32]) -> NDArray[np.uint16]:
    """Return (H, W) depth in whole millimetres, 0 = unknown or too far for 16 bits."""
    counts = np.rint(depth * 1000.0)
    counts[~((counts > 0) & (counts <= _FARTHEST_MILLIMETRES))] = 0
    return counts.astype(np.uint16)
