"""ACR-Pose, full size: pose-invariant geometry and relational reconstruction on top of SPD.

Like SPD it predicts how the category's mean shape deforms into the object and which of its
points each observed point is. The geometry of the observed points is described free of their
pose, and graphs relate the points before both are read. The discriminator of its training is in
`discriminator`, and no part of the network that runs.

Chosen where the paper is open (more in `rotation_invariant` and `relational_reconstruction`):
the image branch and the prior's encoder are SPD's; both heads are C-512-256-out with outputs for
six categories, of which each object takes its own, as SPD's: the paper shows one model for six
categories.

Source: Fan et al.: ACR-Pose: Adversarial Canonical Representation Reconstruction Network for
Category Level 6D Object Pose Estimation, arXiv 2111.10524 (spec 1.3).
"""

from __future__ import annotations

from dataclasses import asdict, dataclass

from torch import Tensor, nn

from pose_estimation_ros.networks.category_head import CategoryHead, pointwise_layers
from pose_estimation_ros.networks.pspnet import FEATURE_CHANNELS, PSPNet
from pose_estimation_ros.networks.relational_reconstruction import RelationalReconstruction
from pose_estimation_ros.networks.rotation_invariant import PoseInvariantModule
from pose_estimation_ros.networks.spd import PRIOR_POINTS


@dataclass(frozen=True)
class ACRConfig:
    """The modules of the network; the defaults are the published ones.

    Attributes:
        pose_invariant: Describe the geometry free of its pose; else by SPD's pointwise layers.
        relational_reconstruction: Relate points by graphs; else pointwise layers.
        width: Channels of all features, C, a multiple of 4.
        neighbours: Neighbours of a point in all groups and graphs, K.
        prior_points: Points of a category's mean shape, V.
    """

    pose_invariant: bool = True
    relational_reconstruction: bool = True
    width: int = 64
    neighbours: int = 36
    prior_points: int = PRIOR_POINTS

    def as_dict(self) -> dict[str, bool | int]:
        """Return the values by name, for a checkpoint."""
        return asdict(self)


class ACRNet(nn.Module):
    """The network for six categories."""

    def __init__(self, config: ACRConfig) -> None:
        """Create the network with random weights."""
        super().__init__()
        self.config = config
        width = config.width
        self.psp = PSPNet()
        self.instance_color = pointwise_layers(FEATURE_CHANNELS, width)
        self.instance_geometry = (
            PoseInvariantModule(width, config.neighbours)
            if config.pose_invariant
            else _PointEncoder(width)
        )
        self.prior_encoder = _PointEncoder(width)
        self.relation = RelationalReconstruction(
            width, config.neighbours if config.relational_reconstruction else None
        )
        self.assignment = CategoryHead(width, config.prior_points)
        self.deformation = CategoryHead(width, 3)
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
            points: (B, N, 3) observed points, metres, camera optical frame, N > K.
            image: (B, 3, 192, 192) crop, RGB normalised with ImageNet's mean and deviation.
            pixel_index: (B, N) int64 pixel of each point in the crop, row * 192 + column.
            category: (B,) int64, 0 to 5 in the order of `core.categories`.
            prior: (B, V, 3) the category's mean shape, NOCS coordinates in [-0.5, 0.5].

        Returns:
            Assignment logits (B, N, V), to be softmaxed over the prior's points, and the
            deformation (B, V, 3) in NOCS units.
        """
        geometry = self.instance_geometry(points)
        color = self.instance_color(self.psp(image, pixel_index))
        assignment, deformation = self.relation(geometry, color, self.prior_encoder(prior))
        return self.assignment(category, assignment), self.deformation(category, deformation)


class _PointEncoder(nn.Module):
    """SPD's pointwise layers on coordinates."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.layers = pointwise_layers(3, 64, 64, width)

    def forward(self, points: Tensor) -> Tensor:
        """Map (B, N, 3) to (B, width, N)."""
        features: Tensor = self.layers(points.transpose(1, 2))
        return features
