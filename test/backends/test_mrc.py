"""MRC-Net from crops to poses, with networks small enough to check by hand."""

import shutil
import sys
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / 'support'))
pytest.importorskip('onnx', reason='models are written with onnx, which a node does not need')
pytest.importorskip('open3d', reason='objects are rendered with Open3D, which is optional')

import mrc_models
from mrc_models import (
    CELLS,
    CROP,
    DEPTH_BINS,
    FARTHEST,
    NEAREST,
    NSIDE,
    PER_VIEW,
    REFINEMENT,
    KnownObject,
    make_mrc_model,
)

from pose_estimation_ros.backends import mrc_model
from pose_estimation_ros.backends.base import BackendOptions
from pose_estimation_ros.backends.mrc_crops import crop_square, crop_view, quarter_turn
from pose_estimation_ros.backends.mrc_model import MRCModel
from pose_estimation_ros.backends.mrc_options import MRCOptions
from pose_estimation_ros.backends.registry import create_backend
from pose_estimation_ros.core.camera import CameraIntrinsics
from pose_estimation_ros.core.detection import Detection
from pose_estimation_ros.core.errors import ConfigurationError, ModelError
from pose_estimation_ros.core.frame import RGBDFrame
from pose_estimation_ros.core.object_pose import ObjectPose, Rejection
from pose_estimation_ros.core.rotation import angle_between, random_rotation
from pose_estimation_ros.core.so3_grid import so3_grid
from pose_estimation_ros.core.symmetry import Y_AXIS_SYMMETRY
from pose_estimation_ros.rendering.mesh import Mesh
from pose_estimation_ros.rendering.mesh_archive import write_mesh_archive
from pose_estimation_ros.rendering.open3d_renderer import Open3DRayCaster
from pose_estimation_ros.rendering.primitives import box
from pose_estimation_ros.rendering.renderer import camera_rays
from pose_estimation_ros.runtime import InferenceSession, ModelStore

CAMERA = CameraIntrinsics.pinhole(160, 120, 140.0, 141.0, 79.5, 59.5)
BLOCK = KnownObject('block', box([0.1, 0.06, 0.04]), rotation=17, depth=4, cell=5)
CAN = KnownObject('can', box([0.05, 0.12, 0.05]), rotation=40, depth=5, cell=10,
                  symmetry=Y_AXIS_SYMMETRY)
# Centres: x, y of the box; sides of its square.
BOX = np.array([60.0, 40.0, 100.0, 70.0])
CENTER, SIDE = np.array([80.0, 55.0]), 60.0
# A rotation that is far from that of the block.
SEEN = 60


def make_backend(folder, **options):
    return create_backend('mrc', BackendOptions(str(folder), 'cpu', 1, mrc=MRCOptions(**options)))


def frame(rgb=None):
    rgb = np.full((120, 160, 3), 100, np.uint8) if rgb is None else rgb
    return RGBDFrame(0, 'camera', rgb, None, CAMERA)


def detection(label='block', corners=BOX, score=0.8):
    return Detection(label, score, corners, np.ones((4, 4), bool), (70, 50))


def bright_corner(rows, columns):
    """Return a grey picture with a white part."""
    rgb = np.full((120, 160, 3), 100, np.uint8)
    rgb[rows, columns] = 255
    return rgb


def position(entry, turns=0, refinement=REFINEMENT, center=CENTER, side=SIDE):
    """Return where the classes of an object put it, in the camera (spec 1.4)."""
    Rz = quarter_turn(turns)
    turned = CAMERA.K @ Rz @ np.linalg.inv(CAMERA.K) @ np.append(center, 1.0)
    row, column = divmod(entry.cell, CELLS)
    in_crop = (np.array([column, row]) + 0.5) / CELLS - 0.5
    pixel = turned[:2] + in_crop * side
    depth = (NEAREST + (entry.depth + 0.5) * (FARTHEST - NEAREST) / DEPTH_BINS + refinement)
    z = depth * CAMERA.fx * CROP / side
    ray = np.linalg.inv(CAMERA.K) @ np.append(pixel, 1.0)
    return Rz.T @ (ray * z)


