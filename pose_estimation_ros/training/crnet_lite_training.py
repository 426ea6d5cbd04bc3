"""Training of CR-Net `lite` on point clouds of single objects, of which some have colours."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from pose_estimation_ros.networks.crnet_lite import CRNetLite, CRNetLiteConfig, LiteOutput
from pose_estimation_ros.networks.lite_encoder import EncoderConfig
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
from pose_estimation_ros.training.task import Losses, TrainingData, TrainingSettings

NETWORK = 'crnet-lite'
DEFAULTS = TrainingSettings(
    stages=(StageSettings(7500, 1e-3, 'cosine', warm_up=100),), batch=64, precision='bfloat16',
    clip=5.0, average=0.999)
# Half of SPD lite's: they take part in relations, and the network takes more at run time.
PRIOR_POINTS = 128
# Points that get coordinates in training; the others are context, which halves the time.
_DECODED = 128


class CRNetLiteTask(LiteTask):
    """CR-Net `lite` with its data and losses; see `task.TrainingTask`."""

    network = NETWORK

    def __init__(self, data: LiteData, config: CRNetLiteConfig) -> None:
        """Join network and data.

        Args:
            data: What it is trained on.
            config: What the network is made of, for as many categories.
        """
        super().__init__(data)
        self._config = config

    def new_model(self) -> nn.Module:
        """Return the network with random weights."""
        return convolving_fast(CRNetLite(self._config, self.prior()))

    def first_weights(self, content: Mapping[str, Any], path: Path) -> dict[str, Tensor]:
        """Return the weights of a checkpoint of the same network, or of an SPD lite.

        Raises:
            ModelError: If it is of another network.
            ConfigurationError: If it is of other categories.
        """
        check_trained_for(content, self.notes(), path)
        return first_weights(content, self.new_model().state_dict(),
                             partial(super().first_weights, content, path))

    def losses(self, modules: Mapping[str, nn.Module], player: str, batch: PointBatch) -> Losses:
        """Return the losses of a batch."""
        every = self.data.every
        seen = batch.thinned(every)
        output = modules[player](batch.points, batch.condition, batch.category, batch.color,
                                 truth=placement_truth(seen), decoded=_DECODED, every=every)
        with torch.autocast(batch.points.device.type, enabled=False):
            return lite_losses(output, seen, LiteLossWeights())

    def correspondences(self, model: nn.Module, batch: PointBatch) -> Correspondences:
        """Return what the network says of a batch without knowing the truth."""
        output: LiteOutput = model(batch.points, batch.condition, batch.category, batch.color,
                                   every=self.data.every)
        return Correspondences(output.steps[-1].nocs, output.membership)

    def notes(self) -> dict[str, Any]:
        """Return sizes for the exporter."""
        return {'config': self._config.as_dict(), **super().notes()}


def make_task(data: TrainingData, settings: TrainingSettings) -> CRNetLiteTask:
    """Return the task on the given data.

    Raises:
        ConfigurationError: If data are missing, or none has colours.
        ModelError: If the priors cannot be read.
    """
    check_colors(data.sources, NETWORK)
    found = lite_data(data, settings, NETWORK, PRIOR_POINTS, PICTURED, colored=True)
    encoder = EncoderConfig(categories=len(found.priors.categories),
                            instance_relation='transformer', picture='on')
    return CRNetLiteTask(found, CRNetLiteConfig(encoder))
