"""What the lite networks with colour share: from points to features and a placement.

As in `spd_lite`, a few latents read the points and predict, in several stages, where the points
lie in the canonical frame; the first stage offers several placements. Here every point brings
besides its place the shape of the surface around it (the covariance of its neighbours, whose
smallest direction is the normal) and the colours around its pixel, so geometry and colour can be
related. What is new beside `spd_lite` starts as no change, so a network can begin with the
weights of a trained SPD lite.

With a picture (`view_picture`) the first placements are offered by what convolutions see in it,
and every point brings what they see around it. The offers then stand for fixed rotations, the one
nearest the true rotation is trained, and the choice among them is an ordinary classification.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal, NamedTuple, get_args

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from pose_estimation_ros.core.errors import ConfigurationError
from pose_estimation_ros.core.point_colors import COLOR_CHANNELS
from pose_estimation_ros.core.rotation import axis_rotation
from pose_estimation_ros.networks.choices import check_choices
from pose_estimation_ros.networks.latent_attention import CoordinateFeatures
from pose_estimation_ros.networks.lite_relation import make_relation
from pose_estimation_ros.networks.point_graphs import gather_neighbours, nearest_neighbours
from pose_estimation_ros.networks.relation import RelationKind
from pose_estimation_ros.networks.spd_lite import (
    OFFERS,
    OfferStage,
    PlacementStage,
    nearest_offer,
    ranked_offer,
)
from pose_estimation_ros.networks.view_picture import POINT_FEATURES, SUMMARY, PictureReader

Switch = Literal['on', 'off']

# Of clouds of the usual size.
_NEIGHBOURS, _USUAL_POINTS = 12, 256
_FEWEST_NEIGHBOURS = 4
_SURFACE_CHANNELS = 6


@dataclass(frozen=True)
class EncoderConfig:
    """The sizes of the encoder.

    Attributes:
        categories: Number of categories.
        stages: Placements, one after another.
        width: Channels of points and latents.
        latents: Number of latents.
        heads: Heads of every attention.
        instance_relation: How geometry and colour are related.
        offers: Placements offered: 24, of every side down in every turn, or the 9 of `SpdLite`.
        picture: 'on' if placements are offered by a picture of the object, 'off' if by points.
    """

    categories: int = 6
    stages: int = 3
    width: int = 128
    latents: int = 32
    heads: int = 4
    instance_relation: RelationKind = 'none'
    offers: int = 24
    picture: Switch = 'off'

    def __post_init__(self) -> None:
        """Check the values.

        Raises:
            ConfigurationError: If one is not among its choices.
        """
        check_choices(self, 'the lite encoder', {
            'instance_relation': get_args(RelationKind), 'picture': get_args(Switch)})

    def as_dict(self) -> dict[str, Any]:
        """Return the sizes by name, for a manifest."""
        return asdict(self)


def offered_rotations(number: int) -> NDArray[np.float64]:
    """Return (number, 3, 3) rotations from the view frame that offered placements start from.

    Args:
        number: 24 for all that map axes to axes, or 9 as `SpdLite` has.

    Raises:
        ConfigurationError: If it is another number.
    """
    if number == len(OFFERS):
        return OFFERS
    # The first nine are the others', so that a network can be given more.
    every = list(OFFERS)
    for side in OFFERS:
        for turn in range(4):
            turned = axis_rotation((0.0, 1.0, 0.0), turn * np.pi / 2) @ side
            if not any(np.allclose(turned, known) for known in every):
                every.append(turned)
    if number != len(every):
        raise ConfigurationError(f'a lite network offers {len(OFFERS)} or {len(every)} '
                                 f'placements, not {number}')
    return np.stack(every)


@dataclass(frozen=True)
class PlacementTruth:
    """What tells a network in training which of its offered placements to take.

    Attributes:
        nocs: (B, N, 3) true NOCS coordinates.
        member: (B, N) bool, which points they are known of.
        rotation: (B, 3, 3) from the view frame to the canonical one.
    """

    nocs: Tensor
    member: Tensor
    rotation: Tensor


class Encoding(NamedTuple):
    """What the encoder says of B objects with N points.

    Attributes:
        x: (B, N, C) features of the points.
        latents: (B, K, C).
        placed: (B, N, 3) where the last stage places the points, NOCS coordinates.
        placements: (stages, B, N, 3) the same of every stage.
        likelihood: (B, O) logits of the placements that the first stage offers.
        chosen: (B,) int64 which of them was taken.
    """

    x: Tensor
    latents: Tensor
    placed: Tensor
    placements: Tensor
    likelihood: Tensor
    chosen: Tensor


class Pictured(NamedTuple):
    """What a picture tells of B objects.

    Attributes:
        features: (B, N, C) of the points; nothing before training.
        latents: (B, 1, C) of the whole; nothing before training.
        summary: (B, 256) of the whole, for the offers.
    """

    features: Tensor
    latents: Tensor
    summary: Tensor


class Picture(nn.Module):
    """Tells an encoder what a picture of the points shows."""

    def __init__(self, categories: int, width: int) -> None:
        """Create the layers; what they add to points and latents starts as nothing."""
        super().__init__()
        self.reader = PictureReader(categories)
        self.features = nn.Linear(POINT_FEATURES, width)
        self.latents = nn.Linear(SUMMARY, width)
        for layer in (self.features, self.latents):
            nn.init.zeros_(layer.weight)
            nn.init.zeros_(layer.bias)

    def forward(self, points: Tensor, condition: Tensor, category: Tensor, color: Tensor,
                every: int) -> Pictured:
        """Draw and read; arguments as of `PictureReader.forward`."""
        features, summary = self.reader(points, condition, category, color, every)
        return Pictured(self.features(features), self.latents(summary)[:, None], summary)


class LiteEncoder(nn.Module):
    """Encodes points with colours and places them; see the module's docstring."""

    offers: Tensor

    def __init__(self, config: EncoderConfig) -> None:
        """Create the layers, named as those of `SpdLite` where they are the same."""
        super().__init__()
        width = config.width
        self.category = nn.Embedding(config.categories, width)
        nn.init.normal_(self.category.weight, std=0.1)
        self.condition = nn.Linear(3, width)
        self.latents = nn.Parameter(0.1 * torch.randn(config.latents, width))
        self.coordinates = CoordinateFeatures(width, period=8.0)
        self.surface = nn.Linear(_SURFACE_CHANNELS, width)
        self.color = nn.Sequential(nn.Linear(COLOR_CHANNELS, width), nn.ReLU(),
                                   nn.Linear(width, width))
        self.no_color = nn.Parameter(torch.zeros(width))
        self.instance_relation = make_relation(config.instance_relation, width, config.heads)
        self.fuse = nn.Linear(2 * width, width)
        for layer in (self.surface, self.fuse):
            nn.init.zeros_(layer.weight)
            nn.init.zeros_(layer.bias)
        rotations = offered_rotations(config.offers)
        self.register_buffer('offers', torch.from_numpy(rotations).float(), persistent=False)
        self.picture = Picture(config.categories, width) if config.picture == 'on' else None
        self.stages = nn.ModuleList(
            [OfferStage(width, config.heads, rotations, pictured=self.picture is not None)]
            + [PlacementStage(width, config.heads) for _ in range(config.stages - 1)])

    def forward(self, points: Tensor, condition: Tensor, category: Tensor, color: Tensor,
                rank: Tensor | None = None, truth: PlacementTruth | None = None,
                extra: Tensor | None = None, every: int = 1) -> Encoding:
        """Encode the points of B objects; arguments as of `CRNetLite.forward`.

        `extra` are (B, N / every, C) more features of the points' geometry.
        """
        context = self.category(category) + self.condition(condition)
        pictured = (None if self.picture is None
                    else self.picture(points, condition, category, color, every))
        points, color = points[:, ::every], color[:, ::every]
        geometry = (self.coordinates(points) + self.surface(surface_shape(points))
                    + context[:, None])
        if extra is not None:
            geometry = geometry + extra
        if pictured is not None:
            geometry = geometry + pictured.features
        # NaN is a colour that is not known; products with NaN would spread it.
        known = ~torch.isnan(color[:, :, :1])
        shade = self.color(torch.nan_to_num(color, nan=0.5) - 0.5)
        shade = torch.where(known, shade, self.no_color.to(shade.dtype)) + context[:, None]
        related, shade = self.instance_relation(geometry, shade)
        x = related + self.fuse(torch.cat([related, shade], dim=2))
        latents = self.latents + context[:, None]
        if pictured is not None:
            latents = latents + pictured.latents
        offers, likelihood, x, latents = self.stages[0].offer(
            points, x, latents, None if pictured is None else pictured.summary)
        if truth is None:
            chosen = ranked_offer(likelihood, rank)
        elif pictured is None:
            chosen = nearest_offer(offers, truth.nocs, truth.member)
        else:
            chosen = nearest_rotation(self.offers, truth.rotation)
        placed = offers[torch.arange(points.shape[0], device=points.device), chosen]
        placements = [placed]
        for stage in self.stages[1:]:
            placed, x, latents = stage(points, placed, x, latents)
            placements.append(placed)
        return Encoding(x, latents, placed, torch.stack(placements), likelihood, chosen)


