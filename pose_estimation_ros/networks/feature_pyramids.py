"""Encoders with a decoder on top: what is seen coarsely, sharpened by what is seen finely."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torchvision.models.resnet import Bottleneck

from pose_estimation_ros.networks.normalization import group_norm
from pose_estimation_ros.networks.residual_encoder import BasicBlock


class PublishedFeatures(nn.Module):
    """ResNet-50 with the two upsampling stages of `resnetext`.

    Source: spec 2.1; He et al., "Deep residual learning" (CVPR 2016) with torchvision's layers.
    """

    def __init__(self, widths: Sequence[int], blocks: Sequence[int]) -> None:
        """Create the layers; arguments as of `NeuralMeshConfig`."""
        super().__init__()
        self.stem = nn.Sequential(
            nn.Conv2d(3, widths[0], 7, stride=2, padding=3, bias=False),
            nn.BatchNorm2d(widths[0]), nn.ReLU(inplace=True), nn.MaxPool2d(3, 2, padding=1))
        outputs = [Bottleneck.expansion * width for width in widths]
        self.stages = nn.ModuleList(
            _bottlenecks(widths[0] if stage == 0 else outputs[stage - 1], widths[stage],
                         blocks[stage], 1 if stage == 0 else 2) for stage in range(4))
        self.join_32 = _double_convolution(outputs[3], outputs[2], outputs[2])
        self.join_16 = _double_convolution(2 * outputs[2], outputs[2], outputs[1])
        self.join_8 = _double_convolution(2 * outputs[1], outputs[1], outputs[0])
        self.channels = outputs[0]

    def forward(self, image: Tensor) -> Tensor:
        """Return (B, 4 widths[0], H/8, W/8) of (B, 3, H, W)."""
        eighth = self.stages[1](self.stages[0](self.stem(image)))
        sixteenth = self.stages[2](eighth)
        coarse = self.join_32(self.stages[3](sixteenth))
        middle = self.join_16(torch.cat([sixteenth, _stretched(coarse)], dim=1))
        fine: Tensor = self.join_8(torch.cat([eighth, _stretched(middle)], dim=1))
        return fine


class LiteFeatures(nn.Module):
    """A small residual encoder with a feature pyramid; no sample knows of others in its batch.

    The coarsest stage of the usual sizes sees some 400 pixels around, so a feature can tell parts
    by their surroundings.

    Source: the pyramid follows Lin et al., "Feature pyramid networks" (CVPR 2017).
    """

    def __init__(self, widths: Sequence[int], blocks: Sequence[int], decoder: int,
                 stride: int) -> None:
        """Create the layers; arguments as of `NeuralMeshConfig`."""
        super().__init__()
        first = widths[0] // 2
        self.stem = nn.Sequential(nn.Conv2d(3, first, 3, stride=2, padding=1, bias=False),
                                  group_norm(first), nn.ReLU())
        self.stages = nn.ModuleList()
        inputs = first
        for width, count in zip(widths, blocks, strict=True):
            self.stages.append(nn.Sequential(*(
                BasicBlock(inputs if block == 0 else width, width, 2 if block == 0 else 1,
                           'group') for block in range(count))))
            inputs = width
        used = widths[0 if stride == 4 else 1:]
        self.laterals = nn.ModuleList(nn.Conv2d(width, decoder, 1, bias=False)
                                      for width in used)
        self.joins = nn.ModuleList(_grouped_convolution(decoder) for _ in used[1:])
        self.last = _grouped_convolution(decoder)
        self.channels = decoder
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode='fan_out', nonlinearity='relu')

    def forward(self, image: Tensor) -> Tensor:
        """Return (B, decoder, H/stride, W/stride) of (B, 3, H, W)."""
        x = self.stem(image)
        levels = []
        for stage in self.stages:
            x = stage(x)
            levels.append(x)
        levels = levels[-len(self.laterals):]
        joined = self.laterals[-1](levels[-1])
        for level in range(len(self.joins) - 1, -1, -1):
            fine = self.laterals[level](levels[level])
            # An odd number of cells was rounded up when it was halved.
            wider = F.interpolate(joined, scale_factor=2.0, mode='nearest')
            joined = self.joins[level](fine + wider[:, :, :fine.shape[2], :fine.shape[3]])
        last: Tensor = self.last(joined)
        return last


def _stretched(x: Tensor) -> Tensor:
    """Return features of twice the size whose corners are those of before, as published."""
    return F.interpolate(x, scale_factor=2.0, mode='bilinear', align_corners=True)


def _bottlenecks(inputs: int, width: int, count: int, stride: int) -> nn.Sequential:
    outputs = Bottleneck.expansion * width
    shortcut = nn.Sequential(nn.Conv2d(inputs, outputs, 1, stride=stride, bias=False),
                             nn.BatchNorm2d(outputs))
    return nn.Sequential(Bottleneck(inputs, width, stride, shortcut),
                         *(Bottleneck(outputs, width) for _ in range(count - 1)))


def _double_convolution(inputs: int, inner: int, outputs: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(inputs, inner, 3, padding=1), nn.BatchNorm2d(inner), nn.ReLU(inplace=True),
        nn.Conv2d(inner, outputs, 3, padding=1), nn.BatchNorm2d(outputs), nn.ReLU(inplace=True))


def _grouped_convolution(channels: int) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(channels, channels, 3, padding=1, bias=False),
                         group_norm(channels), nn.ReLU())
