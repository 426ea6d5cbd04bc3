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

import torch
from torch import Tensor, nn

from pose_estimation_ros.networks.category_head import CategoryHead, pointwise_layers
from pose_estimation_ros.networks.pspnet import FEATURE_CHANNELS, PSPNet

PRIOR_POINTS = 1024

_LOCAL = 64
_GLOBAL = 1024


class SPD(nn.Module):
    """The SPD network of 18.3 million parameters, six categories and 1024 prior points."""

    def __init__(self) -> None:
        super().__init__()
        self.psp = PSPNet()
        self.instance_color = pointwise_layers(FEATURE_CHANNELS, _LOCAL)
        self.instance_geometry = pointwise_layers(3, 64, 64, _LOCAL)
        self.instance_global = pointwise_layers(2 * _LOCAL, 128, _GLOBAL)
        self.category_local = pointwise_layers(3, 64, 64, _LOCAL)
        self.category_global = pointwise_layers(_LOCAL, 128, _GLOBAL)
        self.assignment = CategoryHead(2 * _LOCAL + 2 * _GLOBAL, PRIOR_POINTS)
        self.deformation = CategoryHead(_LOCAL + 2 * _GLOBAL, 3)
        self.deformation.start_at_zero()

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
        assignment_logits = self.assignment(
            category, instance_local, torch.cat([instance_global, category_global], dim=1)
        )
        deformation = self.deformation(
            category, category_local, torch.cat([category_global, instance_global], dim=1)
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
