"""The backends spd, crnet and acr with real networks, and models that do not fit them."""

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / 'support'))

from lite_models import make_lite_model

from pose_estimation_ros.backends.base import BackendOptions
from pose_estimation_ros.backends.lite import LiteBackend, ObjectPoints
from pose_estimation_ros.backends.registry import backend_names, create_backend
from pose_estimation_ros.core.camera import CameraIntrinsics
from pose_estimation_ros.core.detection import Detection
from pose_estimation_ros.core.errors import ModelError
from pose_estimation_ros.core.frame import RGBDFrame
from pose_estimation_ros.core.object_pose import ObjectPose, Rejection
from pose_estimation_ros.core.point_colors import point_colors
from pose_estimation_ros.runtime import ModelFile
from pose_estimation_ros.runtime.manifest import read_manifest, write_manifest

CAMERA = CameraIntrinsics.pinhole(320, 240, 300.0, 300.0, 159.5, 119.5)
RADIUS = 0.04


def _frame() -> RGBDFrame:
    """Return cans of 8 cm, seen from the side, before nothing; one half is red, one blue."""
    v, u = np.mgrid[:240, :320]
    rays = np.stack([(u - CAMERA.cx) / CAMERA.fx, (v - CAMERA.cy) / CAMERA.fy], axis=-1)
    depth = np.full((240, 320), np.nan, np.float32)
    for x in (-0.1, 0.1):
        # The nearer hit of each ray with the cylinder about x, z = 0.6.
        a = rays[..., 0] ** 2 + 1.0
        b = rays[..., 0] * x + 0.6
        root = b ** 2 - a * (x ** 2 + 0.6 ** 2 - RADIUS ** 2)
        z = (b - np.sqrt(np.maximum(root, 0.0))) / a
        hit = (root > 0) & (np.abs(rays[..., 1] * z) < 0.06)
        depth[hit] = z[hit]
    rgb = np.zeros((240, 320, 3), np.uint8)
    rgb[:, :160, 0] = 200
    rgb[:, 160:, 2] = 100
    return RGBDFrame(0, 'camera', rgb, depth, CAMERA)


def _cans(frame: RGBDFrame) -> list[Detection]:
    detections = []
    for columns in (slice(0, 160), slice(160, 320)):
        mask = np.zeros(frame.depth.shape, bool)
        mask[:, columns] = np.isfinite(frame.depth[:, columns])
        rows, cols = np.nonzero(mask)
        box = np.array([cols.min(), rows.min(), cols.max() + 1, rows.max() + 1], float)
        detections.append(Detection('can', 0.9, box, mask))
    return detections


def test_the_three_methods_are_known_by_name() -> None:
    assert {'spd', 'crnet', 'acr'} <= set(backend_names())


@pytest.mark.parametrize(('name', 'with_color'), [('crnet', False), ('crnet', True),
                                                  ('acr', True)])
def test_a_model_runs_in_the_backend_that_it_names(tmp_path: Path, name: str,
                                                   with_color: bool) -> None:
    if with_color:
        pytest.importorskip('onnx', reason='onnx writes models; a node needs none')
    model = make_lite_model(tmp_path / 'mine', name, with_color=with_color)
    backend = create_backend(name, BackendOptions(str(model), 'cpu', threads=1))
    frame = _frame()

    answers = backend.estimate(frame, _cans(frame))

    assert backend.describe() == {'backend': name, 'model': 'mine',
                                  'provider': 'CPUExecutionProvider'}
    for answer, x in zip(answers, (-0.1, 0.1), strict=True):
        assert isinstance(answer, ObjectPose), answer
        assert answer.source == name
        assert np.linalg.norm(answer.T_camera_object[:3, 3] - (x, 0.0, 0.6)) < 0.03
        # Cans are symmetric about their axis, which is the camera's y here.
        assert abs(answer.T_camera_object[1, 1]) > np.cos(np.radians(10.0))
    backend.close()


def test_each_object_comes_with_its_own_colors(tmp_path: Path) -> None:
    pytest.importorskip('onnx', reason='onnx writes models; a node needs none')
    model = make_lite_model(tmp_path / 'colored', 'crnet', with_color=True)
    backend = create_backend('crnet', BackendOptions(str(model), 'cpu', threads=1))
    assert isinstance(backend, LiteBackend)
    frame = _frame()
    asked: list[ObjectPoints] = []
    solve = backend.solve
    backend.solve = lambda objects, labels, up: asked.append(objects) or solve(
        objects, labels, up)
    detections = _cans(frame)
    loosely = Detection('can', 0.9, np.array([0.0, 0.0, 320.0, 240.0]), detections[1].mask)

    answers = backend.estimate(frame, [detections[0], Detection(
        'unicorn', 0.9, detections[0].box, detections[0].mask), loosely])

    assert [type(answer) for answer in answers] == [ObjectPose, Rejection, ObjectPose]
    (objects,) = asked
    assert objects.colors is not None
    assert objects.points.shape == (2, 512, 3)
    assert objects.colors.shape == (2, 512, 9)
    # Red has 200 of 255, blue 100; the cans are far from the other half of the image.
    np.testing.assert_allclose(objects.colors[0].reshape(512, 3, 3), np.broadcast_to(
        [200 / 255, 0.0, 0.0], (512, 3, 3)), atol=1e-6)
    np.testing.assert_allclose(objects.colors[1].reshape(512, 3, 3), np.broadcast_to(
        [0.0, 0.0, 100 / 255], (512, 3, 3)), atol=1e-6)
    # The pixel of a point is where the camera projects it to; the box is that of the mask.
    pixels = np.rint(CAMERA.project(objects.points[1])).astype(int)
    expected = point_colors(frame.rgb, detections[1].box, pixels[:, 1], pixels[:, 0])
    np.testing.assert_allclose(objects.colors[1], expected, atol=1e-6)
    told = solve(objects, ['can', 'can'], None)
    assert told.entropy is not None and told.error is not None
    np.testing.assert_allclose(told.entropy, 0.0, atol=1e-6)
    np.testing.assert_allclose(told.error, [200 / 255, 100 / 255], atol=1e-6)
    backend.close()


