"""The layers of point networks in which a few latents read many points.

Source: Jaegle et al., Perceiver: General Perception with Iterative Attention, ICML 2021.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

_FREQUENCIES = 4


class CoordinateFeatures(nn.Module):
    """Linear layer on (..., 3) coordinates and their sines and cosines at several frequencies.

    Source: Tancik et al., Fourier Features Let Networks Learn High Frequency Functions,
    NeurIPS 2020. The products of attention become local with them.
    """

    def __init__(self, width: int, period: float) -> None:
        """Create the layer; `period` is the longest wavelength."""
        super().__init__()
        self.linear = nn.Linear(3 + 6 * _FREQUENCIES, width)
        waves = 2.0 * math.pi / period * 2.0 ** torch.arange(_FREQUENCIES)
        self.register_buffer('waves', waves, persistent=False)

    def forward(self, coordinates: Tensor) -> Tensor:
        """Map (B, N, 3) to (B, N, width)."""
        angles = (coordinates[..., None] * self.waves).flatten(2)
        features: Tensor = self.linear(torch.cat([coordinates, angles.sin(), angles.cos()], dim=2))
        return features


class Attention(nn.Module):
    """Multi-head attention with its residual; both sides are normalised first."""

    def __init__(self, width: int, heads: int) -> None:
        """Create the layers."""
        super().__init__()
        self.heads = heads
        self.query_norm, self.memory_norm = nn.LayerNorm(width), nn.LayerNorm(width)
        self.query, self.out = nn.Linear(width, width), nn.Linear(width, width)
        self.key_value = nn.Linear(width, 2 * width)

    def forward(self, x: Tensor, memory: Tensor) -> Tensor:
        """Let (B, K, C) rows look at (B, N, C) rows of memory."""
        batch, rows, width = x.shape
        share = width // self.heads
        query = self.query(self.query_norm(x)).view(batch, rows, self.heads, share)
        key, value = self.key_value(self.memory_norm(memory)).view(
            batch, memory.shape[1], 2, self.heads, share).permute(2, 0, 3, 1, 4)
        scores = query.transpose(1, 2) @ key.transpose(2, 3) * share ** -0.5
        seen = torch.softmax(scores, dim=3) @ value
        answer: Tensor = x + self.out(seen.transpose(1, 2).reshape(batch, rows, width))
        return answer


class Perceptron(nn.Module):
    """Two layers on each row, with their residual."""

    def __init__(self, width: int) -> None:
        """Create the layers."""
        super().__init__()
        self.layers = nn.Sequential(nn.LayerNorm(width), nn.Linear(width, 2 * width), nn.ReLU(),
                                    nn.Linear(2 * width, width))

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, N, C) to (B, N, C)."""
        y: Tensor = x + self.layers(x)
        return y
