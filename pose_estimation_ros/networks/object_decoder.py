"""A decoder with weights of its own for each known object (MRC-Net, CVPR 2024, section 3.2)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

import torch
from torch import Tensor, nn
from torch.nn import functional as F

Convolution = Callable[[Tensor], Tensor]


class ObjectConvolution(nn.Module):
    """A convolution with weights of its own for each object; maps keep their size."""

    def __init__(self, objects: int, inputs: int, outputs: int, kernel: int) -> None:
        """Create random weights, the same for all objects.

        Args:
            objects: Number of objects.
            inputs: Channels before.
            outputs: Channels after.
            kernel: Side of the kernel, odd.
        """
        super().__init__()
        self.weights = nn.Parameter(torch.empty(objects, outputs, inputs, kernel, kernel))
        self.bias = nn.Parameter(torch.zeros(objects, outputs, 1, 1))
        # All objects begin equal: the layers behind, which they share, then see one kind of
        # features from the start instead of a different one for each object.
        with torch.no_grad():
            nn.init.kaiming_normal_(self.weights[0], nonlinearity='relu')
            self.weights.copy_(self.weights[:1].expand_as(self.weights).clone())

    def of_objects(self, present: Tensor) -> list[Convolution]:
        """Return the convolutions of (P,) int64 objects, for samples that show one of them.

        They are taken in one piece: taken one by one, the gradient of each would be a tensor of
        the size of all.
        """
        return [partial(F.conv2d, weight=weights, bias=bias.flatten(),
                        padding=weights.shape[-1] // 2)
                for weights, bias in zip(self.weights[present], self.bias[present], strict=True)]


class ObjectDecoder(nn.Module):
    """From an encoder's three maps to fine features and a mask, for each object in its own way.

    `SampleDecoder` is the same for ONNX.
    """

    def __init__(self, objects: int, width: int) -> None:
        """Create the layers; channels are multiples of `width`, see `ResidualEncoder`."""
        super().__init__()
        self.coarse = ObjectConvolution(objects, 8 * width, 8 * width, 1)
        self.middle = ObjectConvolution(objects, 4 * width, 4 * width, 1)
        self.fine = ObjectConvolution(objects, 2 * width, 2 * width, 1)
        self.join_middle = ObjectConvolution(objects, 12 * width, 8 * width, 3)
        self.join_fine = ObjectConvolution(objects, 10 * width, 4 * width, 3)
        self.last = ObjectConvolution(objects, 4 * width, width + 1, 1)

    def forward(self, quarter: Tensor, eighth: Tensor, sixteenth: Tensor, index: Tensor) -> Tensor:
        """Return (B, width + 1, H/4, W/4): features, and as the last channel the mask's logits.

        Args:
            quarter: (B, 2 width, H/4, W/4) features.
            eighth: (B, 4 width, H/8, W/8) features.
            sixteenth: (B, 8 width, H/16, W/16) features.
            index: (B,) int64, the object of each sample.
        """
        layers = (self.coarse, self.middle, self.join_middle, self.fine, self.join_fine, self.last)
        # The samples of an object share its weights, so they are one ordinary convolution.
        order = torch.argsort(index, stable=True)
        present, counts = torch.unique_consecutive(index[order], return_counts=True)
        samples = torch.split(order, counts.tolist())
        chosen = zip(*(layer.of_objects(present) for layer in layers), strict=True)
        decoded = [_decoded(quarter[own], eighth[own], sixteenth[own], convolutions)
                   for convolutions, own in zip(chosen, samples, strict=True)]
        return torch.cat(decoded)[torch.argsort(order)]


def _decoded(quarter: Tensor, eighth: Tensor, sixteenth: Tensor,
             convolutions: Sequence[Convolution]) -> Tensor:
    coarse, middle, join_middle, fine, join_fine, last = convolutions
    x = _doubled(F.silu(coarse(sixteenth)))
    x = torch.cat([x, F.silu(middle(eighth))], dim=1)
    x = _doubled(F.silu(join_middle(x)))
    x = torch.cat([x, F.silu(fine(quarter))], dim=1)
    return last(F.silu(join_fine(x)))


def _doubled(x: Tensor) -> Tensor:
    doubled: Tensor = F.interpolate(x, scale_factor=2.0, mode='bilinear', align_corners=False)
    return doubled