@pytest.fixture(scope='module')
def model(tmp_path_factory):
    return make_mrc_model(tmp_path_factory.mktemp('models') / 'two', [BLOCK, CAN])


@pytest.fixture(scope='module')
def backend(model):
    return make_backend(model)


def test_a_pose_is_that_of_its_classes_and_what_the_rendering_adds(backend):
    (pose,) = backend.estimate(frame(), [detection()])

    np.testing.assert_allclose(pose.T_camera_object[:3, 3], position(BLOCK), rtol=1e-5)
    np.testing.assert_allclose(pose.T_camera_object[:3, :3], so3_grid(NSIDE)[17], atol=1e-6)
    np.testing.assert_allclose(pose.size, [0.1, 0.06, 0.04], rtol=1e-6)
    confidence = 1 / (1 + np.exp(-(1 + 100 / 255)))
    assert pose.score == pytest.approx(0.8 * confidence, rel=1e-5)
    assert (pose.label, pose.source) == ('block', 'mrc')


def test_no_depth_is_needed_and_the_folder_brings_the_cad_models(backend, model):
    assert backend.needs == {'detections', 'cad_models', 'depth_if_any'}
    assert make_backend(model, refinement='none').needs == {'detections', 'cad_models'}
    assert backend.categories == ('block', 'can')


def test_where_depth_arrives_the_cad_model_is_fitted_to_it(backend, model):
    pytest.importorskip('small_gicp', reason='the fit to depth is optional')
    (colour,) = backend.estimate(frame(), [detection()])
    T = colour.T_camera_object.copy()
    T[:3, 3] *= 1.06
    hits = Open3DRayCaster([BLOCK.mesh]).cast(camera_rays(CAMERA, np.linalg.inv(T)))
    depth = np.where(hits.mesh >= 0, hits.distance, np.nan).astype(np.float32)
    whole = Detection('block', 0.8, BOX, hits.mesh >= 0)

    (fitted,) = backend.estimate(replace(frame(), depth=depth), [whole])
    np.testing.assert_allclose(fitted.T_camera_object[:3, 3], T[:3, 3], atol=0.003)
    assert np.trace(fitted.covariance[:3, :3]) < np.trace(colour.covariance[:3, :3])
    (alone,) = make_backend(model, refinement='none').estimate(
        replace(frame(), depth=depth), [whole])
    np.testing.assert_array_equal(alone.T_camera_object, colour.T_camera_object)


def test_a_pose_brings_the_mesh_for_markers(backend):
    (pose,) = backend.estimate(frame(), [detection('can')])
    np.testing.assert_array_equal(pose.points, CAN.mesh.vertices)
    np.testing.assert_array_equal(pose.faces, CAN.mesh.faces)


def test_markers_show_what_the_model_has_for_them(model, tmp_path):
    coarse = box((0.08, 0.08, 0.1))
    shutil.copytree(model, tmp_path / 'two')
    write_mesh_archive(tmp_path / 'two' / 'coarse.npz', {'block': coarse, 'can': coarse})
    shown = make_backend(spoilt_model(tmp_path / 'two', tmp_path / 'shown',
                                      shown_meshes='coarse.npz'))
    (pose,) = shown.estimate(frame(), [detection('can')])
    np.testing.assert_array_equal(pose.points, coarse.vertices)
    rendered = 2.0 * np.abs(CAN.mesh.bounds).max(axis=0)
    np.testing.assert_allclose(pose.size, rendered, rtol=1e-6)


def test_objects_in_a_batch_get_the_poses_that_they_get_alone(backend):
    second = np.array([20.0, 20.0, 60.0, 90.0])
    found = [detection('can', second), detection('spoon'), detection(), detection('can')]

    answers = backend.estimate(frame(), found)

    assert isinstance(answers[1], Rejection)
    assert "does not know 'spoon'; it knows block, can" in answers[1].reason
    for index in (0, 2, 3):
        (alone,) = backend.estimate(frame(), [found[index]])
        np.testing.assert_allclose(answers[index].T_camera_object, alone.T_camera_object,
                                   atol=1e-6)
        assert answers[index].score == pytest.approx(alone.score)
    np.testing.assert_allclose(answers[0].T_camera_object[:3, 3],
                               position(CAN, center=[40.0, 55.0], side=105.0), rtol=1e-5)


