"""SPD `lite`: shape prior deformation from points alone, small enough for a CPU.

The method is SPD's (Tian et al., ECCV 2020, section 3): a category's shape prior is deformed
towards the observed instance, and an assignment matrix gives every observed point its place on
the deformed shape, which is its NOCS coordinate. The encoders are ours: no colour, so nothing
of a synthetic image's appearance can be over-learnt; local geometry by edge convolutions over
nearest neighbours with a global feature in each block.

Two additions make it learn in an hour on two cores. First, half-way and at the end an affine
map into the canonical frame is predicted for the object as a whole and applied to its points
(`Placement`): turning points by a rotation that depends on all of them is a product of two
learnt quantities, which pointwise layers approximate only slowly. Second, the assignment is
geometric: prior points that lie, after deformation, near a point's guessed place are preferred,
and learnt features shift the preference; a plain product of features starts as a uniform softmax
over all prior points. A further head says which points belong to the object at all, because a
detector's masks bleed.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from pose_estimation_ros.networks.neighbor_max import neighbor_max


# Centres the input: an object's radius is about 6 cm.
_TYPICAL_LOG_RADIUS = -2.8


@dataclass(frozen=True)
class SpdLiteConfig:
    """The sizes of the network.

    Attributes:
        categories: Number of categories.
        width: Channels per point.
        blocks: Edge-convolution blocks.
        neighbors: Neighbours per point.
        dilation: Every how manieth of the nearest points is a neighbour: depth noise is as large
            as the spacing of the very nearest.
        global_width: Channels of the object's global feature.
        embedding: Channels in which points and prior points are matched.
    """

    categories: int = 6
    width: int = 128
    blocks: int = 4
    neighbors: int = 12
    dilation: int = 3
    global_width: int = 256
    embedding: int = 96

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
        coarse: (B, N, 3) NOCS coordinates by the half-way affine map alone.
    """

    nocs: Tensor
    shape: Tensor
    membership: Tensor
    assignment: Tensor
    deformation: Tensor
    guess: Tensor
    coarse: Tensor


class PointNorm(nn.BatchNorm1d):
    """Batch normalisation of (B, N, C) features over all points of all objects.

    Layer normalisation would take the length of each point's features away, which is where the
    coordinates are; with it this network learnt several times more slowly.
    """

    def forward(self, x: Tensor) -> Tensor:
        """Normalise each channel."""
        return super().forward(x.reshape(-1, x.shape[2])).view(x.shape)


class EdgeBlock(nn.Module):
    """One residual block: neighbours, the whole object, then a pointwise feed-forward.

    The edge function is linear, `W1 x_i + W2 (x_j - x_i)`, so the maximum over the neighbours
    can be taken before the point's own part is added: one matrix product per point in place of
    one per edge (DGCNN, Wang et al. 2019, equation 8, without its inner nonlinearity).
    """

    def __init__(self, width: int) -> None:
        """Create the block's layers."""
        super().__init__()
        self.norm = PointNorm(width)
        self.own = nn.Linear(width, width)
        self.neighbor = nn.Linear(width, width, bias=False)
        self.whole = nn.Linear(2 * width, width, bias=False)
        self.mix = nn.Linear(width, width)
        self.feed_norm = PointNorm(width)
        self.feed = nn.Sequential(nn.Linear(width, 2 * width), nn.ReLU(),
                                  nn.Linear(2 * width, width))

    def forward(self, x: Tensor, neighbors: Tensor) -> Tensor:
        """Map (B, N, C) features with (B, N, k) neighbour indices to (B, N, C) features."""
        normed = self.norm(x)
        nearby = neighbor_max(self.neighbor(normed), neighbors)
        whole = self.whole(torch.cat([normed.max(dim=1).values, normed.mean(dim=1)], dim=1))
        x = x + self.mix(functional.relu(self.own(normed) + nearby + whole[:, None]))
        return x + self.feed(self.feed_norm(x))


class Placement(nn.Module):
    """Predicts one affine map per object and moves the object's points into NOCS coordinates."""

    def __init__(self, width: int, hidden: int) -> None:
        """Create the layers; the map starts small so that the first guesses lie in the middle."""
        super().__init__()
        self.norm = PointNorm(width)
        self.map = nn.Sequential(nn.Linear(2 * width, hidden), nn.ReLU(),
                                 nn.Linear(hidden, hidden), nn.ReLU(), nn.Linear(hidden, 12))
        nn.init.normal_(self.map[-1].weight, std=0.01)
        nn.init.zeros_(self.map[-1].bias)

    def forward(self, x: Tensor, points: Tensor) -> Tensor:
        """Return (B, N, 3) NOCS coordinates of (B, N, 3) points with (B, N, C) features."""
        normed = self.norm(x)
        summary = torch.cat([normed.max(dim=1).values, normed.mean(dim=1)], dim=1)
        affine = self.map(summary).float().view(-1, 3, 4)
        with torch.autocast(points.device.type, enabled=False):
            return points @ affine[:, :, :3].transpose(1, 2) + affine[:, None, :, 3]


