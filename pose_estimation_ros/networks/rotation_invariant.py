"""Features of points that no rotation or translation of their cloud changes (ACR-Pose's PIM).

ACR-Pose's pose-irrelevant module subtracts the centroid and runs four rotation-invariant
convolutions. The paper gives the parts; what it leaves open was chosen so:

- Groups are a point's K = 36 nearest other points, found once in xyz for all layers, without
  subsampling: every point needs a feature, and one search for four layers is cheap. The point
  itself is no member, else it would be its own nearest point and three scalars would be empty.
- Scalars of a point x and a neighbour x_i with the group's mean m, nearest n, farthest f: the
  distances x-x_i, x-m, x-n, x-f, x_i-m; the cosines at x_i of the angles from x to m, n and f,
  and at m of the angle between x and x_i. Cosines are bounded and have no infinite slope, as
  arccos has. Distances are shares of the cloud's largest radius: the pose's scale is found
  later, by alignment, and the same features then serve small and large objects.
- Spherical signals: the radius of x over the largest, and the cosine between x and x_i seen from
  the centroid, after PRIN, whose signals live on a sphere around the centroid.
- The kernel is one weight per neighbour and channel, times a linear map of the neighbour's
  feature, averaged over the group: a matrix per edge, as in PointConv, would be C times the
  memory. Its squeeze-and-excitation gate is the same for a whole cloud, so it is applied to the
  average instead of every edge. Density is not weighted.
- A point has one feature before the first layer, the radius: its coordinates are not invariant.

Repeated points, as sparse clouds are filled up with, are ordinary: a length is the root of the
square plus a square of 1e-4 of the cloud's radius, so a zero one has a cosine (0) and a finite
gradient. Distances and angles are also the same in a mirror; what tells a left from a right
handle must come from elsewhere.

Source: Fan et al.: ACR-Pose, arXiv 2111.10524, section 3 (spec 1.3); Zhang et al.: Rotation
Invariant Convolutions for 3D Point Clouds Deep Learning, 3DV 2019; Hu et al.: Squeeze-and-
Excitation Networks, CVPR 2018; You et al.: Pointwise Rotation-Invariant Network, AAAI 2020.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn

from pose_estimation_ros.networks.point_graphs import gather_neighbours, nearest_neighbours

SCALARS = 11

_SMALLEST_LENGTH = 1e-4
_REDUCTION = 4


class InvariantGroups(NamedTuple):
    """The groups of all points of B clouds; only `radius` is a feature of single points.

    Attributes:
        neighbours: (B, N, K) int64, the members of each point's group.
        scalars: (B, N, K, 11) the scalars and signals of each member.
        radius: (B, N, 1) distance from the centroid over the largest of the cloud.
    """

    neighbours: Tensor
    scalars: Tensor
    radius: Tensor


def invariant_groups(points: Tensor, count: int) -> InvariantGroups:
    """Return the points' groups and the scalars that describe them.

    Args:
        points: (B, N, 3), any unit and frame, N > count.
        count: Members of a group, K; the point itself is none.
    """
    # Half precision is too coarse for the small lengths within a group.
    with torch.autocast(points.device.type, enabled=False):
        points = points if points.dtype == torch.float64 else points.float()
        points = points - points.mean(dim=1, keepdim=True)
        largest = points.square().sum(dim=2).amax(dim=1).clamp_min(1e-12).sqrt()
        points = points / largest[:, None, None]
        neighbours = nearest_neighbours(points, count + 1)[..., 1:]
        member = gather_neighbours(points, neighbours)
        own = points[:, :, None]
        mean = member.mean(dim=2, keepdim=True)
        to_own, to_mean = own - member, mean - member
        to_nearest, to_farthest = member[:, :, :1] - member, member[:, :, -1:] - member
        own_from_mean = own - mean
        length_own, length_mean = _length(to_own), _length(to_mean)
        length_from_mean = _length(own_from_mean)
        radius = _length(own)
        member_radius = _length(member)
        scalars = torch.cat([
            length_own,
            length_from_mean.expand_as(length_own),
            length_own[:, :, :1].expand_as(length_own),
            length_own[:, :, -1:].expand_as(length_own),
            length_mean,
            _cosine(to_own, to_mean, length_own, length_mean),
            _cosine(to_own, to_nearest, length_own, _length(to_nearest)),
            _cosine(to_own, to_farthest, length_own, _length(to_farthest)),
            _cosine(own_from_mean, -to_mean, length_from_mean, length_mean),
            radius.expand_as(length_own),
            _cosine(own, member, radius, member_radius),
        ], dim=3)
        return InvariantGroups(neighbours, scalars, radius[:, :, 0])


class RotationInvariantConvolution(nn.Module):
    """One layer: neighbours' features weighted by where they lie in the group."""

    def __init__(self, in_channels: int, out_channels: int, hidden: int = 32) -> None:
        """Create the layer; `hidden` is the width between scalars and weights."""
        super().__init__()
        self.weights = nn.Sequential(
            nn.Linear(SCALARS, hidden), nn.ReLU(), nn.Linear(hidden, out_channels)
        )
        self.gate = nn.Sequential(
            nn.Linear(out_channels, out_channels // _REDUCTION), nn.ReLU(),
            nn.Linear(out_channels // _REDUCTION, out_channels), nn.Sigmoid(),
        )
        self.lift = nn.Linear(in_channels, out_channels)
        self.mix = nn.Linear(out_channels, out_channels, bias=False)
        self.norm = nn.BatchNorm1d(out_channels)

    def forward(self, rows: Tensor, groups: InvariantGroups) -> Tensor:
        """Map (B, N, C_in) to (B, N, C_out)."""
        weights = self.weights(groups.scalars)
        gate = self.gate(weights.mean(dim=(1, 2)))
        members = gather_neighbours(self.lift(rows), groups.neighbours)
        # Divided after the sum, the mean's gradient is spread over the members only once.
        average = (weights * members).sum(dim=2) / members.shape[2]
        mixed = self.mix(average * gate[:, None])
        return self.norm(mixed.flatten(0, 1)).relu().reshape(-1, *mixed.shape[1:])


class PoseInvariantModule(nn.Module):
    """The four convolutions over one set of groups."""

    def __init__(
        self, width: int = 64, neighbours: int = 36, layers: int = 4, hidden: int = 32
    ) -> None:
        """Create the layers.

        Args:
            width: Channels of every layer, a multiple of 4.
            neighbours: Members of a group, K.
            layers: Number of convolutions.
            hidden: Width between scalars and weights.
        """
        super().__init__()
        self.neighbours = neighbours
        self.layers = nn.ModuleList(
            RotationInvariantConvolution(width if number else 1, width, hidden)
            for number in range(layers)
        )

    def forward(self, points: Tensor) -> Tensor:
        """Map (B, N, 3) points, any unit and frame, to features (B, width, N)."""
        groups = invariant_groups(points, self.neighbours)
        rows = groups.radius
        for layer in self.layers:
            rows = layer(rows, groups)
        return rows.transpose(1, 2)


def _length(vector: Tensor) -> Tensor:
    """Return the lengths (..., 1) of vectors (..., 3), none quite zero."""
    return (vector.square().sum(dim=-1, keepdim=True) + _SMALLEST_LENGTH**2).sqrt()


def _cosine(first: Tensor, second: Tensor, first_length: Tensor, second_length: Tensor) -> Tensor:
    """Return the cosines (..., 1) of the angles between vectors (..., 3)."""
    return (first * second).sum(dim=-1, keepdim=True) / (first_length * second_length)