def test_more_views_than_a_batch_holds_are_estimated_all(model, monkeypatch):
    monkeypatch.setattr('pose_estimation_ros.backends.mrc._MOST_VIEWS', 8)
    answers = make_backend(model, rotated_copies='four').estimate(frame(), [detection()] * 5)
    assert len(answers) == 5
    for answer in answers:
        np.testing.assert_allclose(answer.T_camera_object, answers[0].T_camera_object)


def test_without_detections_there_are_no_answers(backend):
    assert backend.estimate(frame(), []) == []


# A white part of the crop: how many quarter turns bring it to the top left.
CORNERS = {0: (slice(25, 55), slice(50, 80)), 1: (slice(55, 85), slice(50, 80)),
           2: (slice(55, 85), slice(80, 110)), 3: (slice(25, 55), slice(80, 110))}


@pytest.mark.parametrize('turns', CORNERS)
def test_the_surest_of_four_rotated_copies_gives_the_pose(model, turns):
    backend = make_backend(model, rotated_copies='four')
    (pose,) = backend.estimate(frame(bright_corner(*CORNERS[turns])), [detection()])

    np.testing.assert_allclose(pose.T_camera_object[:3, 3], position(BLOCK, turns), rtol=1e-5)
    np.testing.assert_allclose(pose.T_camera_object[:3, :3],
                               quarter_turn(turns).T @ so3_grid(NSIDE)[17], atol=1e-6)
    assert backend.describe()['rotated copies'] == '4'


def test_as_the_published_code_the_translation_may_come_from_another_copy(model):
    dark = bright_corner(*CORNERS[1])
    dark[CORNERS[3]] = 0
    (pose,) = make_backend(model, rotated_copies='four', copy_choice='separate').estimate(
        frame(dark), [detection()])

    np.testing.assert_allclose(pose.T_camera_object[:3, :3],
                               quarter_turn(1).T @ so3_grid(NSIDE)[17], atol=1e-6)
    np.testing.assert_allclose(pose.T_camera_object[:3, 3], position(BLOCK, 3), rtol=1e-5)


