import sys
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / 'support'))
pytest.importorskip('onnx', reason='models are written with onnx, which a node does not need')

from neural_mesh_models import make_neural_mesh_model, picture

from pose_estimation_ros.backends.base import BackendOptions
from pose_estimation_ros.backends.neural_mesh import create_neural_mesh
from pose_estimation_ros.backends.neural_mesh_calibration import (
    EVIDENCE,
    PARAMETER,
    MeshCalibration,
)
from pose_estimation_ros.core.camera import CameraIntrinsics
from pose_estimation_ros.core.errors import InvalidInputError, ModelError
from pose_estimation_ros.core.frame import RGBDFrame
from pose_estimation_ros.core.rotation import axis_rotation
from pose_estimation_ros.core.se3 import make_transform
from pose_estimation_ros.datasets.annotated_frame import AnnotatedFrame, ObjectAnnotation
from pose_estimation_ros.evaluation.neural_mesh_calibration import (
    JudgedCandidate,
    best_threshold,
    cross_validated,
    fitted,
    judged_candidates,
)
from pose_estimation_ros.runtime import ModelManifest

SIZE = np.array([0.12, 0.1, 0.08])
R = axis_rotation((1, 0, 0), np.pi + 0.5) @ axis_rotation((0, 1, 0), 0.5)
T = make_transform(R, [-0.05, 0.02, 0.5])
CAMERA = CameraIntrinsics.pinhole(160, 120, 140.0, 140.0, 79.5, 59.5)
LARGER, BEHIND = 1.25, 0.1


def samples(count=200):
    """Candidates whose first evidence alone tells right from wrong, but not without doubt."""
    generator = np.random.default_rng(0)
    told = generator.normal(size=(count, len(EVIDENCE)))
    right = generator.random(count) < 1 / (1 + np.exp(-3.0 * told[:, 0]))
    return [JudgedCandidate('mug' if index % 2 else 'can', row, bool(is_right),
                            4.0 if is_right else np.nan, 0.05 + 0.01 * (index % 3 - 1)
                            if is_right else np.nan)
            for index, (row, is_right) in enumerate(zip(told, right, strict=True))]


def test_scores_become_the_share_of_right_candidates():
    judged = samples(2000)
    calibration = fitted(judged)
    likely = np.array([calibration.probability_of(sample.evidence, sample.category)
                       for sample in judged])
    right = np.array([sample.right for sample in judged])
    for low in (0.1, 0.4, 0.7):
        chosen = (likely >= low) & (likely < low + 0.2)
        assert right[chosen].mean() == pytest.approx(likely[chosen].mean(), abs=0.06)
    assert cross_validated(judged) > 0.85
    assert calibration.noise == 4.0
    surface, roughness = calibration.surface('mug')
    assert surface == pytest.approx(0.05, abs=1e-6)
    assert roughness == pytest.approx(0.0148, abs=1e-4)


def test_the_threshold_gives_the_best_f2():
    likely = np.array([0.9, 0.8, 0.7, 0.6, 0.2])
    assert best_threshold(likely, np.array([True, False, True, False, False])) == 0.7
    assert best_threshold(likely, np.array([True, False, False, False, False])) == 0.9
    assert best_threshold(likely, np.array([True, False, False, False, True])) == 0.2


def test_too_few_candidates_calibrate_nothing():
    with pytest.raises(InvalidInputError, match='needs 40 candidates or more'):
        fitted(samples(20))
    with pytest.raises(InvalidInputError, match='of which 0 are right'):
        fitted([JudgedCandidate('mug', np.zeros(len(EVIDENCE)), right=False)] * 50)


def test_a_calibration_survives_its_manifest():
    calibration = fitted(samples())
    manifest = ModelManifest('small', 'pose', 'neural_mesh', 'lite', {}, ('can', 'mug'),
                             parameters={PARAMETER: calibration.as_plain()})
    read = MeshCalibration.of(manifest)
    told = np.arange(len(EVIDENCE)) / 3.0
    for category in ('can', 'mug'):
        assert read.probability_of(told, category) == pytest.approx(
            calibration.probability_of(told, category), rel=1e-4)
        np.testing.assert_allclose(read.surface(category), calibration.surface(category),
                                   rtol=1e-5)
    plain = {**calibration.as_plain(), 'weights': [1.0, 2.0]}
    with pytest.raises(ModelError, match=r'parameters.calibration of its manifest is damaged'):
        MeshCalibration.of(ModelManifest('small', 'pose', 'neural_mesh', 'lite', {}, (),
                                         parameters={PARAMETER: plain}))


@pytest.fixture(scope='module')
def backend(tmp_path_factory):
    folder = make_neural_mesh_model(
        tmp_path_factory.mktemp('models') / 'colours', {'mug': SIZE},
        {'width': 320, 'height': 256, 'search': {
            'azimuths': 8, 'elevations': [0.2, 0.9, 3], 'thetas': [0.0, 0.0, 1],
            'distances': [0.4, 0.7, 4], 'peaks': 1, 'initial_poses': 2}})
    return create_neural_mesh(BackendOptions(str(folder), 'cpu', 1))


def frame(pose):
    rgb, depth = picture(CAMERA, [(0, SIZE, T)])
    behind = LARGER * (depth + BEHIND * float(np.linalg.norm(SIZE)))
    truth = ObjectAnnotation(1, 'mug', 'one', pose, LARGER * SIZE)
    return AnnotatedFrame('0', RGBDFrame(0, 'camera', rgb, behind.astype(np.float32), CAMERA),
                          (truth,))


def test_a_candidate_is_right_at_any_distance_if_it_points_at_the_object(backend):
    larger = make_transform(R, LARGER * T[:3, 3])
    (judged,) = judged_candidates(backend, frame(larger))
    assert judged.right
    assert 0.0 < judged.square < 100.0
    # The surface lies where the picture says, whatever the object's true size is.
    assert judged.surface == pytest.approx(BEHIND, abs=0.06)


@pytest.mark.parametrize('pose', [
    make_transform(axis_rotation((0, 0, 1), np.radians(40.0)) @ R, T[:3, 3]),
    make_transform(R, [0.15, 0.02, 0.5])])
def test_a_candidate_that_is_turned_or_beside_is_wrong(backend, pose):
    (judged,) = judged_candidates(backend, frame(pose))
    assert not judged.right
    assert np.isnan(judged.square)
