"""Calibration on estimates whose rightness is known, and on small data."""

import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / 'support'))

from lite_models import LITE_INPUTS, LITE_OUTPUTS

from pose_estimation_ros.backends import lite
from pose_estimation_ros.core.errors import ConfigurationError, InvalidInputError, ModelError
from pose_estimation_ros.core.pose_confidence import EVIDENCE, FRAME_EVIDENCE
from pose_estimation_ros.core.rotation import axis_rotation, random_rotation
from pose_estimation_ros.core.se3 import make_transform
from pose_estimation_ros.evaluation import confidence_calibration
from pose_estimation_ros.evaluation.confidence_accuracy import area_under_curve
from pose_estimation_ros.evaluation.confidence_calibration import (
    JudgedPoses,
    calibrate,
    calibrate_model,
    cross_validated,
)
from pose_estimation_ros.runtime import Model, ModelFile, ModelManifest
from pose_estimation_ros.runtime.manifest import read_manifest
from pose_estimation_ros.synthetic.crop_samples import Crops, PoseSample, pack_crops
from test.evaluation.fake_data import FakeDataset

SHAPE = np.array([[-0.3, -0.35, -0.25], [0.3, 0.35, 0.25]], np.float32)


def _samples(count: int, seed: int = 0) -> JudgedPoses:
    """Return estimates of which a large residual, and being a can, make wrong ones likely."""
    generator = np.random.default_rng(seed)
    evidence = np.full((count, len(EVIDENCE)), np.nan)
    residual = generator.normal(-3.0, 0.5, count)
    evidence[:, EVIDENCE.index('log residual')] = residual
    evidence[:, EVIDENCE.index('membership')] = generator.random(count)
    labels = np.where(generator.random(count) < 0.5, 'can', 'mug')
    odds = -3.0 * (residual + 3.0) / 0.5 - 1.5 * (labels == 'can')
    right = generator.random(count) < 1 / (1 + np.exp(-odds))
    return JudgedPoses(evidence, labels, right, np.where(right, 9.0, 400.0))


def test_the_confidence_is_the_probability_to_be_right() -> None:
    model, fresh = calibrate(_samples(2000)), _samples(4000, seed=1)
    score = model.probability(fresh.evidence, fresh.labels.tolist())
    assert area_under_curve(score, fresh.right) > 0.91
    for lower in (0.0, 0.25, 0.5, 0.75):
        bin_ = (score >= lower) & (score < lower + 0.25)
        assert fresh.right[bin_].mean() == pytest.approx(score[bin_].mean(), abs=0.06)
    assert model.offsets['mug'] - model.offsets['can'] == pytest.approx(1.5, abs=0.4)


def test_evidence_that_is_never_known_is_left_out() -> None:
    assert calibrate(_samples(200)).evidence == ('log residual', 'membership')


def test_covariances_are_scaled_to_the_errors_of_right_poses() -> None:
    assert calibrate(_samples(200)).covariance_scale == 9.0


def test_cross_validation_does_not_flatter() -> None:
    samples = _samples(300)
    model = calibrate(samples)
    own = area_under_curve(model.probability(samples.evidence, samples.labels.tolist()),
                           samples.right)
    assert 0.9 < cross_validated(samples) < own
    # Evidence without any meaning.
    generator = np.random.default_rng(5)
    noise = JudgedPoses(samples.evidence, samples.labels, generator.random(300) < 0.5,
                        samples.squares)
    assert abs(cross_validated(noise) - 0.5) < 0.12


def test_too_little_data_are_refused() -> None:
    with pytest.raises(InvalidInputError, match='here are 30, of which'):
        calibrate(_samples(30))
    samples = _samples(100)
    with pytest.raises(InvalidInputError, match='right and wrong ones'):
        calibrate(samples.rows(samples.right))


