"""Evaluation of a backend that finds its objects itself: no detector is loaded or named."""

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / 'support'))
pytest.importorskip('onnx', reason='models are written with onnx, which a node does not need')

from neural_mesh_models import make_neural_mesh_model, picture

from pose_estimation_ros.backends.neural_mesh_options import NeuralMeshOptions
from pose_estimation_ros.core.camera import CameraIntrinsics
from pose_estimation_ros.core.errors import ConfigurationError
from pose_estimation_ros.core.frame import RGBDFrame
from pose_estimation_ros.core.rotation import axis_rotation
from pose_estimation_ros.core.se3 import make_transform
from pose_estimation_ros.datasets.annotated_frame import AnnotatedFrame, ObjectAnnotation
from pose_estimation_ros.evaluation.methods import FrameEstimator, Method, models_of

SIZE = np.array([0.12, 0.1, 0.08])
T = make_transform(axis_rotation((1, 0, 0), np.pi + 0.5) @ axis_rotation((0, 1, 0), 0.5),
                   [-0.05, 0.02, 0.5])
CAMERA = CameraIntrinsics.pinhole(160, 120, 140.0, 140.0, 79.5, 59.5)


@pytest.fixture(scope='module')
def method(tmp_path_factory):
    folder = make_neural_mesh_model(
        tmp_path_factory.mktemp('models') / 'colours', {'mug': SIZE},
        {'width': 320, 'height': 256, 'search': {
            'azimuths': 8, 'elevations': [0.2, 0.9, 3], 'thetas': [0.0, 0.0, 1],
            'distances': [0.4, 0.7, 4], 'peaks': 1, 'initial_poses': 1}})
    return Method('neural_mesh', str(folder), device='cpu', threads=1)


def annotated():
    rgb, depth = picture(CAMERA, [(0, SIZE, T)])
    return AnnotatedFrame('7', RGBDFrame(0, 'camera', rgb, depth, CAMERA),
                          (ObjectAnnotation(1, 'mug', 'one', T, SIZE),),
                          np.isfinite(depth).astype(np.int32))


def test_what_is_found_is_predicted_with_its_box(method):
    answer = FrameEstimator(method).estimate(annotated())
    (found,) = answer.predictions.predictions
    assert found.label == 'mug'
    rows, columns = np.nonzero(annotated().instance_map)
    np.testing.assert_allclose(found.box, [columns.min(), rows.min(), columns.max() + 1,
                                           rows.max() + 1], atol=5)
    assert list(models_of(method, 'poses')) == ['colours']


def test_masks_are_refused_unless_a_detector_gives_the_proposals(method):
    with pytest.raises(ConfigurationError, match='neural_mesh finds them by itself; leave'):
        FrameEstimator(replace(method, masks='truth'))
    told = replace(method, masks='truth', neural_mesh=NeuralMeshOptions('detector', 'category'))
    (found,) = FrameEstimator(told).estimate(annotated()).predictions.predictions
    assert found.label == 'mug'


def test_choices_of_the_backend_are_part_of_a_runs_settings(method):
    assert method.settings()['neural_mesh'] == {
        'proposals': 'generative', 'scale': 'auto', 'initial_poses': 0, 'competition': 'on',
        'min_probability': None}
    assert 'mrc' not in method.settings()
    assert 'neural_mesh' not in Method('spd').settings()
