"""Training of DISP6D on pictures of objects in known rotations."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from pose_estimation_ros.core.categories import category_named
from pose_estimation_ros.core.errors import ConfigurationError
from pose_estimation_ros.core.hyperspherical_harmonics import encode_rotations
from pose_estimation_ros.core.rotation import angle_between
from pose_estimation_ros.core.so3_grid import so3_grid
from pose_estimation_ros.core.symmetry import NO_SYMMETRY, Symmetry, nearest_equivalents
from pose_estimation_ros.networks.disp6d import Disp6d
from pose_estimation_ros.networks.view_encoder import unit_length
from pose_estimation_ros.training.batch_plan import BatchRequest, PassOrder
from pose_estimation_ros.training.disp6d_batches import (
    ViewBatch,
    joined,
    plain_view,
    training_view,
)
from pose_estimation_ros.training.disp6d_codes import ShapeCodes
from pose_estimation_ros.training.disp6d_losses import (
    pose_loss,
    reconstruction_loss,
    shape_loss,
)
from pose_estimation_ros.training.disp6d_recipes import Disp6dRecipe
from pose_estimation_ros.training.disp6d_views import TARGET_VIEW, TurnedObject, TurnedShards
from pose_estimation_ros.training.sources import SourcedTask, StoredSamples, data_path
from pose_estimation_ros.training.task import Losses, Player, TrainingData

# More pictures would take longer than the steps between two validations.
_VALIDATION_VIEWS, _VALIDATION_BATCH = 256, 32
# Rotations that validation chooses from are up to 17 degrees away from any.
_VALIDATION_NSIDE = 3
_WITHIN_DEGREES = (10, 20, 30)


class TaughtDisp6d(nn.Module):
    """The network and the codes of shapes that it is taught with."""

    def __init__(self, recipe: Disp6dRecipe, objects: int) -> None:
        """Create both with random values.

        Args:
            recipe: The network and how it is taught.
            objects: Number of objects that the training shows.
        """
        super().__init__()
        self.network = Disp6d(recipe.network)
        self.codes = ShapeCodes(objects, recipe.network.code, recipe.keep)
        self.recipe = recipe

    def forward(self, batch: ViewBatch) -> Losses:
        """Return the losses of a batch; in training the codes of shapes follow it."""
        codes = self.network.encode(batch.image)
        decoded = self.network.decode(codes)
        targets = {'color': batch.color, 'depth': batch.depth}
        losses: Losses = {branch: reconstruction_loss(image, targets[branch])
                          for branch, image in decoded.items()}
        # The code of a rotation follows the crop's, not the shape the rotation's.
        conditioned = self.network.condition(codes.shape.detach(), batch.rotation)[:, 0]
        losses['pose'] = pose_loss(conditioned.float(), codes.pose)
        total = self.recipe.weights.pose * losses['pose']
        for branch in decoded:
            total = total + losses[branch]
        if self.training:
            losses['shape'] = shape_loss(codes.shape, self.codes.codes, batch.label)
            total = total + self.recipe.weights.shape * losses['shape']
            self.codes.update(codes.shape, batch.label)
        return {'total': total, **losses}


@dataclass(frozen=True, eq=False)
class _Views:
    """Pictures with the numbers of their objects, -1 for objects that are not trained."""

    shards: TurnedShards
    label: NDArray[np.int64]


class Disp6dTask(SourcedTask):
    """DISP6D with its data and losses; see `task.TrainingTask`."""

    def __init__(self, network: str, training: Sequence[TurnedShards],
                 validation: TurnedShards | None, recipe: Disp6dRecipe) -> None:
        """Join network and data.

        Args:
            network: Its name.
            training: Training pictures, one part per share of the data ratio.
            validation: Validation pictures; None = no validation.
            recipe: The network and how it is taught.
        """
        super().__init__([StoredSamples(list, PassOrder(len(shards))) for shards in training])
        self.network, self._recipe = network, recipe
        names, numbers = np.unique(np.concatenate([shards.name for shards in training]),
                                   return_inverse=True)
        ends = np.cumsum([len(shards) for shards in training])
        self._objects = len(names)
        self._training = [_Views(shards, label.astype(np.int64)) for shards, label in zip(
            training, np.split(numbers, ends[:-1]), strict=True)]
        self._validation = validation
        self._categories: list[str] = list(training[0].description['categories'])

    @property
    def figure(self) -> str:
        """Rotations of categories are judged; parts may have any symmetries, nobody knows."""
        return 'error' if self._categories else 'reconstruction'

    def new_model(self) -> nn.Module:
        """Return the network with random weights, and random codes of shapes."""
        return TaughtDisp6d(self._recipe, self._objects)

    def players(self, model: nn.Module) -> list[Player]:
        """Return the network as the one player."""
        return [Player('', model, torch.optim.Adam(model.parameters()))]

    def batch(self, request: BatchRequest) -> ViewBatch:
        """Return augmented crops."""
        recipe = self._recipe
        return joined([
            training_view(views.shards[int(item)], int(views.label[item]),
                          self._another(grain.generator), recipe.crops, recipe.network.encoding,
                          recipe.augmentation, grain.generator)
            for grain in request.grains(1) for draw in grain.draws
            for views in (self._training[draw.source],)
            for item in self._sources[draw.source].samples(draw)])

    def losses(self, modules: Mapping[str, nn.Module], player: str, batch: Any) -> Losses:
        """Return the loss terms of a batch."""
        losses: Losses = modules[player](batch)
        return losses

    def validate(self, model: nn.Module) -> dict[str, float]:
        """Return how well pictures are decoded, and of categories how well rotations are found."""
        shards = self._validation
        if shards is None:
            return {}
        assert isinstance(model, TaughtDisp6d)
        stride = max(1, len(shards) // _VALIDATION_VIEWS)
        rows = range(0, len(shards), stride)
        losses: list[float] = []
        errors: list[NDArray[np.float64]] = []
        rotations = so3_grid(_VALIDATION_NSIDE)
        encoded = torch.from_numpy(
            encode_rotations(rotations, self._recipe.network.encoding).astype(np.float32))
        device = next(model.parameters()).device
        for first in range(0, len(rows), _VALIDATION_BATCH):
            items = [shards[row] for row in rows[first:first + _VALIDATION_BATCH]]
            batch = self._plain(items, device)
            found = model(batch)
            losses.append(len(items) * sum(
                float(found[branch]) for branch in self._recipe.network.decoded))
            if self._categories:
                chosen = rotations[nearest_rotations(
                    model.network, batch.image, encoded.to(device)).cpu().numpy()]
                errors.append(_angles(items, chosen))
        values = {'reconstruction': sum(losses) / len(rows)}
        if errors:
            degrees = np.degrees(np.concatenate(errors))
            values |= {'error': float(degrees.mean()), **{
                f'within_{limit}': float((degrees <= limit).mean()) for limit in _WITHIN_DEGREES}}
        return values

    def notes(self) -> dict[str, Any]:
        """Return what an exporter must know."""
        return {'config': self._recipe.network.as_dict(), 'categories': self._categories,
                'preparation': {**self._recipe.preparation, 'depth_focal': TARGET_VIEW.focal}}

    def _another(self, generator: np.random.Generator) -> TurnedObject:
        views = self._training[int(generator.integers(len(self._training)))]
        return views.shards[int(generator.integers(len(views.shards)))]

    def _plain(self, items: Sequence[TurnedObject], device: torch.device) -> ViewBatch:
        recipe = self._recipe
        batch = joined([plain_view(item, -1, recipe.crops, recipe.network.encoding)
                        for item in items])
        return ViewBatch(*(value.to(device) for value in vars(batch).values()))


def nearest_rotations(network: Disp6d, image: Tensor, encoded: Tensor) -> Tensor:
    """Return (B,) which of some rotations each crop shows.

    Args:
        network: In evaluation mode.
        image: (B, 3, S, S) crops.
        encoded: (N, E) harmonics of the rotations.
    """
    codes = network.encode(image)
    known = unit_length(network.condition(codes.shape, encoded))
    return (known @ unit_length(codes.pose)[:, :, None])[:, :, 0].argmax(dim=1)


def make_disp6d_task(network: str, data: TrainingData, recipe: Disp6dRecipe) -> Disp6dTask:
    """Return the task on the given data.

    Args:
        network: Its name.
        data: Folders of `dataset turned`.
        recipe: The network and how it is taught.

    Raises:
        ConfigurationError: If a folder is missing, holds something else, or is of parts where
            another is of categories.
    """
    training = [TurnedShards(data_path(source)[0]) for source in data.sources]
    validation = TurnedShards(data_path(data.validation)[0]) if data.validation else None
    first = training[0].description['categories']
    for source, shards in zip((*data.sources, data.validation),
                              (*training, validation or training[0]), strict=True):
        if shards.description['categories'] != first:
            raise ConfigurationError(
                f'{data.sources[0]} is of {", ".join(first) or "parts"}, but {source} of '
                f'{", ".join(shards.description["categories"]) or "parts"}; give data of one kind')
    return Disp6dTask(network, training, validation, recipe)


def _angles(items: Sequence[TurnedObject], found: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return (B,) angles in radians to the nearest rotation that looks the same."""
    symmetries = [_symmetry(item.name) for item in items]
    near = nearest_equivalents(symmetries, np.stack([item.R for item in items]), found)
    return angle_between(near, found)


def _symmetry(name: str) -> Symmetry:
    """Return the symmetry of a generated object's category; its name holds that."""
    category = category_named(name.split('_')[1])
    return NO_SYMMETRY if category is None else category.symmetry
