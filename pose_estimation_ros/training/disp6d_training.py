"""Training of DISP6D on pictures of objects in known rotations."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
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
from pose_estimation_ros.training.batch_plan import BatchRequest, Grain, PassOrder
from pose_estimation_ros.training.disp6d_batches import (
    ViewBatch,
    anchor_crops,
    joined,
    plain_view,
    training_view,
    with_anchors,
    with_rivals,
)
from pose_estimation_ros.training.disp6d_codes import ShapeCodes
from pose_estimation_ros.training.disp6d_losses import (
    choice_loss,
    pose_loss,
    reconstruction_loss,
    shape_loss,
)
from pose_estimation_ros.training.disp6d_recipes import Disp6dRecipe
from pose_estimation_ros.training.disp6d_rivals import alike, draw_rivals, shares
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
        if batch.rivals.shape[1]:
            others = self.network.condition(codes.shape.detach(), batch.rivals)
            losses['choice'] = choice_loss(others.float(), codes.pose.float(), batch.share)
            total = total + self.recipe.weights.choice * losses['choice']
        if len(batch.anchors):
            anchors = self.network.encode(batch.anchors).pose.float()
            losses['choice'] = choice_loss(anchors.expand(len(anchors), *anchors.shape),
                                           codes.pose.float(), batch.share)
            total = total + self.recipe.weights.choice * losses['choice']
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

    def rows_of(self, label: int) -> NDArray[np.intp]:
        """Return which pictures show an object."""
        return np.flatnonzero(self.label == label)


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
        """Rotations of categories are judged; of parts which of their views are found."""
        return 'error' if self._categories or self._recipe.together > 1 else 'reconstruction'

    def new_model(self) -> nn.Module:
        """Return the network with random weights, and random codes of shapes."""
        return TaughtDisp6d(self._recipe, self._objects)

    def players(self, model: nn.Module) -> list[Player]:
        """Return the network as the one player."""
        return [Player('', model, torch.optim.Adam(model.parameters()))]

    def batch(self, request: BatchRequest) -> ViewBatch:
        """Return augmented crops."""
        recipe = self._recipe
        encoding = recipe.network.encoding
        items: list[TurnedObject] = []
        views: list[ViewBatch] = []
        rivals: list[NDArray[np.float64]] = []
        for grain in request.first_of_groups(recipe.together):
            generator = grain.generator
            for stored, row in self._drawn(grain):
                item = stored.shards[row]
                items.append(item)
                views.append(training_view(item, int(stored.label[row]), self._another(generator),
                                           recipe.crops, encoding, recipe.augmentation, generator))
                rivals.append(draw_rivals(item.R, recipe.rivals, generator))
        batch = joined(views)
        if not recipe.weights.choice:
            return batch
        if recipe.together > 1:
            return with_anchors(batch, items, alike(
                [item.target.depth for item in items], batch.label.numpy(), recipe.alike),
                recipe.crops)
        share = shares(np.stack([item.R for item in items]), np.stack(rivals),
                       [_symmetry(item) for item in items], recipe.rivals.width)
        return with_rivals(batch, np.stack(rivals), share, encoding)

    def _drawn(self, grain: Grain) -> Iterator[tuple[_Views, int]]:
        """Yield what a grain shows: its first picture, then others of the same object."""
        draw, = grain.draws
        stored = self._training[draw.source]
        first = int(self._sources[draw.source].samples(draw)[0])
        yield stored, first
        if self._recipe.together > 1:
            same = stored.rows_of(int(stored.label[first]))
            for row in grain.generator.choice(same, self._recipe.together - 1):
                yield stored, int(row)

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
        shown = [shards[row] for row in range(0, len(shards), stride)]
        losses: list[float] = []
        device = next(model.parameters()).device
        for first in range(0, len(shown), _VALIDATION_BATCH):
            items = shown[first:first + _VALIDATION_BATCH]
            found = model(plain_batch(items, self._recipe, device))
            losses.append(len(items) * sum(
                float(found[branch]) for branch in self._recipe.network.decoded))
        values = {'reconstruction': sum(losses) / len(shown)}
        if self._recipe.together > 1:
            right = found_among_anchors(model.network, shown, self._recipe)
            values |= {'error': 1.0 - float(right.mean()), 'found': float(right.mean())}
        if self._categories:
            degrees = np.degrees(rotation_errors(model.network, shown, self._recipe,
                                                 so3_grid(_VALIDATION_NSIDE)))
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


def rotation_errors(network: Disp6d, items: Sequence[TurnedObject], recipe: Disp6dRecipe,
                    rotations: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return (N,) angles between true and found rotations, modulo symmetry, radians.

    Args:
        network: In evaluation mode.
        items: Objects of categories, seen in their true boxes and masks.
        recipe: How crops are cut.
        rotations: (K, 3, 3) that are compared.
    """
    device = next(network.parameters()).device
    encoded = torch.from_numpy(encode_rotations(
        rotations, recipe.network.encoding).astype(np.float32)).to(device)
    found = []
    with torch.no_grad():
        for first in range(0, len(items), _VALIDATION_BATCH):
            batch = plain_batch(items[first:first + _VALIDATION_BATCH], recipe, device)
            found.append(nearest_rotations(network, batch.image, encoded).cpu().numpy())
    chosen = rotations[np.concatenate(found)]
    near = nearest_equivalents([_symmetry(item) for item in items],
                               np.stack([item.R for item in items]), chosen)
    return angle_between(near, chosen)


