"""An encoder from a crop of an object to two codes: what it is, and how it is turned.

Source: Wen et al., "DISP6D" (ECCV 2022), section 3.1, with the padding of its published code.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from torch import Tensor, nn
from torch.nn import functional as F

from pose_estimation_ros.networks.normalization import group_norm

ViewNorm = Literal['none', 'row', 'group']

LEAK = 0.2
_SMALL = 1e-8
_SMALLEST_SQUARE = 1e-12


def unit_length(x: Tensor) -> Tensor:
    """Return (..., C) vectors scaled to length 1; those next to zero stay shorter."""
    return x * x.square().sum(dim=-1, keepdim=True).clamp_min(_SMALLEST_SQUARE).rsqrt()


class RowNorm(nn.Module):
    """Takes mean and size out of every row of an image, over its columns and channels.

    The published models of categories have it: an instance norm of images with channels first,
    given images with channels last.
    """

    def forward(self, x: Tensor) -> Tensor:
        """Return normalised (B, C, H, W) features."""
        centred = x - x.mean(dim=(1, 3), keepdim=True)
        return centred * (centred.square().mean(dim=(1, 3), keepdim=True) + _SMALL).rsqrt()


class HalvingConvolution(nn.Module):
    """A convolution to half the size, leaky ReLU, normalisation.

    One more row and column is padded behind the image than before it, as TensorFlow does.
    """

    def __init__(self, inputs: int, outputs: int, kernel: int, norm: ViewNorm) -> None:
        """Create the layers."""
        super().__init__()
        before = (kernel - 2) // 2
        after = kernel - 2 - before
        self.padding = (before, after, before, after)
        self.conv = nn.Conv2d(inputs, outputs, kernel, stride=2)
        self.norm = _norm(norm, outputs)

    def forward(self, x: Tensor) -> Tensor:
        """Return (B, outputs, H / 2, W / 2)."""
        x = F.leaky_relu(self.conv(F.pad(x, self.padding)), LEAK)
        normalized: Tensor = self.norm(x)
        return normalized


class ResidualBlock(nn.Module):
    """Two 3x3 convolutions beside a shortcut, the second one normalised; size and width stay."""

    def __init__(self, channels: int, norm: ViewNorm) -> None:
        """Create the layers."""
        super().__init__()
        self.first = nn.Conv2d(channels, channels, 3, padding=1)
        self.norm = _norm(norm, channels)
        self.second = nn.Conv2d(channels, channels, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        """Return (B, channels, H, W)."""
        inner = self.norm(F.leaky_relu(self.first(x), LEAK))
        return F.leaky_relu(x + self.second(inner), LEAK)


class ViewEncoder(nn.Module):
    """Crops to codes of shape and of pose, each of the same length."""

    def __init__(self, crop: int, widths: Sequence[int], blocks: Sequence[int], kernel: int,
                 norm: ViewNorm, code: int) -> None:
        """Create the layers.

        Args:
            crop: Side of the crops, a multiple of two to the number of stages.
            widths: Channels of every stage, each of which halves the size.
            blocks: Residual blocks at the end of every stage.
            kernel: Side of the kernels that halve.
            norm: How features are normalised.
            code: Length of a code.
        """
        super().__init__()
        self.stages = nn.ModuleList()
        inputs = 3
        for width, count in zip(widths, blocks, strict=True):
            self.stages.append(nn.Sequential(
                HalvingConvolution(inputs, width, kernel, norm),
                *(ResidualBlock(width, norm) for _ in range(count))))
            inputs = width
        features = inputs * (crop >> len(widths)) ** 2
        self.shape = nn.Linear(features, code)
        self.pose = nn.Linear(features, code)

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor]:
        """Return the (B, code) codes of shape and of pose of (B, 3, crop, crop) images."""
        x = image
        for stage in self.stages:
            x = stage(x)
        x = x.flatten(1)
        return self.shape(x).float(), self.pose(x).float()


def _norm(kind: ViewNorm, channels: int) -> nn.Module:
    if kind == 'group':
        return group_norm(channels)
    return RowNorm() if kind == 'row' else nn.Identity()
