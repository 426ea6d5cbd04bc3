"""Training of the full CR-Net with the published schedule (spec 4.3).

Two things are not as published: steps multiply probabilities, see `networks.crnet.CRNetConfig`,
and the arithmetic of the network is bfloat16.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor, nn

from pose_estimation_ros.networks.crnet import CRNet, CRNetConfig
from pose_estimation_ros.training.color_crops import ColorCrops
from pose_estimation_ros.training.full_task import FullBatch, FullTask, Stage, full_data
from pose_estimation_ros.training.sources import SampleSource
from pose_estimation_ros.training.stages import published_spd_stages
from pose_estimation_ros.training.task import TrainingData, TrainingSettings

NETWORK = 'crnet-full'
# SPD's schedule with 6000 instead of 1500 steps per epoch.
DEFAULTS = TrainingSettings(
    stages=published_spd_stages(50 * 6000), batch=32, precision='bfloat16', log_every=20)
TRAINED_CONFIG = CRNetConfig(assignment='probabilities')


class CRNetFullTask(FullTask):
    """The full CR-Net with its data and losses; see `task.TrainingTask`."""

    network = NETWORK

    def __init__(self, sources: Sequence[SampleSource], validation: ColorCrops | None,
                 priors: NDArray[np.float32], config: CRNetConfig = TRAINED_CONFIG) -> None:
        """Take the data, see `FullTask`, and which CR-Net to train."""
        super().__init__(sources, validation, priors)
        self._config = config

    def new_model(self) -> nn.Module:
        """Return the network with random weights."""
        return CRNet(self._config)

    def stages(self, network: nn.Module, batch: FullBatch, prior: Tensor) -> Sequence[Stage]:
        """Return the answers of the network, all of which are trained with equal weight."""
        stages: Sequence[Stage] = network(
            batch.points, batch.image, batch.pixel_index, batch.category, prior)
        return stages

    def notes(self) -> dict[str, Any]:
        """Return which CR-Net it is, and whose priors they are."""
        return {'config': asdict(self._config), **super().notes()}


def make_task(data: TrainingData, settings: TrainingSettings) -> CRNetFullTask:
    """Return the task on the given data.

    Raises:
        ConfigurationError: If data are missing.
        ModelError: If the priors cannot be read.
    """
    return CRNetFullTask(*full_data(data, settings, NETWORK))
