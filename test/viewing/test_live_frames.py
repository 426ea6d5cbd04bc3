"""Messages of the running graph become frames, in whatever order and however late they come."""

from __future__ import annotations

import pytest

pytest.importorskip('rclpy', reason='the running graph is looked at by ROS')

import numpy as np
from result_bags import detection
from ros_harness import Frame
from std_msgs.msg import Header
from vision_msgs.msg import Detection3DArray

from pose_estimation_ros.evaluation.bag_results import frame_result
from pose_estimation_ros.nodes.conversions import ns_to_stamp
from pose_estimation_ros.nodes.estimator_topics import EstimatorTopic
from pose_estimation_ros.nodes.graph_listener import Arrival
from pose_estimation_ros.viewing.live_frames import LiveFrames, _is_of_depth

START = 1_700_000_000_000_000_000
PERIOD = 33_333_333
COLOR, DEPTH, INFO = '/color/image_raw', '/depth/image_raw', '/color/camera_info'
RESULT = '/object_detections'
TOPICS = [EstimatorTopic(COLOR, 'sensor_msgs/msg/Image', is_input=True),
          EstimatorTopic(DEPTH, 'sensor_msgs/msg/Image', is_input=True),
          EstimatorTopic(INFO, 'sensor_msgs/msg/CameraInfo', is_input=True),
          EstimatorTopic(RESULT, 'vision_msgs/msg/Detection3DArray', is_input=False)]


class Camera:
    """Sends parts of numbered frames to what is tested."""

    def __init__(self) -> None:
        self.shown: list[tuple[int, bool]] = []
        self._frames = LiveFrames(TOPICS, lambda seen: self.shown.append(
            (round((seen.frame.stamp_ns - START) / PERIOD), seen.frame.depth is not None)),
            rectified=False)
        self._frame = Frame(size=(16, 12))

    def send(self, number: int, *topics: str) -> None:
        header = Header(stamp=ns_to_stamp(START + number * PERIOD),
                        frame_id=self._frame.frame_id)
        messages = {COLOR: self._frame.color_message, DEPTH: self._frame.depth_message,
                    INFO: self._frame.info_message,
                    RESULT: lambda header: Detection3DArray(header=header,
                                                            detections=[detection()])}
        for topic in topics:
            self._frames.add(Arrival(topic, START, b'', messages[topic](header)))


@pytest.mark.parametrize('delay', [0, 29, 31, 300])
def test_a_frame_is_shown_however_late_its_result_is(delay: int) -> None:
    camera = Camera()
    for number in range(delay + 40):
        camera.send(number, INFO, COLOR, DEPTH)
        if number >= delay and number % 10 == 0:
            camera.send(number - delay, RESULT)
    assert [with_depth for _, with_depth in camera.shown] == [True] * 4
    assert camera.shown[-1][0] == (delay + 39) // 10 * 10 - delay


@pytest.mark.parametrize(('arrival', 'latency'), [
    (START + 40_000_000, 0.04), (START - 1, np.nan), (2 * START, np.nan)])
def test_the_latency_is_unknown_where_stamps_are_of_another_clock(
        arrival: int, latency: float) -> None:
    message = Detection3DArray(header=Header(stamp=ns_to_stamp(START)))
    np.testing.assert_allclose(frame_result(message, arrival).latency, latency)


def test_a_result_waits_for_images_that_are_under_way() -> None:
    camera = Camera()
    camera.send(0, INFO, COLOR, DEPTH)
    camera.send(1, RESULT)
    camera.send(1, COLOR)
    assert camera.shown == []
    camera.send(1, DEPTH)
    assert camera.shown == [(1, True)]


def test_a_camera_whose_depth_falls_silent_is_shown_in_colour() -> None:
    camera = Camera()
    camera.send(0, INFO, COLOR, DEPTH)
    for number in range(1, 60):
        camera.send(number, COLOR, RESULT)
    assert camera.shown[0] == (1, False)
    assert len(camera.shown) > 20


def test_a_camera_without_depth_is_shown_at_once() -> None:
    camera = Camera()
    camera.send(0, INFO, COLOR, RESULT)
    assert camera.shown == [(0, False)]


def test_a_lost_image_holds_nobody_up() -> None:
    camera = Camera()
    camera.send(0, INFO, COLOR, DEPTH)
    camera.send(1, RESULT)
    camera.send(2, COLOR, DEPTH, RESULT)
    assert camera.shown == [(2, True)]


def test_a_result_of_before_time_began_anew_holds_nobody_up() -> None:
    camera = Camera()
    camera.send(100, INFO, COLOR, DEPTH)
    camera.send(0, COLOR, DEPTH)
    camera.send(101, RESULT)
    camera.send(0, RESULT)
    assert camera.shown == [(0, True)]


@pytest.mark.parametrize('topic', [
    '/camera/camera/aligned_depth_to_color/image_raw', '/camera/depth/image_raw',
    '/zed/zed_node/depth/depth_registered', '/depth_to_rgb/image_raw', '/oak/stereo/image_raw',
    '/camera/depth/image_raw/compressedDepth', '/left/depth/camera_info'])
def test_topics_of_depth(topic: str) -> None:
    assert _is_of_depth(topic)


@pytest.mark.parametrize('topic', [
    '/depth_cam/rgb/image_raw', '/depth_cam/rgb/image_raw/compressed', '/color/image_raw',
    '/stereo_rig/left/color/camera_info', '/zed/zed_node/rgb/color/rect/image'])
def test_topics_of_colour(topic: str) -> None:
    assert not _is_of_depth(topic)
