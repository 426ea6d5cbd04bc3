"""Placements by a picture of the points alone: what the lite encoders' pictures are trained in.

A step takes a third of the time that one of a whole CR-Net lite takes, ACR-Pose lite takes longer
still, and what is learnt longest, which side of an object is where, is learnt in it. The layers
are named as in `lite_encoder.LiteEncoder`, which begins with them.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from pose_estimation_ros.networks.latent_attention import CoordinateFeatures, Perceptron
from pose_estimation_ros.networks.lite_encoder import (
    EncoderConfig,
    nearest_rotation,
    offered_rotations,
)
from pose_estimation_ros.networks.spd_lite import affine_moves, offering_layer, ranked_offer
from pose_estimation_ros.networks.view_picture import POINT_FEATURES, SUMMARY, PictureReader


class Placement(NamedTuple):
    """What is said of B objects with N points.

    Attributes:
        nocs: (B, N, 3) NOCS coordinates.
        placed: (B, N, 3) the same by the offered placement alone.
        membership: (B, N) logits: the point lies on the object.
        likelihood: (B, K) logits of the offers.
        chosen: (B,) int64 which of them was taken.
    """

    nocs: Tensor
    placed: Tensor
    membership: Tensor
    likelihood: Tensor
    chosen: Tensor


class PictureOffers(nn.Module):
    """Offers placements by what a picture shows as a whole, as `OfferStage` does with it."""

    def __init__(self, offers: NDArray[np.float64]) -> None:
        """Create the layers, which start from (K, 3, 3) rotations from the view frame."""
        super().__init__()
        self.correction = offering_layer(SUMMARY, offers)
        self.likelihood = nn.Linear(SUMMARY, len(offers))

    def forward(self, points: Tensor, summary: Tensor) -> tuple[Tensor, Tensor]:
        """Return (B, K, N, 3) placements of (B, N, 3) points, and their (B, K) logits."""
        return affine_moves(self.correction(summary), points), self.likelihood(summary).float()


class PicturePlacement(nn.Module):
    """The network; see the module's docstring."""

    offers: Tensor

    def __init__(self, config: EncoderConfig) -> None:
        """Create the layers, with the sizes of an encoder."""
        super().__init__()
        width = config.width
        rotations = offered_rotations(config.offers)
        self.register_buffer('offers', torch.from_numpy(rotations).float(), persistent=False)
        self.encoder = nn.ModuleDict({
            'picture': nn.ModuleDict({'reader': PictureReader(config.categories)}),
            'stages': nn.ModuleList([PictureOffers(rotations)])})
        self.features = nn.Linear(POINT_FEATURES, width)
        self.summary = nn.Linear(SUMMARY, width)
        self.coordinates = CoordinateFeatures(width, period=8.0)
        self.placed = CoordinateFeatures(width, period=4.0)
        self.points = nn.Sequential(Perceptron(width), nn.LayerNorm(width),
                                    nn.Linear(width, width), nn.ReLU())
        self.guess = nn.Linear(width, 3)
        self.membership = nn.Linear(width, 1)
        # The placement is the best first guess.
        nn.init.normal_(self.guess.weight, std=1e-3)
        nn.init.zeros_(self.guess.bias)

    def forward(self, points: Tensor, condition: Tensor, category: Tensor, color: Tensor,
                rotation: Tensor | None = None, every: int = 1) -> Placement:
        """Place the points.

        Args:
            points: (B, N, 3) normalised points in the view frame.
            condition: (B, 3) what the normalisation took away, see `NormalizedPoints`.
            category: (B,) int64 category index.
            color: (B, N, 9) colours around the points, NaN where unknown.
            rotation: (B, 3, 3) the true one from the view frame to the canonical one, in
                training: the offer nearest to it is taken, else the likeliest.
            every: Of so many points one is placed, from the first.
        """
        reader, offers = self.encoder['picture']['reader'], self.encoder['stages'][0]
        features, summary = reader(points, condition, category, color, every)
        points = points[:, ::every]
        placements, likelihood = offers(points, summary)
        chosen = (ranked_offer(likelihood, None) if rotation is None
                  else nearest_rotation(self.offers, rotation))
        placed = placements[torch.arange(points.shape[0], device=points.device), chosen]
        x = self.points(self.features(features) + self.summary(summary)[:, None]
                        + self.coordinates(points) + self.placed(placed))
        return Placement(placed + self.guess(x).float(), placed,
                         self.membership(x).float().squeeze(2), likelihood, chosen)
