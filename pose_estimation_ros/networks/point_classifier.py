"""What kind of object do these points show? A second look at a detection, in metres.

A detector sees a picture at a fixed size, in which a can and a keg look alike. This network sees
the points in metres with the vertical known, and what surrounds them, and says which category
they are, or that they are none.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass

import torch
from torch import Tensor, nn

from pose_estimation_ros.networks.latent_attention import (
    Attention,
    CoordinateFeatures,
    Perceptron,
)


@dataclass(frozen=True)
class PointClassifierConfig:
    """The sizes of the network.

    Attributes:
        categories: Number of categories, 'none' not counted.
        conditions: Numbers that come with the detector's scores.
        stages: Times that the latents read the points.
        width: Channels of points and latents.
        latents: Number of latents.
        heads: Heads of every attention.
    """

    categories: int = 6
    conditions: int = 4
    stages: int = 2
    width: int = 96
    latents: int = 16
    heads: int = 4

    def as_dict(self) -> dict[str, int]:
        """Return the sizes by name, for a checkpoint."""
        return asdict(self)


class PointClassifier(nn.Module):
    """The network; its inputs are made by `segmentation.object_cloud`."""

    def __init__(self, config: PointClassifierConfig) -> None:
        """Create the network with random weights."""
        super().__init__()
        self.config = config
        width = config.width
        # Coordinates in units of 10 cm reach up to 4 to each side.
        self.coordinates = CoordinateFeatures(width, period=8.0)
        self.appearance = nn.Linear(4, width)
        self.condition = nn.Linear(config.conditions + config.categories, width)
        self.latents = nn.Parameter(0.1 * torch.randn(config.latents, width))
        self.points = nn.ModuleList(Perceptron(width) for _ in range(config.stages))
        self.read = nn.ModuleList(Attention(width, config.heads) for _ in range(config.stages))
        self.mix = nn.ModuleList(Attention(width, config.heads) for _ in range(config.stages))
        self.think = nn.ModuleList(Perceptron(width) for _ in range(config.stages))
        self.answer = nn.Sequential(nn.LayerNorm(3 * width), nn.Dropout(0.1),
                                    nn.Linear(3 * width, 128), nn.ReLU(),
                                    nn.Linear(128, config.categories + 1))

    def forward(self, points: Tensor, condition: Tensor) -> Tensor:
        """Return (B, 1 + categories) logits, 'none' first.

        Args:
            points: (B, N, 7), see `ClassifierInput`.
            condition: (B, conditions + categories), see `ClassifierInput`.
        """
        context = self.condition(condition)
        x = (self.coordinates(points[..., :3]) + self.appearance(points[..., 3:])
             + context[:, None])
        latents = self.latents + context[:, None]
        for see, read, mix, think in zip(self.points, self.read, self.mix, self.think,
                                         strict=True):
            x = see(x)
            latents = read(latents, x)
            latents = think(mix(latents, latents))
        logits: Tensor = self.answer(torch.cat(
            [latents[:, 0], latents.mean(dim=1), x.amax(dim=1)], dim=1))
        return logits
