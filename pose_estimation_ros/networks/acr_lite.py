"""ACR-Pose `lite`: pose-invariant features, relational graphs, adversarial training, for a CPU.

The method is that of Fan et al., ACR-Pose: Adversarial Canonical Representation Reconstruction
Network for Category Level 6D Object Pose Estimation, ICMR 2022 (arXiv 2111.10524): features that
no rotation changes join those of the image, graphs of neighbours in feature space relate points
with the instance's and the category's global features, and a discriminator judges the coordinates
in training. Smaller than the published form are widths, neighbours and the number of rotation-
invariant layers (two of four); the encoder is that of all lite networks (`lite_encoder`), which
knows the points' places as well: a placement needs them.

The graphs' convolutions are linear up to their maximum, so it is taken of one gathered tensor
and not of one per edge; there is no batch normalisation in them.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, fields
from typing import Any, get_args

import torch
from torch import Tensor, nn
from torch.nn import functional

from pose_estimation_ros.networks.choices import check_choices
from pose_estimation_ros.networks.crnet_lite import (
    FEATURE,
    CorrespondenceHead,
    ErrorHead,
    LiteOutput,
    PointDecoder,
)
from pose_estimation_ros.networks.lite_encoder import (
    EncoderConfig,
    LiteEncoder,
    PlacementTruth,
    Switch,
    scaled_neighbours,
)
from pose_estimation_ros.networks.point_graphs import (
    SLOPE,
    nearest_neighbours,
    neighbour_maximum,
)
from pose_estimation_ros.networks.rotation_invariant import (
    RotationInvariantConvolution,
    invariant_groups,
)

_INVARIANT, _INVARIANT_LAYERS, _INVARIANT_HIDDEN = 32, 2, 16
_GRAPH = 64


@dataclass(frozen=True)
class ACRLiteConfig:
    """What the network is made of.

    Attributes:
        encoder: Its encoder.
        pose_invariant: 'on' with the pose-irrelevant module, 'off' without.
        relational: 'on' with the relational graphs, 'off' without.
        embedding: Channels in which points and prior points are matched.
    """

    encoder: EncoderConfig = field(default_factory=EncoderConfig)
    pose_invariant: Switch = 'on'
    relational: Switch = 'on'
    embedding: int = 64

    def __post_init__(self) -> None:
        """Check the values.

        Raises:
            ConfigurationError: If one is not among its choices.
        """
        check_choices(self, 'ACR-Pose lite', {
            'pose_invariant': get_args(Switch), 'relational': get_args(Switch)})

    def as_dict(self) -> dict[str, Any]:
        """Return everything by name, for a manifest."""
        return asdict(self)

    @classmethod
    def from_dict(cls, plain: dict[str, Any]) -> ACRLiteConfig:
        """Return the configuration that `as_dict` described."""
        others = {entry.name: plain[entry.name] for entry in fields(cls)
                  if entry.name != 'encoder'}
        return cls(encoder=EncoderConfig(**plain['encoder']), **others)


class InvariantFeatures(nn.Module):
    """Features of the points that do not depend on the object's pose; they start as nothing."""

    def __init__(self, width: int) -> None:
        """Create the layers; `width` channels come out."""
        super().__init__()
        self.layers = nn.ModuleList(
            RotationInvariantConvolution(_INVARIANT if number else 1, _INVARIANT,
                                         _INVARIANT_HIDDEN)
            for number in range(_INVARIANT_LAYERS))
        self.out = nn.Linear(_INVARIANT, width)
        nn.init.zeros_(self.out.weight)
        nn.init.zeros_(self.out.bias)

    def forward(self, points: Tensor) -> Tensor:
        """Map (B, N, 3) points to (B, N, C)."""
        groups = invariant_groups(points, scaled_neighbours(points.shape[1]))
        rows = groups.radius
        for layer in self.layers:
            rows = layer(rows, groups)
        answer: Tensor = self.out(rows)
        return answer


class GraphRelation(nn.Module):
    """One relational graph: neighbours in feature space, told what both sets are as a whole.

    The answer is added to the features, and starts as nothing.
    """

    def __init__(self) -> None:
        """Create the layers."""
        super().__init__()
        self.norm = nn.LayerNorm(FEATURE)
        self.own = nn.Linear(FEATURE, _GRAPH)
        self.globals = nn.Linear(2 * FEATURE, _GRAPH)
        self.center, self.difference = (nn.Linear(_GRAPH, _GRAPH) for _ in range(2))
        self.out = nn.Linear(_GRAPH, FEATURE)
        nn.init.zeros_(self.out.weight)
        nn.init.zeros_(self.out.bias)

    def forward(self, rows: Tensor, wholes: Tensor) -> Tensor:
        """Relate (B, N, C) rows, given (B, 2 C) global features of instance and category."""
        lifted = functional.leaky_relu(self.own(self.norm(rows)) + self.globals(wholes)[:, None],
                                       SLOPE)
        neighbours = nearest_neighbours(lifted, scaled_neighbours(rows.shape[1]))
        other = self.difference(lifted)
        # max over j of A x_i + B (x_j - x_i): only B x_j depends on the neighbour.
        edge = self.center(lifted) - other + neighbour_maximum(other, neighbours)
        answer: Tensor = rows + self.out(functional.leaky_relu(edge, SLOPE))
        return answer


class ACRLite(nn.Module):
    """The network; see the module's docstring.

    Inputs are prepared by `backends.point_preparation`, colours by `core.point_colors`.
    """

    prior: Tensor

    def __init__(self, config: ACRLiteConfig, prior: Tensor) -> None:
        """Create the network.

        Args:
            config: What it is made of.
            prior: (categories, V, 3) mean shape of each category, NOCS coordinates.
        """
        super().__init__()
        self.config = config
        self.register_buffer('prior', prior.float())
        width, heads = config.encoder.width, config.encoder.heads
        self.invariant = InvariantFeatures(width) if config.pose_invariant == 'on' else None
        self.encoder = LiteEncoder(config.encoder)
        self.decoder = PointDecoder(width, heads)
        # Of the instance, then those that lead to assignment and deformation.
        self.graphs = (nn.ModuleDict({name: GraphRelation() for name in (
            'instance', 'assignment', 'deformation')}) if config.relational == 'on' else None)
        self.head = CorrespondenceHead(config.embedding)
        self.membership = nn.Linear(FEATURE, 1)
        self.error = ErrorHead(width)

    def forward(self, points: Tensor, condition: Tensor, category: Tensor, color: Tensor,
                rank: Tensor | None = None, truth: PlacementTruth | None = None,
                every: int = 1) -> LiteOutput:
        """Estimate correspondences and shape; arguments as of `CRNetLite.forward`."""
        extra = None if self.invariant is None else self.invariant(points[:, ::every])
        code = self.encoder(points, condition, category, color, rank, truth, extra, every)
        mean_shape = self.prior[category]
        x, prior = self.decoder(code, mean_shape)
        if self.graphs is not None:
            wholes = torch.cat([x.mean(dim=1), prior.mean(dim=1)], dim=1)
            x = self.graphs['instance'](x, wholes)
            wholes = torch.cat([x.mean(dim=1), prior.mean(dim=1)], dim=1)
            x = self.graphs['assignment'](x, wholes)
            prior = self.graphs['deformation'](prior, wholes)
        last = self.head(x, code.placed, prior, mean_shape)
        return LiteOutput((last,), last.shape - mean_shape, self.membership(x).squeeze(2),
                          self.error(code.latents, x), code)
