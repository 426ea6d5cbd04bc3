import shutil
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / 'support'))
pytest.importorskip('onnx', reason='models are written with onnx, which a node does not need')

from neural_mesh_models import make_neural_mesh_model, picture

from pose_estimation_ros.backends.base import BackendOptions
from pose_estimation_ros.backends.neural_mesh_options import NeuralMeshOptions
from pose_estimation_ros.backends.registry import create_backend
from pose_estimation_ros.core.camera import CameraIntrinsics
from pose_estimation_ros.core.detection import Detection
from pose_estimation_ros.core.errors import ConfigurationError, ModelError
from pose_estimation_ros.core.frame import RGBDFrame
from pose_estimation_ros.core.object_pose import ObjectPose, Rejection
from pose_estimation_ros.core.rotation import angle_between, axis_rotation
from pose_estimation_ros.core.se3 import make_transform

MUG, CAMERA = np.array([0.12, 0.1, 0.08]), np.array([0.1, 0.14, 0.1])
R = axis_rotation((1, 0, 0), np.pi + 0.5) @ axis_rotation((0, 1, 0), 0.5)
POSES = {'mug': make_transform(R, [-0.1, 0.02, 0.5]), 'camera': make_transform(R, [0.13, 0, 0.55])}
SIZES = {'mug': MUG, 'camera': CAMERA}
INTRINSICS = CameraIntrinsics.pinhole(160, 120, 140.0, 140.0, 79.5, 59.5)
LARGER = 1.2


def scene(scale=None, poses=None):
    """Return a frame of a mug and a camera, with depth as of objects `scale` times as large."""
    poses = POSES if poses is None else poses
    rgb, depth = picture(INTRINSICS, [(list(SIZES).index(name), SIZES[name], T)
                                      for name, T in poses.items()])
    metres = None if scale is None else (scale * depth).astype(np.float32)
    return RGBDFrame(0, 'camera', rgb, metres, INTRINSICS)


@pytest.fixture(scope='module')
def model(tmp_path_factory):
    # Few places and rotations: the tests are about what comes around the search.
    return make_neural_mesh_model(
        tmp_path_factory.mktemp('models') / 'colours', SIZES,
        {'width': 320, 'height': 256, 'search': {
            'azimuths': 8, 'elevations': [0.2, 0.9, 3], 'thetas': [0.0, 0.0, 1],
            'distances': [0.4, 0.7, 4], 'peaks': 2, 'initial_poses': 2}})


def backend(model, labels=(), **options):
    return create_backend('neural_mesh', BackendOptions(
        str(model), 'cpu', 1, neural_mesh=NeuralMeshOptions(**options), labels=labels))


def along_sight(pose):
    sight = pose.T_camera_object[:3, 3] / np.linalg.norm(pose.T_camera_object[:3, 3])
    return float(np.sqrt(sight @ pose.covariance[:3, :3] @ sight))


def check_poses(answers, scale=1.0):
    found = {answer.label: answer for answer in answers if isinstance(answer, ObjectPose)}
    assert set(found) == set(SIZES)
    for name, answer in found.items():
        T = POSES[name]
        assert np.degrees(angle_between(answer.T_camera_object[:3, :3], T[:3, :3])) < 9.0
        np.testing.assert_allclose(answer.T_camera_object[:3, 3], scale * T[:3, 3], atol=0.025)
        np.testing.assert_allclose(answer.size, scale * SIZES[name], rtol=0.04)
        assert 0.0 <= answer.score <= 1.0
        assert answer.source == 'neural_mesh'
    return found


def test_objects_are_found_in_colour_alone_at_the_mean_size_of_their_category(model):
    searcher = backend(model, scale='category')
    assert searcher.needs == frozenset()
    found = check_poses(searcher.estimate(scene(), ()))
    for name, answer in found.items():
        np.testing.assert_allclose(answer.size, SIZES[name])
        distance = np.linalg.norm(answer.T_camera_object[:3, 3])
        # The spread of sizes, 20 %, and little more.
        assert along_sight(answer) == pytest.approx(0.2 * distance, rel=0.05)
        assert np.linalg.eigvalsh(answer.covariance).min() > 0
    assert searcher.describe()['scale'] == 'category'
    searcher.close()


def test_an_answer_has_a_detection_of_its_own_pixels(model):
    for answer in backend(model).estimate(scene(), ()):
        mask = answer.detection.full_mask(120, 160)
        _, depth = picture(INTRINSICS, [(0, SIZES[answer.label], POSES[answer.label])])
        true = np.isfinite(depth)
        assert (mask & true).sum() / (mask | true).sum() > 0.75
        rows, columns = np.nonzero(mask)
        np.testing.assert_array_equal(answer.detection.box, [
            columns.min(), rows.min(), columns.max() + 1, rows.max() + 1])


