"""Training of the full SPD network with the published schedule (spec 4.3)."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn

from pose_estimation_ros.networks.spd import SPD
from pose_estimation_ros.training.full_task import FullBatch, FullTask, Stage, full_data
from pose_estimation_ros.training.stages import published_spd_stages
from pose_estimation_ros.training.task import TrainingData, TrainingSettings

NETWORK = 'spd-full'
DEFAULTS = TrainingSettings(
    stages=published_spd_stages(), batch=32, precision='bfloat16', log_every=20)


class SpdFullTask(FullTask):
    """The full SPD network with its data and losses; see `task.TrainingTask`."""

    network = NETWORK

    def new_model(self) -> nn.Module:
        """Return the network with random weights."""
        return SPD()

    def stages(self, network: nn.Module, batch: FullBatch, prior: Tensor) -> Sequence[Stage]:
        """Return the one answer of the network."""
        return [network(batch.points, batch.image, batch.pixel_index, batch.category, prior)]


def make_task(data: TrainingData, settings: TrainingSettings) -> SpdFullTask:
    """Return the task on the given data.

    Raises:
        ConfigurationError: If data are missing.
        ModelError: If the priors cannot be read.
    """
    return SpdFullTask(*full_data(data, settings, NETWORK))
