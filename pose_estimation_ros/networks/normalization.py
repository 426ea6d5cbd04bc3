"""Normalisation of feature maps: by groups of channels, or by the statistics of the batch."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

NormKind = Literal['batch', 'group']

_MOST_GROUPS, _LEAST_GROUP = 32, 4


def make_norm(kind: NormKind, channels: int) -> nn.Module:
    """Return the normalisation of (B, channels, H, W) feature maps.

    'group' treats every sample by itself. 'batch' takes the statistics of the batch in evaluation
    as well, so answers depend on what else is in the batch.
    """
    return BatchStatisticsNorm(channels) if kind == 'batch' else group_norm(channels)


def group_norm(channels: int) -> nn.GroupNorm:
    """Return a group norm of up to 32 groups with at least 4 channels each, if there are 4."""
    most = max(1, min(_MOST_GROUPS, channels // _LEAST_GROUP))
    groups = next(count for count in range(most, 0, -1) if channels % count == 0)
    return nn.GroupNorm(groups, channels)


class BatchStatisticsNorm(nn.Module):
    """Batch normalisation without running statistics: those of the batch count, always."""

    def __init__(self, channels: int) -> None:
        """Create gains of one and offsets of zero."""
        super().__init__()
        self.weight = nn.Parameter(torch.ones(channels))
        self.bias = nn.Parameter(torch.zeros(channels))

    def forward(self, x: Tensor) -> Tensor:
        """Return (B, channels, H, W) features with mean and spread of the batch taken out."""
        if not torch.onnx.is_in_onnx_export():
            return F.batch_norm(x, None, None, self.weight, self.bias, training=True)
        # ONNX has no such normalisation, but the batch can be laid into one large image.
        as_image = x.transpose(0, 1).flatten(1)[None]
        normalized = F.instance_norm(as_image, weight=self.weight, bias=self.bias)
        channels, height, width = x.shape[1:]
        return normalized[0].reshape(channels, -1, height, width).transpose(0, 1)
