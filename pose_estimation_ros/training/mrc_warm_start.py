"""Variants of MRC-Net begin alike with what one of them has learnt."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from pose_estimation_ros.core.errors import ModelError
from pose_estimation_ros.networks.mrc import MRCConfig, MRCNet
from pose_estimation_ros.training.checkpoints import trained_weights
from pose_estimation_ros.training.mrc_objects import objects_of
from pose_estimation_ros.training.mrc_recipes import MRCRecipe
from pose_estimation_ros.training.mrc_training import MRCTask, check_same_objects
from pose_estimation_ros.training.mrc_views import ViewShards

_MRC = 'mrc-'


class VariantTask(MRCTask):
    """One of several variants, of which none begins with more than the others."""

    def __init__(self, network: str, training: Sequence[ViewShards], recipe: MRCRecipe,
                 recipes: Iterable[MRCRecipe]) -> None:
        """Join network and data.

        Args:
            network: Its name.
            training: Training views, one part per share of the data ratio.
            recipe: The variant.
            recipes: Of all variants.
        """
        super().__init__(network, training, None, recipe)
        self._shapes = common_shapes([replace(other.network, objects=self._config.objects)
                                      for other in recipes])

    def first_weights(self, content: Mapping[str, Any], path: Path) -> dict[str, Tensor]:
        """Return the weights of an MRC-Net in the layers that are alike in all variants.

        A layer that is of another shape in some variant, so that it could not be taken there,
        keeps its random weights in all of them. A detector gives its backbone, as to any other.

        Raises:
            ModelError: If the weights are of another network, or of other sizes.
            ConfigurationError: If they are of other objects.
        """
        notes = content.get('notes', {})
        if not str(notes.get('network', '')).startswith(_MRC):
            return super().first_weights(content, path)
        check_same_objects('the data', self._objects, str(path), objects_of(notes, path))
        trained, fresh = trained_weights(content), self.new_model().state_dict()
        for name in fresh.keys() & self._shapes.keys():
            given = trained[name].shape if name in trained else None
            if given != self._shapes[name]:
                raise ModelError(
                    f'{path} has {name} of the shape {given and tuple(given)}, not '
                    f'{tuple(self._shapes[name])}; give a checkpoint of the same recipe, crop '
                    'and width')
        return {name: trained[name] if name in self._shapes else value
                for name, value in fresh.items()}


def common_shapes(configs: Iterable[MRCConfig]) -> dict[str, torch.Size]:
    """Return the shapes of the weights that are alike in all networks that have them.

    Args:
        configs: Of the networks.
    """
    found: dict[str, set[torch.Size]] = {}
    for config in configs:
        # Without memory or random numbers.
        with torch.device('meta'):
            weights = MRCNet(config).state_dict()
        for name, value in weights.items():
            found.setdefault(name, set()).add(value.shape)
    return {name: shapes.pop() for name, shapes in found.items() if len(shapes) == 1}
