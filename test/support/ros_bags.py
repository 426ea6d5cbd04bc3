"""Bags as a robot leaves them, and what is in a bag."""

import struct
from pathlib import Path

import cv2
import yaml
from rclpy.serialization import serialize_message
from rosbags.rosbag2 import Reader, StoragePlugin, Writer
from rosbags.typesys import Stores, get_typestore
from sensor_msgs.msg import CompressedImage
from std_msgs.msg import Header

from pose_estimation_ros.nodes.conversions import ns_to_stamp


def contents(path):
    """Return the messages of a bag: [(topic, type name, time in ns, bytes)]."""
    with Reader(Path(path)) as reader:
        return [(c.topic, c.msgtype, time, data) for c, time, data in reader.messages()]


def counts(path):
    """Return the number of messages by topic."""
    with Reader(Path(path)) as reader:
        return {c.topic: c.msgcount for c in reader.connections}


def notes(path):
    """Return the facts that a bag's metadata keep beside the messages."""
    metadata = yaml.safe_load((Path(path) / 'metadata.yaml').read_text())
    return metadata['rosbag2_bagfile_information']['custom_data']


def type_store():
    return get_typestore(Stores.ROS2_KILTED)


def write_bag(folder, messages, plugin=StoragePlugin.MCAP, version=9):
    """Write [(topic, type name, time in ns, message of ROS)] as rosbag2 would."""
    types = type_store()
    with Writer(folder, version=version, storage_plugin=plugin) as writer:
        connections = {}
        for topic, name, time_ns, message in messages:
            if topic not in connections:
                connections[topic] = writer.add_connection(topic, name, typestore=types)
            writer.write(connections[topic], time_ns, serialize_message(message))


def camera_messages(frames, period_ns=100_000_000, start_ns=1_700_000_000_000_000_000,
                    prefix='/camera', compressed=False):
    """Return the messages of frames as a driver publishes them, for `write_bag`."""
    found = []
    for number, frame in enumerate(frames):
        stamp_ns = start_ns + number * period_ns
        header = Header(stamp=ns_to_stamp(stamp_ns), frame_id=frame.frame_id)
        color, depth = frame.color_message(header), frame.depth_message(header)
        info = frame.info_message(header)
        names = {'color': (f'{prefix}/color/image_raw', 'sensor_msgs/msg/Image'),
                 'depth': (f'{prefix}/aligned_depth_to_color/image_raw', 'sensor_msgs/msg/Image')}
        if compressed:
            color, depth = png_message(frame, header), png_depth_message(frame, header)
            names = {'color': (f'{prefix}/color/image_raw/compressed',
                               'sensor_msgs/msg/CompressedImage'),
                     'depth': (f'{prefix}/aligned_depth_to_color/image_raw/compressedDepth',
                               'sensor_msgs/msg/CompressedImage')}
        recorded = stamp_ns + 5_000_000
        found += [(*names['color'], recorded, color),
                  (f'{prefix}/color/camera_info', 'sensor_msgs/msg/CameraInfo', recorded + 1,
                   info),
                  (*names['depth'], recorded + 2, depth),
                  (f'{prefix}/aligned_depth_to_color/camera_info', 'sensor_msgs/msg/CameraInfo',
                   recorded + 3, info)]
    return found


def png_message(frame, header):
    _, data = cv2.imencode('.png', frame.rgb[..., ::-1])
    return CompressedImage(header=header, format='rgb8; png compressed bgr8',
                           data=data.tobytes())


def png_depth_message(frame, header):
    _, data = cv2.imencode('.png', frame.depth)
    return CompressedImage(header=header, format='16UC1; compressedDepth png',
                           data=struct.pack('<iff', 0, 0.0, 0.0) + data.tobytes())
