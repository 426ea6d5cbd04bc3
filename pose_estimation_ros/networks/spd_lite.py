"""SPD `lite`: shape prior deformation from points alone, small enough for a CPU.

The method is SPD's (Tian et al., ECCV 2020, section 3): a category's shape prior is deformed
towards the observed instance, and an assignment matrix gives every observed point its place on
the deformed shape, which is its NOCS coordinate. The encoders are ours. They see no colour, so
nothing of a synthetic image's appearance can be over-learnt, and are a cascade of small
PointNets: each predicts an affine map of the whole object into the canonical frame, and the next
one sees the points as placed by it. Turning points by a rotation that depends on all of them is a
product of two learnt quantities, which pointwise layers approximate only slowly; the cascade has
it built in. A step on a CPU costs less than half of one with edge convolutions, which were
tried first.

The assignment is geometric: prior points that lie, after deformation, near a point's guessed
place are preferred, and learnt features shift the preference; a plain product of features starts
as a uniform softmax over all prior points. A further head says which points belong to the object
at all, because a detector's masks bleed.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import NamedTuple

import torch
from torch import Tensor, nn


@dataclass(frozen=True)
class SpdLiteConfig:
    """The sizes of the network.

    Attributes:
        categories: Number of categories.
        stages: PointNets in the cascade.
        width: Channels per point before pooling.
        context: Channels of an object's context.
        embedding: Channels in which points and prior points are matched.
    """

    categories: int = 6
    stages: int = 3
    width: int = 320
    context: int = 256
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
    """

    nocs: Tensor
    shape: Tensor
    membership: Tensor
    assignment: Tensor
    deformation: Tensor
    guess: Tensor
    placed: Tensor


class PointNorm(nn.BatchNorm1d):
    """Batch normalisation of (B, N, C) features over all points of all objects.

    Layer normalisation would take the length of each point's features away, which is where the
    coordinates are.
    """

    def forward(self, x: Tensor) -> Tensor:
        """Normalise each channel."""
        return super().forward(x.reshape(-1, x.shape[2])).view(x.shape)


class PlacementStage(nn.Module):
    """A PointNet (Qi et al., CVPR 2017) that improves where an object's points are placed."""

    def __init__(self, width: int, context: int) -> None:
        """Create the layers; the first correction is small."""
        super().__init__()
        self.point = nn.Linear(6, 64, bias=False)
        self.bias = nn.Linear(context, 64)
        self.encode = nn.Sequential(PointNorm(64), nn.ReLU(), nn.Linear(64, 128, bias=False),
                                    PointNorm(128), nn.ReLU(),
                                    nn.Linear(128, width))
        self.summary = nn.Sequential(nn.Linear(2 * width + context, context), nn.ReLU(),
                                     nn.Linear(context, context), nn.ReLU())
        self.correction = nn.Linear(context, 12)
        nn.init.normal_(self.correction.weight, std=0.01)
        nn.init.zeros_(self.correction.bias)

    def forward(self, points: Tensor, placed: Tensor, context: Tensor) -> tuple[Tensor, Tensor]:
        """Return the (B, N, 3) newly placed points and the (B, context) new context."""
        x = self.point(torch.cat([points, 2.0 * placed], dim=2)) + self.bias(context)[:, None]
        x = self.encode(x)
        pooled = torch.cat([x.max(dim=1).values, x.mean(dim=1), context], dim=1)
        context = self.summary(pooled)
        affine = self.correction(context).float().view(-1, 3, 4)
        with torch.autocast(points.device.type, enabled=False):
            move = points @ affine[:, :, :3].transpose(1, 2) + affine[:, None, :, 3]
        return placed + move, context


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
        context = config.context
        self.category = nn.Embedding(config.categories, context)
        # As small as the rest of the input: at PyTorch's unit scale it drowned the coordinates.
        nn.init.normal_(self.category.weight, std=0.1)
        self.condition = nn.Linear(3, context)
        self.stages = nn.ModuleList(PlacementStage(config.width, context)
                                    for _ in range(config.stages))
        self.point = nn.Linear(6, 128, bias=False)
        self.bias = nn.Linear(context, 128)
        self.feature = nn.Sequential(PointNorm(128), nn.ReLU(), nn.Linear(128, 128, bias=False),
                                     PointNorm(128), nn.ReLU())
        self.guess = nn.Linear(128, 3)
        self.query = nn.Linear(128, config.embedding)
        self.membership = nn.Linear(128, 1)
        self.prior_point = nn.Linear(3, 128)
        self.prior_bias = nn.Linear(context, 128)
        self.prior_feature = nn.Sequential(nn.ReLU(), nn.Linear(128, 128), nn.ReLU())
        self.key = nn.Linear(128, config.embedding)
        self.deform = nn.Linear(128, 3)
        # The prior and the last placement are the best first guesses: start from no change.
        for head in (self.deform, self.guess):
            nn.init.normal_(head.weight, std=1e-3)
            nn.init.zeros_(head.bias)
        # Softmax weight of a squared distance: e^4 = 55 reaches over a tenth of the object.
        self.log_sharpness = nn.Parameter(torch.tensor(4.0))

    def forward(self, points: Tensor, condition: Tensor, category: Tensor) -> SpdLiteOutput:
        """Estimate correspondences and shape.

        Args:
            points: (B, N, 3) normalised points in the view frame.
            condition: (B, 3) what the normalisation took away, see `NormalizedPoints`.
            category: (B,) int64 category index.

        Returns:
            Correspondences, shape and membership.
        """
        context = self.category(category) + self.condition(condition)
        placed = torch.zeros_like(points)
        placements = []
        for stage in self.stages:
            placed, context = stage(points, placed, context)
            placements.append(placed)
        x = self.feature(self.point(torch.cat([points, 2.0 * placed], dim=2))
                         + self.bias(context)[:, None])

        prior = self.prior[category]
        feature = self.prior_feature(self.prior_point(prior) + self.prior_bias(context)[:, None])
        deformation = self.deform(feature)
        # In full precision from here: bfloat16 would quantise the coordinates to 1/256.
        with torch.autocast(points.device.type, enabled=False):
            shape = prior + deformation.float()
            guess = placed + self.guess(x.float())
            assignment = assignment_logits(guess, shape, self.query(x.float()),
                                           self.key(feature.float()), self.log_sharpness.exp())
            nocs = torch.softmax(assignment, dim=2) @ shape
        return SpdLiteOutput(nocs, shape, self.membership(x).squeeze(2), assignment, deformation,
                             guess, torch.stack(placements))


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
