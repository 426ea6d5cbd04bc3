"""The full backend around its network: preparation, alignment, frames and rejections."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from pose_estimation_ros.backends import full
from pose_estimation_ros.backends.base import BackendOptions, ObjectFrame, PoseBackend
from pose_estimation_ros.backends.full import FullBackend
from pose_estimation_ros.core.camera import CameraIntrinsics
from pose_estimation_ros.core.categories import CATEGORY_NAMES
from pose_estimation_ros.core.detection import Detection
from pose_estimation_ros.core.errors import ModelError
from pose_estimation_ros.core.frame import RGBDFrame
from pose_estimation_ros.core.object_pose import ObjectPose, Rejection
from pose_estimation_ros.core.rotation import axis_rotation
from pose_estimation_ros.core.se3 import make_transform
from pose_estimation_ros.runtime import Model, ModelFile, ModelManifest

CAMERA = CameraIntrinsics.pinhole(320, 240, 300.0, 300.0, 159.5, 119.5)
DIAGONAL = 0.2
T_CAMERA_CUP = make_transform(axis_rotation((1.0, 0.3, 0.2), 2.0), np.array([0.02, -0.03, 0.6]))
# A mug in its published frame: the cup's axis at x = 0, the handle at +x.
CUP_SHAPE = np.array([[-0.3, -0.35, -0.3], [0.3, 0.35, 0.3], [0.5, 0.0, 0.0]], np.float32)


class TruthfulSession:
    """Gives the true coordinates of points in the published frame, and the true shape."""

    providers = ('CPUExecutionProvider',)

    def __init__(self, path: Path, device: str, threads: int) -> None:
        self.batches: list[int] = []

    def warm_up(self, shapes: dict[str, tuple[int, ...]]) -> None:
        self.run({name: np.ones(shape, np.float32) for name, shape in shapes.items()})

    def run(self, inputs: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        self.batches.append(len(inputs['points']))
        local = (inputs['points'] - T_CAMERA_CUP[:3, 3]) @ T_CAMERA_CUP[:3, :3] / DIAGONAL
        shape = np.repeat(CUP_SHAPE[None], len(local), axis=0)
        return {'nocs': local.astype(np.float32), 'shape': shape}

    def close(self) -> None:
        self.batches.append(-1)


Create = Callable[..., FullBackend]


@pytest.fixture
def create(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Create:
    monkeypatch.setattr(full, 'InferenceSession', TruthfulSession)
    (tmp_path / 'spd.onnx').write_bytes(b'network')

    def _create(size: str = 'full', rule: str = 'square-of-40s',
                backend: str = 'spd', object_frame: ObjectFrame = 'nocs',
                **own_input: object) -> FullBackend:
        manifest = ModelManifest(
            'published', 'pose', backend, size,
            {'network': ModelFile.of(tmp_path / 'spd.onnx', tmp_path)}, CATEGORY_NAMES,
            input=own_input or {'points': 1024, 'crop_rule': rule},
            parameters={'recentred_categories': ['mug']})
        return FullBackend(Model(manifest, tmp_path), BackendOptions(object_frame=object_frame))

    return _create


def _frame() -> RGBDFrame:
    """Return a view of a wavy surface; any surface will do for a network that knows the pose."""
    v, u = np.mgrid[:240, :320]
    depth = (0.6 + 0.03 * np.sin(u / 9.0) + 0.03 * np.cos(v / 7.0)).astype(np.float32)
    rgb = np.full((240, 320, 3), 128, np.uint8)
    return RGBDFrame(0, 'camera', rgb, depth, CAMERA)


def _detection(label: str, pixels: int = 60) -> Detection:
    mask = np.ones((pixels, pixels), dtype=bool)
    box = np.array([120.0, 80.0, 120.0 + pixels, 80.0 + pixels])
    return Detection(label, 0.9, box, mask, (120, 80))


def test_the_pose_is_that_of_the_true_coordinates(create: Create) -> None:
    (pose,) = create().estimate(_frame(), [_detection('can')])
    assert isinstance(pose, ObjectPose)
    np.testing.assert_allclose(pose.T_camera_object, T_CAMERA_CUP, atol=1e-5)
    np.testing.assert_allclose(pose.size, 2 * DIAGONAL * np.abs(CUP_SHAPE).max(axis=0), rtol=1e-4)
    assert pose.inlier_ratio == pytest.approx(1.0)
    assert pose.score == pytest.approx(0.9)
    assert pose.residual < 1e-5


def test_the_covariance_is_that_of_the_frame_which_is_given(create: Create) -> None:
    backend = create()
    can, mug = (_covariance(backend, label) for label in ('can', 'mug'))
    published = _covariance(create(object_frame='spd'), 'mug')
    spin = np.concatenate([np.zeros(3), T_CAMERA_CUP[:3, 1]])
    assert spin @ can @ spin == pytest.approx(np.pi ** 2 / 3)
    assert spin @ mug @ spin < 1e-3
    # A turn moves the box's centre about the cup's: dt' = dt + w x d.
    d = T_CAMERA_CUP[:3, :3] @ (0.1 * DIAGONAL, 0.0, 0.0)
    rotation = published[3:, 3:]
    np.testing.assert_allclose(mug[3:, 3:], rotation, rtol=1e-3, atol=1e-9)
    expected = published[:3, 3:] + np.cross(rotation, d).T
    assert np.abs(expected - published[:3, 3:]).max() > 5e-8
    np.testing.assert_allclose(mug[:3, 3:], expected, rtol=1e-3, atol=1e-10)


def _covariance(backend: FullBackend, label: str) -> np.ndarray:
    (pose,) = backend.estimate(_frame(), [_detection(label)])
    assert isinstance(pose, ObjectPose) and pose.covariance is not None
    return pose.covariance


def test_a_recentred_mug_is_given_in_the_frame_of_its_box(create: Create) -> None:
    (pose,) = create().estimate(_frame(), [_detection('mug')])
    expected = T_CAMERA_CUP[:3, 3] + T_CAMERA_CUP[:3, :3] @ (0.1 * DIAGONAL, 0.0, 0.0)
    np.testing.assert_allclose(pose.T_camera_object[:3, 3], expected, atol=1e-5)
    np.testing.assert_allclose(pose.T_camera_object[:3, :3], T_CAMERA_CUP[:3, :3], atol=1e-5)
    np.testing.assert_allclose(pose.size, DIAGONAL * np.array([0.8, 0.7, 0.6]), rtol=1e-4)
    np.testing.assert_allclose(pose.points.max(axis=0), pose.size / 2, rtol=1e-4)
    np.testing.assert_allclose(pose.points.min(axis=0), -pose.size / 2, rtol=1e-4)
    # NOCS coordinates are object coordinates over the diagonal of the object's own box.
    seen = pose.nocs * np.linalg.norm(pose.size) @ pose.T_camera_object[:3, :3].T
    seen += pose.T_camera_object[:3, 3]
    rows, columns = pose.detection.pixels()
    depth = _frame().depth[rows, columns]
    cloud = CAMERA.back_project(np.stack([columns, rows], axis=1).astype(float), depth)
    distances = np.linalg.norm(seen[:, None] - cloud[None], axis=2).min(axis=1)
    assert distances.max() < 1e-5


def test_a_mug_to_be_judged_in_the_published_frame_stays_in_it(create: Create) -> None:
    (pose,) = create(object_frame='spd').estimate(_frame(), [_detection('mug')])
    np.testing.assert_allclose(pose.T_camera_object, T_CAMERA_CUP, atol=1e-5)
    np.testing.assert_allclose(pose.size, 2 * DIAGONAL * np.abs(CUP_SHAPE).max(axis=0), rtol=1e-4)


def test_answers_keep_the_order_of_the_detections_and_name_what_fails(create: Create) -> None:
    backend = create()
    answers = backend.estimate(_frame(), [
        _detection('unicorn'), _detection('bowl'), _detection('can', pixels=5), _detection('mug')])
    assert [type(answer) for answer in answers] == [Rejection, ObjectPose, Rejection, ObjectPose]
    assert "does not know 'unicorn'" in answers[0].reason
    assert answers[1].label == 'bowl'
    assert 'fewer than 32 pixels' in answers[2].reason
    # The warm-up, then one batch for all.
    assert backend._session.batches == [1, 2]


def test_no_detections_and_no_depth_run_no_network(create: Create) -> None:
    backend, frame = create(), _frame()
    blind = RGBDFrame(0, 'camera', frame.rgb, None, CAMERA)
    assert backend.estimate(frame, []) == []
    (answer,) = backend.estimate(blind, [_detection('can')])
    assert 'no depth' in answer.reason
    assert backend._session.batches == [1]


def test_points_that_agree_on_no_pose_are_rejected(
    create: Create, monkeypatch: pytest.MonkeyPatch
) -> None:
    backend = create()
    noise = np.random.default_rng(0).uniform(-0.5, 0.5, (1, 1024, 3)).astype(np.float32)
    monkeypatch.setattr(backend._session, 'run',
                        lambda inputs: {'nocs': noise, 'shape': CUP_SHAPE[None]})
    (answer,) = backend.estimate(_frame(), [_detection('can')])
    assert isinstance(answer, Rejection)
    assert 'no pose agrees with the points' in answer.reason


@pytest.mark.parametrize('shape', [
    np.full_like(CUP_SHAPE, np.nan), np.zeros_like(CUP_SHAPE), CUP_SHAPE * (1.0, 1.0, 0.0)])
def test_a_shape_without_extent_is_rejected_and_the_others_are_kept(
    create: Create, monkeypatch: pytest.MonkeyPatch, shape: np.ndarray
) -> None:
    backend = create()
    truthful = backend._session.run

    def run(inputs: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        output = truthful(inputs)
        output['shape'][0] = shape
        return output

    monkeypatch.setattr(backend._session, 'run', run)
    answers = backend.estimate(_frame(), [_detection('can'), _detection('bowl')])
    assert [type(answer) for answer in answers] == [Rejection, ObjectPose]
    assert 'shape without extent' in answers[0].reason


def test_other_models_are_refused(create: Create) -> None:
    with pytest.raises(ModelError, match='is spd lite; this backend runs full models'):
        create(size='lite')
    with pytest.raises(ModelError, match="crops made by the rule 'tight'"):
        create(rule='tight')
    with pytest.raises(ModelError, match='whose manifest says input.points'):
        create(crop_rule='square-of-40s')


@pytest.mark.parametrize('name', ['spd', 'crnet', 'acr'])
def test_it_keeps_the_contract_of_backends_for_each_of_them(create: Create, name: str) -> None:
    backend = create(backend=name)
    assert isinstance(backend, PoseBackend)
    (pose,) = backend.estimate(_frame(), [_detection('can')])
    assert backend.name == pose.source == name
    assert backend.describe() == {'backend': name, 'model': 'published',
                                  'provider': 'CPUExecutionProvider'}
    backend.close()
    assert backend._session.batches[-1] == -1
