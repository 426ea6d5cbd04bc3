"""The shape prior auto-encoder computes what the published one computes."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from pose_estimation_ros.networks.shape_prior_autoencoder import ShapePriorAutoEncoder

DATA = Path(__file__).parents[1] / 'data' / 'spd'
WHOLE = Path(__file__).parents[2].parent / 'shared/specs/fixtures/spd/ae_parity.npz'


def test_parameters_have_the_published_names_and_shapes() -> None:
    expected = json.loads((DATA / 'autoencoder_parameters.json').read_text())
    state = ShapePriorAutoEncoder().state_dict()
    assert {name: list(value.shape) for name, value in state.items()} == expected


@pytest.mark.parametrize('path', [DATA / 'autoencoder_excerpt.npz', WHOLE],
                         ids=['excerpt', 'whole'])
def test_embedding_and_decoded_cloud_agree(
    path: Path, fill_parameters: Callable[[nn.Module, str], None]
) -> None:
    if path == WHOLE and not path.is_file():
        pytest.skip('the whole fixtures are not beside this clone')
    network = ShapePriorAutoEncoder().eval()
    fill_parameters(network, 'A')
    with np.load(path) as file, torch.no_grad():
        embedding, cloud = network(torch.from_numpy(file['in_pc']))
        from_half = network.decoder(0.5 * embedding)
        np.testing.assert_allclose(embedding, file['emb'], atol=1e-5)
        np.testing.assert_allclose(cloud, file['out_pc'], atol=1e-5)
        np.testing.assert_allclose(from_half, file['out_pc_from_half_emb'], atol=1e-5)


def test_the_order_of_the_points_does_not_matter() -> None:
    torch.manual_seed(0)
    network = ShapePriorAutoEncoder(point_count=64).eval()
    points = torch.rand(2, 100, 3) - 0.5
    with torch.no_grad():
        cloud = network(points)[1]
        turned = network(points.flip(1))[1]
    assert cloud.shape == (2, 64, 3)
    torch.testing.assert_close(cloud, turned, atol=1e-6, rtol=0)
