"""Context of many ranges: atrous spatial pyramid pooling as MRC-Net has it.

Source: Chen et al., "Rethinking atrous convolution for semantic image segmentation" (2017); the
ranges and the normalisation are those of MRC-Net (CVPR 2024).
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from pose_estimation_ros.networks.normalization import group_norm

DILATIONS = (2, 3, 4, 6, 8, 12)


class ConvGroupSilu(nn.Module):
    """A 3x3 convolution, group normalisation and SiLU."""

    def __init__(self, inputs: int, outputs: int, stride: int = 1, dilation: int = 1) -> None:
        """Create the layers; the map keeps its size up to the stride."""
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, 3, stride=stride, padding=dilation,
                              dilation=dilation, bias=False)
        self.norm = group_norm(outputs)

    def forward(self, x: Tensor) -> Tensor:
        """Return (B, outputs, H / stride, W / stride) features."""
        return F.silu(self.norm(self.conv(x)))


class ASPP(nn.Module):
    """The input, its mean over the map and its neighbourhoods of several sizes, side by side."""

    def __init__(self, channels: int, dilations: Sequence[int] = DILATIONS) -> None:
        """Create a convolution for each dilation."""
        super().__init__()
        self.convs = nn.ModuleList(ConvGroupSilu(channels, channels, dilation=dilation)
                                   for dilation in dilations)
        self.channels = (2 + len(dilations)) * channels

    def forward(self, x: Tensor) -> Tensor:
        """Return `self.channels` channels on the map of (B, channels, H, W) features."""
        mean = x.mean(dim=(2, 3), keepdim=True).expand_as(x)
        return torch.cat([x, mean, *(conv(x) for conv in self.convs)], dim=1)
