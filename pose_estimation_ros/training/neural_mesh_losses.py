"""How features are taught to tell a vertex from all others and from clutter.

Source: spec 2.6, what the released code does; equation 4 of Ma et al. (ECCV 2022) as an option.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor
from torch.nn import functional as F

from pose_estimation_ros.training.neural_mesh_bank import FeatureBank

ContrastKind = Literal['cross-entropy', 'distances']

# Minus the logit of a vertex that is too near to be told apart.
_NEAR = 1e5


@dataclass(frozen=True)
class ContrastSettings:
    """How vertices are told apart; defaults as published.

    Attributes:
        kind: 'cross-entropy' as in the released code, or 'distances': equation 4 of the paper.
        temperature: What similarities are divided by.
        clutter_share: What a row of clutter counts, vertices being 1.
        clutter: Weight of the mean similarity of clutter to all vertices.
        background: Weight of telling clutter from vertices by the one feature that stands for
            all clutter at run time; 0 as published.
    """

    kind: ContrastKind = 'cross-entropy'
    temperature: float = 0.07
    clutter_share: float = 5e-3
    clutter: float = 0.1
    background: float = 0.0


class _MemoryCrossEntropy(torch.autograd.Function):
    """Cross-entropy against a memory that has no gradient.

    There are millions of logits: what autograd keeps and fills of them would take longer than the
    network. The gradient by the features is found at once instead, with the logits of one
    category in memory.
    """

    @staticmethod
    def forward(ctx: Any, features: Tensor, near: Tensor, vertex: Tensor, category: Tensor,
                bank: FeatureBank, settings: ContrastSettings) -> Tensor:
        memory = bank.memory
        losses = torch.empty(len(features), device=features.device)
        gradient = torch.empty(features.shape, device=features.device)
        found, counts = torch.unique_consecutive(category, return_counts=True)
        first = 0
        for number, count in zip(found.tolist(), counts.tolist(), strict=True):
            rows, columns = slice(first, first + count), bank.of_category(number)
            logits = (features[rows] @ memory.t()).float().div_(settings.temperature)
            logits[:, len(bank.vertices):] += math.log(settings.clutter_share)
            right = vertex[rows, None]
            own = near[rows, :columns.stop - columns.start].scatter(
                1, right - columns.start, value=False)
            logits[:, columns].masked_fill_(own, -_NEAR)
            # Logits are at most 1 / temperature, so their exponentials are finite.
            picked = logits.gather(1, right)
            share = logits.exp_()
            total = share.sum(dim=1, keepdim=True)
            losses[rows] = (total.log() - picked)[:, 0]
            share.div_(total).scatter_add_(1, right, torch.full_like(picked, -1.0))
            gradient[rows] = (share @ memory).float() / settings.temperature
            first += count
        ctx.save_for_backward(gradient)
        return losses

    @staticmethod
    def backward(ctx: Any, *outer: Any) -> tuple[Tensor | None, ...]:
        (gradient,) = ctx.saved_tensors
        return outer[0][:, None] * gradient, None, None, None, None, None


def vertex_losses(features: Tensor, vertex: Tensor, category: Tensor, near: Tensor,
                  bank: FeatureBank, settings: ContrastSettings) -> Tensor:
    """Return the (N,) cross-entropies of seeing the right vertex, not another one or clutter.

    Args:
        features: (N, D) unit features.
        vertex: (N,) int64 the right vertices, in the order of the bank.
        category: (N,) int64 their categories, in ascending order.
        near: (N, W) bool, the vertices of the same category, from its first one, that are too
            near to be told apart; W is the count of the category that has most.
        bank: What they are compared with; it has no gradient.
        settings: Temperature and share of clutter.
    """
    # torch has no types for the call of a Function.
    losses: Tensor = _MemoryCrossEntropy.apply(  # type: ignore[no-untyped-call]
        features, near, vertex, category, bank, settings)
    return losses


def clutter_similarities(clutter: Tensor, bank: FeatureBank) -> Tensor:
    """Return the (N,) mean similarities of (N, D) features of clutter to all vertices."""
    return (clutter.float() * bank.vertices.mean(dim=0)).sum(dim=1)


def background_losses(clutter: Tensor, bank: FeatureBank, temperature: float) -> Tensor:
    """Return the (N,) cross-entropies of clutter being like the mean clutter, not like a vertex.

    At run time one feature stands for all that is no object, so all of it should be alike.

    Args:
        clutter: (N, D) unit features.
        bank: With the vertices, and the clutter seen before.
        temperature: What similarities are divided by.
    """
    # The bank learns before gradients are taken, which need what was compared with.
    vertices = bank.vertices.clone()
    like_vertex = torch.logsumexp((clutter @ vertices.t()).float() / temperature, dim=1)
    like_clutter = (clutter.float() @ bank.clutter_center) / temperature
    return F.softplus(like_vertex - like_clutter)


def distance_loss(features: Tensor, clutter: Tensor) -> Tensor:
    """Return the negative mean squared distance of features to each other and to clutter.

    Source: equation 4 of the paper, as a mean instead of a sum.

    Args:
        features: (N, D) unit features of different vertices.
        clutter: (M, D) unit features.
    """
    others = torch.cat([features, clutter]).float()
    # |a - b|^2 of unit vectors; the distance to itself is 0 and takes no part.
    squared = 2.0 - 2.0 * features.float() @ others.t()
    return -squared.sum() / (len(features) * (len(others) - 1))
