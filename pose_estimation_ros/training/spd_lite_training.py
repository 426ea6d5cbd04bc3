"""Training of SPD `lite` on point clouds of single objects, stored or made while training."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from pose_estimation_ros.networks.spd_lite import SpdLite, SpdLiteConfig, SpdLiteOutput
from pose_estimation_ros.training.crop_batches import PointBatch
from pose_estimation_ros.training.distributed import global_mean
from pose_estimation_ros.training.lite_task import (
    Correspondences,
    LiteData,
    LiteTask,
    extent,
    lite_data,
)
from pose_estimation_ros.training.losses import (
    assignment_entropy,
    chamfer_distance,
    deformation_magnitude,
)
from pose_estimation_ros.training.stages import StageSettings
from pose_estimation_ros.training.task import Losses, TrainingData, TrainingSettings

NETWORK = 'spd-lite'
DEFAULTS = TrainingSettings(
    stages=(StageSettings(7500, 1e-3, 'cosine', warm_up=100),), batch=64, precision='bfloat16',
    clip=5.0, average=0.999)


@dataclass(frozen=True)
class LossWeights:
    """Weights of the loss terms; correspondence is the unit.

    SPD's own terms keep their published ratio. `smoothness` is where the correspondence loss
    turns from square to absolute: a tenth of SPD's, since the last millimetres decide a grasp.
    """

    chamfer: float = 5.0
    entropy: float = 1e-4
    deformation: float = 0.01
    guess: float = 1.0
    placed: float = 1.0
    size: float = 0.5
    membership: float = 0.05
    choice: float = 0.1
    smoothness: float = 0.02


def spd_lite_losses(output: SpdLiteOutput, batch: PointBatch,
                    weights: LossWeights) -> dict[str, Tensor]:
    """Return every loss term and their weighted sum, `total`."""
    member = batch.member.float()

    def coordinate_error(nocs: Tensor) -> Tensor:
        error = functional.smooth_l1_loss(nocs, batch.nocs, beta=weights.smoothness,
                                          reduction='none').sum(dim=2)
        return global_mean((error * member).sum(), member.sum())

    shape = output.shape
    terms = {
        'correspondence': coordinate_error(output.nocs),
        'guess': coordinate_error(output.guess),
        'placed': torch.stack([coordinate_error(stage) for stage in output.placed]).mean(),
        'chamfer': chamfer_distance(shape, batch.shape),
        # A quarter of the points is enough for this small term, and saves a tenth of the step.
        'entropy': assignment_entropy(output.assignment[:, ::4]),
        'deformation': deformation_magnitude(output.deformation.float()),
        'size': (extent(shape) - extent(batch.shape)).abs().mean(),
        'membership': functional.binary_cross_entropy_with_logits(
            output.membership.float(), member),
        'choice': functional.cross_entropy(output.likelihood, output.chosen),
    }
    total = terms['correspondence'] + sum(
        getattr(weights, name) * terms[name] for name in terms if name != 'correspondence')
    return {'total': torch.as_tensor(total), **terms}


class SpdLiteTask(LiteTask):
    """SPD `lite` with its data and losses; see `task.TrainingTask`."""

    network = NETWORK

    def __init__(self, data: LiteData, config: SpdLiteConfig) -> None:
        """Join network and data.

        Args:
            data: What it is trained on.
            config: Sizes of the network, for as many categories.
        """
        super().__init__(data)
        self._config = config

    def new_model(self) -> nn.Module:
        """Return the network with random weights."""
        return SpdLite(self._config, self.prior())

    def losses(self, modules: Mapping[str, nn.Module], player: str, batch: PointBatch) -> Losses:
        """Return the losses of a batch."""
        output = modules[player](batch.points, batch.condition, batch.category,
                                 truth=batch.nocs, member=batch.member)
        with torch.autocast(batch.points.device.type, enabled=False):
            return spd_lite_losses(output, batch, LossWeights())

    def correspondences(self, model: nn.Module, batch: PointBatch) -> Correspondences:
        """Return what the network says of a batch without knowing the truth."""
        output: SpdLiteOutput = model(batch.points, batch.condition, batch.category)
        return Correspondences(output.nocs, output.membership)

    def notes(self) -> dict[str, Any]:
        """Return sizes for the exporter."""
        return {'config': self._config.as_dict(), **super().notes()}


def make_task(data: TrainingData, settings: TrainingSettings) -> SpdLiteTask:
    """Return the task on the given data.

    Raises:
        ConfigurationError: If data are missing.
        ModelError: If the priors cannot be read.
    """
    found = lite_data(data, settings, NETWORK)
    return SpdLiteTask(found, SpdLiteConfig(categories=len(found.priors.categories)))
