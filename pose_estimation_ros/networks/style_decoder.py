"""A decoder from codes of shape and of pose to an image: the shape sets the style of features.

Source: Wen et al., "DISP6D" (ECCV 2022), section 3.1; adaptive instance normalisation of Huang
and Belongie, "Arbitrary style transfer in real-time" (ICCV 2017).
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from pose_estimation_ros.networks.view_encoder import LEAK

_SMALL = 1e-8


class StyledFeatures(nn.Module):
    """Bias, leaky ReLU, instance norm; then gain and offset of every channel from the shape."""

    def __init__(self, code: int, channels: int) -> None:
        """Create the layers; the first gains differ little from one."""
        super().__init__()
        self.bias = nn.Parameter(torch.zeros(channels))
        self.style = nn.Linear(code, 2 * channels)
        nn.init.zeros_(self.style.bias)

    def forward(self, x: Tensor, shape: Tensor) -> Tensor:
        """Return (B, channels, H, W) of the same and of (B, code) codes of shape."""
        x = F.leaky_relu(x + self.bias[:, None, None], LEAK)
        # With gains and offsets that do nothing, because the export to ONNX asks for some.
        x = F.instance_norm(x, weight=torch.ones_like(self.bias),
                            bias=torch.zeros_like(self.bias), eps=_SMALL)
        gain, offset = self.style(shape)[:, :, None, None].chunk(2, dim=1)
        styled: Tensor = x * (gain + 1) + offset
        return styled


class StyleDecoder(nn.Module):
    """Codes to an image with values between 0 and 1."""

    def __init__(self, code: int, widths: Sequence[int], side: int, kernel: int,
                 channels: int) -> None:
        """Create the layers.

        Args:
            code: Length of a code.
            widths: Channels of the first image and of each larger one but the last.
            side: Side of the first image; every next one is twice as large.
            kernel: Side of the kernels.
            channels: Channels of the last image.
        """
        super().__init__()
        self.first_size = (widths[0], side, side)
        self.first = nn.Linear(code, widths[0] * side ** 2, bias=False)
        self.convolutions = nn.ModuleList(
            nn.Conv2d(inputs, outputs, kernel, padding=kernel // 2, bias=False)
            for inputs, outputs in pairwise(widths))
        self.styles = nn.ModuleList(StyledFeatures(code, width) for width in widths)
        self.last = nn.Conv2d(widths[-1], channels, kernel, padding=kernel // 2)

    def forward(self, shape: Tensor, pose: Tensor) -> Tensor:
        """Return (B, channels, S, S) float32 from two (B, code)."""
        x = self.styles[0](self.first(pose).reshape(-1, *self.first_size), shape)
        for convolution, style in zip(self.convolutions, self.styles[1:], strict=True):
            x = style(convolution(_doubled(x)), shape)
        return torch.sigmoid(self.last(_doubled(x)).float())


def _doubled(x: Tensor) -> Tensor:
    return F.interpolate(x, scale_factor=2.0, mode='nearest')
