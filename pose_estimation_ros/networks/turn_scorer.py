"""Chooses the turn that brings a cloud of points near to its canonical frame.

A network that reads a cloud as it lies must learn every way to lie anew: what it knows of objects
that stand does not help it. Here the same few layers look at the cloud in each of several turns
and say how canonical it looks, so that every view teaches them about all turns, and the network
behind sees standing and lying objects alike. What stands more often than it lies, and from where
it is seen, the layers are told by how the vertical and the view are turned.

The layers are those of a small PointNet (Qi et al., CVPR 2017).
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from pose_estimation_ros.core.point_colors import COLOR_CHANNELS

# A good sample of them is enough for a choice among turns far apart.
_LOOKED_AT = 64
_HIDDEN, _WIDTH = 64, 128
_ROW = 12  # a place and a 3x3 covariance


class TurnScorer(nn.Module):
    """Says how likely each of K turns brings a cloud near to its canonical frame.

    Attributes:
        turns: (K, 3, 3) rotations from the view frame.
    """

    turns: Tensor
    row_turns: Tensor

    def __init__(self, turns: NDArray[np.float64], categories: int) -> None:
        """Create the layers.

        Args:
            turns: (K, 3, 3) rotations from the view frame to frames to look at.
            categories: Number of categories.
        """
        super().__init__()
        self.register_buffer('turns', torch.tensor(turns, dtype=torch.float32), persistent=False)
        # R p and the rows of R C R^T are linear in p and C: one matrix for each turn.
        row_turns = np.zeros((len(turns), _ROW, _ROW))
        for matrix, turn in zip(row_turns, turns, strict=True):
            matrix[:3, :3], matrix[3:, 3:] = turn, np.kron(turn, turn)
        self.register_buffer('row_turns', torch.tensor(row_turns, dtype=torch.float32),
                             persistent=False)
        self.row = nn.Linear(_ROW, _HIDDEN)
        self.color = nn.Linear(COLOR_CHANNELS + 1, _HIDDEN)
        self.category = nn.Embedding(categories, _HIDDEN)
        # Vertical and view as turned, and what the normalisation took away.
        self.circumstances = nn.Linear(6 + 3, _HIDDEN)
        self.point = nn.Sequential(nn.ReLU(), nn.Linear(_HIDDEN, _WIDTH), nn.ReLU())
        self.own, self.all = nn.Linear(_WIDTH, _WIDTH), nn.Linear(_WIDTH, _WIDTH)
        self.score = nn.Sequential(nn.Linear(2 * _WIDTH + _HIDDEN, _WIDTH), nn.ReLU(),
                                   nn.Linear(_WIDTH, 1))

    def forward(self, points: Tensor, covariance: Tensor, color: Tensor, known: Tensor,
                condition: Tensor, category: Tensor) -> Tensor:
        """Return (B, K) logits.

        Args:
            points: (B, N, 3) normalised points in the view frame.
            covariance: (B, N, 9) covariances of the points' neighbours, row by row.
            color: (B, N, 9) colours around the points, about 0; 0 where unknown.
            known: (B, N, 1) bool, whether the colour is known.
            condition: (B, 3) what the normalisation took away.
            category: (B,) int64 category index.
        """
        step = -(-points.shape[1] // _LOOKED_AT)
        rows = torch.cat([points, covariance], dim=2)[:, ::step]
        shade = self.color(torch.cat([color, known.to(color.dtype)], dim=2)[:, ::step])
        # (K, 6): the vertical and the horizontal direction of view, as turned.
        directions = self.turns[:, :, 1:].transpose(1, 2).flatten(1)
        told = (self.circumstances(torch.cat([
            directions.expand(points.shape[0], -1, -1),
            condition[:, None].expand(-1, directions.shape[0], -1)], dim=2))
            + self.category(category)[:, None])
        weights = self.row.weight @ self.row_turns  # (K, hidden, row)
        turned = rows[:, None] @ weights.transpose(1, 2)
        x = self.point(turned + self.row.bias + shade[:, None] + told[:, :, None])
        whole = x.amax(dim=2)
        y = torch.relu(self.own(x) + self.all(whole)[:, :, None]).amax(dim=2)
        logits: Tensor = self.score(torch.cat([whole, y, told], dim=2)).float().squeeze(2)
        return logits


@torch.no_grad()
def nearest_turn(turns: Tensor, points: Tensor, truth: Tensor, member: Tensor) -> Tensor:
    """Return (B,) which of (K, 3, 3) turns comes nearest to the true rotation.

    It is the one with the largest trace of its product with the correlation of the points with
    their canonical coordinates, as in Umeyama's alignment.

    Args:
        turns: (K, 3, 3) rotations.
        points: (B, N, 3) points in the view frame.
        truth: (B, N, 3) their canonical coordinates.
        member: (B, N) bool, which points the truth is known of.
    """
    with torch.autocast(points.device.type, enabled=False):
        weight = member.float()[:, :, None]
        count = weight.sum(dim=1, keepdim=True).clamp(min=1.0)
        own = (points - (points * weight).sum(dim=1, keepdim=True) / count) * weight
        true = truth - (truth * weight).sum(dim=1, keepdim=True) / count
        correlation = true.transpose(1, 2) @ own
        return torch.einsum('kij,bij->bk', turns, correlation).argmax(dim=1)
