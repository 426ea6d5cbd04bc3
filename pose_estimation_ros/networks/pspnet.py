"""The image encoder of SPD: a ResNet-18 without normalisation under pyramid pooling.

Layer names are those of the published checkpoints.

Source: Zhao et al.: Pyramid Scene Parsing Network, CVPR 2017; the variant of Tian et al.,
ECCV 2020 (spec 1.1).
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

FEATURE_CHANNELS = 32

_PYRAMID_BINS = (1, 2, 3, 6)
_DROPOUT = 0.15


class BasicBlock(nn.Module):
    """Two 3x3 convolutions beside a shortcut, which is a 1x1 convolution where shapes change."""

    def __init__(
        self, in_channels: int, out_channels: int, stride: int = 1, dilation: int = 1
    ) -> None:
        super().__init__()
        self.conv1 = _convolution(in_channels, out_channels, 3, stride, dilation)
        self.conv2 = _convolution(out_channels, out_channels, 3, 1, dilation)
        self.downsample = (
            nn.Sequential(_convolution(in_channels, out_channels, 1, stride))
            if in_channels != out_channels
            else None
        )

    def forward(self, feature: Tensor) -> Tensor:
        """Map (B, in_channels, H, W) to (B, out_channels, H / stride, W / stride)."""
        shortcut = feature if self.downsample is None else self.downsample(feature)
        return F.relu(self.conv2(F.relu(self.conv1(feature))) + shortcut)


class Backbone(nn.Module):
    """ResNet-18 of output stride 8; the last two stages dilate instead of striding."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = _convolution(3, 64, 7, stride=2)
        self.layer1 = nn.Sequential(BasicBlock(64, 64), BasicBlock(64, 64))
        self.layer2 = nn.Sequential(BasicBlock(64, 128, stride=2), BasicBlock(128, 128))
        # Only the second block dilates: so it is in the published network and its weights.
        self.layer3 = nn.Sequential(BasicBlock(128, 256), BasicBlock(256, 256, dilation=2))
        self.layer4 = nn.Sequential(BasicBlock(256, 512), BasicBlock(512, 512, dilation=4))

    def forward(self, image: Tensor) -> Tensor:
        """Map (B, 3, H, W) to (B, 512, H / 8, W / 8)."""
        feature = F.max_pool2d(F.relu(self.conv1(image)), kernel_size=3, stride=2, padding=1)
        return self.layer4(self.layer3(self.layer2(self.layer1(feature))))


class PyramidPooling(nn.Module):
    """Adds to each pixel the averages over its coarser neighbourhoods: 512 to 1024 channels."""

    def __init__(self) -> None:
        super().__init__()
        self.stages = nn.ModuleList(
            nn.Sequential(nn.AdaptiveAvgPool2d(bins), nn.Conv2d(512, 128, 1, bias=False))
            for bins in _PYRAMID_BINS
        )

    def forward(self, feature: Tensor) -> Tensor:
        """Map (B, 512, H, W) to (B, 1024, H, W)."""
        size = feature.shape[2:]
        pooled = [_resize(F.relu(stage(feature)), size) for stage in self.stages]
        return torch.cat([feature, *pooled], dim=1)


class Upsampling(nn.Module):
    """Doubles the resolution: bilinear, 3x3 convolution, PReLU with one slope."""

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.conv = nn.Sequential(
            nn.Conv2d(in_channels, out_channels, 3, padding=1), nn.PReLU()
        )

    def forward(self, feature: Tensor) -> Tensor:
        """Map (B, in_channels, H, W) to (B, out_channels, 2 H, 2 W)."""
        return self.conv(_resize(feature, (2 * feature.shape[2], 2 * feature.shape[3])))


class PSPNet(nn.Module):
    """Colour features at chosen pixels of a 192x192 crop."""

    def __init__(self) -> None:
        super().__init__()
        self.feats = Backbone()
        self.psp = PyramidPooling()
        self.up_1 = Upsampling(1024, 256)
        self.up_2 = Upsampling(256, 64)
        self.up_3 = Upsampling(64, 64)
        self.final = nn.Conv2d(64, FEATURE_CHANNELS, 1)

    def forward(self, image: Tensor, pixel_index: Tensor) -> Tensor:
        """Return the features of the chosen pixels.

        Args:
            image: (B, 3, 192, 192) float32 RGB normalised with ImageNet's mean and deviation.
            pixel_index: (B, N) int64, row * 192 + column.

        Returns:
            (B, 32, N).
        """
        feature = F.dropout2d(self.up_1(self.psp(self.feats(image))), _DROPOUT, self.training)
        feature = F.dropout2d(self.up_2(feature), _DROPOUT, self.training)
        feature = self.up_3(feature).flatten(2)
        # `final` is pointwise, so the chosen pixels alone need it.
        chosen = feature.gather(2, pixel_index[:, None].expand(-1, feature.shape[1], -1))
        return F.conv1d(chosen, self.final.weight[:, :, 0], self.final.bias)


def _convolution(
    in_channels: int, out_channels: int, kernel: int, stride: int = 1, dilation: int = 1
) -> nn.Conv2d:
    """Return a convolution without bias that keeps the size at stride 1."""
    padding = dilation * (kernel // 2)
    layer = nn.Conv2d(
        in_channels, out_channels, kernel, stride, padding, dilation, bias=False
    )
    nn.init.normal_(layer.weight, std=math.sqrt(2.0 / (kernel * kernel * out_channels)))
    return layer


def _resize(feature: Tensor, size: tuple[int, int] | torch.Size) -> Tensor:
    return F.interpolate(feature, size=size, mode='bilinear', align_corners=True)
