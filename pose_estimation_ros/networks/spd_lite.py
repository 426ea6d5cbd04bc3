"""SPD `lite`: shape prior deformation from points alone, small enough for a CPU.

The method is SPD's (Tian et al., ECCV 2020, section 3): a category's shape prior is deformed
towards the observed instance, and an assignment matrix gives every observed point its place on
the deformed shape, which is its NOCS coordinate. The encoders are ours. They see no colour, so
nothing of a synthetic image's appearance can be over-learnt.

A few learnt latents read the points by attention and talk to each other (after Perceiver, Jaegle
et al., ICML 2021), which costs a fraction of attention among all points. In each of several
stages they predict an affine map of the whole object into the canonical frame, and the next stage
sees the points as placed by it: turning points by a rotation that depends on all of them is a
product of two learnt quantities, which pointwise layers approximate only slowly; the cascade has
it built in. The first stage offers several placements and says which is the likeliest: what could
stand or lie, or lie in either direction, would otherwise be placed in the middle, which is wrong
in any case. Only the placement nearest the truth is trained (Guzman-Rivera et al., Multiple
Choice Learning, NeurIPS 2012).

The assignment is geometric: prior points that lie, after deformation, near a point's guessed
place are preferred, and learnt features shift the preference; a plain product of features starts
as a uniform softmax over all prior points. A further head says which points belong to the object
at all, because a detector's masks bleed.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from pose_estimation_ros.core.rotation import axis_rotation
from pose_estimation_ros.networks.latent_attention import (
    Attention,
    CoordinateFeatures,
    Perceptron,
)


@dataclass(frozen=True)
class SpdLiteConfig:
    """The sizes of the network.

    Attributes:
        categories: Number of categories.
        stages: Placements, one after another.
        width: Channels of points and latents.
        latents: Number of latents.
        heads: Heads of every attention.
        embedding: Channels in which points and prior points are matched.
    """

    categories: int = 6
    stages: int = 3
    width: int = 128
    latents: int = 32
    heads: int = 4
    embedding: int = 64

    def as_dict(self) -> dict[str, int]:
        """Return the sizes by name, for a manifest."""
        return asdict(self)


class SpdLiteOutput(NamedTuple):
    """What the network says of B objects with N observed and V prior points.

    Attributes:
        nocs: (B, N, 3) NOCS coordinates of the observed points.
        shape: (B, V, 3) deformed prior, NOCS coordinates.
        membership: (B, N) logits: the point lies on the object.
        assignment: (B, N, V) logits over the prior points.
        deformation: (B, V, 3) displacement of the prior points.
        guess: (B, N, 3) NOCS coordinates before the assignment.
        placed: (stages, B, N, 3) NOCS coordinates by the affine map of each stage.
        likelihood: (B, K) logits of the placements that the first stage offers.
        chosen: (B,) int64 which of them was taken.
    """

    nocs: Tensor
    shape: Tensor
    membership: Tensor
    assignment: Tensor
    deformation: Tensor
    guess: Tensor
    placed: Tensor
    likelihood: Tensor
    chosen: Tensor


# Where the offered placements start from: an object that stands, in four turns, one that is
# upside down, and four that lie. Rotations from the view frame to the canonical one.
OFFERS = np.stack([
    *(axis_rotation((0.0, 1.0, 0.0), turn * np.pi / 2) for turn in range(4)),
    axis_rotation((1.0, 0.0, 0.0), np.pi),
    *(axis_rotation(axis, sign * np.pi / 2)
      for axis in ((1.0, 0.0, 0.0), (0.0, 0.0, 1.0)) for sign in (1, -1))])
# A normalised radius of 1 is about this much in NOCS coordinates.
_OFFERED_SCALE = 0.3


class PlacementStage(nn.Module):
    """Improves where an object's points are placed."""

    def __init__(self, width: int, heads: int, offers: int = 1) -> None:
        """Create the layers; the first correction is small.

        Args:
            width: Channels of points and latents.
            heads: Heads of every attention.
            offers: Number of placements that `offer` gives.
        """
        super().__init__()
        # Canonical coordinates span 1, so their longest wave is 4.
        self.placed = CoordinateFeatures(width, period=4.0)
        self.context = nn.Linear(width, width)
        self.points = Perceptron(width)
        self.read = Attention(width, heads)
        self.mix = Attention(width, heads)
        self.latents = Perceptron(width)
        self.summary = nn.Sequential(nn.LayerNorm(3 * width), nn.Linear(3 * width, 256),
                                     nn.ReLU())
        self.correction = nn.Linear(256, 12 * offers)
        nn.init.normal_(self.correction.weight, std=0.01)
        nn.init.zeros_(self.correction.bias)

    def forward(self, points: Tensor, placed: Tensor, x: Tensor,
                latents: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return the new placement, point features and latents.

        Args:
            points: (B, N, 3) normalised points.
            placed: (B, N, 3) where they are placed so far, NOCS coordinates.
            x: (B, N, C) point features.
            latents: (B, K, C).
        """
        x, latents = self.look(placed, x, latents)
        return placed + self.moves(points, self.summarise(x, latents))[:, 0], x, latents

    def look(self, placed: Tensor, x: Tensor, latents: Tensor) -> tuple[Tensor, Tensor]:
        """Return new point features and latents."""
        x = self.points(x + self.placed(placed) + self.context(latents[:, :1]))
        latents = self.read(latents, x)
        return x, self.latents(self.mix(latents, latents))

    def summarise(self, x: Tensor, latents: Tensor) -> Tensor:
        """Return (B, 256) what features and latents say of the object."""
        summary: Tensor = self.summary(torch.cat(
            [latents[:, 0], latents.mean(dim=1), x.amax(dim=1)], dim=1))
        return summary

    def moves(self, points: Tensor, summary: Tensor) -> Tensor:
        """Return (B, offers, N, 3) displacements, affine in the (B, N, 3) points."""
        return affine_moves(self.correction(summary), points)


class OfferStage(PlacementStage):
    """The first stage: offers several placements and says how likely each is."""

    def __init__(self, width: int, heads: int, offers: NDArray[np.float64] = OFFERS, *,
                 pictured: bool = False) -> None:
        """Create the layers.

        Args:
            width: Channels of points and latents.
            heads: Heads of every attention.
            offers: (K, 3, 3) rotations from the view frame to the canonical one, from which the
                offers start; by default the usual ways to stand and lie.
            pictured: Whether offers are made by what a picture says, and not by the points.
        """
        super().__init__(width, heads, len(offers))
        if pictured:
            del self.summary
        self.correction = offering_layer(256, offers)
        self.likelihood = nn.Linear(256, len(offers))

    def offer(self, points: Tensor, x: Tensor, latents: Tensor, overview: Tensor | None = None
              ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Return (B, K, N, 3) placements, their (B, K) logits, features and latents.

        `overview` is the (B, 256) summary of a picture; None = there is none.
        """
        x, latents = self.look(torch.zeros_like(points), x, latents)
        summary = self.summarise(x, latents) if overview is None else overview
        return self.moves(points, summary), self.likelihood(summary).float(), x, latents


def affine_moves(affine: Tensor, points: Tensor) -> Tensor:
    """Return (B, K, N, 3) images of (B, N, 3) points under affine maps, (B, 12 K)."""
    # Not len(): an exported graph would keep the number of objects that it was traced with.
    maps = affine.float().view(points.shape[0], -1, 3, 4)
    with torch.autocast(points.device.type, enabled=False):
        return points[:, None] @ maps[..., :3].transpose(2, 3) + maps[:, :, None, :, 3]


def offering_layer(width: int, offers: NDArray[np.float64]) -> nn.Linear:
    """Return a layer from `width` channels to the affine maps of K offered placements.

    Args:
        width: Channels of what it is given.
        offers: (K, 3, 3) rotations that the maps start from.
    """
    layer = nn.Linear(width, 12 * len(offers))
    nn.init.normal_(layer.weight, std=0.01)
    start = np.concatenate([_OFFERED_SCALE * offers, np.zeros((len(offers), 3, 1))], axis=2)
    with torch.no_grad():
        layer.bias.copy_(torch.from_numpy(start).flatten())
    return layer


class SpdLite(nn.Module):
    """The network; see the module's docstring.

    Inputs are prepared by `backends.point_preparation`: points centred, turned to the view frame
    (+y up) and divided by their radius.
    """

    prior: Tensor

    def __init__(self, config: SpdLiteConfig, prior: Tensor) -> None:
        """Create the network.

        Args:
            config: Its sizes.
            prior: (categories, V, 3) mean shape of each category, NOCS coordinates.
        """
        super().__init__()
        self.config = config
        self.register_buffer('prior', prior.float())
        width = config.width
        self.category = nn.Embedding(config.categories, width)
        # As small as the rest of the input: at PyTorch's unit scale it drowned the coordinates.
        nn.init.normal_(self.category.weight, std=0.1)
        self.condition = nn.Linear(3, width)
        self.latents = nn.Parameter(0.1 * torch.randn(config.latents, width))
        # Normalised points reach about 1 to each side, strays up to 4.
        self.coordinates = CoordinateFeatures(width, period=8.0)
        self.stages = nn.ModuleList(
            [OfferStage(width, config.heads)]
            + [PlacementStage(width, config.heads) for _ in range(config.stages - 1)])
        self.placed = CoordinateFeatures(width, period=4.0)
        self.read_back = Attention(width, config.heads)
        self.points = Perceptron(width)
        self.feature = nn.Sequential(nn.LayerNorm(width), nn.Linear(width, 128), nn.ReLU())
        self.guess = nn.Linear(128, 3)
        self.query = nn.Linear(128, config.embedding)
        self.membership = nn.Linear(128, 1)
        self.prior_point = nn.Linear(3, 128)
        self.prior_bias = nn.Linear(width, 128)
        self.prior_feature = nn.Sequential(nn.ReLU(), nn.Linear(128, 128), nn.ReLU())
        self.key = nn.Linear(128, config.embedding)
        self.deform = nn.Linear(128, 3)
        # The prior and the last placement are the best first guesses: start from no change.
        for head in (self.deform, self.guess):
            nn.init.normal_(head.weight, std=1e-3)
            nn.init.zeros_(head.bias)
        # Softmax weight of a squared distance: e^4 = 55 reaches over a tenth of the object.
        self.log_sharpness = nn.Parameter(torch.tensor(4.0))

    def forward(self, points: Tensor, condition: Tensor, category: Tensor,
                rank: Tensor | None = None, truth: Tensor | None = None,
                member: Tensor | None = None) -> SpdLiteOutput:
        """Estimate correspondences and shape.

        Args:
            points: (B, N, 3) normalised points in the view frame.
            condition: (B, 3) what the normalisation took away, see `NormalizedPoints`.
            category: (B,) int64 category index.
            rank: (B,) int64 which of the offered placements to take: 0 = the likeliest, which
                None means as well.
            truth: (B, N, 3) true NOCS coordinates, in training: of the offered placements the
                one nearest to it is taken.
            member: (B, N) bool, which points the truth is known of.

        Returns:
            Correspondences, shape and membership.
        """
        context = self.category(category) + self.condition(condition)
        x = self.coordinates(points) + context[:, None]
        latents = self.latents + context[:, None]
        offers, likelihood, x, latents = self.stages[0].offer(points, x, latents)
        chosen = (ranked_offer(likelihood, rank) if truth is None or member is None
                  else nearest_offer(offers, truth, member))
        placed = offers[torch.arange(points.shape[0], device=points.device), chosen]
        placements = [placed]
        for stage in self.stages[1:]:
            placed, x, latents = stage(points, placed, x, latents)
            placements.append(placed)
        x = self.feature(self.points(self.read_back(x + self.placed(placed), latents)))

        prior = self.prior[category]
        feature = self.prior_feature(self.prior_point(prior)
                                     + self.prior_bias(latents[:, 0])[:, None])
        deformation = self.deform(feature)
        # In full precision from here: bfloat16 would quantise the coordinates to 1/256.
        with torch.autocast(points.device.type, enabled=False):
            shape = prior + deformation.float()
            guess = placed + self.guess(x.float())
            assignment = assignment_logits(guess, shape, self.query(x.float()),
                                           self.key(feature.float()), self.log_sharpness.exp())
            nocs = torch.softmax(assignment, dim=2) @ shape
        return SpdLiteOutput(nocs, shape, self.membership(x).squeeze(2), assignment, deformation,
                             guess, torch.stack(placements), likelihood, chosen)


def ranked_offer(likelihood: Tensor, rank: Tensor | None) -> Tensor:
    """Return (B,) the offer at a (B,) rank by its (B, K) likelihood; None = the first."""
    if rank is None:
        return likelihood.argmax(dim=1)
    order = torch.topk(likelihood, likelihood.shape[1], dim=1).indices
    return order.gather(1, rank[:, None])[:, 0]


@torch.no_grad()
def nearest_offer(offers: Tensor, truth: Tensor, member: Tensor) -> Tensor:
    """Return (B,) which of (B, K, N, 3) placements is nearest to the (B, N, 3) truth."""
    distance = torch.linalg.vector_norm(offers - truth[:, None], dim=3)
    return torch.argmin((distance * member[:, None]).sum(dim=2), dim=1)


def assignment_logits(guess: Tensor, shape: Tensor, query: Tensor, key: Tensor,
                      sharpness: Tensor) -> Tensor:
    """Return (B, N, V) logits `query . key - sharpness |guess - shape|^2`, up to a row constant.

    The softmax does not see |guess|^2, and the rest is one matrix product of extended features.

    Args:
        guess: (B, N, 3) guessed coordinates.
        shape: (B, V, 3) deformed prior.
        query: (B, N, E) features of the points.
        key: (B, V, E) features of the prior points.
        sharpness: () weight of the squared distance.
    """
    left = torch.cat([query, 2.0 * sharpness * guess, torch.ones_like(guess[:, :, :1])], dim=2)
    right = torch.cat([key, shape, -sharpness * shape.square().sum(dim=2, keepdim=True)], dim=2)
    return left @ right.transpose(1, 2)
