"""Heads with outputs for every category, of which each object needs its own alone.

Shared by the networks of the SPD family; layer names are those of the published checkpoints.
The arithmetic gives what the published one gives and skips what cannot matter (spec 1.1).
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

CATEGORY_COUNT = 6

_HIDDEN = (512, 256)


def pointwise_layers(*widths: int) -> nn.Sequential:
    """Return 1x1 convolutions of the given widths with ReLU after each."""
    layers: list[nn.Module] = []
    for in_channels, out_channels in pairwise(widths):
        layers += [nn.Conv1d(in_channels, out_channels, 1), nn.ReLU()]
    return nn.Sequential(*layers)


@dataclass(frozen=True)
class FactoredMatrix:
    """Matrices left @ right^T of low rank, cheaper to multiply with than to form.

    Attributes:
        left: (B, N, R).
        right: (B, M, R).
    """

    left: Tensor
    right: Tensor

    def __matmul__(self, other: FactoredMatrix) -> FactoredMatrix:
        """Return the product with other matrices, of M rows."""
        return FactoredMatrix(self.left @ (self.right.transpose(1, 2) @ other.left), other.right)

    def dense(self) -> Tensor:
        """Return the (B, N, M) matrices."""
        return self.left @ self.right.transpose(1, 2)


class CategoryHead(nn.Sequential):
    """Three pointwise layers; the outputs of the last are grouped by category."""

    def __init__(self, in_channels: int, outputs: int) -> None:
        """Create the layers.

        Args:
            in_channels: Width of the features.
            outputs: Outputs per category.
        """
        hidden = pointwise_layers(in_channels, *_HIDDEN)
        super().__init__(*hidden, nn.Conv1d(_HIDDEN[-1], CATEGORY_COUNT * outputs, 1))

    def start_at_zero(self) -> None:
        """Give outputs next to zero, as published for deformations: the shape is the prior."""
        nn.init.normal_(self[4].weight, std=1e-4)

    def forward(self, category: Tensor, local: Tensor, shared: Tensor | None = None) -> Tensor:
        """Return the outputs of the own category.

        Args:
            category: (B,) int64.
            local: (B, C, P) features of each point.
            shared: (B, S, 1) features that all points of an object share, which come after the
                local ones.

        Returns:
            (B, P, outputs).
        """
        weight, bias = self._own_rows(category)
        return self._hidden(local, shared) @ weight.transpose(1, 2) + bias[:, None]

    def factored(self, category: Tensor, local: Tensor,
                 shared: Tensor | None = None) -> FactoredMatrix:
        """Return what `forward` returns as matrices of rank 257: hidden features, and ones."""
        weight, bias = self._own_rows(category)
        hidden = self._hidden(local, shared)
        return FactoredMatrix(torch.cat([hidden, torch.ones_like(hidden[:, :, :1])], dim=2),
                              torch.cat([weight, bias[:, :, None]], dim=2))

    def _hidden(self, local: Tensor, shared: Tensor | None) -> Tensor:
        first: nn.Conv1d = self[0]
        if shared is None:
            hidden = first(local)
        else:
            # What all points share is multiplied once.
            weight = first.weight.split([local.shape[1], shared.shape[1]], dim=1)
            hidden = F.conv1d(local, weight[0]) + F.conv1d(shared, weight[1], first.bias)
        return self[2](hidden.relu()).relu().transpose(1, 2)

    def _own_rows(self, category: Tensor) -> tuple[Tensor, Tensor]:
        """Return weights (B, outputs, 256) and biases (B, outputs) of the last layer."""
        last: nn.Conv1d = self[4]
        weight = last.weight.reshape(CATEGORY_COUNT, -1, last.in_channels)[category]
        return weight, last.bias.reshape(CATEGORY_COUNT, -1)[category]
