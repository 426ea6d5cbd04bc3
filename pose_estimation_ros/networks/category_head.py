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
        return self.factored(category, local, shared).dense()

    def factored(self, category: Tensor, local: Tensor,
                 shared: Tensor | None = None) -> FactoredMatrix:
        """Return what `forward` returns as matrices of rank 257: hidden features, and ones."""
        return FactoredMatrix(self._hidden(local, shared), self._own_rows(category))

    def _hidden(self, local: Tensor, shared: Tensor | None) -> Tensor:
        """Return (B, P, 257) hidden features and a last one that is 1, for the bias."""
        first, second = self[0], self[2]
        if shared is None:
            hidden = first(local)
        else:
            # What all points share is multiplied once.
            weight = first.weight.split([local.shape[1], shared.shape[1]], dim=1)
            hidden = F.conv1d(local, weight[0]) + F.conv1d(shared, weight[1], first.bias)
        weight = torch.cat([second.weight, torch.zeros_like(second.weight[:1])])
        bias = torch.cat([second.bias, torch.ones_like(second.bias[:1])])
        return F.conv1d(hidden.relu(), weight, bias).relu().transpose(1, 2)

    def _own_rows(self, category: Tensor) -> Tensor:
        """Return (B, outputs, 257) weights of the last layer and their biases."""
        last = self[4]
        rows = torch.cat([last.weight[:, :, 0], last.bias[:, None]], dim=1)
        return rows.reshape(CATEGORY_COUNT, -1, rows.shape[1])[category]
