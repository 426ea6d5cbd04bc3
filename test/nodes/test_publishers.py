"""The publisher alone, in this process: what does not need an estimator to be checked."""

from dataclasses import replace

import numpy as np
import pytest
from geometry_msgs.msg import PoseArray, PoseStamped
from hypothesis import given
from hypothesis import strategies as st
from ros_harness import Client
from vision_msgs.msg import Detection3DArray
from visualization_msgs.msg import Marker

from pose_estimation_ros.core.camera import CameraIntrinsics
from pose_estimation_ros.core.frame import RGBDFrame
from pose_estimation_ros.core.object_pose import ObjectPose
from pose_estimation_ros.core.rotation import axis_rotation, random_rotation
from pose_estimation_ros.core.se3 import make_transform
from pose_estimation_ros.core.symmetry import NO_SYMMETRY
from pose_estimation_ros.evaluation.bag_results import box_size, frame_result
from pose_estimation_ros.nodes.conversions import pose_matrix
from pose_estimation_ros.nodes.naming import ros_name
from pose_estimation_ros.nodes.parameters import MOST_OBJECTS
from pose_estimation_ros.nodes.publishers import (
    OutputOptions,
    ResultPublisher,
    turned_covariance,
)
from pose_estimation_ros.pipeline import Grasp, GraspPlan, PipelineResult
from pose_estimation_ros.tracking.identity import TrackKey
from pose_estimation_ros.viewing.seen_frame import seen_frame

OPTIONS = OutputOptions(per_label=(), publish_tf=True, tf_prefix='',
                        mask_opacity=0.3, marker_lifetime=1.0)


def result(T, stamp_ns=0, covariance=None, label='mug', track_id=7):
    frame = RGBDFrame(stamp_ns, 'camera', np.zeros((4, 6, 3), np.uint8), None,
                      CameraIntrinsics.pinhole(6, 4, 5, 5, 2.5, 1.5))
    pose = ObjectPose(label, 0.9, T, np.array([0.1, 0.2, 0.3]), NO_SYMMETRY, 'test',
                      track_id=track_id, covariance=covariance)
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


def test_the_box_of_a_mesh_is_about_its_middle_and_the_pose_is_of_its_origin(
        client: Client, publisher):
    # A part of 4 x 10 x 20 cm whose file has the origin in a corner.
    corners = np.array([[0.0, 0.0, 0.0], [0.04, 0.0, 0.0], [0.0, 0.1, 0.0], [0.0, 0.0, 0.2]])
    T = make_transform(axis_rotation((1.0, 2.0, 0.5), 0.8), [0.1, 0.2, 0.7])
    part = ObjectPose('part', 0.9, T, 2.0 * corners.max(axis=0), NO_SYMMETRY, 'test', track_id=3,
                      points=corners.astype(np.float32),
                      faces=np.array([[0, 1, 2], [0, 2, 3]], np.int32))
    client.wait_for(lambda: client.node.count_subscribers('object_markers'), 'ourselves')

    pose, message = published(client, publisher, replace(result(T), poses=(part,)), 'camera',
                              np.eye(4))

    (detection,) = message.detections
    middle = T[:3, :3] @ [0.02, 0.05, 0.1] + T[:3, 3]
    np.testing.assert_allclose(pose_matrix(pose.pose), T, atol=1e-7)
    np.testing.assert_allclose(pose_matrix(detection.results[0].pose.pose), T, atol=1e-7)
    np.testing.assert_allclose(pose_matrix(detection.bbox.center)[:3, 3], middle, atol=1e-7)
    np.testing.assert_allclose(box_size(detection), [0.04, 0.1, 0.2], atol=1e-7)
    # Recordings are read back as what the pipeline found.
    (read,) = frame_result(message, 0).objects
    np.testing.assert_allclose(read.T_camera_object, T, atol=1e-7)
    np.testing.assert_allclose(read.size, part.size, atol=1e-7)
    camera = CameraIntrinsics.pinhole(64, 48, 60.0, 60.0, 32.0, 24.0)
    frame = RGBDFrame(0, 'camera', np.zeros((48, 64, 3), np.uint8), None, camera)
    (shown,) = seen_frame('', frame, frame_result(message, 0)).objects
    for found, expected in zip(shown.box(), part.box(), strict=True):
        np.testing.assert_allclose(found, expected, atol=1e-6)
    client.wait_for(lambda: client.received['object_markers'], 'markers')
    (box,) = [marker for marker in client.received['object_markers'][-1].markers
              if marker.ns == 'part/box']
    drawn = np.array([[point.x, point.y, point.z] for point in box.points])
    np.testing.assert_allclose(drawn.mean(axis=0), middle, atol=1e-6)


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
    assert mine.qos_profile.depth == 4 * MOST_OBJECTS