@pytest.fixture(scope='module')
def uncertain(tmp_path_factory):
    """A model that finds another rotation likelier than that whose outline it sees."""
    folder = tmp_path_factory.mktemp('uncertain')
    right = make_mrc_model(folder / 'right', [replace(BLOCK, rotation=SEEN)])
    with closing(make_backend(right)) as backend:
        (pose,) = backend.estimate(frame(), [detection()])
        view = crop_view(CAMERA.K, crop_square(BOX), CROP)
        drawn = backend._model.render(np.array([0]), pose.T_camera_object[None], view.K[None])
    outline = (drawn.depth[0] > 0).reshape(CROP // 4, 4, CROP // 4, 4).mean(axis=(1, 3)) > 0.5
    return make_mrc_model(folder / 'unsure', [replace(BLOCK, other=SEEN)], outline=outline)


@pytest.mark.parametrize(('hypotheses', 'rotation', 'passes'), [
    ('one', 17, 1), ('four', SEEN, 2), ('auto', SEEN, 2)])
def test_of_several_likely_rotations_the_one_with_the_outline_that_is_seen_is_taken(
        uncertain, hypotheses, rotation, passes):
    backend = make_backend(uncertain, hypotheses=hypotheses)
    (pose,) = backend.estimate(frame(), [detection()])

    np.testing.assert_allclose(pose.T_camera_object[:3, :3], so3_grid(NSIDE)[rotation], atol=1e-6)
    np.testing.assert_allclose(pose.T_camera_object[:3, 3],
                               position(BLOCK, refinement=passes * REFINEMENT), rtol=1e-5)
    assert backend.describe()['hypotheses'] == ('1' if hypotheses == 'one' else '4')
    logit = (1.0 if rotation == 17 else 0.5) + 100 / 255
    assert pose.score == pytest.approx(0.8 / (1 + np.exp(-logit)), rel=1e-5)


def test_a_batch_of_uncertain_objects_is_estimated_as_each_of_them_alone(uncertain):
    backend = make_backend(uncertain)
    boxes = [BOX + shift for shift in ([0, 0, 0, 0], [20, 10, 20, 10], [-30, 5, -30, 5])]
    together = backend.estimate(frame(), [detection(corners=corners) for corners in boxes])
    for corners, pose in zip(boxes, together, strict=True):
        (alone,) = backend.estimate(frame(), [detection(corners=corners)])
        np.testing.assert_allclose(pose.T_camera_object, alone.T_camera_object, atol=1e-6)


def test_hypotheses_that_become_no_pose_lose(uncertain, monkeypatch):
    backend = make_backend(uncertain)
    regress = MRCModel.regress

    def without(rows):
        def spoilt(self, *arguments):
            answer = regress(self, *arguments)
            answer['depth'][rows] = np.nan
            return answer
        return spoilt

    (right,) = backend.estimate(frame(), [detection()])
    monkeypatch.setattr(MRCModel, 'regress', without([1, 2, 3]))
    (first,) = backend.estimate(frame(), [detection()])
    np.testing.assert_allclose(first.T_camera_object[:3, :3], so3_grid(NSIDE)[17], atol=1e-6)
    assert not np.allclose(first.T_camera_object, right.T_camera_object)
    monkeypatch.setattr(MRCModel, 'regress', without(slice(None)))
    (none,) = backend.estimate(frame(), [detection()])
    assert isinstance(none, Rejection)


def test_models_that_show_no_mask_take_one_rotation_or_refuse_several(model):
    assert make_backend(model).describe()['hypotheses'] == '1'
    with pytest.raises(ConfigurationError, match=r'mrc.hypotheses is four, but .* choose auto'):
        make_backend(model, hypotheses='four')


def test_with_statistics_of_the_batch_an_object_is_alone_with_its_copies(tmp_path):
    folder = make_mrc_model(tmp_path / 'published', [BLOCK, CAN], norm='batch')
    found = [detection(), detection('can'), detection()]

    four = make_backend(folder).estimate(frame(), found)
    one = make_backend(folder, rotated_copies='one').estimate(frame(), found)

    for answers, views in ((four, 4), (one, 1)):
        for answer, entry in zip(answers, (BLOCK, CAN, BLOCK), strict=True):
            np.testing.assert_allclose(
                answer.T_camera_object[:3, 3],
                position(entry, refinement=REFINEMENT + views * PER_VIEW), rtol=1e-5)


@pytest.mark.parametrize(('regression', 'refinement'), [('parallel', REFINEMENT), ('none', 0.0)])
def test_a_model_may_do_without_rendering_or_regression(tmp_path, regression, refinement):
    backend = make_backend(make_mrc_model(tmp_path / 'simple', [BLOCK], regression=regression))
    (pose,) = backend.estimate(frame(), [detection()])
    np.testing.assert_allclose(pose.T_camera_object[:3, 3],
                               position(BLOCK, refinement=refinement), rtol=1e-5)
    assert backend.describe()['renderer'] == 'none'


@pytest.mark.parametrize('device', ['auto', 'cuda'])
def test_networks_on_a_gpu_without_warp_are_shown_renderings_of_the_cpu(model, monkeypatch,
                                                                        caplog, device):
    class OnTheGpu(InferenceSession):
        """A session that says it runs on a GPU."""

        def __init__(self, path, _device, threads):
            super().__init__(path, 'cpu', threads)
            self.providers = ('CUDAExecutionProvider', *self.providers)

    monkeypatch.setattr(mrc_model, 'InferenceSession', OnTheGpu)
    monkeypatch.setitem(sys.modules, 'warp', None)
    backend = create_backend('mrc', BackendOptions(str(model), device, 1))
    assert backend.describe()['renderer'] == 'cpu'
    (record,) = caplog.records
    assert 'run pip install warp-lang' in record.getMessage()
    (pose,) = backend.estimate(frame(), [detection()])
    np.testing.assert_allclose(pose.T_camera_object[:3, 3], position(BLOCK), rtol=1e-5)


@pytest.mark.parametrize(('auxiliary', 'expected'), [
    ('trained', [0.5 / 140, -4.5 / 141, 60 / 140]), ('published', [0.0, 0.0, 60 / 140])])
def test_the_classifier_is_told_where_the_crop_is(model, monkeypatch, auxiliary, expected):
    told = []
    classify = MRCModel.classify
    monkeypatch.setattr(MRCModel, 'classify', lambda self, image, index, aux: (
        told.append(aux), classify(self, image, index, aux))[1])
    make_backend(model, auxiliary=auxiliary).estimate(frame(), [detection()])
    np.testing.assert_allclose(told[-1], [expected], rtol=1e-5, atol=1e-7)


def test_distance_is_less_certain_than_direction_and_spin_means_nothing(backend):
    block, can = backend.estimate(frame(), [detection(), detection('can')])
    t = block.T_camera_object[:3, 3]
    sight = t / np.linalg.norm(t)
    position_part = block.covariance[:3, :3]
    along = np.sqrt(sight @ position_part @ sight)
    # One of these few depth bins is wider than two of the object's 32 / 1.5 pixels.
    assert along == pytest.approx((FARTHEST - NEAREST) / DEPTH_BINS * 140 * CROP / 60, rel=1e-3)
    assert along > t[2] * 2 / (32 / 1.5)
    across = np.sqrt(np.linalg.eigvalsh(position_part)[:2])
    np.testing.assert_allclose(across, t[2] * 60 / 140 / CELLS, rtol=1e-3)
    axis = can.T_camera_object[:3, 1]
    assert axis @ can.covariance[3:, 3:] @ axis == pytest.approx(np.pi ** 2 / 3)
    assert np.linalg.eigvalsh(block.covariance).min() > 0


def test_a_rotation_is_as_certain_as_the_grid_is_fine(backend):
    generator = np.random.default_rng(0)
    apart = [angle_between(so3_grid(NSIDE), random_rotation(generator)).min() for _ in range(500)]
    (pose,) = backend.estimate(frame(), [detection()])
    np.testing.assert_allclose(np.linalg.eigvalsh(pose.covariance[3:, 3:]),
                               np.mean(np.square(apart)) / 3, rtol=0.05)


def test_the_size_is_that_of_a_box_about_the_origin_of_the_cad_file(tmp_path):
    aside = Mesh(BLOCK.mesh.vertices + np.float32([0.02, 0, 0]), BLOCK.mesh.faces)
    backend = make_backend(make_mrc_model(tmp_path / 'aside', [replace(BLOCK, mesh=aside)]))
    (pose,) = backend.estimate(frame(), [detection()])
    np.testing.assert_allclose(pose.size, [0.14, 0.06, 0.04], rtol=1e-5)


def test_a_box_without_extent_is_refused(backend):
    (answer,) = backend.estimate(frame(), [detection(corners=np.array([5.1, 6, 5.9, 6]))])
    assert 'holds no whole pixel' in answer.reason


def test_answers_that_are_no_poses_are_refused_one_by_one(model, monkeypatch):
    def spoilt(self, features, image, index, aux):
        depth = np.where(index == 0, np.nan, -1.0).astype(np.float32)[:, None]
        return {'rotation': np.tile(np.float32([1, 0, 0, 0, 1, 0]), (len(index), 1)),
                'depth': depth, 'xy': np.zeros((len(index), 2), np.float32)}

    monkeypatch.setattr(MRCModel, 'regress', spoilt)
    answers = make_backend(model).estimate(frame(), [detection(), detection('can')])
    for answer in answers:
        assert 'no finite pose in front of the camera' in answer.reason


def test_an_answer_whose_confidence_is_no_number_is_refused(model, monkeypatch):
    classify = MRCModel.classify

    def spoilt(self, image, index, aux):
        answers = classify(self, image, index, aux)
        answers['rotation'][index == 1] = np.nan
        return answers

    monkeypatch.setattr(MRCModel, 'classify', spoilt)
    block, can = make_backend(model).estimate(frame(), [detection(), detection('can')])
    assert isinstance(block, ObjectPose)
    assert 'confidence nan' in can.reason


def test_without_a_model_it_is_told_how_to_make_one(monkeypatch, tmp_path):
    monkeypatch.setattr('pose_estimation_ros.backends.mrc.ModelStore',
                        lambda: ModelStore([tmp_path]))
    cure = r"'mrc_lite', is in none of .*docs/known_objects\.md"
    with pytest.raises(ModelError, match=cure) as told:
        make_backend('')
    assert str(tmp_path) in str(told.value)
    assert 'spd_lite' not in str(told.value)


def test_unknown_choices_are_refused():
    with pytest.raises(ConfigurationError, match="rotated_copies is 'three'; choose one of auto"):
        MRCOptions(rotated_copies='three')


def spoilt_model(model, folder, **files):
    """Copy a model and replace some files, of which '' removes one from the manifest."""
    shutil.copytree(model, folder)
    roles = {'classifier': 'classifier.onnx', 'regressor': 'regressor.onnx',
             'meshes': 'meshes.npz', **files}
    mrc_models.describe(folder, {role: name for role, name in roles.items() if name},
                        [BLOCK, CAN])
    return folder


@pytest.mark.parametrize(('files', 'said'), [
    ({'meshes': ''}, 'without the CAD models .* models add-meshes'),
    ({'regressor': ''}, "has no file 'regressor'"),
    ({'meshes': 'classifier.onnx'}, 'is no archive of meshes'),
    ({'classifier': 'regressor.onnx'}, 'the classifier of model .* must take aux, image, index'),
    ({'regressor': 'classifier.onnx'}, 'rotation of the regressor .* has the shape'),
])
def test_files_that_are_missing_or_swapped_are_told(model, tmp_path, files, said):
    with pytest.raises(ModelError, match=said):
        make_backend(spoilt_model(model, tmp_path / 'spoilt', **files))


def test_an_object_without_a_mesh_is_told(model, tmp_path):
    folder = tmp_path / 'spoilt'
    shutil.copytree(model, folder)
    mrc_models.describe(folder, {'classifier': 'classifier.onnx', 'regressor': 'regressor.onnx',
                                 'meshes': 'meshes.npz'}, [BLOCK, replace(CAN, name='cup')])
    with pytest.raises(ModelError, match="knows 'cup', but .* no mesh of it, only of block, can"):
        make_backend(folder)


def test_a_network_with_too_few_decoders_is_told(model, tmp_path):
    folder = make_mrc_model(tmp_path / 'three', [BLOCK, CAN, replace(BLOCK, name='cup')])
    shutil.copy(model / 'classifier.onnx', folder / 'classifier.onnx')
    mrc_models.describe(folder, {'classifier': 'classifier.onnx', 'regressor': 'regressor.onnx',
                                 'meshes': 'meshes.npz'},
                        [BLOCK, CAN, replace(BLOCK, name='cup')])
    with pytest.raises(ModelError, match='the network failed'):
        make_backend(folder)


def test_a_manifest_of_another_network_is_told(model, tmp_path, monkeypatch):
    monkeypatch.setattr(mrc_models, 'CROP', 64)
    with pytest.raises(ModelError, match='image of the classifier .* belongs to another network'):
        make_backend(spoilt_model(model, tmp_path / 'spoilt'))


def test_a_model_of_another_backend_is_told():
    with pytest.raises(ModelError, match="made for the backend 'spd', not for 'mrc'"):
        make_backend(Path(__file__).parents[2] / 'models' / 'spd_lite')


def test_poses_are_values_of_the_contract(backend):
    for answer in backend.estimate(frame(), [detection(), detection('can')]):
        assert isinstance(answer, ObjectPose)
        assert answer.detection is not None