def test_a_network_that_places_every_second_point_is_aligned_with_these(tmp_path: Path) -> None:
    pytest.importorskip('onnx', reason='onnx writes models; a node needs none')
    model = make_lite_model(tmp_path / 'mine', 'crnet', every=2)
    backend = create_backend('crnet', BackendOptions(str(model), 'cpu', threads=1))
    assert isinstance(backend, LiteBackend)
    frame = _frame()
    assert (backend.points, backend.every) == (1024, 2)

    vars(frame)['up'] = np.array([0.0, -1.0, 0.0])  # Known, so that what stands is turned.
    answers = backend.estimate(frame, _cans(frame))

    for answer, x in zip(answers, (-0.1, 0.1), strict=True):
        assert isinstance(answer, ObjectPose), answer
        assert answer.nocs is not None and answer.nocs.shape == (512, 3)
        assert np.linalg.norm(answer.T_camera_object[:3, 3] - (x, 0.0, 0.6)) < 0.03
        assert abs(answer.T_camera_object[1, 1]) > np.cos(np.radians(10.0))
    backend.close()


@pytest.mark.parametrize('every', [0, 3])
def test_a_manifest_that_leaves_no_even_share_of_the_points_is_refused(tmp_path: Path,
                                                                       every: int) -> None:
    model = make_lite_model(tmp_path / 'mine', 'crnet')
    manifest = read_manifest(model / 'model.yaml')
    write_manifest(replace(manifest, input={**manifest.input, 'every': every}), model)
    with pytest.raises(ModelError, match=f"every of model 'mine' is {every}, .* 512 points"):
        create_backend('crnet', BackendOptions(str(model), 'cpu', threads=1))


def test_a_network_that_says_nothing_of_its_certainty_is_fine(tmp_path: Path) -> None:
    model = make_lite_model(tmp_path / 'plain', 'acr')
    backend = create_backend('acr', BackendOptions(str(model), 'cpu', threads=1))
    assert isinstance(backend, LiteBackend)
    points = np.random.default_rng(0).normal((0.0, 0.0, 0.6), 0.03, (2, 512, 3))

    answers = backend.solve(ObjectPoints(points.astype(np.float32), None), ['mug', 'can'], None)

    assert (answers.entropy, answers.error) == (None, None)
    assert answers.membership.shape == (2, 512)
    assert 0.0 <= answers.membership.min() <= answers.membership.max() <= 1.0
    backend.close()


def test_a_model_of_another_backend_names_the_one_to_choose(tmp_path: Path) -> None:
    model = make_lite_model(tmp_path / 'mine', 'acr')
    with pytest.raises(ModelError, match=r"'mine' is made for the backend 'acr', not for 'crnet'; "
                                         r"choose the backend 'acr', or a model of crnet such as "
                                         r"'crnet_lite'"):
        create_backend('crnet', BackendOptions(str(model)))


def test_a_missing_model_is_answered_with_those_that_are_there() -> None:
    with pytest.raises(ModelError, match=r"unknown model 'nowhere'; known are .*spd_lite"):
        create_backend('acr', BackendOptions('nowhere'))


def test_a_manifest_that_wants_colors_which_the_network_does_not_take_is_refused(
        tmp_path: Path) -> None:
    folder = make_lite_model(tmp_path / 'mine', 'crnet')
    manifest = read_manifest(folder / 'model.yaml')
    write_manifest(replace(manifest, input={**manifest.input, 'color': True}), folder)
    with pytest.raises(ModelError, match="network of model 'mine' takes category, condition, "
                                         'points, rank, by its manifest it should take .*color'):
        create_backend('crnet', BackendOptions(str(folder), 'cpu', threads=1))


def test_a_network_that_gives_no_shape_is_refused(tmp_path: Path) -> None:
    onnx = pytest.importorskip('onnx', reason='onnx writes models; a node needs none')
    folder = make_lite_model(tmp_path / 'mine', 'crnet')
    network = onnx.load(folder / 'network.onnx')
    (shape,) = (output for output in network.graph.output if output.name == 'shape')
    network.graph.output.remove(shape)
    onnx.save(network, folder / 'network.onnx')
    manifest = read_manifest(folder / 'model.yaml')
    write_manifest(replace(manifest, files={
        'network': ModelFile.of(folder / 'network.onnx', folder)}), folder)
    with pytest.raises(ModelError, match="network of model 'mine' does not give shape"):
        create_backend('crnet', BackendOptions(str(folder), 'cpu', threads=1))
