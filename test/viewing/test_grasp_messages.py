"""Grasps that come object by object belong to the frame of their stamp."""

import pytest

pytest.importorskip('rclpy', reason='grasps are messages of ROS')

from geometry_msgs.msg import Point, Pose, PoseArray
from std_msgs.msg import Header

from pose_estimation_ros.nodes.conversions import ns_to_stamp
from pose_estimation_ros.viewing.grasp_messages import RecentGrasps


def grasps_at(stamp_ns, *places, frame_id='camera'):
    return PoseArray(header=Header(stamp=ns_to_stamp(stamp_ns), frame_id=frame_id),
                     poses=[Pose(position=Point(x=x)) for x in places])


def test_frames_keep_their_grasps_however_the_messages_are_interleaved():
    recent = RecentGrasps()
    for message in (grasps_at(1, 0.1, 0.2), grasps_at(2, 0.5), grasps_at(1, 0.3)):
        recent.add(message)
    assert recent.of_frame(1, 'camera')[:, 0, 3].tolist() == [0.1, 0.2, 0.3]
    assert recent.of_frame(2, 'camera')[:, 0, 3].tolist() == [0.5]
    assert recent.of_frame(3, 'camera').shape == (0, 4, 4)


def test_grasps_in_another_frame_than_the_cameras_are_left_out():
    recent = RecentGrasps()
    assert recent.add(grasps_at(7, 0.1, frame_id='base_link')) == 7
    recent.add(grasps_at(7, 0.2))
    assert recent.of_frame(7, 'camera')[:, 0, 3].tolist() == [0.2]


def test_only_the_grasps_of_the_last_frames_are_kept():
    recent = RecentGrasps()
    for stamp in range(1, 1001):
        recent.add(grasps_at(stamp, 0.1))
    kept = [stamp for stamp in range(1, 1001) if len(recent.of_frame(stamp, 'camera'))]
    assert 1 <= len(kept) <= 100
    assert kept[-1] == 1000
