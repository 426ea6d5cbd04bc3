"""The lite backend around its network: preparation, alignment, frames and rejections."""

import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / 'support'))

from lite_models import LITE_INPUTS, LITE_OUTPUTS

from pose_estimation_ros.backends import lite
from pose_estimation_ros.backends.base import BackendOptions, PoseBackend
from pose_estimation_ros.backends.lite import LiteBackend
from pose_estimation_ros.backends.point_preparation import NormalizedPoints, normalize_points
from pose_estimation_ros.core import frame as frame_module
from pose_estimation_ros.core.camera import CameraIntrinsics
from pose_estimation_ros.core.categories import CATEGORY_NAMES
from pose_estimation_ros.core.detection import Detection
from pose_estimation_ros.core.errors import ConfigurationError, ModelError
from pose_estimation_ros.core.frame import RGBDFrame
from pose_estimation_ros.core.object_pose import ObjectPose, Rejection
from pose_estimation_ros.core.pose_confidence import ConfidenceModel
from pose_estimation_ros.core.rotation import angle_between, axis_rotation
from pose_estimation_ros.core.se3 import make_transform
from pose_estimation_ros.runtime import Model, ModelFile, ModelManifest

CAMERA = CameraIntrinsics.pinhole(320, 240, 300.0, 300.0, 159.5, 119.5)
DIAGONAL = 0.2
T_CAMERA_BOX = make_transform(axis_rotation((1.0, 0.3, 0.2), 2.0), np.array([0.02, -0.03, 0.6]))
BOX_SHAPE = np.array([[-0.3, -0.35, -0.25], [0.3, 0.35, 0.25]], np.float32)


