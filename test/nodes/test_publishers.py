"""The publisher alone, in this process: what does not need an estimator to be checked."""

import numpy as np
import pytest
from geometry_msgs.msg import PoseStamped
from hypothesis import given
from hypothesis import strategies as st
from ros_harness import Client

from pose_estimation_ros.core.camera import CameraIntrinsics
from pose_estimation_ros.core.frame import RGBDFrame
from pose_estimation_ros.core.object_pose import ObjectPose
from pose_estimation_ros.core.rotation import axis_rotation, random_rotation
from pose_estimation_ros.core.se3 import make_transform
from pose_estimation_ros.core.symmetry import NO_SYMMETRY
from pose_estimation_ros.nodes.conversions import pose_matrix
from pose_estimation_ros.nodes.publishers import (
    OutputOptions,
    ResultPublisher,
    turned_covariance,
)
from pose_estimation_ros.pipeline import PipelineResult

OPTIONS = OutputOptions(max_objects=32, per_label=(), publish_tf=True, tf_prefix='',
                        mask_opacity=0.3, marker_lifetime=1.0)


def result(T, stamp_ns=0, covariance=None):
    frame = RGBDFrame(stamp_ns, 'camera', np.zeros((4, 6, 3), np.uint8), None,
                      CameraIntrinsics.pinhole(6, 4, 5, 5, 2.5, 1.5))
    pose = ObjectPose('mug', 0.9, T, np.array([0.1, 0.2, 0.3]), NO_SYMMETRY, 'test', track_id=7,
                      covariance=covariance)
    return PipelineResult(frame, (), (pose,), (), (), {})


@pytest.fixture(scope='module')
def publisher(client: Client):
    publisher = ResultPublisher(client.node, OPTIONS)
    client.wait_for(lambda: client.node.count_subscribers('object_poses'), 'ourselves')
    yield publisher
    publisher.destroy()


def published(client: Client, publisher, result, frame_id, T_output_camera):
    client.forget()
    publisher.publish(result, frame_id, T_output_camera)
    client.wait_for(lambda: client.received['object_poses']
                    and client.received['object_detections'] and client.received['/tf'],
                    'messages')
    return client.received['object_poses'][-1], client.received['object_detections'][-1]


def test_outputs_are_moved_into_the_output_frame(client: Client, publisher):
    generator = np.random.default_rng(1)
    T = make_transform(random_rotation(generator), [0.1, 0.2, 0.7])
    T_base_camera = make_transform(random_rotation(generator), [1.0, -2.0, 0.5])
    pose, detections = published(client, publisher, result(T), 'base_link', T_base_camera)
    assert pose.header.frame_id == detections.header.frame_id == 'base_link'
    np.testing.assert_allclose(pose_matrix(pose.pose), T_base_camera @ T, atol=1e-9)
    (transform,) = client.received['/tf'][-1].transforms
    assert (transform.header.frame_id, transform.child_frame_id) == ('base_link', 'mug_7')


def test_quaternions_do_not_jump_in_sign_along_a_track(client: Client, publisher):
    last = None
    for angle in np.linspace(0.0, 3 * np.pi, 10):
        T = make_transform(axis_rotation((0, 1, 0), angle), [0, 0, 1])
        pose, _ = published(client, publisher, result(T, round(angle * 1e9)), 'camera', np.eye(4))
        q = pose.pose.orientation
        now = np.array([q.x, q.y, q.z, q.w])
        assert np.linalg.norm(now) == pytest.approx(1.0)
        if last is not None:
            assert now @ last > 0
        last = now


def test_an_unknown_covariance_is_all_zero():
    np.testing.assert_array_equal(turned_covariance(None, np.eye(3)), np.zeros((6, 6)))


@given(st.integers(0, 1000))
def test_a_covariance_turns_with_its_frame(seed):
    generator = np.random.default_rng(seed)
    R = random_rotation(generator)
    samples = generator.standard_normal((50, 6))
    moved = np.concatenate([samples[:, :3] @ R.T, samples[:, 3:] @ R.T], axis=1)
    np.testing.assert_allclose(turned_covariance(samples.T @ samples, R), moved.T @ moved,
                               atol=1e-9)


def test_the_queue_of_poses_holds_four_frames_of_the_most_objects(client: Client, publisher):
    (mine,) = [p for p in client.node.publishers if p.topic_name == '/object_poses']
    assert mine.msg_type is PoseStamped
    assert mine.qos_profile.depth == 4 * OPTIONS.max_objects
