from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from pose_estimation_ros.networks.spd_lite import (
    SpdLite,
    SpdLiteConfig,
    assignment_logits,
    nearest_offer,
)
from pose_estimation_ros.runtime import InferenceSession
from pose_estimation_ros.training.lite_export import export_onnx

CONFIG = SpdLiteConfig(stages=2, width=32, latents=8, embedding=16)


@pytest.fixture(scope='module')
def network() -> SpdLite:
    torch.manual_seed(0)
    return SpdLite(CONFIG, torch.randn(6, 48, 3) * 0.2).eval()


@pytest.fixture(scope='module')
def inputs() -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    torch.manual_seed(1)
    return torch.randn(3, 64, 3), torch.randn(3, 3), torch.tensor([0, 4, 5])


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
    export_onnx('spd-lite', network, 64, tmp_path / 'network.onnx')
    expected = network(*inputs, rank=torch.tensor([0, 2, 1]))

    output = InferenceSession(tmp_path / 'network.onnx', 'cpu', 1).run({
        'points': inputs[0].numpy(), 'condition': inputs[1].numpy(),
        'category': inputs[2].numpy(), 'rank': np.array([0, 2, 1])})

    for name in ('nocs', 'shape', 'membership'):
        np.testing.assert_allclose(output[name], getattr(expected, name).detach().numpy(),
                                   atol=1e-4)


def test_every_parameter_gets_a_gradient(network: SpdLite,
                                         inputs: tuple[torch.Tensor, ...]) -> None:
    output = network(*inputs)
    (output.nocs.square().sum() + output.membership.sum() + output.guess.sum()
     + output.likelihood.square().sum()).backward()

    without = [name for name, value in network.named_parameters() if value.grad is None]

    assert without == []


def test_a_point_is_assigned_to_the_nearest_prior_points_unless_features_say_otherwise() -> None:
    shape = torch.tensor([[[0.0, 0, 0], [0.1, 0, 0], [0.2, 0, 0]]])
    guess = torch.tensor([[[0.11, 0.02, 0]]])
    no_feature, key = torch.zeros(1, 1, 1), torch.tensor([[[5.0], [0.0], [0.0]]])

    by_distance = assignment_logits(guess, shape, no_feature, key, torch.tensor(200.0))
    by_feature = assignment_logits(guess, shape, torch.ones(1, 1, 1), key, torch.tensor(200.0))

    expected = -200.0 * (guess[:, :, None] - shape[:, None]).square().sum(dim=3)
    torch.testing.assert_close(torch.softmax(by_distance, 2), torch.softmax(expected, 2))
    assert by_distance.argmax() == 1
    assert by_feature.argmax() == 0


def test_training_takes_the_offer_nearest_to_the_truth_of_the_member_points() -> None:
    truth = torch.zeros(1, 4, 3)
    offers = torch.stack([truth + 0.3, truth + 0.1], dim=1)
    offers[:, 1, 3] = 9.0  # far off, but not a member
    member = torch.tensor([[True, True, True, False]])

    assert nearest_offer(offers, truth, member).tolist() == [1]
    assert nearest_offer(offers, truth, torch.ones(1, 4, dtype=torch.bool)).tolist() == [0]


def test_without_the_truth_the_likeliest_offer_is_taken(
        network: SpdLite, inputs: tuple[torch.Tensor, ...]) -> None:
    output = network(*inputs)

    assert output.chosen.tolist() == output.likelihood.argmax(dim=1).tolist()
    second = network(*inputs, rank=torch.ones(3, dtype=torch.int64))
    at_second = output.likelihood.gather(1, second.chosen[:, None])
    assert ((output.likelihood > at_second).sum(dim=1) == 1).all()