class TruthfulSession:
    """Gives the true coordinates of the points that were prepared last, and the true shape."""

    providers = ('CPUExecutionProvider',)
    inputs, outputs = LITE_INPUTS, LITE_OUTPUTS

    def __init__(self, path: Path, device: str, threads: int) -> None:
        self.batches: list[int] = []
        self.given: dict[str, np.ndarray] = {}
        self.prepared: NormalizedPoints | None = None
        self.liars: slice | None = None
        self.probability = 0.9
        self.wrong_ranks: tuple[int, ...] = ()

    def warm_up(self, shapes: dict[str, tuple[int, ...]]) -> None:
        self.run({name: np.ones(shape, np.float32) for name, shape in shapes.items()})

    def run(self, inputs: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        self.batches.append(len(inputs['points']))
        self.given = inputs
        seen = inputs['points'].astype(np.float64)
        if self.prepared is not None:
            view = self.prepared
            seen = (seen * view.radius[:, None, None]) @ view.R_view_camera
            seen += view.center[:, None]
        nocs = (seen - T_CAMERA_BOX[:3, 3]) @ T_CAMERA_BOX[:3, :3] / DIAGONAL
        membership = np.full(nocs.shape[:2], 8.0, np.float32)
        if int(inputs['rank'].flat[0]) in self.wrong_ranks:
            nocs = np.random.default_rng(1).uniform(-0.5, 0.5, nocs.shape)
        if self.liars is not None:
            nocs[:, self.liars] = np.random.default_rng(0).uniform(
                -0.5, 0.5, nocs[:, self.liars].shape)
            membership[:, self.liars] = -8.0
        shape = np.repeat(BOX_SHAPE[None], len(nocs), axis=0)
        return {'nocs': nocs.astype(np.float32), 'shape': shape, 'membership': membership,
                'probability': np.full(len(nocs), self.probability, np.float32)}

    def close(self) -> None:
        self.batches.append(-1)


class BiasedSession(TruthfulSession):
    """Turns coordinates about the vertical, one way as they are and the other way in a mirror."""

    turns = (0.0, 0.0)
    probabilities = (0.9, 0.9)

    def run(self, inputs: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        in_mirror = self.prepared is not None and not np.allclose(inputs['points'],
                                                                  self.prepared.points)
        if in_mirror:
            inputs = {**inputs, 'points': inputs['points'] * np.float32([-1.0, 1.0, 1.0])}
        self.probability = self.probabilities[in_mirror]
        output = super().run(inputs)
        turn = axis_rotation((0.0, 1.0, 0.0), np.radians(self.turns[in_mirror]))
        output['nocs'] = (output['nocs'] @ turn).astype(np.float32)
        if in_mirror:
            output['nocs'] *= np.float32([1.0, 1.0, -1.0])
        return output


Create = Callable[..., LiteBackend]


@pytest.fixture
def create(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Create:
    monkeypatch.setattr(lite, 'InferenceSession', TruthfulSession)
    (tmp_path / 'spd.onnx').write_bytes(b'network')

    def _create(size: str = 'lite', upright_tolerance: float = 8.0,
                **given_input: object) -> LiteBackend:
        manifest = ModelManifest(
            'ours', 'pose', 'spd', size,
            {'network': ModelFile.of(tmp_path / 'spd.onnx', tmp_path)}, CATEGORY_NAMES,
            input={'points': 512, **given_input})
        backend = LiteBackend(Model(manifest, tmp_path),
                              BackendOptions(upright_tolerance=upright_tolerance))

        def normalize(points: np.ndarray, up: np.ndarray) -> NormalizedPoints:
            backend._session.prepared = normalize_points(points, up)
            return backend._session.prepared

        monkeypatch.setattr(lite, 'normalize_points', normalize)
        return backend

    return _create


def _frame() -> RGBDFrame:
    """Return a view of a wavy surface; any surface will do for a network that knows the pose."""
    v, u = np.mgrid[:240, :320]
    depth = (0.6 + 0.03 * np.sin(u / 9.0) + 0.03 * np.cos(v / 7.0)).astype(np.float32)
    return RGBDFrame(0, 'camera', np.full((240, 320, 3), 128, np.uint8), depth, CAMERA)


def _detection(label: str, pixels: int = 60, offset: tuple[int, int] = (120, 80)) -> Detection:
    mask = np.ones((pixels, pixels), dtype=bool)
    box = np.array([*offset, offset[0] + pixels, offset[1] + pixels], float)
    return Detection(label, 0.9, box, mask, offset)


def _estimate_one(backend: LiteBackend, detection: Detection) -> ObjectPose:
    (pose,) = backend.estimate(_frame(), [detection])
    assert isinstance(pose, ObjectPose), pose
    return pose


def test_the_pose_is_that_of_the_true_coordinates(create: Create) -> None:
    pose = _estimate_one(create(), _detection('can'))
    np.testing.assert_allclose(pose.T_camera_object, T_CAMERA_BOX, atol=1e-5)
    np.testing.assert_allclose(pose.size, DIAGONAL * np.array([0.6, 0.7, 0.5]), rtol=1e-4)
    np.testing.assert_allclose(pose.points, DIAGONAL * BOX_SHAPE, rtol=1e-4)
    assert pose.score == pytest.approx(0.9)
    assert pose.inlier_ratio == pytest.approx(1.0)
    assert pose.residual < 1e-5
    assert pose.symmetry.axis == (0.0, 1.0, 0.0)
    assert pose.nocs is not None and pose.nocs.shape == (512, 3)


@pytest.mark.parametrize('lean', [5.0, 20.0])
def test_an_object_that_nearly_stands_is_turned_upright(
        create: Create, monkeypatch: pytest.MonkeyPatch, lean: float) -> None:
    y = T_CAMERA_BOX[:3, 1]
    up = axis_rotation(T_CAMERA_BOX[:3, 0], np.radians(lean)) @ y
    monkeypatch.setattr(frame_module, 'estimate_up', lambda *_: up)
    left, turned = (_estimate_one(create(upright_tolerance=tolerance), _detection('mug'))
                    for tolerance in (0.0, 8.0))
    np.testing.assert_allclose(left.T_camera_object, T_CAMERA_BOX, atol=1e-5)
    off = np.degrees(np.arccos(np.clip(turned.T_camera_object[:3, 1] @ up, -1, 1)))
    assert off == pytest.approx(0.0 if lean < 8 else lean, abs=1e-3)
    # It is turned about the middle of what is seen of it, which stays where it is.
    points = create().take(_frame(), _detection('mug')).points.astype(float)
    middle = points.mean(axis=0)
    seen = np.append((middle - T_CAMERA_BOX[:3, 3]) @ T_CAMERA_BOX[:3, :3], 1.0)
    np.testing.assert_allclose((turned.T_camera_object @ seen)[:3], middle, atol=1e-4)


def test_a_tolerance_that_would_turn_what_lies_is_refused() -> None:
    with pytest.raises(ConfigurationError, match='between 0 and 45 degrees'):
        BackendOptions(upright_tolerance=60.0)


def test_the_pose_brings_its_covariance_with_an_unknown_spin_where_the_object_is_round(
        create: Create) -> None:
    backend = create()
    can, mug = (_estimate_one(backend, _detection(label)).covariance for label in ('can', 'mug'))
    assert can is not None and mug is not None
    spin = np.concatenate([np.zeros(3), T_CAMERA_BOX[:3, 1]])
    assert spin @ can @ spin == pytest.approx(np.pi ** 2 / 3)
    assert spin @ mug @ spin < 1e-3
    # Exact coordinates of points spread over centimetres.
    assert np.sqrt(np.diag(can)[:3].max()) < 1e-3


def test_answers_keep_the_order_of_the_detections_and_name_what_fails(create: Create) -> None:
    backend = create()
    answers = backend.estimate(_frame(), [
        _detection('unicorn'), _detection('bowl'), _detection('can', pixels=5), _detection('mug')])
    assert [type(answer) for answer in answers] == [Rejection, ObjectPose, Rejection, ObjectPose]
    assert "does not know 'unicorn'" in answers[0].reason
    assert 'bottle, bowl' in answers[0].reason
    assert answers[1].label == 'bowl'
    assert 'fewer than 32 pixels' in answers[2].reason
    assert answers[3].label == 'mug'
    # The warm-up, then one batch for all.
    assert backend._session.batches == [1, 2]
    assert backend._session.given['category'].tolist() == [
        CATEGORY_NAMES.index('bowl'), CATEGORY_NAMES.index('mug')]


def test_no_detections_and_no_depth_run_no_network(create: Create) -> None:
    backend, frame = create(), _frame()
    blind = RGBDFrame(0, 'camera', frame.rgb, None, CAMERA)
    assert backend.estimate(frame, []) == []
    (answer,) = backend.estimate(blind, [_detection('can')])
    assert 'no depth' in answer.reason
    assert backend._session.batches == [1]


@pytest.mark.parametrize(('up', 'known'), [(None, 0.0), (np.array([0.0, -1.0, 0.0]), 1.0)])
def test_the_network_is_told_whether_up_is_known(
    create: Create, monkeypatch: pytest.MonkeyPatch, up: np.ndarray | None, known: float
) -> None:
    monkeypatch.setattr(frame_module, 'estimate_up', lambda depth, intrinsics: up)
    backend = create()
    pose = _estimate_one(backend, _detection('can'))
    assert backend._session.given['condition'][0, 2] == known
    assert np.isfinite(backend._session.given['points']).all()
    np.testing.assert_allclose(pose.T_camera_object, T_CAMERA_BOX, atol=1e-5)


def test_points_that_are_no_members_do_not_count(create: Create) -> None:
    backend = create()
    backend._session.liars = slice(0, 400)
    pose = _estimate_one(backend, _detection('can'))
    np.testing.assert_allclose(pose.T_camera_object, T_CAMERA_BOX, atol=1e-5)
    assert pose.inlier_ratio == pytest.approx(1.0)


def test_an_object_does_not_depend_on_its_neighbours(create: Create) -> None:
    backend = create()
    mug, can = _detection('mug'), _detection('can', 50, (40, 30))
    alone = _estimate_one(backend, mug)
    points_alone = backend._session.given['points'][0]
    _, beside = backend.estimate(_frame(), [can, mug])
    assert isinstance(beside, ObjectPose)
    np.testing.assert_array_equal(backend._session.given['points'][1], points_alone)
    np.testing.assert_allclose(beside.T_camera_object, alone.T_camera_object, atol=1e-6)
    assert beside.score == pytest.approx(alone.score)


def test_points_that_agree_on_no_pose_are_rejected(create: Create) -> None:
    backend = create()
    backend._session.liars = slice(0, 512)
    (answer,) = backend.estimate(_frame(), [_detection('can')])
    assert isinstance(answer, Rejection)
    assert 'no pose agrees with the points' in answer.reason


@pytest.mark.parametrize('shape', [
    np.full_like(BOX_SHAPE, np.nan), np.zeros_like(BOX_SHAPE), BOX_SHAPE * (1.0, 1.0, 0.0)])
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
    with pytest.raises(ModelError, match='is spd full; only lite models'):
        create(size='full')


def test_it_keeps_the_contract_of_backends(create: Create) -> None:
    backend = create()
    assert isinstance(backend, PoseBackend)
    assert backend.describe() == {'backend': 'spd', 'model': 'ours',
                                  'provider': 'CPUExecutionProvider'}
    backend.close()
    assert backend._session.batches[-1] == -1


@pytest.mark.parametrize('wrong_rank', [0, 1])
def test_of_two_uncertain_placements_the_one_that_fits_a_rigid_pose_is_taken(
        create: Create, wrong_rank: int) -> None:
    backend = create()
    backend._session.probability, backend._session.wrong_ranks = 0.4, (wrong_rank,)

    pose = _estimate_one(backend, _detection('can'))

    np.testing.assert_allclose(pose.T_camera_object, T_CAMERA_BOX, atol=1e-5)


def test_a_sure_placement_is_not_compared_with_another(create: Create) -> None:
    backend = create()
    backend._session.batches.clear()

    backend.estimate(_frame(), [_detection('can'), _detection('mug', offset=(10, 10))])

    assert backend._session.batches == [2]


def _off(pose: ObjectPose) -> float:
    """Return by how many degrees a pose is turned wrongly."""
    return float(np.degrees(angle_between(pose.T_camera_object[:3, :3], T_CAMERA_BOX[:3, :3])))


def test_what_is_seen_in_a_mirror_is_averaged_with_what_is_seen_without(
        create: Create, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lite, 'InferenceSession', BiasedSession)
    backend = create(mirrored_below=0.99, mirrors=['mug'])
    monkeypatch.setattr(BiasedSession, 'turns', (6.0, -6.0))

    both, camera = (_estimate_one(backend, _detection(label)) for label in ('mug', 'camera'))

    assert _off(both) < 0.1
    # The mirror image of a camera is none.
    assert _off(camera) == pytest.approx(6.0, abs=0.1)


@pytest.mark.parametrize(('probabilities', 'right'), [((0.9, 0.6), 0), ((0.6, 0.9), 1)])
def test_where_the_mirror_shows_another_placement_the_likelier_one_is_taken(
        create: Create, monkeypatch: pytest.MonkeyPatch, probabilities: tuple[float, float],
        right: int) -> None:
    monkeypatch.setattr(lite, 'InferenceSession', BiasedSession)
    backend = create(mirrored_below=0.99, mirrors=['mug'])
    monkeypatch.setattr(BiasedSession, 'turns', (0.0, 90.0) if right == 0 else (90.0, 0.0))
    monkeypatch.setattr(BiasedSession, 'probabilities', probabilities)

    assert _off(_estimate_one(backend, _detection('mug'))) < 0.1


def test_the_score_is_the_calibrated_probability_when_the_model_has_one(
        create: Create, monkeypatch: pytest.MonkeyPatch) -> None:
    backend = create()
    # The sigmoid of 0.4, and one more for mugs: nothing about the evidence counts.
    judge = ConfidenceModel(('membership',), np.zeros(1), np.ones(1), np.array([0.4, 0.0, 0.0]),
                            {'mug': 1.0}, covariance_scale=9.0)
    before = _estimate_one(backend, _detection('mug'))
    monkeypatch.setattr(backend, '_confidence', judge)
    can, mug = (_estimate_one(backend, _detection(label)) for label in ('can', 'mug'))
    assert can.score == pytest.approx(0.9 / (1 + np.exp(-0.4)))
    assert mug.score == pytest.approx(0.9 / (1 + np.exp(-1.4)))
    np.testing.assert_allclose(mug.covariance, 9.0 * before.covariance, rtol=1e-3)


def test_depth_that_contradicts_the_surface_lowers_the_score(
        create: Create, monkeypatch: pytest.MonkeyPatch) -> None:
    backend = create()
    judge = ConfidenceModel(('depth violation',), np.zeros(1), np.ones(1),
                            np.array([2.0, -4.0, 0.0]), {})
    monkeypatch.setattr(backend, '_confidence', judge)
    seen = _detection('can', pixels=30, offset=(20, 20))
    outside = ~seen.full_mask(240, 320)
    frame = _frame()
    # What is nearer hides the surface; what is farther would not be seen through it.
    hidden, seen_through = (replace(frame, depth=np.where(outside, np.float32(depth), frame.depth))
                            for depth in (0.3, 5.0))
    (right,), (wrong,) = (backend.estimate(entry, [seen]) for entry in (hidden, seen_through))
    assert right.score == pytest.approx(0.9 / (1 + np.exp(-2.0)))
    assert wrong.score == pytest.approx(0.9 / (1 + np.exp(2.0)))