def test_without_tracks_every_array_of_markers_replaces_the_one_before(
        client: Client, publisher):
    T = make_transform(np.eye(3), [0, 0, 1])
    client.wait_for(lambda: client.node.count_subscribers('object_markers'), 'ourselves')
    client.forget()
    untracked, empty = result(T, track_id=-1), replace(result(T), poses=())
    for shown in (untracked, untracked, empty, empty):
        publisher.publish(shown, 'camera', np.eye(4))
    client.wait_for(lambda: len(client.received['object_markers']) == 4, 'four arrays')
    actions = [[marker.action for marker in array.markers]
               for array in client.received['object_markers']]
    added = [Marker.ADD] * 3
    assert actions == [[Marker.DELETEALL, *added], [Marker.DELETEALL, *added],
                       [Marker.DELETEALL], []]
    assert client.received['object_detections'][0].detections[0].id == 'mug_0'


def test_what_is_lost_is_deleted_under_the_names_it_was_shown_with_and_comes_back_with_them(
        client: Client, publisher):
    T = make_transform(np.eye(3), [0, 0, 1])
    client.wait_for(lambda: client.node.count_subscribers('object_markers'), 'ourselves')
    client.forget()
    seen = result(T)
    lost = replace(seen, poses=(), lost=(TrackKey('mug', 7),))
    for shown in (seen, lost, seen):
        publisher.publish(shown, 'camera', np.eye(4))
    client.wait_for(lambda: len(client.received['object_markers']) == 3
                    and len(client.received['object_detections']) == 3, 'three results')
    first, gone, again = ({(marker.action, marker.ns, marker.id) for marker in array.markers}
                          for array in client.received['object_markers'])
    assert first and {(Marker.DELETE, *name) for _, *name in first} <= gone
    assert {action for action, *_ in gone} == {Marker.DELETE}
    assert again == first
    names = [[detection.id for detection in array.detections]
             for array in client.received['object_detections']]
    assert names == [['mug_7'], [], ['mug_7']]
    frames = [transform.child_frame_id for message in client.received['/tf']
              for transform in message.transforms]
    assert set(frames) == {'mug_7'}


def test_the_marker_of_a_shape_goes_when_the_poses_bring_no_points_any_more(
        client: Client, publisher):
    client.wait_for(lambda: client.node.count_subscribers('object_markers'), 'ourselves')
    bare = result(make_transform(np.eye(3), [0, 0, 1]))
    points = np.zeros((10, 3), np.float32)
    shaped = replace(bare, poses=(replace(bare.poses[0], points=points),))
    client.forget()
    for shown in (bare, shaped, bare, bare):
        publisher.publish(shown, 'camera', np.eye(4))
    client.wait_for(lambda: len(client.received['object_markers']) == 4, 'four arrays')
    shapes = [[(marker.action, marker.id) for marker in array.markers
               if marker.ns == 'mug/shape'] for array in client.received['object_markers']]
    assert shapes == [[], [(Marker.ADD, 7)], [(Marker.DELETE, 7)], []]


def test_a_known_mesh_is_a_marker_of_triangles_in_the_frame_of_the_object(
        client: Client, publisher):
    T = make_transform(axis_rotation((0, 1, 0), 0.4), [0.1, 0.2, 0.9])
    corners = np.array([[0, 0, 0], [0.1, 0, 0], [0, 0.2, 0], [0, 0, 0.3]], np.float32)
    faces = np.array([[0, 1, 2], [0, 2, 3]], np.int32)
    shown = result(T)
    shown = replace(shown, poses=(replace(shown.poses[0], points=corners, faces=faces),))
    client.wait_for(lambda: client.node.count_subscribers('object_markers'), 'ourselves')
    client.forget()

    publisher.publish(shown, 'camera', np.eye(4))

    client.wait_for(lambda: client.received['object_markers'], 'markers')
    (mesh,) = [marker for marker in client.received['object_markers'][0].markers
               if marker.type == Marker.TRIANGLE_LIST]
    np.testing.assert_allclose(pose_matrix(mesh.pose), T, atol=1e-9)
    np.testing.assert_allclose([[p.x, p.y, p.z] for p in mesh.points], corners[faces.reshape(-1)])
    assert (mesh.ns, mesh.id) == ('mug/shape', 7)
    assert (mesh.scale.x, mesh.scale.y, mesh.scale.z) == (1, 1, 1)
    assert 0 < mesh.color.a < 1


