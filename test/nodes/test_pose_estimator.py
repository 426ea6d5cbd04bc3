"""The estimator as a process: real messages in, real messages out, checked by value."""

import numpy as np
import pytest
from ros_harness import (
    BLUE,
    GREEN,
    RED,
    Client,
    Frame,
    center,
    position,
)
from std_msgs.msg import Header

from pose_estimation_ros.nodes.conversions import ns_to_stamp, stamp_to_ns

CAN, BOWL, MUG = (20, 30, 50, 60), (70, 30, 100, 60), (110, 70, 140, 100)
THREE = ((CAN, RED), (BOWL, GREEN), (MUG, BLUE))


@pytest.mark.usefixtures('estimator')
class TestOutputs:
    def test_a_pose_has_the_place_the_stamp_and_the_frame_of_what_the_camera_saw(
            self, client: Client):
        stamp, detections = client.result_of(Frame(((CAN, RED),), depth=0.5))
        (pose,) = client.with_stamp('object_poses', stamp, 1)
        assert pose.header.frame_id == 'camera_color_optical_frame'
        np.testing.assert_allclose(position(pose.pose), center(CAN, 0.5), atol=1e-5)
        q = pose.pose.orientation
        np.testing.assert_allclose((q.x, q.y, q.z, q.w), (0, 0, 0, 1), atol=1e-9)
        (detection,) = detections.detections
        assert detection.results[0].hypothesis.class_id == 'can'
        assert detection.results[0].hypothesis.score == pytest.approx(0.8)
        size = detection.bbox.size
        np.testing.assert_allclose((size.x, size.y), 29 * 0.5 / 140.0, rtol=1e-5)

    def test_an_image_is_read_with_the_camera_info_of_its_own_stamp(self, client: Client):
        frame = Frame(((CAN, RED),), depth=0.5)
        plain = frame.publish

        def publish_after_the_next_info(sender, stamp_ns):
            header = Header(stamp=ns_to_stamp(stamp_ns), frame_id=frame.frame_id)
            sender.color_info.publish(frame.info_message(header))
            zoomed = frame.info_message(
                Header(stamp=ns_to_stamp(stamp_ns + 1), frame_id=frame.frame_id))
            zoomed.k[0] = zoomed.k[4] = 280.0
            sender.color_info.publish(zoomed)
            frame.with_info = False
            plain(sender, stamp_ns)
            frame.with_info = True

        frame.publish = publish_after_the_next_info
        stamp, _ = client.result_of(frame)
        (pose,) = client.with_stamp('object_poses', stamp, 1)
        np.testing.assert_allclose(position(pose.pose), center(CAN, 0.5), atol=1e-5)

    def test_a_camera_may_send_its_info_once(self, client: Client):
        client.result_of(Frame(((CAN, RED),), depth=0.5))
        frame = Frame(((CAN, RED),), depth=0.7)
        frame.with_info = False
        stamp, _ = client.result_of(frame)
        (pose,) = client.with_stamp('object_poses', stamp, 1)
        np.testing.assert_allclose(position(pose.pose), center(CAN, 0.7), atol=1e-5)

    def test_poses_have_the_order_and_count_of_the_detections(self, client: Client):
        boxes = [(x, y, x + 10, y + 10) for y in (10, 40, 70) for x in range(5, 150, 20)]
        stamp, detections = client.result_of(Frame([(box, RED) for box in boxes]))
        poses = client.with_stamp('object_poses', stamp, len(boxes))
        assert len(detections.detections) == len(poses) == len(boxes) == 24
        for detection, pose in zip(detections.detections, poses, strict=True):
            assert detection.bbox.center == pose.pose
            assert detection.header == pose.header == detections.header

    def test_ids_stay_with_moving_objects_and_name_their_tf_frames(self, client: Client):
        names = []
        for step in range(3):
            patches = [((x0 + 5 * step, y0, x1 + 5 * step, y1), color)
                       for (x0, y0, x1, y1), color in THREE]
            stamp, detections = client.result_of(Frame(patches))
            names.append(sorted(detection.id for detection in detections.detections))
            transforms = client.wait_for(
                lambda at=stamp: [t for m in client.received['/tf'] for t in m.transforms
                                  if stamp_to_ns(t.header.stamp) == at], 'tf')
            assert sorted(t.child_frame_id for t in transforms) == names[-1]
            assert {t.header.frame_id for t in transforms} == {'camera_color_optical_frame'}
        assert names[0] == names[1] == names[2]
        assert [name.split('_')[0] for name in names[0]] == ['bowl', 'can', 'mug']

    def test_a_jump_back_in_time_begins_new_identities(self, client: Client):
        stamp, before = client.result_of(Frame())
        client.forget()
        _, after = client.result_of(Frame(), stamp_ns=stamp - 3_600_000_000_000)
        client.forget()
        assert before.detections[0].id != after.detections[0].id

    def test_the_detections_in_the_image_have_the_boxes_of_the_patches(self, client: Client):
        stamp, _ = client.result_of(Frame(((MUG, BLUE),)))
        (message,) = client.with_stamp('segmentation/detections', stamp, 1)
        (detection,) = message.detections
        assert detection.results[0].hypothesis.class_id == 'mug'
        assert (detection.bbox.center.position.x, detection.bbox.center.position.y) == (125, 85)
        assert (detection.bbox.size_x, detection.bbox.size_y) == (30, 30)

    def test_the_overlay_shows_the_image_with_something_drawn_on_it(self, client: Client):
        frame = Frame(((CAN, RED),))
        stamp, _ = client.result_of(frame)
        message = client.with_stamp('overlay/image', stamp, 1)[0]
        overlay = np.frombuffer(message.data, np.uint8).reshape(frame.rgb.shape)
        assert message.encoding == 'rgb8'
        assert (overlay != frame.rgb).any()
        np.testing.assert_array_equal(overlay[110:, 150:], frame.rgb[110:, 150:])

    def test_the_points_of_the_shape_lie_where_the_object_is(self, client: Client):
        stamp, _ = client.result_of(Frame(((CAN, RED),), depth=0.5))
        message = client.with_stamp('object_points', stamp, 1)[0]
        cloud = np.frombuffer(message.data, np.float32).reshape(-1, 4)
        assert message.width == len(cloud) == 900
        np.testing.assert_allclose(cloud[:, :3].mean(axis=0), center(CAN, 0.5), atol=1e-4)

    def test_the_markers_show_box_axes_label_and_shape_where_the_object_is(self, client: Client):
        stamp, _ = client.result_of(Frame(((CAN, RED),), depth=0.5))
        markers = client.wait_for(
            lambda: {m.ns: m for array in client.received['object_markers']
                     for m in array.markers
                     if m.action == m.ADD and stamp_to_ns(m.header.stamp) == stamp}, 'markers')
        assert set(markers) == {'can/box', 'can/axes', 'can/label', 'can/shape', 'can/grasps'}
        corners = np.array([[p.x, p.y, p.z] for p in markers['can/box'].points])
        np.testing.assert_allclose(corners.mean(axis=0), center(CAN, 0.5), atol=1e-5)
        np.testing.assert_allclose(np.ptp(corners, axis=0)[:2], 29 * 0.5 / 140.0, rtol=1e-5)
        assert len(markers['can/box'].points) == 2 * 12
        assert all(m.lifetime.sec == 1 for m in markers.values())
        # The label stands above the object's upper side, where its y points.
        beside = position(markers['can/label'].pose) - center(CAN, 0.5)
        assert beside == pytest.approx((0.0, 0.5 * np.ptp(corners[:, 1]) + 0.025, 0.0), abs=1e-5)

    def test_a_lost_object_is_deleted_from_the_markers(self, client: Client):
        stamp, detections = client.result_of(Frame(((CAN, RED),)))
        number = int(detections.detections[0].id.split('_')[1])
        empty = Frame(())
        client.forget()
        client.result_of(empty, stamp_ns=stamp + 2_000_000_000)
        deleted = client.wait_for(
            lambda: {(m.ns, m.id) for array in client.received['object_markers']
                     for m in array.markers if m.action == m.DELETE}, 'DELETE markers')
        assert {(f'can/{kind}', number) for kind in ('box', 'axes', 'label', 'shape',
                                            'grasps')} <= deleted

    def test_quality_of_service_is_reliable_for_results_and_best_effort_for_pictures(
            self, client: Client):
        def reliability(topic):
            infos = client.node.get_publishers_info_by_topic(f'/{topic}')
            return {info.qos_profile.reliability.name for info in infos}

        for topic in ('object_poses', 'object_detections', 'object_markers', 'object_points'):
            assert reliability(topic) == {'RELIABLE'}
        assert reliability('overlay/image') == {'BEST_EFFORT'}
        inputs = client.node.get_subscriptions_info_by_topic('/color/image_raw')
        assert {info.qos_profile.reliability.name for info in inputs} == {'BEST_EFFORT'}

    def test_diagnostics_tell_rates_latency_and_models(self, client: Client):
        client.result_of(Frame())
        client.wait_for_sentence('processing', '1 objects')
        statuses = {status.name: status for status in client.received['/diagnostics'][-1].status}
        values = {pair.key: pair.value
                  for pair in statuses['pose_estimator: processing'].values}
        assert int(values['frames.processed']) >= 1
        assert 0 < float(values['milliseconds.pose']) < 1000
        assert 0 < float(values['milliseconds.segmentation']) < 1000
        models = {pair.key: pair.value for pair in statuses['pose_estimator: model'].values}
        assert models['backend'] == 'stand_in'
        assert models['pose.provider'] == 'numpy'