class SpdLite(nn.Module):
    """The network; see the module's docstring.

    Inputs are prepared by `backends.point_preparation`: points centred, turned to the viewing
    ray and divided by their radius.
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
        width, wide = config.width, config.global_width
        self.local = nn.Sequential(nn.Linear(4, 48), nn.ReLU())
        self.category = nn.Embedding(config.categories, width)
        # As small as the rest of the input: at PyTorch's unit scale it drowned the coordinates.
        nn.init.normal_(self.category.weight, std=0.1)
        self.stem = nn.Linear(3 + 48 + 1, width)
        self.blocks = nn.ModuleList(EdgeBlock(width) for _ in range(config.blocks))
        self.half_way = Placement(width, wide)
        self.placed = nn.Linear(3, width)
        self.final = Placement(width, wide)
        self.norm = PointNorm(width)
        self.summary = nn.Sequential(nn.Linear(2 * width, wide), nn.ReLU(), nn.Linear(wide, wide))
        self.query = nn.Sequential(nn.Linear(width, width), nn.ReLU(),
                                   nn.Linear(width, config.embedding))
        self.guess = nn.Sequential(nn.Linear(width, width), nn.ReLU(), nn.Linear(width, 3))
        # Softmax weight of a squared distance: e^3.5 = 33 reaches over a tenth of the object.
        self.log_sharpness = nn.Parameter(torch.tensor(3.5))
        self.membership = nn.Sequential(nn.Linear(width, 32), nn.ReLU(), nn.Linear(32, 1))
        self.prior_point = nn.Sequential(nn.Linear(3, 64), nn.ReLU(), nn.Linear(64, width))
        self.prior_context = nn.Linear(wide, width)
        self.prior_feature = nn.Sequential(nn.ReLU(), nn.Linear(width, width), nn.ReLU())
        self.key = nn.Linear(width, config.embedding)
        self.deform = nn.Linear(width, 3)
        # The prior is the best first guess: start from no deformation.
        nn.init.normal_(self.deform.weight, std=1e-3)
        nn.init.zeros_(self.deform.bias)

    def forward(self, points: Tensor, log_radius: Tensor, category: Tensor) -> SpdLiteOutput:
        """Estimate correspondences and shape.

        Args:
            points: (B, N, 3) normalised points in the ray frame.
            log_radius: (B, 1) natural logarithm of the radius in metres that was divided out.
            category: (B,) int64 category index.

        Returns:
            Correspondences, shape and membership.
        """
        neighbors = nearest_neighbors(points, self.config.neighbors, self.config.dilation)
        x = torch.cat([points, self._local_shape(points, neighbors),
                       (log_radius[:, None] - _TYPICAL_LOG_RADIUS).expand(
                           -1, points.shape[1], -1)], dim=2)
        x = self.stem(x) + self.category(category)[:, None]
        half = len(self.blocks) // 2
        for block in self.blocks[:half]:
            x = block(x, neighbors)
        coarse = self.half_way(x, points)
        x = x + self.placed(4.0 * coarse)
        for block in self.blocks[half:]:
            x = block(x, neighbors)
        placed = self.final(x, points)
        x = self.norm(x)
        whole = self.summary(torch.cat([x.max(dim=1).values, x.mean(dim=1)], dim=1))

        prior = self.prior[category]
        feature = self.prior_point(prior) + (
            self.prior_context(whole) + self.category(category))[:, None]
        feature = self.prior_feature(feature)
        deformation = self.deform(feature)
        shape = prior + deformation
        guess = placed + self.guess(x).float()
        affinity = self.query(x) @ self.key(feature).transpose(1, 2)
        # In full precision from here: bfloat16 would quantise the coordinates to 1/256.
        with torch.autocast(points.device.type, enabled=False):
            shape = shape.float()
            assignment = affinity.float() - self.log_sharpness.exp() * squared_distances(
                guess, shape)
            nocs = torch.softmax(assignment, dim=2) @ shape
        return SpdLiteOutput(nocs, shape, self.membership(x).squeeze(2), assignment, deformation,
                             guess, coarse)

    def _local_shape(self, points: Tensor, neighbors: Tensor) -> Tensor:
        """Return (B, N, 48) features of each point's neighbourhood, relative to the point."""
        batch, number, k = neighbors.shape
        index = neighbors.reshape(batch, number * k, 1).expand(-1, -1, 3)
        relative = points.gather(1, index).view(batch, number, k, 3) - points[:, :, None]
        distance = relative.square().sum(dim=3, keepdim=True).clamp_min(1e-12).sqrt()
        edges = torch.cat([relative, distance], dim=3) * 4.0
        return self.local(edges).max(dim=2).values


def nearest_neighbors(points: Tensor, number: int, dilation: int) -> Tensor:
    """Return the (B, N, number) int64 indices of every `dilation`-th nearest point, itself first.

    Args:
        points: (B, N, 3), N at least `number * dilation`.
        number: Neighbours per point.
        dilation: 1 takes the nearest ones.
    """
    with torch.no_grad(), torch.autocast(points.device.type, enabled=False):
        nearest = squared_distances(points, points).topk(number * dilation, dim=2, largest=False)
        return nearest.indices[:, :, ::dilation]


def squared_distances(a: Tensor, b: Tensor) -> Tensor:
    """Return the (B, N, V) squared distances between (B, N, 3) and (B, V, 3) points."""
    return (a.square().sum(dim=2)[:, :, None] + b.square().sum(dim=2)[:, None]
            - 2.0 * a @ b.transpose(1, 2))
