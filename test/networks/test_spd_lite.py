from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from pose_estimation_ros.networks.neighbor_max import neighbor_max
from pose_estimation_ros.networks.spd_lite import SpdLite, SpdLiteConfig, nearest_neighbors
from pose_estimation_ros.runtime import InferenceSession
from pose_estimation_ros.training.spd_lite_export import export_onnx

CONFIG = SpdLiteConfig(width=32, blocks=2, neighbors=6, dilation=2, global_width=32, embedding=16)


@pytest.fixture(scope='module')
def network() -> SpdLite:
    torch.manual_seed(0)
    return SpdLite(CONFIG, torch.randn(6, 48, 3) * 0.2).eval()


@pytest.fixture(scope='module')
def inputs() -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    torch.manual_seed(1)
    return torch.randn(3, 64, 3), torch.randn(3, 1), torch.tensor([0, 4, 5])


def test_every_point_gets_a_place_on_the_deformed_shape(
        network: SpdLite, inputs: tuple[torch.Tensor, ...]) -> None:
    output = network(*inputs)

    weights = torch.softmax(output.assignment, dim=2)
    torch.testing.assert_close(output.nocs, weights @ output.shape)
    torch.testing.assert_close(output.shape, network.prior[inputs[2]] + output.deformation)


def test_the_order_of_the_points_does_not_matter(
        network: SpdLite, inputs: tuple[torch.Tensor, ...]) -> None:
    order = torch.randperm(64, generator=torch.Generator().manual_seed(0))
    points, radius, category = inputs

    straight, shuffled = network(*inputs), network(points[:, order], radius, category)

    torch.testing.assert_close(shuffled.nocs, straight.nocs[:, order], atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(shuffled.shape, straight.shape, atol=1e-4, rtol=1e-4)


def test_an_object_does_not_depend_on_its_neighbours_in_the_batch(
        network: SpdLite, inputs: tuple[torch.Tensor, ...]) -> None:
    together, alone = network(*inputs), network(*(tensor[1:2] for tensor in inputs))

    torch.testing.assert_close(together.nocs[1:2], alone.nocs, atol=1e-5, rtol=1e-5)


def test_onnx_runtime_gives_the_same_for_another_batch_size(
        network: SpdLite, inputs: tuple[torch.Tensor, ...], tmp_path: Path) -> None:
    export_onnx(network, 64, tmp_path / 'network.onnx')
    expected = network(*inputs)

    output = InferenceSession(tmp_path / 'network.onnx', 'cpu', 1).run({
        'points': inputs[0].numpy(), 'log_radius': inputs[1].numpy(),
        'category': inputs[2].numpy()})

    for name in ('nocs', 'shape', 'membership'):
        np.testing.assert_allclose(output[name], getattr(expected, name).detach().numpy(),
                                   atol=1e-4)


def test_every_parameter_gets_a_gradient(network: SpdLite,
                                         inputs: tuple[torch.Tensor, ...]) -> None:
    output = network(*inputs)
    (output.nocs.square().sum() + output.membership.sum() + output.coarse.sum()).backward()

    without = [name for name, value in network.named_parameters() if value.grad is None]

    assert without == []


def test_the_fast_maximum_has_the_gradient_of_the_plain_one() -> None:
    generator = torch.Generator().manual_seed(0)
    features = torch.randn(2, 20, 5, generator=generator, requires_grad=True)
    neighbors = torch.randint(0, 20, (2, 20, 4), generator=generator)
    weight = torch.randn(2, 20, 5, generator=generator)
    plain = torch.stack([features[b][neighbors[b]] for b in range(2)]).max(dim=2).values
    (expected,) = torch.autograd.grad((plain * weight).sum(), features)

    fast = neighbor_max(features, neighbors)
    (gradient,) = torch.autograd.grad((fast * weight).sum(), features)

    torch.testing.assert_close(fast, plain)
    torch.testing.assert_close(gradient, expected)


def test_dilated_neighbours_start_with_the_point_itself_and_skip_some() -> None:
    line = torch.arange(12.0)[None, :, None] * torch.tensor([1.0, 0.0, 0.0])

    assert nearest_neighbors(line, 3, 2)[0, 0].tolist() == [0, 2, 4]
