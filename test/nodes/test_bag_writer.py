import numpy as np
import pytest
from rclpy.serialization import serialize_message
from rosbags.highlevel import AnyReader
from sensor_msgs.msg import Image
from std_msgs.msg import Header
from tf2_msgs.msg import TFMessage
from vision_msgs.msg import Detection3D, Detection3DArray

from pose_estimation_ros.core.errors import ConfigurationError
from pose_estimation_ros.nodes.bag_writer import BagWriter, write_bag
from pose_estimation_ros.nodes.conversions import image_message
from pose_estimation_ros.nodes.graph_listener import Arrival


def test_a_recording_is_an_mcap_that_other_tools_read(tmp_path):
    image = image_message(np.full((3, 4, 3), 7, np.uint8), 'rgb8', Header(frame_id='camera'))
    detections = Detection3DArray(detections=[Detection3D(id='mug_1')])
    topics = {'/color': Image, '/objects': Detection3DArray, '/tf': TFMessage}
    write_bag(tmp_path / 'bag', topics, [
        Arrival('/objects', 2, serialize_message(detections), detections),
        Arrival('/color', 1, serialize_message(image), image)])
    assert len(list((tmp_path / 'bag').glob('*.mcap'))) == 1
    with AnyReader([tmp_path / 'bag']) as reader:
        read = [(c.topic, time, reader.deserialize(data, c.msgtype))
                for c, time, data in reader.messages()]
        hashes = {c.topic: c.digest for c in reader.connections}
    assert [(topic, time) for topic, time, _ in read] == [('/color', 1), ('/objects', 2)]
    assert read[0][2].header.frame_id == 'camera'
    assert read[1][2].detections[0].id == 'mug_1'
    assert hashes['/objects'].startswith('RIHS01_793f5eab9595ac1c')


def test_a_bag_is_never_written_over(tmp_path):
    write_bag(tmp_path / 'bag', {}, [])
    with pytest.raises(ConfigurationError, match='exists already; choose another folder'):
        BagWriter(tmp_path / 'bag', compressed=False)


def test_a_folder_that_cannot_be_made_is_told(tmp_path):
    (tmp_path / 'file').write_text('')
    with pytest.raises(ConfigurationError, match='cannot be made: Not a directory'):
        BagWriter(tmp_path / 'file' / 'bag', compressed=False)
