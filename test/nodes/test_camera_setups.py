"""Cameras that rectify, and two cameras at once: what a preset or a namespace is for."""

import numpy as np
import pytest
from ros_harness import RED, STAND_IN, Client, Frame, NodeProcess, center, position

from pose_estimation_ros.core.camera import turned_camera
from pose_estimation_ros.nodes.conversions import pose_matrix

PATCH = (60, 40, 100, 80)


def test_rectified_images_are_read_with_p_and_without_distortion(client: Client, node):
    node(color__rectified=True)
    client.wait_until_active()
    frame = Frame([(PATCH, RED)], 0.5)
    plain = frame.info_message

    def info_message(header):
        info = plain(header)
        info.distortion_model, info.d = 'magic', [9.0, 9.0]
        info.k[0] = info.k[4] = 99.0
        return info

    frame.info_message = info_message
    _, message = client.result_of(frame)
    np.testing.assert_allclose(position(message.detections[0].bbox.center), center(PATCH, 0.5),
                               atol=1e-5)


@pytest.mark.parametrize('rotation', [90, 180, 270])
def test_what_a_turned_camera_sees_is_where_it_is(client: Client, node, rotation):
    node(color__rotation=rotation)
    client.wait_until_active()
    frame = Frame([(PATCH, RED)], 0.5)
    _, message = client.result_of(frame)
    (detection,) = message.detections
    np.testing.assert_allclose(position(detection.bbox.center), center(PATCH, 0.5), atol=1e-5)
    # The method sees the object in an upright image and says that it is not turned there.
    np.testing.assert_allclose(pose_matrix(detection.bbox.center)[:3, :3],
                               turned_camera(rotation // 90)[:3, :3].T, atol=1e-6)
    overlay = client.wait_for(lambda: client.received['overlay/image'], 'overlay',
                              meanwhile=lambda: client.send(frame))[-1]
    sizes = (overlay.width, overlay.height), (overlay.height, overlay.width)
    assert sizes[rotation % 180 // 90] == frame.rgb.shape[1::-1]


def test_depth_whose_camera_info_was_not_remapped_is_used_with_a_warning(client: Client, node):
    node(remappings=['depth/camera_info:=nobody/camera_info'])
    client.wait_until_active()
    client.wait_for_sentence(
        'input', 'no depth camera_info: nobody publishes /nobody/camera_info; remap '
        'depth/camera_info to its topic, so that alignment can be checked',
        lambda: client.send(Frame([(PATCH, RED)], 0.5)))
    assert client.received['object_poses']


def see(client, name, box):
    """Show one object to the estimator of a namespace; return the parents of its TF frames."""
    frame = Frame([(box, RED)], 0.5)
    frame.frame_id = f'{name}_optical_frame'
    client.wait_until_active()
    _, message = client.result_of(frame)
    assert message.header.frame_id == frame.frame_id
    np.testing.assert_allclose(position(message.detections[0].bbox.center), center(box, 0.5),
                               atol=1e-3)

    def parents():
        # All estimators share /tf.
        return {transform.header.frame_id for message in client.received['/tf']
                for transform in message.transforms
                if transform.child_frame_id.startswith(f'{name}_can_')}

    return client.wait_for(parents, '/tf', meanwhile=lambda: client.send(frame))


def test_two_cameras_in_two_namespaces_keep_out_of_each_others_way(tmp_path):
    boxes = {'left': (20, 30, 60, 70), 'right': (90, 50, 130, 90)}
    nodes = [NodeProcess('pose_estimator', tmp_path / name,
                         STAND_IN | {'tf.prefix': f'{name}_'}, [f'__ns:=/{name}'])
             for name in boxes]
    clients = {name: Client(namespace=name) for name in boxes}
    try:
        for name, client in clients.items():
            assert see(client, name, boxes[name]) == {f'{name}_optical_frame'}
        heard = clients['right']
        heard.wait_for(lambda: {status.name for message in heard.received['/diagnostics']
                                for status in message.status} >= {
            f'{name}/pose_estimator: input' for name in boxes}, 'diagnostics of both')
    finally:
        for process in nodes:
            process.stop()
        for client in clients.values():
            client.close()
