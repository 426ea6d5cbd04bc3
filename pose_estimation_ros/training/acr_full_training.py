"""Training of the full ACR-Pose against its discriminator, with the published weights and rates.

The published epochs have no stated length; an epoch here is SPD's, 48 000 objects. Within a step
the reconstructor moves first, judged by the discriminator as it is; then the discriminator
learns from that same prediction, so one pass through the reconstructor serves both.

Source: Fan et al.: ACR-Pose, arXiv 2111.10524, sections 3 and 4 (spec 1.3).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from pose_estimation_ros.networks.acr import ACRConfig, ACRNet
from pose_estimation_ros.networks.discriminator import Discriminator
from pose_estimation_ros.networks.spd import reconstruct
from pose_estimation_ros.training.adversarial_losses import (
    DISCRIMINATOR,
    RECONSTRUCTOR,
    discriminator_loss,
    generator_loss,
)
from pose_estimation_ros.training.color_crops import ColorCrops
from pose_estimation_ros.training.full_task import FullBatch, FullTask, Stage, full_data
from pose_estimation_ros.training.losses import spd_losses
from pose_estimation_ros.training.sources import SampleSource
from pose_estimation_ros.training.stages import StageSettings
from pose_estimation_ros.training.task import Losses, Player, TrainingData, TrainingSettings

NETWORK = 'acr-full'

_BATCH = 96
_EPOCH = 48_000 // _BATCH
_DISCRIMINATOR_RATE_FACTOR = 0.1
_ADVERSARIAL_WEIGHT = 0.1

PUBLISHED_STAGES = (
    StageSettings(10 * _EPOCH, 1e-4),
    StageSettings(20 * _EPOCH, 5e-5),
    StageSettings(10 * _EPOCH, 1e-5),
    StageSettings(10 * _EPOCH, 1e-6),
)
# On synthetic and real views, against a discriminator that knows neither.
FINE_TUNING_STAGES = (
    StageSettings(5 * _EPOCH, 1e-4, ratio=(3, 1), reinitialise=(f'{DISCRIMINATOR}.*',)),
    StageSettings(5 * _EPOCH, 5e-5, ratio=(3, 1)),
)
DEFAULTS = TrainingSettings(
    stages=PUBLISHED_STAGES, batch=_BATCH, precision='bfloat16', log_every=20)


def new_pair(config: ACRConfig) -> nn.ModuleDict:
    """Return reconstructor and discriminator with random weights, by their names."""
    return nn.ModuleDict({RECONSTRUCTOR: ACRNet(config), DISCRIMINATOR: Discriminator()})


class ACRFullTask(FullTask):
    """The full ACR-Pose, its discriminator, data and losses; see `task.TrainingTask`."""

    network = NETWORK

    def __init__(self, sources: Sequence[SampleSource], validation: ColorCrops | None,
                 priors: NDArray[np.float32], config: ACRConfig | None = None) -> None:
        """Take the data, see `FullTask`, and which ACR-Pose to train, the published by default."""
        super().__init__(sources, validation, priors)
        self._config = config or ACRConfig()
        # What the reconstructor said in its turn, for the discriminator's turn.
        self._predicted = torch.empty(0)

    def new_model(self) -> nn.ModuleDict:
        """Return reconstructor and discriminator with random weights."""
        return new_pair(self._config)

    def players(self, model: nn.ModuleDict) -> list[Player]:
        """Return the reconstructor and then the discriminator, ten times as slow."""
        optimizers = {
            RECONSTRUCTOR: torch.optim.Adam(model[RECONSTRUCTOR].parameters()),
            DISCRIMINATOR: torch.optim.Adam([
                {'params': model[DISCRIMINATOR].parameters(),
                 'rate_factor': _DISCRIMINATOR_RATE_FACTOR}]),
        }
        return [Player(name, model[name], optimizer) for name, optimizer in optimizers.items()]

    def stages(self, network: nn.Module, batch: FullBatch, prior: Tensor) -> Sequence[Stage]:
        """Return the one answer of the reconstructor."""
        return [network(batch.points, batch.image, batch.pixel_index, batch.category, prior)]

    def losses(self, modules: Mapping[str, nn.Module], player: str, batch: FullBatch) -> Losses:
        """Return a player's losses of a batch; the discriminator's turn follows the other's."""
        if player == DISCRIMINATOR:
            return self._discriminator_losses(modules[player], batch)
        prior = self.prior(batch)
        ((logits, deformation),) = self.stages(modules[player], batch, prior)
        terms = spd_losses(logits, deformation, prior, batch.nocs, batch.shape)
        nocs, _ = reconstruct(logits.float(), deformation.float(), prior)
        self._predicted = nocs.detach()
        adversarial = generator_loss(modules[DISCRIMINATOR](nocs))
        named = {name: getattr(terms, name) for name in terms.__dataclass_fields__}
        return {**named, 'adversarial': adversarial,
                'total': terms.total + _ADVERSARIAL_WEIGHT * adversarial}

    def _discriminator_losses(self, discriminator: nn.Module, batch: FullBatch) -> Losses:
        true, predicted = discriminator(torch.cat([batch.nocs, self._predicted])).chunk(2)
        judgement = discriminator_loss(true, predicted)
        return {'judgement': judgement, 'total': _ADVERSARIAL_WEIGHT * judgement}

    def validate(self, model: nn.ModuleDict) -> dict[str, float]:
        """Return the mean distance between predicted and true NOCS coordinates."""
        return super().validate(model[RECONSTRUCTOR])

    def notes(self) -> dict[str, Any]:
        """Return which ACR-Pose it is, and whose priors they are."""
        return {'config': self._config.as_dict(), **super().notes()}


def make_task(data: TrainingData, settings: TrainingSettings) -> ACRFullTask:
    """Return the task on the given data.

    Raises:
        ConfigurationError: If data are missing.
        ModelError: If the priors cannot be read.
    """
    return ACRFullTask(*full_data(data, settings, NETWORK))
