"""Features of points do not depend on where and how turned the points are."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from pose_estimation_ros.core.rotation import random_rotation
from pose_estimation_ros.networks.rotation_invariant import (
    PoseInvariantModule,
    invariant_groups,
)


def module(dtype: torch.dtype = torch.float64) -> PoseInvariantModule:
    """Return a small module in evaluation mode, its normalisations used to some clouds."""
    torch.manual_seed(0)
    features = PoseInvariantModule(width=16, neighbours=8, layers=4, hidden=8)
    for layer in features.layers:
        layer.norm.momentum = 1.0
    features(torch.cat([cloud(seed) for seed in range(8)]).float())
    return features.to(dtype).eval()


def cloud(seed: int, count: int = 40) -> Tensor:
    """Return (1, N, 3) points of an object of 10 cm."""
    return torch.from_numpy(np.random.default_rng(seed).normal(0.0, 0.03, (1, count, 3)))


def moved(points: Tensor, seed: int) -> Tensor:
    """Return points turned at random and shifted by up to 2 m."""
    generator = np.random.default_rng(seed)
    turned = points.numpy() @ random_rotation(generator).T + generator.uniform(-2, 2, 3)
    return torch.from_numpy(turned)


seeds = st.integers(0, 2**32 - 1)


@given(seeds, seeds)
@settings(max_examples=30, deadline=None)
def test_features_are_invariant_to_rotation_and_translation(shape: int, motion: int) -> None:
    points, network = cloud(shape), module()
    features = network(points)
    assert features.shape == (1, 16, 40)
    assert features.std(dim=2).max() > 0.1
    torch.testing.assert_close(network(moved(points, motion)), features, atol=1e-8, rtol=1e-8)


def test_features_are_invariant_in_single_precision() -> None:
    network, double = module(torch.float32), module()
    for seed in range(20):
        points = cloud(seed)
        features = double(points)
        # 2 m from the origin, single precision knows a point to 0.1 um: 1e-6 of the object.
        error = network(moved(points, seed).float()).double() - features
        assert error.abs().max() < 1e-3 * features.abs().max()


def test_features_do_not_depend_on_the_size_but_on_the_shape() -> None:
    points, network = cloud(0), module()
    torch.testing.assert_close(network(3.0 * points), network(points))
    stretched = network(points * torch.tensor([1.0, 1.0, 2.0]))
    assert (stretched - network(points)).abs().max() > 0.01


def test_features_follow_the_order_of_the_points() -> None:
    points, network = cloud(1), module()
    order = torch.randperm(40)
    torch.testing.assert_close(network(points[:, order]), network(points)[:, :, order])


def test_a_mirror_is_not_seen() -> None:
    points, network = cloud(2), module()
    mirrored = points * torch.tensor([-1.0, 1.0, 1.0])
    torch.testing.assert_close(network(mirrored), network(points))


def test_scalars_are_the_distances_and_cosines_of_the_group() -> None:
    points = cloud(3)
    groups = invariant_groups(points, 5)
    centred = points[0] - points[0].mean(dim=0)
    centred /= centred.norm(dim=1).max()
    index, number = 7, 2
    x, members = centred[index], centred[groups.neighbours[0, index]]
    assert index not in groups.neighbours[0, index]
    x_i, m, n, f = members[number], members.mean(dim=0), members[0], members[-1]

    def cosine(a: Tensor, b: Tensor) -> Tensor:
        return a @ b / (a.norm() * b.norm())

    expected = torch.stack([
        (x - x_i).norm(), (x - m).norm(), (x - n).norm(), (x - f).norm(), (x_i - m).norm(),
        cosine(x - x_i, m - x_i), cosine(x - x_i, n - x_i), cosine(x - x_i, f - x_i),
        cosine(x - m, x_i - m), x.norm(), cosine(x, x_i)])
    torch.testing.assert_close(groups.scalars[0, index, number], expected, atol=1e-5, rtol=0)
    torch.testing.assert_close(groups.radius[0, :, 0], centred.norm(dim=1), atol=1e-5, rtol=0)


@pytest.mark.parametrize('distinct', [1, 2, 5, 20])
def test_repeated_points_have_finite_features_and_gradients(distinct: int) -> None:
    points = cloud(4, distinct).repeat(1, 40 // distinct, 1).float().requires_grad_()
    network = module(torch.float32)
    features = network(points)
    assert features.isfinite().all()
    # A point and its copies are told the same.
    torch.testing.assert_close(features[:, :, :distinct], features[:, :, -distinct:])
    features.square().sum().backward()
    assert points.grad is not None
    assert points.grad.isfinite().all()
    assert all(parameter.grad.isfinite().all() for parameter in network.parameters()
               if parameter.grad is not None)
