"""CR-Net `lite`: cascaded relation and recurrent reconstruction, small enough for a CPU.

The method is that of Wang et al., Category-Level 6D Object Pose Estimation via Cascaded Relation
and Recurrent Reconstruction Networks, IROS 2021: geometry and colour are related, then the
instance with its category's prior, and the prior's deformation and the assignment are improved
in recurrent steps. The encoder is ours (`lite_encoder`), and so are two details:

- The published steps multiply raw logits of assignments. Here every step's assignment is a
  softmax, and the next step starts from the coordinates that it gives, so rows stay stochastic.
- In a step the points see where the deformed prior put them, and the prior's points see how far
  it is deformed; each step relates them anew, as the paper describes it.

Without relations and steps it is SPD with the same encoder: the baseline of `docs/ablation.md`.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, fields
from typing import Any, NamedTuple, get_args

import torch
from torch import Tensor, nn

from pose_estimation_ros.networks.choices import check_choices
from pose_estimation_ros.networks.latent_attention import (
    Attention,
    CoordinateFeatures,
    Perceptron,
)
from pose_estimation_ros.networks.lite_encoder import (
    EncoderConfig,
    Encoding,
    LiteEncoder,
    PlacementTruth,
)
from pose_estimation_ros.networks.lite_relation import make_relation
from pose_estimation_ros.networks.relation import RelationKind
from pose_estimation_ros.networks.spd_lite import assignment_logits

FEATURE = 128


@dataclass(frozen=True)
class CRNetLiteConfig:
    """What the network is made of.

    Attributes:
        encoder: Its encoder, with the relation of geometry and colour.
        category_relation: How the instance and its category's prior are related.
        steps: Recurrent steps after the first reconstruction, 0 to 3.
        embedding: Channels in which points and prior points are matched.
    """

    encoder: EncoderConfig = field(
        default_factory=lambda: EncoderConfig(instance_relation='transformer'))
    category_relation: RelationKind = 'transformer'
    steps: int = 2
    embedding: int = 64

    def __post_init__(self) -> None:
        """Check the values.

        Raises:
            ConfigurationError: If one is not among its choices.
        """
        check_choices(self, 'CR-Net lite', {
            'category_relation': get_args(RelationKind), 'steps': (0, 1, 2, 3)})

    def as_dict(self) -> dict[str, Any]:
        """Return everything by name, for a manifest."""
        return asdict(self)

    @classmethod
    def from_dict(cls, plain: dict[str, Any]) -> CRNetLiteConfig:
        """Return the configuration that `as_dict` described."""
        others = {entry.name: plain[entry.name] for entry in fields(cls)
                  if entry.name != 'encoder'}
        return cls(encoder=EncoderConfig(**plain['encoder']), **others)


class Reconstruction(NamedTuple):
    """What one step says of B objects with N observed and V prior points.

    Attributes:
        nocs: (B, N, 3) NOCS coordinates of the observed points.
        shape: (B, V, 3) deformed prior, NOCS coordinates.
        assignment: (B, N, V) logits over the prior points.
        guess: (B, N, 3) NOCS coordinates before the assignment.
    """

    nocs: Tensor
    shape: Tensor
    assignment: Tensor
    guess: Tensor


class LiteOutput(NamedTuple):
    """What a lite network with colour says of B objects.

    Attributes:
        steps: The reconstruction of every step; the last one counts.
        deformation: (B, V, 3) displacement of the prior points after the last step.
        membership: (B, N) logits: the point lies on the object.
        error: (B,) its own estimate of the logarithm of its mean NOCS error.
        encoding: Placements and the choice among them.
    """

    steps: tuple[Reconstruction, ...]
    deformation: Tensor
    membership: Tensor
    error: Tensor
    encoding: Encoding


class CorrespondenceHead(nn.Module):
    """Features of points and prior points to deformation, assignment and coordinates."""

    def __init__(self, embedding: int) -> None:
        """Create the layers; deformation and correction start at nothing."""
        super().__init__()
        self.guess = nn.Linear(FEATURE, 3)
        self.query = nn.Linear(FEATURE, embedding)
        self.key = nn.Linear(FEATURE, embedding)
        self.deform = nn.Linear(FEATURE, 3)
        for head in (self.deform, self.guess):
            nn.init.normal_(head.weight, std=1e-3)
            nn.init.zeros_(head.bias)
        # Softmax weight of a squared distance: e^4 = 55 reaches over a tenth of the object.
        self.log_sharpness = nn.Parameter(torch.tensor(4.0))

    def forward(self, x: Tensor, placed: Tensor, prior: Tensor,
                shape: Tensor) -> Reconstruction:
        """Return the reconstruction.

        Args:
            x: (B, N, 128) features of the observed points.
            placed: (B, N, 3) where they are so far, NOCS coordinates.
            prior: (B, V, 128) features of the prior points.
            shape: (B, V, 3) where those are so far, NOCS coordinates.
        """
        # In full precision from here: bfloat16 would quantise the coordinates to 1/256.
        with torch.autocast(placed.device.type, enabled=False):
            x, prior = x.float(), prior.float()
            shape = shape + self.deform(prior)
            guess = placed + self.guess(x)
            assignment = assignment_logits(guess, shape, self.query(x), self.key(prior),
                                           self.log_sharpness.exp())
            return Reconstruction(torch.softmax(assignment, dim=2) @ shape, shape, assignment,
                                  guess)


class RecurrentStep(nn.Module):
    """Features after a reconstruction, from those before it and what it gave."""

    def __init__(self, relation: RelationKind, heads: int, embedding: int) -> None:
        """Create the layers; they start as no change of the features."""
        super().__init__()
        self.placed = CoordinateFeatures(FEATURE, period=4.0)
        self.shaped = CoordinateFeatures(FEATURE, period=4.0)
        self.points, self.prior = Perceptron(FEATURE), Perceptron(FEATURE)
        self.relation = make_relation(relation, FEATURE, heads)
        self.head = CorrespondenceHead(embedding)

    def forward(self, x: Tensor, prior: Tensor,
                last: Reconstruction) -> tuple[Tensor, Tensor, Reconstruction]:
        """Return new features of points and prior points, and the new reconstruction."""
        x = self.points(x + self.placed(last.nocs))
        prior = self.prior(prior + self.shaped(last.shape))
        x, prior = self.relation(x, prior)
        return x, prior, self.head(x, last.nocs, prior, last.shape)


class CRNetLite(nn.Module):
    """The network; see the module's docstring.

    Inputs are prepared by `backends.point_preparation`, colours by `core.point_colors`.
    """

    prior: Tensor

    def __init__(self, config: CRNetLiteConfig, prior: Tensor) -> None:
        """Create the network.

        Args:
            config: What it is made of.
            prior: (categories, V, 3) mean shape of each category, NOCS coordinates.
        """
        super().__init__()
        self.config = config
        self.register_buffer('prior', prior.float())
        width, heads = config.encoder.width, config.encoder.heads
        self.encoder = LiteEncoder(config.encoder)
        self.decoder = PointDecoder(width, heads)
        self.category_relation = make_relation(config.category_relation, FEATURE, heads)
        self.head = CorrespondenceHead(config.embedding)
        self.steps = nn.ModuleList(
            RecurrentStep(config.category_relation, heads, config.embedding)
            for _ in range(config.steps))
        self.membership = nn.Linear(FEATURE, 1)
        self.error = ErrorHead(width)

    def forward(self, points: Tensor, condition: Tensor, category: Tensor, color: Tensor,
                rank: Tensor | None = None, truth: PlacementTruth | None = None,
                decoded: int | None = None, every: int = 1) -> LiteOutput:
        """Estimate correspondences and shape.

        Args:
            points: (B, N, 3) normalised points in the view frame.
            condition: (B, 3) what the normalisation took away, see `NormalizedPoints`.
            category: (B,) int64 category index.
            color: (B, N, 9) colours around the points, NaN where unknown.
            rank: (B,) int64 which of the offered placements to take: 0 = the likeliest, which
                None means as well.
            truth: In training: of the offered placements the one nearest to it is taken. It
                tells of every `every`-th point.
            decoded: How many of the points, from the first, get coordinates; None = all. In
                training some are enough, since the others are only context.
            every: Of so many points one is encoded, the others are seen in the picture only;
                coordinates are of these, from the first.
        """
        code = self.encoder(points, condition, category, color, rank, truth, every=every)
        if decoded is not None:
            code = code._replace(x=code.x[:, :decoded], placed=code.placed[:, :decoded])
        mean_shape = self.prior[category]
        x, prior = self.decoder(code, mean_shape)
        x, prior = self.category_relation(x, prior)
        reconstructions = [self.head(x, code.placed, prior, mean_shape)]
        for step in self.steps:
            x, prior, last = step(x, prior, reconstructions[-1])
            reconstructions.append(last)
        deformation = reconstructions[-1].shape - mean_shape
        return LiteOutput(tuple(reconstructions), deformation, self.membership(x).squeeze(2),
                          self.error(code.latents, x), code)


class PointDecoder(nn.Module):
    """From the encoding to features of points and prior points, as in `SpdLite`."""

    def __init__(self, width: int, heads: int) -> None:
        """Create the layers."""
        super().__init__()
        self.placed = CoordinateFeatures(width, period=4.0)
        self.read_back = Attention(width, heads)
        self.points = Perceptron(width)
        self.feature = nn.Sequential(nn.LayerNorm(width), nn.Linear(width, FEATURE), nn.ReLU())
        self.prior_point = nn.Linear(3, FEATURE)
        self.prior_bias = nn.Linear(width, FEATURE)
        self.prior_feature = nn.Sequential(nn.ReLU(), nn.Linear(FEATURE, FEATURE), nn.ReLU())

    def forward(self, code: Encoding, mean_shape: Tensor) -> tuple[Tensor, Tensor]:
        """Return (B, N, 128) features of points and (B, V, 128) of the (B, V, 3) prior."""
        x = self.read_back(code.x + self.placed(code.placed), code.latents)
        prior = self.prior_feature(self.prior_point(mean_shape)
                                   + self.prior_bias(code.latents[:, 0])[:, None])
        return self.feature(self.points(x)), prior


class ErrorHead(nn.Module):
    """Judges how wrong the coordinates are, without a say in what they become."""

    def __init__(self, width: int) -> None:
        """Create the layers."""
        super().__init__()
        self.layers = nn.Sequential(nn.LayerNorm(width + 2 * FEATURE),
                                    nn.Linear(width + 2 * FEATURE, 128), nn.ReLU(),
                                    nn.Linear(128, 1))
        nn.init.constant_(self.layers[3].bias, -2.5)

    def forward(self, latents: Tensor, x: Tensor) -> Tensor:
        """Return (B,) logarithms of the mean NOCS error, of (B, K, C) and (B, N, 128)."""
        seen = torch.cat([latents.mean(dim=1), x.mean(dim=1), x.amax(dim=1)], dim=1).detach()
        return self.layers(seen).float().squeeze(1)
