"""Shape prior deformation, the published network (`full`).

From an object's colour crop, its depth points and its category's mean shape it predicts how
that shape deforms into the object, and which point of the shape each observed point is. Both
together give every observed point its NOCS coordinates.

Layer names are those of the published checkpoints; the arithmetic is arranged to skip what
cannot matter: only the category's own rows of the last layers are computed, and what is the
same for all points of an object is multiplied once.

Source: Tian, Ang, Lee: Shape Prior Deformation for Categorical 6D Object Pose and Size
Estimation, ECCV 2020 (spec 1.1).
"""

from __future__ import annotations

from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pose_estimation_ros.networks.pspnet import FEATURE_CHANNELS, PSPNet

CATEGORY_COUNT = 6
PRIOR_POINTS = 1024

_LOCAL = 64
_GLOBAL = 1024


class SPD(nn.Module):
    """The SPD network of 18.3 million parameters, six categories and 1024 prior points."""

    def __init__(self) -> None:
        super().__init__()
        self.psp = PSPNet()
        self.instance_color = _pointwise_layers(FEATURE_CHANNELS, _LOCAL, last_relu=True)
        self.instance_geometry = _pointwise_layers(3, 64, 64, _LOCAL, last_relu=True)
        self.instance_global = _pointwise_layers(2 * _LOCAL, 128, _GLOBAL, last_relu=True)
        self.category_local = _pointwise_layers(3, 64, 64, _LOCAL, last_relu=True)
        self.category_global = _pointwise_layers(_LOCAL, 128, _GLOBAL, last_relu=True)
        self.assignment = _pointwise_layers(
            2 * _LOCAL + 2 * _GLOBAL, 512, 256, CATEGORY_COUNT * PRIOR_POINTS, last_relu=False
        )
        self.deformation = _pointwise_layers(
            _LOCAL + 2 * _GLOBAL, 512, 256, CATEGORY_COUNT * 3, last_relu=False
        )
        # The shape starts as the prior.
        nn.init.normal_(self.deformation[4].weight, std=1e-4)

    def forward(
        self,
        points: Tensor,
        image: Tensor,
        pixel_index: Tensor,
        category: Tensor,
        prior: Tensor,
    ) -> tuple[Tensor, Tensor]:
        """Predict correspondences and the deformation of the prior.

        Args:
            points: (B, N, 3) observed points, metres, camera optical frame, not centred.
            image: (B, 3, 192, 192) crop, RGB normalised with ImageNet's mean and deviation.
            pixel_index: (B, N) int64 pixel of each point in the crop, row * 192 + column.
            category: (B,) int64, 0 to 5 in the order of `core.categories`.
            prior: (B, 1024, 3) the category's mean shape, NOCS coordinates in [-0.5, 0.5].

        Returns:
            Assignment logits (B, N, 1024), to be softmaxed over the prior's points, and the
            deformation (B, 1024, 3) in NOCS units.
        """
        color = self.instance_color(self.psp(image, pixel_index))
        geometry = self.instance_geometry(points.transpose(1, 2))
        instance_local = torch.cat([geometry, color], dim=1)
        instance_global = self.instance_global(instance_local).mean(dim=2, keepdim=True)
        category_local = self.category_local(prior.transpose(1, 2))
        category_global = self.category_global(category_local).mean(dim=2, keepdim=True)

        # The order of the two global features differs between the heads.
        assignment_logits = _head(
            self.assignment,
            instance_local,
            torch.cat([instance_global, category_global], dim=1),
            category,
        )
        deformation = _head(
            self.deformation,
            category_local,
            torch.cat([category_global, instance_global], dim=1),
            category,
        )
        return assignment_logits, deformation


def reconstruct(
    assignment_logits: Tensor, deformation: Tensor, prior: Tensor
) -> tuple[Tensor, Tensor]:
    """Return the observed points' NOCS coordinates (B, N, 3) and the object's shape (B, V, 3).

    Args:
        assignment_logits: (B, N, V).
        deformation: (B, V, 3), NOCS units.
        prior: (B, V, 3), NOCS coordinates.
    """
    shape = prior + deformation
    return assignment_logits.softmax(dim=2) @ shape, shape


def _pointwise_layers(*widths: int, last_relu: bool) -> nn.Sequential:
    """Return 1x1 convolutions of the given widths with ReLU between (and after the last)."""
    layers: list[nn.Module] = []
    for in_channels, out_channels in pairwise(widths):
        layers += [nn.Conv1d(in_channels, out_channels, 1), nn.ReLU()]
    return nn.Sequential(*(layers if last_relu else layers[:-1]))


def _head(layers: nn.Sequential, local: Tensor, shared: Tensor, category: Tensor) -> Tensor:
    """Run a head on [local, shared] features and return its rows of the own category.

    Args:
        layers: Three pointwise layers; the output channels of the last are grouped by category.
        local: (B, C, P) features of each point.
        shared: (B, S, 1) features that all points of an object share.
        category: (B,) int64.

    Returns:
        (B, P, output channels / categories).
    """
    first, last = layers[0], layers[4]
    weight = first.weight.split([local.shape[1], shared.shape[1]], dim=1)
    hidden = F.conv1d(local, weight[0]) + F.conv1d(shared, weight[1], first.bias)
    hidden = layers[2](hidden.relu()).relu()
    own_weight = last.weight.reshape(CATEGORY_COUNT, -1, last.in_channels)[category]
    own_bias = last.bias.reshape(CATEGORY_COUNT, -1)[category]
    return hidden.transpose(1, 2) @ own_weight.transpose(1, 2) + own_bias[:, None]