def test_depth_gives_distance_and_size_and_narrows_the_covariance(model):
    searcher = backend(model)
    assert searcher.needs == {'depth_if_any'}
    without = check_poses(searcher.estimate(scene(), ()))
    found = check_poses(searcher.estimate(scene(LARGER), ()), LARGER)
    for name, answer in found.items():
        assert along_sight(answer) < 0.6 * along_sight(without[name])
        # Both move together: the picture stays the same.
        np.testing.assert_allclose(
            answer.T_camera_object[:3, 3] / without[name].T_camera_object[:3, 3],
            answer.size / without[name].size, rtol=1e-6)


def test_depth_of_something_else_is_told(model):
    answers = backend(model, scale='depth').estimate(scene(4.0), ())
    assert answers
    for answer in answers:
        assert isinstance(answer, Rejection)
        assert 'times as large as a' in answer.reason
    assert backend(model, scale='depth').needs == {'depth'}


def test_boxes_of_a_detector_are_answered_in_their_order(model):
    searcher = backend(model, proposals='detector', scale='category')
    assert searcher.needs == {'detections'}

    def detection(label, box):
        x_min, y_min, x_max, y_max = box
        return Detection(label, 0.8, np.array(box, np.float64),
                         np.ones((y_max - y_min, x_max - x_min), bool), (x_min, y_min))

    boxes = [detection('spoon', (3, 3, 9, 9)), detection('camera', (95, 37, 136, 85)),
             detection('mug', (30, 46, 72, 88))]
    spoon, *answers = searcher.estimate(scene(), boxes)
    assert isinstance(spoon, Rejection)
    assert spoon.detection is boxes[0]
    assert [answer.label for answer in answers] == ['camera', 'mug']
    assert [answer.detection for answer in answers] == boxes[1:]
    check_poses(answers)
    assert searcher.estimate(scene(), []) == []


def test_only_wanted_categories_are_searched(model):
    searcher = backend(model, labels=('mug',))
    assert searcher.categories == ('mug', 'camera')
    assert {answer.label if isinstance(answer, ObjectPose) else answer.detection.label
            for answer in searcher.estimate(scene(), ())} == {'mug'}


def test_an_empty_picture_has_no_objects(model):
    blank = replace(scene(), rgb=np.full((120, 160, 3), 128, np.uint8))
    assert backend(model).estimate(blank, ()) == []


def test_unlikely_candidates_are_rejected_with_their_probability(model, tmp_path):
    folder = tmp_path / 'strict'
    shutil.copytree(model, folder)
    manifest = folder / 'model.yaml'
    manifest.write_text(manifest.read_text().replace('name: colours', 'name: strict').replace(
        'parameters:\n', 'parameters:\n  calibration:\n    mean: [0, 0, 0, 0]\n'
        '    deviation: [1, 1, 1, 1]\n    weights: [-3, 0, 0, 0, 0]\n    offsets: {mug: 6}\n'
        '    least: 0.3\n    noise: 1.0\n    surfaces: {}\n', 1))
    answers = {answer.label if isinstance(answer, ObjectPose) else answer.detection.label: answer
               for answer in backend(folder).estimate(scene(), ())}
    assert answers['mug'].score == pytest.approx(1 / (1 + np.exp(-3)))
    assert answers['camera'].reason == 'only 0.05 likely to be a camera, less than 0.30'
    lenient = backend(folder, min_probability=0.0).estimate(scene(), ())
    assert {answer.label for answer in lenient} == {'mug', 'camera'}


def test_what_others_explain_better_is_rejected_unless_nothing_is(model, monkeypatch):
    rejecting, keeping = backend(model), backend(model, min_probability=0.0)
    for one in (rejecting, keeping):
        solve = one._solver.solve
        monkeypatch.setattr(one._solver, 'solve', lambda *given, solve=solve: [
            replace(found, is_outcompeted=found.category == 'mug') for found in solve(*given)])

    answers = {answer.detection.label: answer for answer in rejecting.estimate(scene(), [])}
    assert isinstance(answers['camera'], ObjectPose)
    assert isinstance(answers['mug'], Rejection)
    assert answers['mug'].reason == 'other objects explain its pixels better'
    check_poses(keeping.estimate(scene(), []))


def test_a_model_of_another_backend_is_refused():
    with pytest.raises(ModelError, match="made for the backend 'spd', not for 'neural_mesh'"):
        create_backend('neural_mesh', BackendOptions('spd_lite'))


@pytest.mark.parametrize('options', [
    {'proposals': 'any'}, {'scale': 'large'}, {'competition': 'maybe'}, {'initial_poses': 17},
    {'min_probability': 1.5}])
def test_unknown_choices_are_refused(options):
    with pytest.raises(ConfigurationError, match=f'neural_mesh.{next(iter(options))} is'):
        NeuralMeshOptions(**options)
