"""MRC-Net's decoder for samples of several objects at once, as products of matrices.

ONNX has no convolution with weights by sample. Where a 3x3 convolution follows an enlarged map,
it is done before enlarging, see `enlarged_convolution`: the answer is the same for less than half
of the work.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from pose_estimation_ros.networks.enlarged_convolution import (
    assembled,
    enlarging_shifts,
    tap_weights,
)
from pose_estimation_ros.networks.object_decoder import ObjectConvolution, ObjectDecoder

_TAPS = 3


class SampleDecoder(nn.Module):
    """Computes what an `ObjectDecoder` does, with its weights laid out for that."""

    def __init__(self, decoder: ObjectDecoder, side: int) -> None:
        """Lay out the weights.

        Args:
            decoder: The decoder.
            side: Of its coarsest map.
        """
        super().__init__()
        self.coarse, self.middle, self.fine, self.last = map(_SamplePointwise, (
            decoder.coarse, decoder.middle, decoder.fine, decoder.last))
        self.join_middle = _SampleJoin(decoder.join_middle, decoder.coarse, side)
        self.join_fine = _SampleJoin(decoder.join_fine, decoder.join_middle, 2 * side)

    def forward(self, quarter: Tensor, eighth: Tensor, sixteenth: Tensor, index: Tensor) -> Tensor:
        """Return what `ObjectDecoder` returns."""
        x = F.silu(self.coarse(sixteenth, index))
        x = F.silu(self.join_middle(x, F.silu(self.middle(eighth, index)), index))
        x = F.silu(self.join_fine(x, F.silu(self.fine(quarter, index)), index))
        decoded: Tensor = self.last(x, index)
        return decoded


class _SamplePointwise(nn.Module):
    """A 1x1 convolution."""

    weights: Tensor
    bias: Tensor

    def __init__(self, layer: ObjectConvolution) -> None:
        super().__init__()
        self.register_buffer('weights', layer.weights.detach().flatten(2))
        self.register_buffer('bias', layer.bias.detach())

    def forward(self, x: Tensor, index: Tensor) -> Tensor:
        product = self.weights[index] @ x.flatten(2)
        return product.reshape(-1, self.weights.shape[1], *x.shape[2:]) + self.bias[index]


class _SampleJoin(nn.Module):
    """A 3x3 convolution of a map that is enlarged twice, beside one of that size."""

    coarse_weights: Tensor
    fine_weights: Tensor
    bias: Tensor
    shifts: Tensor

    def __init__(self, layer: ObjectConvolution, before: ObjectConvolution, side: int) -> None:
        """Take a layer.

        Args:
            layer: The layer.
            before: Whose answer it takes enlarged, as its first channels.
            side: Of that answer.
        """
        super().__init__()
        enlarged = before.weights.shape[1]
        weights = layer.weights.detach()
        self.register_buffer('coarse_weights', tap_weights(weights[:, :, :enlarged]).contiguous())
        self.register_buffer('fine_weights', weights[:, :, enlarged:].permute(
            0, 1, 3, 4, 2).flatten(2).contiguous())
        self.register_buffer('bias', layer.bias.detach())
        interpolation = F.interpolate(torch.eye(side)[None], scale_factor=2.0, mode='linear')[0].T
        self.register_buffer('shifts', enlarging_shifts(interpolation))

    def forward(self, coarse: Tensor, fine: Tensor, index: Tensor) -> Tensor:
        """Return (B, outputs, 2 S, 2 S) of (B, C, S, S), (B, D, 2 S, 2 S) and (B,) int64."""
        enlarged = assembled(self.coarse_weights[index] @ coarse.flatten(2), self.shifts,
                             self.fine_weights.shape[1])
        height, width = fine.shape[2:]
        padded = F.pad(fine, (1, 1, 1, 1))
        around = torch.cat([padded[:, :, dy:dy + height, dx:dx + width]
                            for dy in range(_TAPS) for dx in range(_TAPS)], dim=1)
        product = self.fine_weights[index] @ around.flatten(2)
        return enlarged + product.reshape(enlarged.shape) + self.bias[index]
