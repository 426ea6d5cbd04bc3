"""Neighbours and edge convolution are what their definitions say, with less work."""

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from pose_estimation_ros.networks.point_graphs import (
    EdgeConv,
    gather_neighbours,
    nearest_neighbours,
)


def naive_edge_convolution(layer: EdgeConv, rows: Tensor) -> Tensor:
    """Return what an EdgeConv is by definition: every edge by itself."""
    neighbours = nearest_neighbours(rows, layer.neighbours)
    other = torch.stack([cloud[index] for cloud, index in zip(rows, neighbours, strict=True)])
    own = rows[:, :, None].expand_as(other)
    edges = layer.linear(torch.cat([own, other - own], dim=3))
    normal = layer.norm(edges.permute(0, 3, 1, 2).flatten(2)).unflatten(2, edges.shape[1:3])
    return F.leaky_relu(normal, 0.2).amax(dim=3).transpose(1, 2)


def unequal_edge_convolution() -> EdgeConv:
    """Return a layer whose normalisation rises in some channels and falls in others."""
    torch.manual_seed(0)
    layer = EdgeConv(6, 9, 5).double()
    with torch.no_grad():
        layer.norm.weight.copy_(torch.tensor([1.0, -1.0, 1.0] * 3) * torch.rand(9))
        layer.norm.bias.normal_()
        layer.norm.running_mean.normal_()
        layer.norm.running_var.uniform_(0.5, 2.0)
    return layer


def test_neighbours_are_the_nearest_of_the_own_cloud_in_order() -> None:
    torch.manual_seed(0)
    rows = torch.randn(3, 40, 7, dtype=torch.float64) + 5.0
    neighbours = nearest_neighbours(rows, 6)
    distances = torch.cdist(rows, rows)
    expected, _ = distances.topk(6, dim=2, largest=False)
    torch.testing.assert_close(distances.gather(2, neighbours), expected, atol=1e-6, rtol=0)
    assert torch.equal(neighbours[:, :, 0], torch.arange(40).expand(3, 40))


def test_neighbours_far_from_the_origin_are_found_in_half_precision_arithmetic() -> None:
    torch.manual_seed(0)
    rows = 0.1 * torch.randn(1, 50, 3) + torch.tensor([0.0, 0.0, 2.0])
    with torch.autocast('cpu', torch.bfloat16):
        found = nearest_neighbours(rows, 4)
    assert torch.equal(found, nearest_neighbours(rows.double(), 4))


def test_neighbours_rows_are_gathered_from_the_own_cloud() -> None:
    rows = torch.arange(24.0).reshape(2, 4, 3)
    gathered = gather_neighbours(rows, torch.tensor([[[1, 3]] * 4, [[0, 2]] * 4]))
    assert torch.equal(gathered[0, 2], rows[0, [1, 3]])
    assert torch.equal(gathered[1, 0], rows[1, [0, 2]])


@pytest.mark.parametrize('training', [True, False])
def test_edge_convolution_is_the_naive_one(training: bool) -> None:
    layer, naive = (unequal_edge_convolution().train(training) for _ in range(2))
    rows = torch.randn(2, 30, 6, dtype=torch.float64, requires_grad=True)
    ours, expected = layer(rows), naive_edge_convolution(naive, rows)
    torch.testing.assert_close(ours, expected)
    torch.testing.assert_close(layer.norm.running_mean, naive.norm.running_mean)
    slope = torch.randn_like(ours)
    torch.testing.assert_close(torch.autograd.grad(ours, (rows, *layer.parameters()), slope),
                               torch.autograd.grad(expected, (rows, *naive.parameters()), slope))


def test_edge_convolution_is_equivariant_to_the_order_of_points() -> None:
    layer = unequal_edge_convolution().eval()
    rows = torch.randn(2, 30, 6, dtype=torch.float64)
    order = torch.randperm(30)
    torch.testing.assert_close(layer(rows[:, order]), layer(rows)[:, order])