def nearest_rotation(offers: Tensor, rotation: Tensor) -> Tensor:
    """Return (B,) which of (K, 3, 3) rotations is nearest to each of (B, 3, 3)."""
    # The trace of one's transpose times the other falls with the angle between them.
    return (rotation.flatten(1) @ offers.flatten(1).T).argmax(dim=1)


def surface_shape(points: Tensor) -> Tensor:
    """Return (B, N, 6) covariances of each point's neighbours, relative to their spread.

    Args:
        points: (B, N, 3) normalised points; repeated ones do no harm.
    """
    with torch.no_grad(), torch.autocast(points.device.type, enabled=False):
        near = gather_neighbours(
            points, nearest_neighbours(points, scaled_neighbours(points.shape[1])))
        offset = near - near.mean(dim=2, keepdim=True)
        covariance = offset.transpose(2, 3) @ offset
        spread = covariance.diagonal(dim1=2, dim2=3).sum(dim=2)[:, :, None, None]
        relative = (covariance / (spread + 1e-9)).flatten(2)
        # The upper triangle of a 3x3 matrix.
        return relative[:, :, [0, 1, 2, 4, 5, 8]]


def scaled_neighbours(points: int) -> int:
    """Return how many neighbours to look at in clouds of some number of points.

    In proportion, so that they cover the same part of the surface.
    """
    return max(_NEIGHBOURS * points // _USUAL_POINTS, _FEWEST_NEIGHBOURS)
