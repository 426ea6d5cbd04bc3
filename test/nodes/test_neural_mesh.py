"""Categories found without a detector in the running node: colour alone, then with depth."""

import sys
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / 'support'))
pytest.importorskip('onnx', reason='models are written with onnx, which a node does not need')

from neural_mesh_models import make_neural_mesh_model, picture
from ros_harness import HEIGHT, WIDTH, Client, Frame, K, position

from pose_estimation_ros.core.camera import CameraIntrinsics
from pose_estimation_ros.core.rotation import axis_rotation, quaternion_to_matrix
from pose_estimation_ros.core.se3 import make_transform
from pose_estimation_ros.nodes.conversions import stamp_to_ns

MUG, CAMERA = np.array([0.12, 0.1, 0.08]), np.array([0.1, 0.14, 0.1])
R = axis_rotation((1, 0, 0), np.pi + 0.5) @ axis_rotation((0, 1, 0), 0.5)
T_MUG, T_CAMERA = make_transform(R, [-0.1, 0.02, 0.5]), make_transform(R, [0.13, 0.0, 0.55])
# Every object is larger than the mean of its category by this.
LARGER = 1.15
INTRINSICS = CameraIntrinsics(WIDTH, HEIGHT, K)
# Few places and rotations: a frame takes tenths of a second.
SEARCH = {'width': 320, 'height': 256, 'search': {
    'azimuths': 8, 'elevations': [0.2, 0.9, 3], 'thetas': [0.0, 0.0, 1],
    'distances': [0.4, 0.7, 4], 'peaks': 2, 'initial_poses': 2}}


def scene(*, with_depth):
    """Return a frame of a mug and a camera, both larger and farther than they look."""
    rgb, depth = picture(INTRINSICS, [(0, MUG, T_MUG), (1, CAMERA, T_CAMERA)])
    frame = Frame(())
    frame.rgb = rgb
    frame.depth = np.nan_to_num(1000 * LARGER * depth).astype(np.uint16)
    frame.with_depth = with_depth
    return frame


@pytest.fixture(scope='module')
def model(tmp_path_factory):
    return make_neural_mesh_model(tmp_path_factory.mktemp('models') / 'colours',
                                  {'mug': MUG, 'camera': CAMERA}, SEARCH)


def check_poses(detections, scale):
    """Both objects, at a scale times the mean of their category."""
    found = {entry.results[0].hypothesis.class_id: entry for entry in detections.detections}
    assert set(found) == {'mug', 'camera'}
    for name, T, size in (('mug', T_MUG, MUG), ('camera', T_CAMERA, CAMERA)):
        pose = found[name].results[0].pose.pose
        np.testing.assert_allclose(position(pose), scale * T[:3, 3], atol=0.025)
        q = pose.orientation
        turn = T[:3, :3].T @ quaternion_to_matrix((q.x, q.y, q.z, q.w))
        assert np.degrees(np.arccos((np.trace(turn) - 1) / 2)) < 9.0
        extent = found[name].bbox.size
        np.testing.assert_allclose([extent.x, extent.y, extent.z], scale * size, rtol=0.04)
    return found


def deviation_along_sight(entry):
    covariance = np.array(entry.results[0].pose.covariance).reshape(6, 6)[:3, :3]
    sight = position(entry.results[0].pose.pose)
    sight = sight / np.linalg.norm(sight)
    return float(np.sqrt(sight @ covariance @ sight))


def test_objects_are_found_in_colour_alone_and_get_their_size_from_depth_when_it_comes(
        client: Client, node, model):
    node(backend='neural_mesh', model=model)
    client.wait_until_active(with_depth=True)
    client.forget()

    stamp, detections = client.result_of(scene(with_depth=False))
    found = check_poses(detections, 1.0)
    # 20 % of the distance, which is what the spread of sizes leaves open.
    assert deviation_along_sight(found['mug']) == pytest.approx(0.2 * 0.5, rel=0.1)
    assert client.node.count_publishers('segmentation/detections')
    (masks,) = client.with_stamp('segmentation/detections', stamp, 1)
    assert {entry.results[0].hypothesis.class_id for entry in masks.detections} == {
        'mug', 'camera'}
    u = K[0, 0] * T_MUG[0, 3] / T_MUG[2, 3] + K[0, 2]
    boxes = {entry.results[0].hypothesis.class_id: entry.bbox for entry in masks.detections}
    assert boxes['mug'].center.position.x == pytest.approx(u, abs=4.0)
    (overlay,) = client.with_stamp('overlay/image', stamp, 1)
    assert (overlay.width, overlay.height) == (WIDTH, HEIGHT)
    client.wait_for_sentence('input', 'all inputs arrive',
                             lambda: client.send(scene(with_depth=False)))
    assert client.facts('model')['pose.scale'] == 'auto'
    assert 'segmentation.providers' not in client.facts('model')

    with_depth = scene(with_depth=True)
    client.wait_for(lambda: any(
        abs(entry.bbox.center.position.z - LARGER * T_MUG[2, 3]) < 0.03
        for message in client.received['object_detections'] for entry in message.detections),
        'a distance by depth', meanwhile=lambda: client.send(with_depth))
    client.forget()
    _, detections = client.result_of(with_depth)
    found = check_poses(detections, LARGER)
    assert deviation_along_sight(found['mug']) < 0.05

    # Depth ends: colour waits for it in vain for a while, then goes on alone.
    client.forget()
    stamp, detections = client.result_of(scene(with_depth=False))
    check_poses(detections, 1.0)
    assert stamp_to_ns(detections.header.stamp) == stamp
