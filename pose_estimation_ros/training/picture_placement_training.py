"""Training of the pictures of CR-Net `lite` and ACR-Pose `lite`; see `networks.picture_placement`.

What it gives is no model: `models make-checkpoint --picture` puts it into one. The other way round
it can begin with the pictures of a model, by a checkpoint of `models make-checkpoint`.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from pose_estimation_ros.core.errors import ModelError
from pose_estimation_ros.networks.lite_encoder import EncoderConfig
from pose_estimation_ros.networks.picture_placement import PicturePlacement, Placement
from pose_estimation_ros.training.adversarial_losses import RECONSTRUCTOR
from pose_estimation_ros.training.checkpoints import check_trained_for, trained_weights
from pose_estimation_ros.training.crop_batches import PointBatch
from pose_estimation_ros.training.crop_sources import check_colors
from pose_estimation_ros.training.lite_losses import LiteLossWeights, coordinate_error
from pose_estimation_ros.training.lite_task import (
    PICTURED,
    Correspondences,
    LiteData,
    LiteTask,
    convolving_fast,
    lite_data,
)
from pose_estimation_ros.training.stages import StageSettings
from pose_estimation_ros.training.task import Losses, TrainingData, TrainingSettings

NETWORK = 'picture-placement'
DEFAULTS = TrainingSettings(
    stages=(StageSettings(40000, 2e-3, 'cosine', warm_up=200),), batch=64, precision='bfloat16',
    clip=5.0, average=0.999)
# The layers that the lite encoders have as well.
SHARED = ('encoder.picture.reader.', 'encoder.stages.0.correction.',
          'encoder.stages.0.likelihood.')
# Networks with such an encoder, and what their names begin with.
_PREFIXES = {'crnet-lite': '', 'acr-lite': f'{RECONSTRUCTOR}.'}
# To choose among the offers is what takes longest to learn, and nothing else hangs on it here.
_CHOICE = 0.5


class PicturePlacementTask(LiteTask):
    """The network with its data and losses; see `task.TrainingTask`."""

    network = NETWORK

    def __init__(self, data: LiteData, config: EncoderConfig) -> None:
        """Join network and data.

        Args:
            data: What it is trained on.
            config: Sizes of the encoder that will take the picture.
        """
        super().__init__(data)
        self._config = config

    def new_model(self) -> nn.Module:
        """Return the network with random weights."""
        return convolving_fast(PicturePlacement(self._config))

    def first_weights(self, content: Mapping[str, Any], path: Path) -> dict[str, Tensor]:
        """Return the weights of a checkpoint of the same network, or the pictures of a lite one.

        What only this network has, by which pictures are trained apart, begins anew.

        Raises:
            ModelError: If the checkpoint is of another network, or of one that sees no pictures.
            ConfigurationError: If it is of other categories.
        """
        check_trained_for(content, self.notes(), path)
        prefix = _PREFIXES.get(content.get('notes', {}).get('network', ''))
        if prefix is None:
            return super().first_weights(content, path)
        weights = {name.removeprefix(prefix): value
                   for name, value in trained_weights(content).items()}
        shared = {name: value for name, value in weights.items() if name.startswith(SHARED)}
        if not any(name.startswith(SHARED[0]) for name in shared):
            raise ModelError(f'the network of {path} sees no pictures; leave out --start-from and '
                             f'{NETWORK} begins with none')
        return {**self.new_model().state_dict(), **shared}

    def losses(self, modules: Mapping[str, nn.Module], player: str, batch: PointBatch) -> Losses:
        """Return the losses of a batch."""
        output: Placement = modules[player](batch.points, batch.condition, batch.category,
                                            batch.color, batch.rotation, self.data.every)
        seen, weights = batch.thinned(self.data.every), LiteLossWeights(choice=_CHOICE)
        with torch.autocast(batch.points.device.type, enabled=False):
            terms = {
                'correspondence': coordinate_error(output.nocs, seen, weights.smoothness),
                'placed': coordinate_error(output.placed, seen, weights.smoothness),
                'membership': functional.binary_cross_entropy_with_logits(
                    output.membership, seen.member.float()),
                'choice': functional.cross_entropy(output.likelihood, output.chosen)}
        total = terms['correspondence'] + sum(
            getattr(weights, name) * terms[name] for name in terms if name != 'correspondence')
        return {'total': torch.as_tensor(total), **terms}

    def correspondences(self, model: nn.Module, batch: PointBatch) -> Correspondences:
        """Return what the network says of a batch without knowing the truth."""
        output: Placement = model(batch.points, batch.condition, batch.category, batch.color,
                                  every=self.data.every)
        return Correspondences(output.nocs, output.membership)

    def notes(self) -> dict[str, Any]:
        """Return sizes for whoever takes the weights."""
        return {'config': self._config.as_dict(), **super().notes()}


def make_task(data: TrainingData, settings: TrainingSettings) -> PicturePlacementTask:
    """Return the task on the given data.

    Raises:
        ConfigurationError: If data are missing, or none has colours.
        ModelError: If the priors cannot be read, which tell the categories.
    """
    check_colors(data.sources, NETWORK)
    found = lite_data(data, settings, NETWORK, every=PICTURED, colored=True)
    return PicturePlacementTask(found, EncoderConfig(len(found.priors.categories), picture='on'))
