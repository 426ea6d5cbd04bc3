"""CR-Net, the published network (`full`): cascaded relation and recurrent reconstruction.

On top of shape prior deformation it relates an object's shape with its colours, and the object
with its category, and then corrects its answer in steps: each step looks at the shape deformed so
far, adds to the deformation and multiplies the correspondences by a matrix of its own.

The default is the network as its authors released it, with their layer names. `CRNetConfig` has
the variants of the paper's ablation, the recurrence as the paper describes it, and products of
probabilities instead of logits, which keep every row of the assignment a distribution.

The arithmetic gives the published results with less work: only the own category's rows of the
heads are computed; what all points share is multiplied once; and since every matrix of logits is
a product of 257 columns, matrices are multiplied in that form and only the last one is formed.

Source: Wang, Chen, Dou: Category-Level 6D Object Pose Estimation via Cascaded Relation and
Recurrent Reconstruction Networks, IROS 2021, section III; the released weights (spec 1.2).
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, get_args

import torch
from torch import Tensor, nn

from pose_estimation_ros.core.errors import InvalidInputError
from pose_estimation_ros.networks.category_head import (
    CategoryHead,
    FactoredMatrix,
    pointwise_layers,
)
from pose_estimation_ros.networks.choices import check_choices
from pose_estimation_ros.networks.pspnet import FEATURE_CHANNELS, PSPNet
from pose_estimation_ros.networks.relation import RelationKind, relation_block
from pose_estimation_ros.networks.spd import PRIOR_POINTS

Recurrence = Literal['released', 'paper']
AssignmentRows = Literal['logits', 'probabilities']

MOST_STEPS = 3

_LOCAL = 64
_GLOBAL = 1024
_RELATED = 128
# An untrained step keeps about this share of an assignment where it is.
_KEPT_SHARE = 0.95
_LEAST_PROBABILITY = 1e-12


@dataclass(frozen=True)
class CRNetConfig:
    """Which CR-Net; the default is the released one.

    Attributes:
        instance_relation: Between an object's shape and its colours.
        category_relation: Between the object and its category; 'none' = SPD's pooled features.
        steps: Steps after the first answer, 0 to 3.
        recurrence: 'released': a step sees the features of the deformed shape beside the first
            ones. 'paper': it relates the object with the deformed shape anew, with the same
            weights.
        assignment: What the steps multiply: 'logits' as published, softmaxed after the last
            one, or 'probabilities', softmaxed before each product, so that rows sum to one. An
            untrained step then leaves the assignment nearly as it is.
        points: Points of the observation, and of the priors.
    """

    instance_relation: RelationKind = 'transformer'
    category_relation: RelationKind = 'transformer'
    steps: int = 2
    recurrence: Recurrence = 'released'
    assignment: AssignmentRows = 'logits'
    points: int = PRIOR_POINTS

    def __post_init__(self) -> None:
        """Check the values.

        Raises:
            ConfigurationError: If one is not among its choices.
        """
        check_choices(self, 'CR-Net', {
            'instance_relation': get_args(RelationKind),
            'category_relation': get_args(RelationKind),
            'steps': tuple(range(MOST_STEPS + 1)),
            'recurrence': get_args(Recurrence),
            'assignment': get_args(AssignmentRows)})


# What the heads see: features of each point, and those that all points share, if any.
_HeadInput = tuple[Tensor, Tensor | None]


class CRNet(nn.Module):
    """CR-Net of six categories; the released one has 21.4 million parameters."""

    def __init__(self, config: CRNetConfig | None = None) -> None:
        """Create the layers; without a configuration those of the released network."""
        super().__init__()
        self.config = config = config or CRNetConfig()
        self.psp = PSPNet()
        self.instance_color = pointwise_layers(FEATURE_CHANNELS, _LOCAL)
        self.instance_geometry = pointwise_layers(3, 64, 64, _LOCAL)
        self.category_local = pointwise_layers(3, 64, 64, _LOCAL)
        self.transformer64 = relation_block(config.instance_relation, _LOCAL)
        self.transformer128 = relation_block(config.category_relation, _RELATED)
        if self.transformer128 is None:
            self.instance_global = pointwise_layers(2 * _LOCAL, 128, _GLOBAL)
            self.category_global = pointwise_layers(_LOCAL, 128, _GLOBAL)
            widths = 2 * _LOCAL + 2 * _GLOBAL, _LOCAL + 2 * _GLOBAL
        else:
            self.instance_global = pointwise_layers(2 * _LOCAL, _RELATED)
            self.category_global = pointwise_layers(_LOCAL, _RELATED)
            widths = _RELATED, _RELATED
        self._add_heads('', *widths)
        for step in range(config.steps):
            if config.recurrence == 'released':
                self.add_module(f'category_local{step}', pointwise_layers(3, 64, 64, _LOCAL))
                self.add_module(f'category_global{step}', pointwise_layers(_LOCAL, _RELATED))
                widths = widths[0] + _RELATED, widths[1] + _RELATED
            self._add_heads(str(step), *widths)

    def forward(self, points: Tensor, image: Tensor, pixel_index: Tensor, category: Tensor,
                prior: Tensor) -> tuple[tuple[Tensor, Tensor], ...]:
        """Predict correspondences and deformation, first and after every step.

        Args:
            points: (B, N, 3) observed points, metres, camera optical frame, not centred.
            image: (B, 3, 192, 192) crop, RGB normalised with ImageNet's mean and deviation.
            pixel_index: (B, N) int64 pixel of each point in the crop, row * 192 + column.
            category: (B,) int64, 0 to 5 in the order of `core.categories`.
            prior: (B, V, 3) the category's mean shape, NOCS coordinates in [-0.5, 0.5]. With
                steps N must be V.

        Returns:
            For each stage the assignment logits (B, N, V), to be softmaxed over the prior's
            points, and the deformation of the prior (B, V, 3), NOCS units.

        Raises:
            InvalidInputError: If there are steps and N is not V.
        """
        stages = self._stages(points, image, pixel_index, category, prior)
        return tuple((_logits(matrix), deformation) for matrix, deformation in stages)

    def last_stage(self, points: Tensor, image: Tensor, pixel_index: Tensor, category: Tensor,
                   prior: Tensor) -> tuple[Tensor, Tensor]:
        """Return the logits and deformation of the last stage alone; see `forward`."""
        *_, (matrix, deformation) = self._stages(points, image, pixel_index, category, prior)
        return _logits(matrix), deformation

    def _stages(self, points: Tensor, image: Tensor, pixel_index: Tensor, category: Tensor,
                prior: Tensor) -> Iterator[tuple[FactoredMatrix | Tensor, Tensor]]:
        self._check_points(points, prior)
        instance = self._instance(points, image, pixel_index)
        inputs = self._head_inputs(instance, prior)
        matrix = self._matrix('assignment', category, inputs[0])
        deformation = self.deformation(category, *inputs[1])
        yield matrix, deformation
        for step in range(self.config.steps):
            shape = prior + deformation
            if self.config.recurrence == 'paper':
                inputs = self._head_inputs(instance, shape)
            else:
                local = self.get_submodule(f'category_local{step}')(shape.transpose(1, 2))
                deformed = self.get_submodule(f'category_global{step}')(local)
                inputs = _beside(deformed, inputs[0]), _beside(deformed, inputs[1])
            matrix = matrix @ self._matrix(f'assignment{step}', category, inputs[0])
            head = self.get_submodule(f'deformation{step}')
            deformation = deformation + head(category, *inputs[1])
            yield matrix, deformation

    def _instance(self, points: Tensor, image: Tensor, pixel_index: Tensor) -> Tensor:
        """Return (B, 128, N) features of the observed points' shape and colour."""
        geometry = self.instance_geometry(points.transpose(1, 2))
        color = self.instance_color(self.psp(image, pixel_index))
        if self.transformer64 is not None:
            from_color, from_geometry = self.transformer64(geometry, color)
            geometry, color = geometry + from_color, color + from_geometry
        return torch.cat([geometry, color], dim=1)

    def _head_inputs(self, instance: Tensor, shape: Tensor) -> tuple[_HeadInput, _HeadInput]:
        """Return what the assignment and the deformation head see of object and shape."""
        category_local = self.category_local(shape.transpose(1, 2))
        instance_global = self.instance_global(instance)
        category_global = self.category_global(category_local)
        if self.transformer128 is None:
            pooled = [feature.mean(dim=2, keepdim=True)
                      for feature in (instance_global, category_global)]
            # The order of the two differs between the heads, as in SPD.
            return ((instance, torch.cat(pooled, dim=1)),
                    (category_local, torch.cat(pooled[::-1], dim=1)))
        of_instance, of_category = self.transformer128(instance_global, category_global)
        return (instance_global + of_instance, None), (category_global + of_category, None)

    def _matrix(self, name: str, category: Tensor, inputs: _HeadInput) -> FactoredMatrix | Tensor:
        """Return a head's (B, N, V) matrix in the form in which matrices are multiplied."""
        logits: FactoredMatrix = self.get_submodule(name).factored(category, *inputs)
        if self.config.assignment == 'logits':
            return logits
        dense = logits.dense().float()
        if name != 'assignment':
            points = dense.shape[2]
            keep = math.log(_KEPT_SHARE / (1.0 - _KEPT_SHARE) * (points - 1))
            dense = dense + keep * torch.eye(points, device=dense.device)
        return dense.softmax(dim=2)

    def _add_heads(self, suffix: str, assignment_width: int, deformation_width: int) -> None:
        self.add_module(f'assignment{suffix}', CategoryHead(assignment_width, self.config.points))
        deformation = CategoryHead(deformation_width, 3)
        deformation.start_at_zero()
        self.add_module(f'deformation{suffix}', deformation)

    def _check_points(self, points: Tensor, prior: Tensor) -> None:
        if torch.jit.is_tracing() or not self.config.steps:
            return
        if points.shape[1] != prior.shape[1]:
            raise InvalidInputError(
                f'CR-Net with steps needs as many observed points as its priors have: '
                f'{points.shape[1]} are given, not {prior.shape[1]}; sample the points anew, or '
                'train with steps=0')


class LastStage(nn.Module):
    """A CR-Net that gives its last answer alone, as SPD gives its only one."""

    def __init__(self, network: CRNet) -> None:
        """Take the network."""
        super().__init__()
        self.network = network

    def forward(self, points: Tensor, image: Tensor, pixel_index: Tensor, category: Tensor,
                prior: Tensor) -> tuple[Tensor, Tensor]:
        """Return logits and deformation; see `CRNet.forward`."""
        return self.network.last_stage(points, image, pixel_index, category, prior)


def _beside(feature: Tensor, inputs: _HeadInput) -> _HeadInput:
    """Return the inputs of a head with more features of each point, before the others."""
    local, shared = inputs
    return torch.cat([feature, local], dim=1), shared


def _logits(matrix: FactoredMatrix | Tensor) -> Tensor:
    """Return (B, N, V) logits whose softmax is the assignment."""
    if isinstance(matrix, FactoredMatrix):
        return matrix.dense()
    return matrix.float().clamp_min(_LEAST_PROBABILITY).log()