class HalfKnowing:
    """Gives true coordinates of the views that it knows, and those of a wrong pose of others."""

    providers = ('CPUExecutionProvider',)
    inputs, outputs = LITE_INPUTS, LITE_OUTPUTS
    truth: ClassVar[dict[bytes, np.ndarray]] = {}

    def __init__(self, path: Path, device: str, threads: int) -> None:
        self.generator = np.random.default_rng(0)

    def warm_up(self, shapes: dict[str, tuple[int, ...]]) -> None:
        pass

    def run(self, inputs: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        nocs = np.stack([self.truth.get(cloud.tobytes(), 0.2 * cloud)
                         for cloud in inputs['points']]).astype(np.float32)
        nocs += 0.01 * self.generator.standard_normal(nocs.shape).astype(np.float32)
        return {'nocs': nocs, 'shape': np.repeat(SHAPE[None], len(nocs), axis=0),
                'membership': np.full(nocs.shape[:2], 3.0, np.float32),
                'probability': np.full(len(nocs), 0.9, np.float32)}

    def close(self) -> None:
        pass


@pytest.fixture
def model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Model:
    monkeypatch.setattr(lite, 'InferenceSession', HalfKnowing)
    folder = tmp_path / 'model'
    folder.mkdir()
    (folder / 'spd.onnx').write_bytes(b'network')
    return Model(ModelManifest('ours', 'pose', 'spd', 'lite', {
        'network': ModelFile.of(folder / 'spd.onnx', folder)},
        ('bottle', 'bowl', 'camera', 'can', 'laptop', 'mug'), input={'points': 64}), folder)


def _sample(number: int, generator: np.random.Generator) -> PoseSample:
    """Return a view of a camera, or of a mug whose handle is hidden."""
    nocs = generator.uniform(-0.3, 0.3, (64, 3)).astype(np.float32)
    T = make_transform(random_rotation(generator), np.array([0.0, 0.0, 0.8]))
    points = (0.2 * nocs @ T[:3, :3].T + T[:3, 3]).astype(np.float32)
    return PoseSample(points, nocs, np.ones(64, np.bool_), (2, 5)[number % 2], T,
                      np.array([0.1, 0.1, 0.1]), 1.0, 0.0, 'model',
                      np.zeros((1024, 3), np.float32), -T[:3, 2])


def _write_crops(folder: Path, monkeypatch: pytest.MonkeyPatch, known: int, count: int) -> Path:
    """Write views, of the first of which the network knows the coordinates, spun for mugs."""
    generator = np.random.default_rng(3)
    folder.mkdir()
    crops = Crops.stack([_sample(number, generator) for number in range(count)])
    np.savez(folder / 'shard_00000.npz', **pack_crops(crops))
    (folder / 'description.json').write_text(json.dumps(
        {'kind': 'crops', 'domain': 'primary', 'split': 'val', 'points': 64}))
    # As the backend will read and normalise them.
    stored = confidence_calibration.read_crop_shard(folder / 'shard_00000.npz')
    prepared = lite.normalize_points(stored.points, stored.up).points
    turn = axis_rotation((0, 1, 0), 1.0)
    truth = {cloud.tobytes(): nocs @ turn if category == 5 else nocs for cloud, nocs, category in
             zip(prepared[:known], stored.nocs, stored.category, strict=False)}
    monkeypatch.setattr(HalfKnowing, 'truth', truth)
    return folder


def test_a_model_is_calibrated_on_views_and_says_so_in_its_manifest(
        model: Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    crops = _write_crops(tmp_path / 'crops', monkeypatch, known=80, count=120)

    found = calibrate_model(model, [crops])

    # Mugs whose handles are hidden may be turned.
    assert (found.poses, found.right) == (120, 80)
    written = read_manifest(model.folder / 'model.yaml')
    judge = written.confidence_model()
    assert judge is not None
    assert set(judge.evidence).isdisjoint(FRAME_EVIDENCE)
    assert set(judge.offsets) == {'camera', 'mug'}
    assert written.confidence['calibration']['data'] == [str(crops)]
    assert written.confidence['calibration']['right poses'] == 80


def test_views_without_colours_are_refused_for_a_model_that_takes_them(
        model: Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    crops = _write_crops(tmp_path / 'crops', monkeypatch, known=1, count=2)
    model.manifest.input['color'] = True  # type: ignore[index]
    monkeypatch.setattr(HalfKnowing, 'inputs',
                        (*LITE_INPUTS, replace(LITE_INPUTS[0], name='color')))
    with pytest.raises(ConfigurationError, match='views without colours'):
        calibrate_model(model, [crops])


def test_a_model_that_looks_at_no_points_is_refused(model: Model, tmp_path: Path) -> None:
    del model.manifest.input['points']  # type: ignore[attr-defined]
    with pytest.raises(ModelError, match='only lite models of points with depth'):
        calibrate_model(model, [tmp_path / 'never looked for'])


def test_a_model_that_cannot_be_written_is_refused_before_the_work(
        model: Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(confidence_calibration.os, 'access', lambda folder, mode: False)
    with pytest.raises(ConfigurationError, match='cannot be written; copy the model'):
        calibrate_model(model, [tmp_path / 'never looked for'])


def test_frames_add_what_depth_and_masks_say(
        model: Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Frames:
        def __init__(self, folder: Path) -> None:
            pass

        def open(self) -> FakeDataset:
            return FakeDataset(3)

    monkeypatch.setattr(confidence_calibration, 'Data', Frames)
    backend = lite.LiteBackend(model, lite.BackendOptions())
    # Two objects a frame, with true masks and with faulty ones.
    judged = confidence_calibration.judged_poses(backend, model, tmp_path)
    assert 0 < len(judged) <= 12
    columns = [EVIDENCE.index(name) for name in FRAME_EVIDENCE]
    assert np.isfinite(judged.evidence[:, columns]).all()
    assert (judged.squares > 0).all()
