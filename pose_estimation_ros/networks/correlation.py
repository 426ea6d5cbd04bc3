"""How alike two feature maps are at every place and every small shift between them."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F


def window_correlation(center: Tensor, shifted: Tensor, radius: int) -> Tensor:
    """Return the products of features with those around the same place in another map.

    With D channels and offsets dy, dx from -radius to radius, channel
    (dy + radius) * (2 radius + 1) + dx + radius at (y, x) is the product of `center` at (y, x)
    and `shifted` at (y + dy, x + dx), divided by sqrt(D), and 0 outside of the map.

    Every row of `center` is multiplied with 2 radius + 1 whole rows of `shifted`. Only a band of
    each product is wanted, but matrix products are so much faster than sums of shifted maps that
    it pays (`benchmarks/mrc_correlation.py`).

    Args:
        center: (B, D, H, W) features.
        shifted: (B, D, H, W) features.
        radius: Largest shift in each direction, pixels.

    Returns:
        (B, (2 radius + 1)^2, H, W).
    """
    channels, height, width = center.shape[1:]
    offsets = 2 * radius + 1
    rows = (center / math.sqrt(channels)).permute(0, 2, 3, 1)
    padded = F.pad(shifted, (radius, radius, radius, radius)).transpose(1, 2)
    bands = []
    for dy in range(offsets):
        product = rows @ padded[:, dy:dy + height]
        # Column x + dx of row x lies at x * (wide + 1) + dx of the flattened product, so with rows
        # longer by one the band stands upright.
        wide = width + offsets - 1
        flat = F.pad(product.flatten(2), (0, width))
        bands.append(flat.reshape(-1, height, width, wide + 1)[..., :offsets])
    return torch.cat(bands, dim=3).permute(0, 3, 1, 2)


class ProjectedCorrelation(nn.Module):
    """Projects two feature maps alike and correlates them."""

    def __init__(self, inputs: int, outputs: int, radius: int) -> None:
        """Create the projection.

        Args:
            inputs: Channels of both maps.
            outputs: Channels in which they are compared.
            radius: Largest shift in each direction, pixels.
        """
        super().__init__()
        self.projection = nn.Conv2d(inputs, outputs, 1)
        self.radius = radius
        self.channels = (2 * radius + 1) ** 2

    def forward(self, center: Tensor, shifted: Tensor) -> Tensor:
        """Return the `window_correlation` (B, `self.channels`, H, W) of the projected maps."""
        return window_correlation(self.projection(center), self.projection(shifted), self.radius)
