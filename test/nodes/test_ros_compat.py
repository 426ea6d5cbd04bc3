"""What hides the differences between ROS distributions."""

import sys
from pathlib import Path

import pytest
from rclpy.subscription import Subscription

from pose_estimation_ros.nodes.ros_compat import TransformLookup, with_message_info


@pytest.fixture
def lookup(client, monkeypatch):
    monkeypatch.syspath_prepend(str(Path(__file__).parent / 'small_tf'))
    monkeypatch.delitem(sys.modules, 'tf2_ros', raising=False)
    transforms = TransformLookup(client.node)
    yield transforms
    transforms.destroy()
    sys.modules.pop('tf2_ros', None)


def test_transforms_of_the_future_are_forgotten_when_time_jumps_back(lookup):
    def look(seconds):
        lookup.arrived(round(seconds * 1e9))
        lookup.lookup('base_link', 'camera_color_optical_frame', round(seconds * 1e9), 0.1)
        return lookup._buffer.times_cleared

    assert [look(seconds) for seconds in (5000.0, 5010.0, 5009.9)] == [0, 0, 0]
    assert [look(seconds) for seconds in (4000.0, 4001.0)] == [1, 1]


def test_where_rclpy_tells_nothing_of_a_message_nothing_is_known_of_it(monkeypatch):
    received = []

    def receive(message, info):
        received.append((message, info))

    assert with_message_info(receive) is receive
    monkeypatch.delattr(Subscription, 'CallbackType')
    with_message_info(receive)('image')
    assert received == [('image', {})]
