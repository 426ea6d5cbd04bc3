"""ACR-Pose's network sees shape, not pose, whatever the order of the points; so its judge."""

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from pose_estimation_ros.core.rotation import random_rotation
from pose_estimation_ros.networks.acr import ACRConfig, ACRNet
from pose_estimation_ros.networks.discriminator import Discriminator
from pose_estimation_ros.networks.relational_reconstruction import RelationalReconstruction

SMALL = ACRConfig(width=16, neighbours=8, prior_points=32)


class Colors(nn.Module):
    """Stands for SPD's image branch, which has tests of its own: mixes each pixel's colour."""

    def __init__(self) -> None:
        super().__init__()
        self.mix = nn.Conv1d(3, 32, 1)

    def forward(self, image: Tensor, pixel_index: Tensor) -> Tensor:
        return self.mix(image.flatten(2).gather(2, pixel_index[:, None].expand(-1, 3, -1)))


def small_network(config: ACRConfig = SMALL) -> ACRNet:
    """Return a network of quick size for `objects`."""
    torch.manual_seed(0)
    network = ACRNet(config)
    network.psp = Colors()
    return accustomed(network.double(), *objects().values())


def accustomed(network: nn.Module, *inputs: Tensor) -> nn.Module:
    """Return a network in evaluation mode, its normalisations used to the inputs."""
    for module in network.modules():
        if isinstance(module, nn.BatchNorm1d):
            module.momentum = 1.0
            # Also the graphs of a network that begins to fall somewhere.
            nn.init.uniform_(module.weight, -1.0, 1.0)
    network(*inputs)
    return network.eval()


def objects() -> dict[str, Tensor]:
    """Return two objects of 30 points each and their priors."""
    torch.manual_seed(0)
    return {'points': 0.03 * torch.randn(2, 30, 3, dtype=torch.float64),
            'image': torch.randn(2, 3, 192, 192, dtype=torch.float64),
            'pixel_index': torch.randint(192 * 192, (2, 30)),
            'category': torch.tensor([1, 5]),
            'prior': torch.rand(2, 32, 3, dtype=torch.float64) - 0.5}


@pytest.fixture(scope='module')
def network() -> ACRNet:
    return small_network()


@pytest.mark.parametrize('neighbours', [6, None])
def test_reconstruction_features_follow_the_order_of_their_points(neighbours: int | None) -> None:
    torch.manual_seed(0)
    geometry, color, prior = (torch.randn(3, 16, count, dtype=torch.float64)
                              for count in (30, 30, 20))
    relation = accustomed(RelationalReconstruction(16, neighbours).double(),
                          geometry, color, prior)
    assignment, deformation = relation(geometry, color, prior)
    assert assignment.shape == (3, 16, 30)
    assert deformation.shape == (3, 16, 20)
    assert assignment.std(dim=2).max() > 0.05
    assert deformation.std(dim=2).max() > 0.05
    observed, mean = torch.randperm(30), torch.randperm(20)
    turned = relation(geometry[:, :, observed], color[:, :, observed], prior[:, :, mean])
    torch.testing.assert_close(turned[0], assignment[:, :, observed])
    torch.testing.assert_close(turned[1], deformation[:, :, mean])


def test_every_feature_reaches_both_answers() -> None:
    torch.manual_seed(0)
    inputs = [torch.randn(2, 16, count, dtype=torch.float64, requires_grad=True)
              for count in (30, 30, 20)]
    relation = accustomed(RelationalReconstruction(16, 6).double(), *inputs)
    for answer in relation(*inputs):
        for gradient in torch.autograd.grad(answer.square().sum(), inputs, retain_graph=True):
            assert gradient.abs().sum(dim=(1, 2)).min() > 0.0