def with_grasps(shown, *counts):
    """Return a result with so many grasps of each object; the i-th opens by 0.02 * (i + 1)."""
    generator = np.random.default_rng(3)
    plans = []
    for count in counts:
        grasps = []
        for i in range(count):
            R = random_rotation(generator)
            T, before, after = (make_transform(R, generator.uniform(-1, 1, 3)) for _ in range(3))
            grasps.append(Grasp(T, 0.01, 0.02 * (i + 1), 0.9 - 0.1 * i, 'side', before, after))
        plans.append(GraspPlan(tuple(grasps), {}))
    pose = shown.poses[0]
    poses = tuple(replace(pose, track_id=7 + i) for i in range(len(counts)))
    return replace(shown, poses=poses, grasps=tuple(plans))


def test_grasps_come_per_object_in_the_order_of_the_detections(client: Client, publisher):
    client.listen(PoseArray, 'grasp_poses')
    client.listen(Detection3DArray, 'grasp_candidates')
    client.wait_for(lambda: publisher.wants_grasps
                    and client.node.count_subscribers('grasp_candidates'), 'ourselves')
    generator = np.random.default_rng(5)
    T_base_camera = make_transform(random_rotation(generator), [1.0, -2.0, 0.5])
    shown = with_grasps(result(make_transform(np.eye(3), [0, 0, 1])), 2, 0, 1)
    client.forget()
    published(client, publisher, shown, 'base_link', T_base_camera)
    client.wait_for(lambda: len(client.received['grasp_poses']) == 3
                    and client.received['grasp_candidates'], 'grasps')

    arrays = client.received['grasp_poses']
    assert [len(array.poses) for array in arrays] == [2, 0, 1]
    first = shown.grasps[0].grasps[0]
    np.testing.assert_allclose(pose_matrix(arrays[0].poses[0]),
                               T_base_camera @ first.T_camera_grasp, atol=1e-9)
    (candidates,) = client.received['grasp_candidates']
    assert [entry.id for entry in candidates.detections] == ['mug_7/0', 'mug_7/1', 'mug_9/0']
    entry = candidates.detections[1]
    second = shown.grasps[0].grasps[1]
    assert [r.hypothesis.class_id for r in entry.results] == ['side', 'pregrasp', 'retreat']
    for told, T in zip(entry.results, (second.T_camera_grasp, second.T_camera_pregrasp,
                                       second.T_camera_retreat), strict=True):
        np.testing.assert_allclose(pose_matrix(told.pose.pose), T_base_camera @ T, atol=1e-9)
    assert (entry.results[0].hypothesis.score, entry.bbox.size.y) == pytest.approx((0.8, 0.04))
    for message in (*arrays, candidates):
        assert message.header.frame_id == 'base_link'


def test_markers_of_grasps_go_with_the_grasps(client: Client, publisher):
    client.wait_for(lambda: client.node.count_subscribers('object_markers'), 'ourselves')
    shown = result(make_transform(np.eye(3), [0, 0, 1]))
    client.forget()
    for planned in (with_grasps(shown, 2), with_grasps(shown, 0), with_grasps(shown, 0)):
        publisher.publish(planned, 'camera', np.eye(4))
    client.wait_for(lambda: len(client.received['object_markers']) == 3, 'three arrays')
    arrays = client.received['object_markers']
    shapes = [[marker for marker in array.markers if marker.ns == 'mug/grasps']
              for array in arrays]
    assert [[marker.action for marker in each] for each in shapes] == [
        [Marker.ADD], [Marker.DELETE], []]
    (outlines,) = shapes[0]
    # Two grippers of six lines each; the better one is brighter.
    assert len(outlines.points) == len(outlines.colors) == 24
    assert outlines.colors[0].g > outlines.colors[-1].g
    assert outlines.id == shapes[1][0].id == 7


def test_a_label_that_ros_does_not_allow_is_written_with_underscores(client: Client):
    publisher = ResultPublisher(client.node, replace(OPTIONS, per_label=('coffee mug',)))
    try:
        client.listen(PoseStamped, 'object_poses/coffee_mug')
        client.wait_for(lambda: client.node.count_subscribers('object_poses/coffee_mug'), 'us')
        T = make_transform(np.eye(3), [0, 0, 1])
        published(client, publisher, result(T, label='coffee mug'), 'camera', np.eye(4))
        client.wait_for(lambda: client.received['object_poses/coffee_mug'], 'the pose')
        (transform,) = client.received['/tf'][-1].transforms
        assert transform.child_frame_id == 'coffee_mug_7'
        (detection,) = client.received['object_detections'][-1].detections
        assert detection.results[0].hypothesis.class_id == 'coffee mug'
    finally:
        publisher.destroy()


@pytest.mark.parametrize(('label', 'name'), [
    ('mug', 'mug'), ('coffee mug', 'coffee_mug'), ('2nd cup', 'object_2nd_cup'), ('°', 'object')])
def test_names_are_valid_in_ros(label, name):
    assert ros_name(label) == name