def found_among_anchors(network: Disp6d, items: Sequence[TurnedObject], recipe: Disp6dRecipe
                        ) -> NDArray[np.bool_]:
    """Return (N,) whether each picture's own plain view is the most similar of its object's.

    Args:
        network: In evaluation mode.
        items: Several pictures of each object.
        recipe: How crops are cut.
    """
    device = next(network.parameters()).device
    crops, plain = [], []
    with torch.no_grad():
        for first in range(0, len(items), _VALIDATION_BATCH):
            some = items[first:first + _VALIDATION_BATCH]
            crops.append(network.encode(plain_batch(some, recipe, device).image).pose)
            anchors = torch.from_numpy(anchor_crops(some, recipe.crops)).to(device)
            plain.append(network.encode(anchors).pose)
    cosine = unit_length(torch.cat(crops)) @ unit_length(torch.cat(plain)).T
    name = np.array([item.name for item in items])
    own = np.where(name[:, None] == name[None], cosine.float().cpu().numpy(), -np.inf)
    return np.asarray(own.argmax(axis=1) == np.arange(len(items)))


def plain_batch(items: Sequence[TurnedObject], recipe: Disp6dRecipe, device: torch.device
                ) -> ViewBatch:
    """Return crops as the run time sees them with the true boxes and masks."""
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
    given = [data_path(source)[0] for source in (*data.sources, data.validation) if source]
    *training, last = read_alike(given)
    if not data.validation:
        return Disp6dTask(network, [*training, last], None, recipe)
    return Disp6dTask(network, training, last, recipe)


def read_alike(folders: Sequence[str | Path]) -> list[TurnedShards]:
    """Return folders of `dataset turned`.

    Raises:
        ConfigurationError: If one is missing or holds something else, or one is of parts where
            another is of categories.
    """
    found = [TurnedShards(Path(folder)) for folder in folders]
    shown = [', '.join(shards.description['categories']) or 'parts' for shards in found]
    for folder, kind in zip(folders, shown, strict=True):
        if kind != shown[0]:
            raise ConfigurationError(
                f'{folders[0]} is of {shown[0]}, but {folder} of {kind}; give data of one kind')
    return found


def _symmetry(item: TurnedObject) -> Symmetry:
    category = category_named(item.category)
    return NO_SYMMETRY if category is None else category.symmetry
