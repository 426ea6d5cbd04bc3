"""Training of ACR-Pose `lite` against its discriminator, on points of which some have colours."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from pose_estimation_ros.networks.acr_lite import ACRLite, ACRLiteConfig
from pose_estimation_ros.networks.crnet_lite import LiteOutput
from pose_estimation_ros.networks.discriminator import Discriminator
from pose_estimation_ros.networks.lite_encoder import EncoderConfig
from pose_estimation_ros.training.adversarial_losses import (
    DISCRIMINATOR,
    RECONSTRUCTOR,
    discriminator_loss,
    generator_loss,
)
from pose_estimation_ros.training.checkpoints import check_trained_for
from pose_estimation_ros.training.crop_batches import PointBatch
from pose_estimation_ros.training.crop_sources import check_colors
from pose_estimation_ros.training.lite_losses import (
    LiteLossWeights,
    lite_losses,
    placement_truth,
)
from pose_estimation_ros.training.lite_task import (
    PICTURED,
    Correspondences,
    LiteData,
    LiteTask,
    convolving_fast,
    lite_data,
)
from pose_estimation_ros.training.lite_warm_start import first_weights
from pose_estimation_ros.training.stages import StageSettings
from pose_estimation_ros.training.task import Losses, Player, TrainingData, TrainingSettings

NETWORK = 'acr-lite'
DEFAULTS = TrainingSettings(
    stages=(StageSettings(7500, 1e-3, 'cosine', warm_up=100),), batch=64, precision='bfloat16',
    clip=5.0, average=0.999)
PRIOR_POINTS = 128


@dataclass(frozen=True)
class AdversarialSettings:
    """How the two players meet.

    Attributes:
        weight: Of the adversarial term in the reconstructor's loss; 0 trains without a
            discriminator's say. Published is 0.1; less here, chosen without a search.
        rate_factor: The discriminator's rate as share of the reconstructor's, as published.
    """

    weight: float = 0.03
    rate_factor: float = 0.1


class ACRLiteTask(LiteTask):
    """ACR-Pose `lite`, its discriminator, data and losses; see `task.TrainingTask`."""

    network = NETWORK

    def __init__(self, data: LiteData, config: ACRLiteConfig,
                 adversarial: AdversarialSettings) -> None:
        """Join network and data.

        Args:
            data: What it is trained on.
            config: What the network is made of, for as many categories.
            adversarial: How the two players meet.
        """
        super().__init__(data)
        self._config, self._adversarial = config, adversarial
        # What the reconstructor said in its turn, for the discriminator's turn.
        self._predicted = torch.empty(0)

    def new_model(self) -> nn.ModuleDict:
        """Return reconstructor and discriminator with random weights."""
        return nn.ModuleDict({
            RECONSTRUCTOR: convolving_fast(ACRLite(self._config, self.prior())),
            DISCRIMINATOR: Discriminator()})

    def first_weights(self, content: Mapping[str, Any], path: Path) -> dict[str, Tensor]:
        """Return the weights of a checkpoint of the same network, or of an SPD lite.

        Raises:
            ModelError: If it is of another network.
            ConfigurationError: If it is of other categories.
        """
        check_trained_for(content, self.notes(), path)
        return first_weights(content, self.new_model().state_dict(),
                             partial(super().first_weights, content, path), f'{RECONSTRUCTOR}.')

    def players(self, model: nn.Module) -> list[Player]:
        """Return the reconstructor and then the discriminator, slower."""
        assert isinstance(model, nn.ModuleDict)
        reconstructor, discriminator = model[RECONSTRUCTOR], model[DISCRIMINATOR]
        return [
            Player(RECONSTRUCTOR, reconstructor,
                   torch.optim.AdamW(reconstructor.parameters(), weight_decay=1e-2)),
            Player(DISCRIMINATOR, discriminator, torch.optim.Adam([
                {'params': discriminator.parameters(),
                 'rate_factor': self._adversarial.rate_factor}]))]

    def losses(self, modules: Mapping[str, nn.Module], player: str, batch: PointBatch) -> Losses:
        """Return a player's losses of a batch; the discriminator's turn follows the other's."""
        every = self.data.every
        seen = batch.thinned(every)
        if player == DISCRIMINATOR:
            true, predicted = modules[player](torch.cat([
                points_on_object(seen.nocs, seen.member), self._predicted])).chunk(2)
            judgement = discriminator_loss(true, predicted)
            return {'judgement': judgement, 'total': judgement}
        output: LiteOutput = modules[player](batch.points, batch.condition, batch.category,
                                             batch.color, truth=placement_truth(seen),
                                             every=every)
        nocs = points_on_object(output.steps[-1].nocs, seen.member)
        self._predicted = nocs.detach()
        with torch.autocast(batch.points.device.type, enabled=False):
            terms = lite_losses(output, seen, LiteLossWeights())
        adversarial = generator_loss(modules[DISCRIMINATOR](nocs))
        return {**terms, 'adversarial': adversarial,
                'total': terms['total'] + self._adversarial.weight * adversarial}

    def correspondences(self, model: nn.Module, batch: PointBatch) -> Correspondences:
        """Return what the reconstructor says of a batch without knowing the truth."""
        assert isinstance(model, nn.ModuleDict)
        output: LiteOutput = model[RECONSTRUCTOR](batch.points, batch.condition, batch.category,
                                                  batch.color, every=self.data.every)
        return Correspondences(output.steps[-1].nocs, output.membership)

    def notes(self) -> dict[str, Any]:
        """Return sizes for the exporter."""
        return {'config': self._config.as_dict(), **super().notes()}


def points_on_object(nocs: Tensor, member: Tensor) -> Tensor:
    """Return (B, N, 3) coordinates with each point that is no (B, N) member as a member's copy.

    What a mask shows beside the object lies anywhere, and no prediction follows it there: a
    judge that sees it tells true sets by it. Copies do not change a judge's maximum.
    """
    first = member.to(torch.uint8).argmax(dim=1)
    copy = nocs[torch.arange(len(nocs), device=nocs.device), first]
    return torch.where(member[:, :, None], nocs, copy[:, None])


def make_task(data: TrainingData, settings: TrainingSettings) -> ACRLiteTask:
    """Return the task on the given data.

    Raises:
        ConfigurationError: If data are missing, or none has colours.
        ModelError: If the priors cannot be read.
    """
    check_colors(data.sources, NETWORK)
    found = lite_data(data, settings, NETWORK, PRIOR_POINTS, PICTURED, colored=True)
    encoder = EncoderConfig(categories=len(found.priors.categories), picture='on')
    return ACRLiteTask(found, ACRLiteConfig(encoder), AdversarialSettings())
