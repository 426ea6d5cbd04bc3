"""The exported SPD network gives what the torch network gives, for any number of objects."""

import numpy as np
import pytest
import torch

from pose_estimation_ros.networks.spd import SPD, reconstruct
from pose_estimation_ros.runtime.session import InferenceSession
from pose_estimation_ros.training.onnx_export import export_network

POINTS = 64


@pytest.fixture(scope='module')
def network() -> SPD:
    torch.manual_seed(0)
    network = SPD().eval()
    # A fresh network hardly tells points apart; these weights keep the signal's strength.
    for parameter in network.parameters():
        if parameter.ndim > 1:
            torch.nn.init.kaiming_normal_(parameter)
    torch.nn.init.normal_(network.psp.final.weight, std=0.003)
    return network


@pytest.fixture(scope='module')
def priors() -> np.ndarray:
    return np.random.default_rng(0).uniform(-0.4, 0.4, (6, 1024, 3)).astype(np.float32)


@pytest.fixture(scope='module')
def session(
    network: SPD, priors: np.ndarray, tmp_path_factory: pytest.TempPathFactory
) -> InferenceSession:
    path = tmp_path_factory.mktemp('spd') / 'spd.onnx'
    export_network(network, priors, path, POINTS)
    return InferenceSession(path, 'cpu', threads=1)


@pytest.mark.parametrize('objects', [1, 3])
def test_onnx_and_torch_agree(
    network: SPD, priors: np.ndarray, session: InferenceSession, objects: int
) -> None:
    generator = np.random.default_rng(objects)
    inputs = {
        'points': generator.normal(size=(objects, POINTS, 3)).astype(np.float32),
        'image': generator.normal(size=(objects, 3, 192, 192)).astype(np.float32),
        'pixel_index': generator.integers(192 * 192, size=(objects, POINTS)),
        'category': generator.integers(6, size=objects),
    }
    ours = session.run(inputs)

    prior = torch.from_numpy(priors[inputs['category']])
    with torch.no_grad():
        logits, deformation = network(
            *(torch.from_numpy(inputs[name])
              for name in ('points', 'image', 'pixel_index', 'category')),
            prior,
        )
        expected = reconstruct(logits, deformation, prior)
    assert expected[0].std(dim=1).min().item() > 1e-3
    np.testing.assert_allclose(ours['nocs'], expected[0], atol=1e-5)
    np.testing.assert_allclose(ours['shape'], expected[1], atol=1e-5)


def test_the_exported_network_names_its_inputs_and_outputs(session: InferenceSession) -> None:
    shapes = {spec.name: spec.shape for spec in (*session.inputs, *session.outputs)}
    assert shapes == {
        'points': (None, POINTS, 3),
        'image': (None, 3, 192, 192),
        'pixel_index': (None, POINTS),
        'category': (None,),
        'nocs': (None, POINTS, 3),
        'shape': (None, 1024, 3),
    }
