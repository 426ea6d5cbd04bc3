"""Graphs of nearest neighbours among points or their features, and convolution over them.

Features are rows (B, N, C): a neighbour is gathered as a row.

Source: Wang et al.: Dynamic Graph CNN for Learning on Point Clouds, TOG 2019.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

SLOPE = 0.2


@torch.no_grad()
def nearest_neighbours(rows: Tensor, count: int) -> Tensor:
    """Return the nearest rows of the own cloud, nearest first, which begins with the row itself.

    Where several rows are equal, any of them may come first.

    Args:
        rows: (B, N, C) points or features, N >= count.
        count: Neighbours of a row, K, itself included.

    Returns:
        (B, N, K) int64 numbers of rows.
    """
    # Neighbours are told apart by small differences of large squares: never in half precision.
    with torch.autocast(rows.device.type, enabled=False):
        rows = rows if rows.dtype == torch.float64 else rows.float()
        # The mean cancels in every distance; without it, less is lost to rounding.
        rows = rows - rows.mean(dim=1, keepdim=True)
        # -|a - b|^2 without |a|^2, which is the same for all neighbours of a.
        nearness = 2.0 * rows @ rows.transpose(1, 2) - rows.square().sum(dim=2)[:, None]
        return nearness.topk(count, dim=2).indices


def gather_neighbours(rows: Tensor, neighbours: Tensor) -> Tensor:
    """Return the neighbours' rows (B, N, K, C).

    Args:
        rows: (B, N, C) features.
        neighbours: (B, N, K) int64, from `nearest_neighbours`.
    """
    count, channels = rows.shape[1:]
    # Counted, not read from the shape: behind an image branch, the exporter to ONNX takes the
    # number of objects in a shape for a constant.
    number = (0 * neighbours[:, :1, :1] + 1).cumsum(dim=0) - 1
    index = (neighbours + number * count).flatten()
    # Of all ways to gather, this one has the cheapest gradient.
    gathered = rows.reshape(-1, channels).index_select(0, index)
    return gathered.reshape(-1, count, neighbours.shape[2], channels)


def neighbour_maximum(rows: Tensor, neighbours: Tensor) -> Tensor:
    """Return each channel's largest value among the neighbours, (B, N, C).

    Args:
        rows: (B, N, C) features.
        neighbours: (B, N, K) int64, from `nearest_neighbours`.
    """
    return gather_neighbours(rows, neighbours).max(dim=2).values


class EdgeConv(nn.Module):
    """Convolution of [x_i, x_j - x_i] over a point's neighbours j, and their maximum.

    Computed as A x_i + B x_j, which is the same: both once per point, not per edge.
    """

    def __init__(self, in_channels: int, out_channels: int, neighbours: int) -> None:
        """Create the layer.

        Args:
            in_channels: Channels of a point's features.
            out_channels: Channels of the answer.
            neighbours: Neighbours of a point, K, itself included; nearest by their features.
        """
        super().__init__()
        self.neighbours = neighbours
        self.linear = nn.Linear(2 * in_channels, out_channels, bias=False)
        self.norm = nn.BatchNorm1d(out_channels)

    def forward(self, rows: Tensor) -> Tensor:
        """Map (B, N, C_in) to (B, N, C_out)."""
        neighbours = nearest_neighbours(rows, self.neighbours)
        own_weight, difference_weight = self.linear.weight.chunk(2, dim=1)
        own = F.linear(rows, own_weight - difference_weight)
        other = F.linear(rows, difference_weight)
        if self.training:
            # The statistics are those of all edges.
            edges = own[:, :, None] + gather_neighbours(other, neighbours)
            answer = self.norm(edges.flatten(0, 2)).reshape(edges.shape).max(dim=2).values
        else:
            # A fixed normalisation rises or falls: the edge with the largest answer is the one
            # with the largest or the smallest neighbour.
            sign = self.norm.weight.sign()
            edge = own + sign * neighbour_maximum(sign * other, neighbours)
            answer = self.norm(edge.flatten(0, 1)).reshape(-1, *own.shape[1:])
        # What rises can follow the maximum.
        return F.leaky_relu(answer, SLOPE)