def test_answers_depend_on_shape_and_picture_but_not_on_the_pose(network: ACRNet) -> None:
    inputs = objects()
    logits, deformation = network(**inputs)
    assert logits.shape == (2, 30, 32)
    assert deformation.shape == (2, 32, 3)
    generator = np.random.default_rng(0)
    turn = torch.from_numpy(np.stack([random_rotation(generator) for _ in range(2)]))
    moved = {**inputs, 'points': inputs['points'] @ turn + torch.tensor([0.1, -0.2, 0.8])}
    for answer, expected in zip(network(**moved), (logits, deformation), strict=True):
        torch.testing.assert_close(answer, expected)
    other = {**inputs, 'points': inputs['points'] * torch.tensor([1.0, 1.0, 3.0])}
    assert (network(**other)[0] - logits).abs().max() > 1e-3
    other = {**inputs, 'image': inputs['image'].flip(0)}
    assert (network(**other)[0] - logits).abs().max() > 1e-3


def test_answers_follow_the_order_of_the_observed_points(network: ACRNet) -> None:
    inputs = objects()
    order = torch.randperm(30)
    logits, deformation = network(**inputs)
    turned = network(**{**inputs, 'points': inputs['points'][:, order],
                        'pixel_index': inputs['pixel_index'][:, order]})
    torch.testing.assert_close(turned[0], logits[:, order])
    torch.testing.assert_close(turned[1], deformation)


def test_an_object_is_answered_by_its_own_category_and_by_itself(network: ACRNet) -> None:
    inputs = objects()
    logits, _ = network(**inputs)
    alone, _ = network(**{name: value[1:] for name, value in inputs.items()})
    torch.testing.assert_close(alone, logits[1:])
    changed, _ = network(**{**inputs, 'category': torch.tensor([1, 2])})
    torch.testing.assert_close(changed[0], logits[0])
    assert (changed[1] - logits[1]).abs().max() > 0.01


@pytest.mark.parametrize(('switched', 'sees_pose'), [
    ({'pose_invariant': False}, True),
    ({'relational_reconstruction': False}, False),
    ({'pose_invariant': False, 'relational_reconstruction': False}, True),
])
def test_modules_can_be_switched_off(switched: dict[str, bool], sees_pose: bool) -> None:
    inputs = objects()
    config = ACRConfig(**{**SMALL.as_dict(), **switched})
    plain = small_network(config)
    names = {type(module).__name__ for module in plain.modules()}
    assert ('PoseInvariantModule' in names) == config.pose_invariant
    assert ('EdgeConv' in names) == config.relational_reconstruction
    moved = plain(**{**inputs, 'points': inputs['points'].flip(2)})
    difference = (moved[0] - plain(**inputs)[0]).abs().max()
    assert (difference > 1e-4) == sees_pose


def test_the_published_size_starts_from_the_prior() -> None:
    torch.manual_seed(0)
    network = ACRNet(ACRConfig())
    assert (network.config.width, network.config.neighbours) == (64, 36)
    inputs = {name: value.float() if value.is_floating_point() else value
              for name, value in objects().items()}
    inputs |= {'points': torch.randn(2, 40, 3), 'prior': torch.rand(2, 1024, 3) - 0.5,
               'pixel_index': torch.randint(192 * 192, (2, 40))}
    logits, deformation = network(**inputs)
    assert logits.shape == (2, 40, 1024)
    assert deformation.abs().max() < 0.07  # the bias of the last layer: 1 / sqrt(256)
    assert deformation.std(dim=1).max() < 1e-2


def test_verdicts_are_between_0_and_1_whatever_the_order() -> None:
    torch.manual_seed(0)
    judge = Discriminator()
    sets = torch.cat([torch.rand(4, 50, 3) - 0.5, 100.0 * torch.randn(4, 50, 3)])
    verdicts = judge(sets)
    assert verdicts.shape == (8,)
    assert verdicts.min() >= 0.0
    assert verdicts.max() <= 1.0
    assert verdicts.std() > 0.01
    torch.testing.assert_close(judge(sets[:, torch.randperm(50)]), verdicts)
