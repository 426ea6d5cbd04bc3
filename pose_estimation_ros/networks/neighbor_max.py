"""Maximum over each point's neighbours, fast in training and plain in an ONNX graph."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor


def neighbor_max(features: Tensor, neighbors: Tensor) -> Tensor:
    """Return for each point the channel-wise maximum over its neighbours.

    Args:
        features: (B, N, C).
        neighbors: (B, N, k) int64 indices into N.

    Returns:
        (B, N, C) maxima.
    """
    batch, number, width = features.shape
    rows = neighbors + torch.arange(batch, device=neighbors.device)[:, None, None] * number
    flat, rows = features.reshape(batch * number, width), rows.reshape(batch * number, -1)
    if torch.is_grad_enabled() and features.requires_grad:
        maxima: Tensor = _NeighborMax.apply(flat, rows)
    else:
        maxima = flat[rows].amax(dim=1)
    return maxima.reshape(batch, number, width)


class _NeighborMax(torch.autograd.Function):
    """Keeps only the row of each maximum: the gradient is one scatter, not one per neighbour.

    Plain indexing writes a (B N, k, C) tensor forwards and backwards; on a CPU that took eight
    times as long as the whole rest of a block.
    """

    @staticmethod
    def forward(ctx: Any, flat: Tensor, rows: Tensor) -> Tensor:
        """Return the maxima and remember where each came from."""
        maxima, source = _maximum_and_source(flat, rows)
        ctx.save_for_backward(source)
        ctx.shape = flat.shape
        return maxima

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        """Add each gradient to the row its maximum came from."""
        (source,) = ctx.saved_tensors
        result = gradient.new_zeros(ctx.shape)
        return result.scatter_add_(0, source, gradient), None


@torch.compile(dynamic=False)
def _maximum_and_source(flat: Tensor, rows: Tensor) -> tuple[Tensor, Tensor]:
    """Return the (M, C) maxima of flat[rows] and the (M, C) row each one came from."""
    maxima = flat[rows[:, 0]]
    source = rows[:, :1].expand_as(maxima)
    for k in range(1, rows.shape[1]):
        candidate = flat[rows[:, k]]
        source = torch.where(candidate > maxima, rows[:, k:k + 1], source)
        maxima = torch.maximum(maxima, candidate)
    return maxima, source.contiguous()
