"""What hides the differences between ROS distributions."""

import sys
from pathlib import Path

import pytest

from pose_estimation_ros.nodes.ros_compat import TransformLookup


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
