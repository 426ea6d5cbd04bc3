"""The image encoder of SPD: a ResNet-18 without normalisation under pyramid pooling.

Layer names are those of the published checkpoints.

Source: Zhao et al.: Pyramid Scene Parsing Network, CVPR 2017; the variant of Tian et al.,
ECCV 2020 (spec 1.1).
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch.nn.functional as F
from torch import Tensor, nn

from pose_estimation_ros.networks.enlarged_convolution import EnlargedConvolution

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

    def forward(self, feature: Tensor) -> list[Tensor]:
        """Return the (B, 512, H, W) feature and the (B, 128, bins, bins) averages."""
        return [feature, *(F.relu(stage(feature)) for stage in self.stages)]


class Upsampling(nn.Module):
    """Doubles the resolution: bilinear, 3x3 convolution, PReLU with one slope."""

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        size: int,
        coarser_sizes: Sequence[int] = (),
    ) -> None:
        """Create the layers; see `EnlargedConvolution`."""
        super().__init__()
        self.conv = nn.Sequential(
            EnlargedConvolution(in_channels, out_channels, size, coarser_sizes), nn.PReLU()
        )

    def forward(self, *parts: Tensor) -> Tensor:
        """Map (B, in_channels, S, S) in one part or several to (B, out_channels, 2 S, 2 S)."""
        return self.conv(parts)

    def at(self, feature: Tensor, pixel_index: Tensor) -> Tensor:
        """Return (B, out_channels, N) at the chosen pixels (B, N), row * 2 S + column."""
        convolution, activation = self.conv
        return activation(convolution.at(feature, pixel_index))


class PSPNet(nn.Module):
    """Colour features at chosen pixels of a 192x192 crop."""

    def __init__(self) -> None:
        super().__init__()
        self.feats = Backbone()
        self.psp = PyramidPooling()
        self.up_1 = Upsampling(1024, 256, 24, _PYRAMID_BINS)
        self.up_2 = Upsampling(256, 64, 48)
        self.up_3 = Upsampling(64, 64, 96)
        self.final = nn.Conv2d(64, FEATURE_CHANNELS, 1)

    def forward(self, image: Tensor, pixel_index: Tensor) -> Tensor:
        """Return the features of the chosen pixels.

        Args:
            image: (B, 3, 192, 192) float32 RGB normalised with ImageNet's mean and deviation.
            pixel_index: (B, N) int64, row * 192 + column.

        Returns:
            (B, 32, N).
        """
        feature = F.dropout2d(self.up_1(*self.psp(self.feats(image))), _DROPOUT, self.training)
        feature = F.dropout2d(self.up_2(feature), _DROPOUT, self.training)
        # What follows looks at no other pixels than the chosen ones.
        chosen = self.up_3.at(feature, pixel_index)
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
