"""The two cameras as processes: what a subscriber gets from them."""

import cv2
import numpy as np
import pytest
from ros_harness import Client, NodeProcess
from sensor_msgs.msg import CameraInfo, Image

from pose_estimation_ros.core.se3 import inverse, transform_points
from pose_estimation_ros.datasets import open_frames
from pose_estimation_ros.nodes.camera_publisher import millimetres
from pose_estimation_ros.nodes.conversions import (
    camera_intrinsics,
    color_image,
    depth_image,
    pose_matrix,
    stamp_to_ns,
)
from pose_estimation_ros.nodes.frame_input import RawFrame


@pytest.fixture
def camera(client: Client, tmp_path):
    started = []

    def start(node, parameters):
        for topic in ('color/image_raw', 'depth/image_raw'):
            client.listen(Image, topic)
        for topic in ('color/camera_info', 'depth/camera_info'):
            client.listen(CameraInfo, topic)
        started.append(NodeProcess(node, tmp_path / 'log', parameters))
        return started[-1]

    yield start
    for process in started:
        assert process.stop() == 0
    client.forget()


def messages_of_one_stamp(client: Client, topics):
    """Wait for messages of all topics with one stamp and return them."""
    def found():
        by_topic = [{stamp_to_ns(m.header.stamp): m for m in client.received[topic]}
                    for topic in topics]
        common = set.intersection(*(set(stamps) for stamps in by_topic))
        return [stamps[max(common)] for stamps in by_topic] if common else None

    return client.wait_for(found, f'one stamp on {topics}')


TOPICS = ('color/image_raw', 'depth/image_raw', 'color/camera_info', 'depth/camera_info')


def write_frame(folder, value):
    folder.mkdir(parents=True)
    rgb = np.full((12, 16, 3), value, np.uint8)
    rgb[:, :, 0] = 10
    depth = np.full((12, 16), 800 + value, np.uint16)
    depth[0, 0] = 0
    cv2.imwrite(str(folder / 'rgb.png'), rgb[..., ::-1])
    cv2.imwrite(str(folder / 'depth.png'), depth)
    (folder / 'camera.json').write_text('{"K": [[20, 0, 7.5], [0, 20, 5.5], [0, 0, 1]]}')


def test_the_replay_camera_shows_the_folder_again_and_again(client: Client, camera, tmp_path):
    for value in (30, 60):
        write_frame(tmp_path / 'frames' / str(value), value)
    camera('replay_camera', {'source': tmp_path / 'frames', 'rate': 30.0})
    client.wait_for(lambda: len(client.received['color/image_raw']) > 4, 'five images')
    shown = [int(color_image(m)[0, 0, 1]) for m in client.received['color/image_raw'][:5]]
    assert shown in ([30, 60, 30, 60, 30], [60, 30, 60, 30, 60])
    color, depth, info, depth_info = messages_of_one_stamp(client, TOPICS)
    frame = RawFrame(color, depth, info, depth_info).read(rectified=False)
    recorded = open_frames(tmp_path / 'frames').load(0 if frame.rgb[0, 0, 1] == 30 else 1)
    np.testing.assert_array_equal(frame.rgb, recorded.rgb)
    np.testing.assert_allclose(frame.depth, recorded.depth, atol=1e-6)
    np.testing.assert_array_equal(frame.intrinsics.K, recorded.intrinsics.K)
    assert frame.frame_id == 'camera_color_optical_frame'
    assert abs(client.now() - frame.stamp_ns) < 60e9


def test_a_replay_camera_without_frames_says_what_it_looks_for(client: Client, tmp_path):
    for source, reason in ((tmp_path, 'holds no RGB-D frames'), ('', 'source is empty')):
        process = NodeProcess('replay_camera', tmp_path / 'log', {'source': source})
        assert process.process.wait(timeout=60) == 2
        assert reason in process.log
        assert 'Traceback' not in process.log


def test_a_damaged_frame_is_told_once_and_left_out(client: Client, camera, tmp_path):
    for value in (30, 60):
        write_frame(tmp_path / 'frames' / str(value), value)
    (tmp_path / 'frames' / '30' / 'depth.png').write_bytes(b'no picture')
    process = camera('replay_camera', {'source': tmp_path / 'frames', 'rate': 30.0})
    client.wait_for(lambda: len(client.received['color/image_raw']) > 4, 'five images')
    assert {int(color_image(m)[0, 0, 1]) for m in client.received['color/image_raw']} == {60}
    assert process.log.count('frame 30 is left out') == 1


def test_a_folder_of_damaged_frames_ends_the_replay_camera(client: Client, tmp_path):
    write_frame(tmp_path / 'frames' / '30', 30)
    (tmp_path / 'frames' / '30' / 'depth.png').write_bytes(b'no picture')
    process = NodeProcess('replay_camera', tmp_path / 'log', {'source': tmp_path / 'frames'})
    assert process.process.wait(timeout=60) == 2
    assert 'depth.png' in process.log
    assert 'Traceback' not in process.log


def test_a_simulated_camera_without_open3d_says_how_to_get_it(client: Client, tmp_path):
    (tmp_path / 'open3d.py').write_text("raise ModuleNotFoundError('No module named open3d')")
    process = NodeProcess('simulated_camera', tmp_path / 'log', {'scenes': 1},
                          python_path=[tmp_path])
    assert process.process.wait(timeout=60) == 2
    assert 'run pip install open3d' in process.log
    assert 'Traceback' not in process.log


def test_the_simulated_camera_publishes_frames_that_agree_with_their_truth(
        client: Client, camera):
    camera('simulated_camera', {'scenes': 1, 'views_per_scene': 1, 'rate': 5.0, 'seed': 3})
    color, depth, info, truth = messages_of_one_stamp(
        client, ('color/image_raw', 'depth/image_raw', 'color/camera_info',
                 'ground_truth_poses'))
    assert (color.width, color.height, color.encoding) == (640, 480, 'rgb8')
    assert (depth.width, depth.height, depth.encoding) == (640, 480, '16UC1')
    assert truth.header.frame_id == color.header.frame_id == info.header.frame_id
    intrinsics, metres = camera_intrinsics(info), depth_image(depth)
    visible = [d for d in truth.detections if d.results[0].hypothesis.score > 0.9]
    assert visible
    for detection in visible:
        assert detection.id.startswith('scene3/')
        T = pose_matrix(detection.bbox.center)
        size = np.array([detection.bbox.size.x, detection.bbox.size.y, detection.bbox.size.z])
        # The surface seen at the object's centre must lie inside its box.
        u, v = np.rint(intrinsics.project(T[:3, 3])).astype(int)
        window = metres[v - 2:v + 3, u - 2:u + 3]
        point = intrinsics.back_project(np.array([u, v], float), np.nanmedian(window))
        local = transform_points(inverse(T), point)
        assert (np.abs(local) < size / 2 + 0.01).all()


def test_depth_becomes_whole_millimetres_with_zero_for_unknown():
    depth = np.array([[np.nan, 0.0004, 0.5004, 65.535, 70.0, np.inf, -1.0]], np.float32)
    assert millimetres(depth).tolist() == [[0, 0, 500, 65535, 0, 0, 0]]
