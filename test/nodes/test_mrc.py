"""Known CAD objects in the running node: colour alone, meshes from the model's folder."""

import shutil
import sys
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / 'support'))
pytest.importorskip('onnx', reason='models are written with onnx, which a node does not need')
pytest.importorskip('open3d', reason='objects are rendered with Open3D, which is optional')

from mrc_models import (
    CELLS,
    CROP,
    DEPTH_BINS,
    FARTHEST,
    NEAREST,
    REFINEMENT,
    KnownObject,
    make_mrc_model,
)
from ros_harness import BLUE, GREEN, RED, Client, Frame, K, position
from visualization_msgs.msg import Marker

from pose_estimation_ros.nodes.conversions import stamp_to_ns
from pose_estimation_ros.rendering.primitives import box

BLOCK = KnownObject('block', box([0.1, 0.06, 0.04]), rotation=17, depth=4, cell=5)
CAN = KnownObject('can', box([0.05, 0.12, 0.05]), rotation=40, depth=5, cell=10)
BLOCK_BOX, CAN_BOX = (20, 30, 60, 70), (90, 30, 120, 90)
SCENE = Frame(((BLOCK_BOX, RED), (CAN_BOX, GREEN), ((130, 90, 150, 110), BLUE)))
SCENE.with_depth = False


@pytest.fixture(scope='module')
def model(tmp_path_factory):
    return make_mrc_model(tmp_path_factory.mktemp('models') / 'known', [BLOCK, CAN])


@pytest.fixture(autouse=True)
def labels(monkeypatch):
    """Red areas are blocks, green ones cans, and blue ones something that the model lacks."""
    monkeypatch.setenv('STAND_IN_LABELS', 'block,can,spoon')


def expected_position(entry, box):
    x_min, y_min, x_max, y_max = box
    side = 1.5 * max(x_max - x_min, y_max - y_min)
    row, column = divmod(entry.cell, CELLS)
    pixel = (np.array([(x_min + x_max) / 2, (y_min + y_max) / 2])
             + ((np.array([column, row]) + 0.5) / CELLS - 0.5) * side)
    per_pixel = NEAREST + (entry.depth + 0.5) * (FARTHEST - NEAREST) / DEPTH_BINS + REFINEMENT
    return np.linalg.inv(K) @ np.append(pixel, 1.0) * per_pixel * K[0, 0] * CROP / side


def check_rotated_copies(client):
    """Test-time rotations are a parameter that changes from one activation to the next."""
    assert client.transition('deactivate')
    assert 'choose one of auto, one, four' in client.set_parameter('mrc.rotated_copies',
                                                                   'five').reason
    assert client.set_parameter('mrc.rotated_copies', 'four').successful
    assert client.transition('activate')
    client.wait_until_active(with_depth=False)
    client.forget()
    client.result_of(SCENE)
    client.wait_for(lambda: client.facts('model').get('pose.rotated copies') == '4', 'the choice')
    assert client.facts('model')['pose.renderer'] == 'cpu'


def test_poses_and_meshes_come_from_colour_alone(client: Client, node, model):
    node(backend='mrc', model=model, mrc__refinement='none')
    client.wait_until_active(with_depth=False)
    client.forget()

    stamp, detections = client.result_of(SCENE)

    found = {entry.results[0].hypothesis.class_id: entry for entry in detections.detections}
    assert set(found) == {'block', 'can'}
    for entry, corners in ((BLOCK, BLOCK_BOX), (CAN, CAN_BOX)):
        np.testing.assert_allclose(position(found[entry.name].results[0].pose.pose),
                                   expected_position(entry, corners), rtol=1e-4)
        size = found[entry.name].bbox.size
        np.testing.assert_allclose([size.x, size.y, size.z], np.ptp(entry.mesh.vertices, axis=0),
                                   rtol=1e-5)
        assert found[entry.name].results[0].pose.covariance[0] > 0
    meshes = client.wait_for(lambda: [
        marker for array in client.received['object_markers'] for marker in array.markers
        if marker.type == Marker.TRIANGLE_LIST and stamp_to_ns(marker.header.stamp) == stamp],
        'meshes')
    assert {marker.ns for marker in meshes} == {'block/shape', 'can/shape'}
    assert {len(marker.points) for marker in meshes} == {36}
    assert client.node.count_subscribers('depth/image_raw') == 0
    assert client.node.count_subscribers('depth/camera_info') == 0
    client.wait_for_sentence('input', 'all inputs arrive', lambda: client.send(SCENE))
    client.wait_for(lambda: 'spoon: not among the wanted labels block, can'
                    in client.facts('processing').values(), 'the reason for the spoon',
                    meanwhile=lambda: client.send(SCENE))
    check_rotated_copies(client)


def test_depth_may_come_but_need_not_nor_need_it_be_right(client: Client, node, model):
    pytest.importorskip('small_gicp', reason='the fit to depth is optional')
    node(backend='mrc', model=model)
    client.wait_until_active()
    with_depth, misfit = Frame(SCENE.patches, depth=1.2), Frame(SCENE.patches)
    misfit.depth = misfit.depth[:60]

    def places(frame):
        _, detections = client.result_of(frame)
        return {entry.results[0].hypothesis.class_id: position(entry.bbox.center)
                for entry in detections.detections}

    def check_colour_alone(frame):
        found = places(frame)
        for entry, corners in ((BLOCK, BLOCK_BOX), (CAN, CAN_BOX)):
            np.testing.assert_allclose(found[entry.name], expected_position(entry, corners),
                                       rtol=1e-4)

    check_colour_alone(SCENE)
    # They are drawn on a wall; colour waits for depth only once that has arrived.
    client.wait_for(lambda: all(1.2 <= place[2] < 1.3 for place in places(with_depth).values()),
                    'the distance of the wall')
    check_colour_alone(misfit)
    told = client.wait_for_sentence('processing', 'poses come from colour alone',
                                    lambda: client.send(misfit))
    assert 'depth is 160x60' in told
    assert client.facts('model')['pose.fitted to'] == 'depth while it arrives'


def test_a_model_without_its_meshes_is_told_and_can_be_cured(client: Client, node, model,
                                                             tmp_path):
    folder = tmp_path / 'spoilt'
    shutil.copytree(model, folder)
    (folder / 'meshes.npz').unlink()
    node(backend='mrc', model=folder, mrc__refinement='none')
    said = client.wait_for_sentence('model', 'meshes.npz is missing')
    assert 'restore it' in said
    shutil.copy(model / 'meshes.npz', folder)
    assert client.transition('configure')
    assert client.transition('activate')
    client.wait_until_active(with_depth=False)
    client.result_of(SCENE)


def test_a_segmenter_of_other_objects_is_told(client: Client, node, model, monkeypatch):
    monkeypatch.setenv('STAND_IN_LABELS', 'mug,bowl,bottle')
    node(backend='mrc', model=model)
    client.wait_for_sentence('model', 'the segmentation model finds mug, bowl, bottle, but the '
                             'backend mrc knows block, can; choose a segmentation model')
