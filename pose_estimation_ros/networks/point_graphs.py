"""Graphs of nearest neighbours among points or their features, and convolution over them.

Features are (B, C, N) at the borders, as `Conv1d` has them, and rows (B, N, K, C) within, which
a neighbour is gathered as.

Source: Wang et al.: Dynamic Graph CNN for Learning on Point Clouds, TOG 2019.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

_SLOPE = 0.2


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


def gather_neighbours(features: Tensor, neighbours: Tensor) -> Tensor:
    """Return the neighbours' features as rows (B, N, K, C).

    Args:
        features: (B, C, N).
        neighbours: (B, N, K) int64, from `nearest_neighbours`.
    """
    batch, channels, count = features.shape
    first = torch.arange(batch, device=features.device) * count
    rows = features.transpose(1, 2).reshape(-1, channels)
    # An embedding is the gathering with the cheapest gradient.
    return F.embedding(neighbours + first[:, None, None], rows)


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
        self.convolution = nn.Conv1d(2 * in_channels, out_channels, 1, bias=False)
        self.norm = nn.BatchNorm1d(out_channels)

    def forward(self, features: Tensor) -> Tensor:
        """Map (B, C_in, N) to (B, C_out, N)."""
        neighbours = nearest_neighbours(features.transpose(1, 2), self.neighbours)
        own_weight, difference_weight = self.convolution.weight.chunk(2, dim=1)
        own = F.conv1d(features, own_weight - difference_weight)
        other = F.conv1d(features, difference_weight)
        if self.training:
            # The statistics are those of all edges.
            edges = own.transpose(1, 2)[:, :, None] + gather_neighbours(other, neighbours)
            normal = self.norm(edges.flatten(0, 2)).unflatten(0, edges.shape[:3])
            largest = normal.amax(dim=2).transpose(1, 2)
        else:
            # A fixed normalisation rises or falls: the edge with the largest answer is the one
            # with the largest or the smallest neighbour.
            sign = self.norm.weight.sign()[:, None]
            extreme = gather_neighbours(other * sign, neighbours).amax(dim=2).transpose(1, 2)
            largest = self.norm(own + sign * extreme)
        # What rises can follow the maximum.
        return F.leaky_relu(largest, _SLOPE)
