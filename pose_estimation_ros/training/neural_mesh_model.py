"""The network of a neural mesh with its bank of features, and one step of its training."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from pose_estimation_ros.backends.spd_preprocessing import IMAGE_MEAN, IMAGE_STD
from pose_estimation_ros.networks.neural_mesh import FeatureExtractor
from pose_estimation_ros.training.distributed import global_mean
from pose_estimation_ros.training.neural_mesh_bank import FeatureBank, smooth_codes
from pose_estimation_ros.training.neural_mesh_batches import WindowBatch
from pose_estimation_ros.training.neural_mesh_labels import AZIMUTHS
from pose_estimation_ros.training.neural_mesh_losses import (
    background_losses,
    clutter_similarities,
    distance_loss,
    vertex_losses,
)
from pose_estimation_ros.training.neural_mesh_recipes import NeuralMeshRecipe
from pose_estimation_ros.training.neural_mesh_shapes import CategoryShape
from pose_estimation_ros.training.task import Losses


class NeuralMeshModel(nn.Module):
    """Extractor and bank; called with a batch it returns the losses and learns the bank."""

    mean: Tensor
    deviation: Tensor

    def __init__(self, recipe: NeuralMeshRecipe, shapes: Sequence[CategoryShape]) -> None:
        """Create both at random."""
        super().__init__()
        self.recipe = recipe
        self.extractor = FeatureExtractor(recipe.network)
        # Convolutions in bfloat16 are faster that way; torch's types leave this argument out.
        self.extractor.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.bank = FeatureBank([len(shape.mesh.vertices) for shape in shapes], recipe.clutter,
                                recipe.network.features)
        if recipe.frequencies is not None:
            self.bank.vertices.copy_(torch.cat([smooth_codes(
                torch.from_numpy(2.0 * shape.mesh.vertices / shape.mesh.extents).float(),
                recipe.network.features, recipe.frequencies) for shape in shapes]))
        self.view = (nn.Linear(self.extractor.project.in_channels, AZIMUTHS * len(shapes))
                     if recipe.view else None)
        for name, value in (('mean', IMAGE_MEAN), ('deviation', IMAGE_STD)):
            self.register_buffer(name, 255.0 * torch.tensor(value.tolist()).reshape(3, 1, 1),
                                 persistent=False)

    def cells(self, image: Tensor) -> Tensor:
        """Return the (B * h * w, D) unit features of (B, 3, H, W) uint8 images, as in training."""
        return _rows(self.extractor.training_features(self._normal(image)))

    def _normal(self, image: Tensor) -> Tensor:
        normal = (image.float() - self.mean) / self.deviation
        return normal.contiguous(memory_format=torch.channels_last)

    def forward(self, batch: WindowBatch) -> Losses:
        """Return the loss terms of a batch, 'total' being what is minimised."""
        settings, bank = self.recipe.contrast, self.bank
        before = self.extractor.hidden(self._normal(batch.image))
        cells = _rows(self.extractor.projected(before, self.extractor.project.bias))
        features = cells.index_select(0, batch.cell)
        clutter = cells.index_select(0, batch.clutter)
        losses: Losses = {}
        if settings.kind == 'distances':
            total = losses['distance'] = distance_loss(features, clutter)
        else:
            contrast = vertex_losses(features, batch.vertex, batch.category, batch.near, bank,
                                     settings)
            losses['contrast'] = _global_mean(contrast)
            losses['clutter'] = _global_mean(clutter_similarities(clutter, bank))
            total = losses['contrast'] + settings.clutter * losses['clutter']
            if settings.background:
                losses['background'] = _global_mean(background_losses(
                    clutter, bank, settings.temperature))
                total = total + settings.background * losses['background']
        if self.view is not None:
            found = self.view(_rows(before).index_select(0, batch.cell)).float()
            losses['view'] = _global_mean(functional.cross_entropy(
                found, batch.view, reduction='none'))
            total = total + self.recipe.view * losses['view']
        if self.training:
            images = len(batch.image) if self.recipe.counted == 'images' else None
            bank.learn_vertices(features.detach(), batch.vertex, self.recipe.momentum, images,
                                self.recipe.held)
            bank.learn_clutter(clutter.detach())
        return {'total': total, **losses}


def _global_mean(terms: Tensor) -> Tensor:
    """Return the mean of the (N,) terms of all processes, N being another one in each."""
    return global_mean(terms.sum(), terms.new_tensor(float(len(terms))))


def _rows(features: Tensor) -> Tensor:
    """Return (B, D, h, w) features as (B * h * w, D)."""
    return features.permute(0, 2, 3, 1).reshape(-1, features.shape[1])
