"""Reconstruction features from graphs over an object's points and its prior's (ACR-Pose's RRM).

The paper gives three graphs in feature space and how they follow each other; what it leaves open
was chosen so:

- EdgeConv is the operator of the cited paper: convolution of [x_i, x_j - x_i], batch
  normalisation, LeakyReLU of slope 0.2, maximum over K neighbours, the point itself among them.
- The global features are 1024 wide and averages over points, as SPD's are.
- The layers between the joined features and the last two graphs are 256 and C wide: the graph
  needs C channels, and 2112 at once would be one coarse linear map. The global features are the
  same for all points, so they are multiplied once.
- For an ablation a pointwise layer of the same widths takes the place of each graph; the
  averages are then all that relates the points.

Source: Fan et al.: ACR-Pose, arXiv 2111.10524, section 3 (spec 1.3); Wang et al.: Dynamic Graph
CNN for Learning on Point Clouds, TOG 2019.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pose_estimation_ros.networks.category_head import pointwise_layers
from pose_estimation_ros.networks.point_graphs import SLOPE, EdgeConv

_GLOBAL = 1024
_HIDDEN = 256


class RelationalReconstruction(nn.Module):
    """Joins geometry, colour and prior to what the assignment and the deformation are read from.

    Features are (B, C, P) at its borders.
    """

    def __init__(self, width: int, neighbours: int | None) -> None:
        """Create the layers.

        Args:
            width: Channels of all features, C.
            neighbours: Neighbours of a point in the graphs, K, itself included; None = pointwise
                layers in the place of the graphs.
        """
        super().__init__()
        self.fusion = pointwise_layers(2 * width, width)
        self.instance_graph = _graph(width, neighbours)
        self.instance = pointwise_layers(width, 2 * width)
        self.instance_global = pointwise_layers(2 * width, 128, _GLOBAL)
        self.prior_global = pointwise_layers(width, 128, _GLOBAL)
        self.assignment_mix = _GlobalMix(2 * width, width)
        self.assignment_graph = _graph(width, neighbours)
        self.deformation_mix = _GlobalMix(width, width)
        self.deformation_graph = _graph(width, neighbours)

    def forward(self, geometry: Tensor, color: Tensor, prior: Tensor) -> tuple[Tensor, Tensor]:
        """Return the features of the assignment (B, C, N) and of the deformation (B, C, V).

        Args:
            geometry: (B, C, N) of the observed points.
            color: (B, C, N) of the same points.
            prior: (B, C, V) of the prior's points.
        """
        fused = self.fusion(torch.cat([geometry, color], dim=1))
        instance = self.instance(_related(self.instance_graph, fused))
        shared = torch.cat([
            self.instance_global(instance).mean(dim=2), self.prior_global(prior).mean(dim=2)
        ], dim=1)
        assignment = _related(self.assignment_graph, self.assignment_mix(instance, shared))
        deformation = _related(self.deformation_graph, self.deformation_mix(prior, shared))
        return assignment, deformation


class PointwiseLayer(nn.Module):
    """What an EdgeConv is without neighbours: a linear map, normalised, LeakyReLU."""

    def __init__(self, width: int) -> None:
        """Create the layer for features of that width."""
        super().__init__()
        self.linear = nn.Linear(width, width, bias=False)
        self.norm = nn.BatchNorm1d(width)

    def forward(self, rows: Tensor) -> Tensor:
        """Map (B, N, C) to (B, N, C)."""
        answer = self.norm(self.linear(rows).flatten(0, 1))
        return F.leaky_relu(answer, SLOPE).reshape(-1, *rows.shape[1:])


class _GlobalMix(nn.Module):
    """Two layers on [local, shared] features; the shared ones are multiplied once per object."""

    def __init__(self, local: int, width: int) -> None:
        super().__init__()
        self.local = nn.Conv1d(local, _HIDDEN, 1)
        self.shared = nn.Linear(2 * _GLOBAL, _HIDDEN, bias=False)
        self.out = pointwise_layers(_HIDDEN, width)

    def forward(self, local: Tensor, shared: Tensor) -> Tensor:
        """Map (B, C, P) and (B, S) features to (B, width, P)."""
        mixed: Tensor = self.out((self.local(local) + self.shared(shared)[:, :, None]).relu())
        return mixed


def _graph(width: int, neighbours: int | None) -> nn.Module:
    if neighbours is None:
        return PointwiseLayer(width)
    return EdgeConv(width, width, neighbours)


def _related(graph: nn.Module, features: Tensor) -> Tensor:
    related: Tensor = graph(features.transpose(1, 2)).transpose(1, 2)
    return related
