"""What the trainings of all lite correspondence networks share: data, batches, validation."""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from pose_estimation_ros.core.categories import Category
from pose_estimation_ros.core.errors import ConfigurationError
from pose_estimation_ros.synthetic.crop_samples import Crops, PackedCrops
from pose_estimation_ros.training.batch_plan import BatchRequest
from pose_estimation_ros.training.checkpoints import check_trained_for
from pose_estimation_ros.training.crop_batches import (
    CropAugmentation,
    PointBatch,
    join,
    training_batch,
)
from pose_estimation_ros.training.crop_sources import crop_source, stored_crops
from pose_estimation_ros.training.shape_priors import ShapePriors, read_priors
from pose_estimation_ros.training.sources import SampleSource, SourcedTask, data_path
from pose_estimation_ros.training.step_batches import on_device
from pose_estimation_ros.training.task import Player, TrainingData, TrainingSettings

POINTS = 256
PRIOR_POINTS = 256
# A picture is drawn of so many times as many points as are encoded.
PICTURED = 3

_GRAIN = 8
_SHAPE_POINTS = 384
_VALIDATION_BATCH = 64
# How often views of a category are drawn, 1 for others. What has a front needs its turn about the
# vertical learnt as well, which takes longest; what lies can be turned in more ways than what
# stands, and is rarer.
_LYING_WEIGHT = 1.6
_CATEGORY_WEIGHTS = {'bottle': 0.7, 'bowl': 0.6, 'camera': 1.6, 'can': 0.7, 'laptop': 1.1,
                     'mug': 1.7}


@dataclass(frozen=True)
class LiteData:
    """What a lite network is trained on.

    Attributes:
        sources: Training views.
        validation: Validation views; None = no validation.
        priors: Mean shapes of the categories.
        points: Points per object that are encoded.
        every: Of so many points of a batch one is encoded, from the first; the others are only
            seen in pictures.
    """

    sources: tuple[SampleSource, ...]
    validation: Crops | None
    priors: ShapePriors
    points: int = POINTS
    every: int = 1


class Correspondences(NamedTuple):
    """What validation looks at.

    Attributes:
        nocs: (B, N, 3) NOCS coordinates of the points that are encoded.
        membership: (B, N) logits.
    """

    nocs: Tensor
    membership: Tensor


class LiteTask(SourcedTask):
    """A lite correspondence network with its data; see `task.TrainingTask`."""

    figure = 'nocs'

    def __init__(self, data: LiteData) -> None:
        """Take the data."""
        super().__init__(data.sources)
        self.data = data

    @abstractmethod
    def correspondences(self, model: nn.Module, batch: PointBatch) -> Correspondences:
        """Return what the network says of a batch without knowing the truth."""

    def prior(self) -> Tensor:
        """Return the (categories, V, 3) priors, NOCS coordinates."""
        return torch.from_numpy(self.data.priors.points)

    def first_weights(self, content: Mapping[str, Any], path: Path) -> dict[str, Tensor]:
        """Return the weights of a checkpoint of the same network, with the priors at hand.

        Raises:
            ModelError: If it is of another network.
            ConfigurationError: If it is of other categories.
        """
        check_trained_for(content, self.notes(), path)
        return {name: self.prior() if name.rpartition('.')[2] == 'prior' else value
                for name, value in super().first_weights(content, path).items()}

    def players(self, model: nn.Module) -> list[Player]:
        """Return the network as the one player."""
        return [Player('', model, torch.optim.AdamW(model.parameters(), weight_decay=1e-2))]

    def batch(self, request: BatchRequest) -> PointBatch:
        """Return an augmented batch."""
        data, parts = self.data, []
        for grain in request.grains(math.gcd(request.size, _GRAIN)):
            views = join([self._sources[draw.source].samples(draw) for draw in grain.draws])
            parts.append(training_batch(views, np.arange(len(views)), data.points * data.every,
                                        _SHAPE_POINTS, CropAugmentation(), grain.generator,
                                        data.priors.categories))
        return PointBatch(*(torch.cat([getattr(part, field.name) for part in parts])
                            for field in fields(PointBatch)))

    def validate(self, model: nn.Module) -> dict[str, float]:
        """Return the NOCS distance of points on the object and the accuracy of membership."""
        data = self.data
        if data.validation is None:
            return {}
        device = next(model.parameters()).device
        distance, correct, members, total = 0.0, 0.0, 0.0, 0
        generator = np.random.default_rng(0)
        for start in range(0, len(data.validation), _VALIDATION_BATCH):
            index = np.arange(start, min(start + _VALIDATION_BATCH, len(data.validation)))
            batch = on_device(
                training_batch(data.validation, index, data.points * data.every, PRIOR_POINTS,
                               None, generator, data.priors.categories), device)
            output = self.correspondences(model, batch)
            batch = batch.thinned(data.every)
            error = torch.linalg.vector_norm(output.nocs - batch.nocs, dim=2)
            distance += float((error * batch.member).sum())
            members += float(batch.member.sum())
            correct += float(((output.membership > 0) == batch.member).sum())
            total += batch.member.numel()
        return {'nocs': distance / max(members, 1.0), 'membership': correct / max(total, 1)}

    def notes(self) -> dict[str, Any]:
        """Return sizes for the exporter."""
        priors = self.data.priors
        return {'points': self.data.points, 'prior_points': priors.points.shape[1],
                'categories': [category.as_plain() for category in priors.categories]}


def lite_data(data: TrainingData, settings: TrainingSettings, network: str,
              prior_points: int = PRIOR_POINTS, every: int = 1, *,
              colored: bool = False) -> LiteData:
    """Return the data of a lite network.

    Args:
        data: Where they are.
        settings: For the seed.
        network: Its name, for messages.
        prior_points: Points of each prior.
        every: See `LiteData`.
        colored: Whether the network sees colours, so that rendered views need them.

    Raises:
        ConfigurationError: If data are missing.
        ModelError: If the priors cannot be read.
    """
    if data.priors is None:
        raise ConfigurationError(f'{network} deforms shape priors; give their file as --priors, '
                                 'such as models/shape_priors/priors.npz')
    priors = read_priors(data.priors)
    priors = replace(priors, points=priors.points[:, :prior_points])
    weights = partial(view_weights, priors.categories)
    # Rendered views have more points than are drawn, so that batches of one view differ.
    sources = tuple(crop_source(source, data, (every + 1) * POINTS, priors.categories, weights,
                                settings.seed, colored=colored) for source in data.sources)
    validation = (stored_crops(data_path(data.validation)[0], priors.categories)
                  if data.validation else None)
    return LiteData(sources, validation, priors, every=every)


def view_weights(categories: tuple[Category, ...], crops: PackedCrops) -> NDArray[np.float64]:
    """Return (S,) how often each of the stored views is drawn."""
    by_category = np.array([_CATEGORY_WEIGHTS.get(category.name, 1.0) for category in categories])
    lying = (crops.up * crops.T_camera_object[:, :3, 1]).sum(axis=1) < 0.95
    return by_category[crops.category] * np.where(lying, _LYING_WEIGHT, 1.0)


def convolving_fast(network: nn.Module) -> nn.Module:
    """Return a network whose convolutions keep the channels last, which CPUs take faster."""
    for parameter in network.parameters():
        if parameter.dim() == 4:
            parameter.data = parameter.data.contiguous(memory_format=torch.channels_last)
    return network


def extent(shape: Tensor) -> Tensor:
    """Return the (B, 3) box size of (B, V, 3) points, symmetric about the origin as in SPD."""
    return 2.0 * shape.abs().amax(dim=1)
