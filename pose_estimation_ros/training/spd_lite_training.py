"""Training of SPD `lite` on point clouds of single objects, stored or made while training."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from functools import partial
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from pose_estimation_ros.core.categories import Category
from pose_estimation_ros.core.errors import ConfigurationError
from pose_estimation_ros.networks.spd_lite import SpdLite, SpdLiteConfig, SpdLiteOutput
from pose_estimation_ros.synthetic.crops import Crops
from pose_estimation_ros.training.batch_plan import BatchRequest
from pose_estimation_ros.training.crop_batches import (
    CropAugmentation,
    PointBatch,
    join,
    training_batch,
)
from pose_estimation_ros.training.crop_sources import crop_source, stored_crops
from pose_estimation_ros.training.distributed import global_mean
from pose_estimation_ros.training.losses import (
    assignment_entropy,
    chamfer_distance,
    deformation_magnitude,
)
from pose_estimation_ros.training.shape_priors import ShapePriors, read_priors
from pose_estimation_ros.training.sources import SampleSource, SourcedTask, data_path
from pose_estimation_ros.training.stages import StageSettings
from pose_estimation_ros.training.step_batches import on_device
from pose_estimation_ros.training.task import Losses, Player, TrainingData, TrainingSettings

NETWORK = 'spd-lite'
DEFAULTS = TrainingSettings(
    stages=(StageSettings(7500, 1e-3, 'cosine', warm_up=100),), batch=64, precision='bfloat16',
    clip=5.0, average=0.999)

POINTS = 256
PRIOR_POINTS = 256

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
class LossWeights:
    """Weights of the loss terms; correspondence is the unit.

    SPD's own terms keep their published ratio. `smoothness` is where the correspondence loss
    turns from square to absolute: a tenth of SPD's, since the last millimetres decide a grasp.
    """

    chamfer: float = 5.0
    entropy: float = 1e-4
    deformation: float = 0.01
    guess: float = 1.0
    placed: float = 1.0
    size: float = 0.5
    membership: float = 0.05
    choice: float = 0.1
    smoothness: float = 0.02


def spd_lite_losses(output: SpdLiteOutput, batch: PointBatch,
                    weights: LossWeights) -> dict[str, Tensor]:
    """Return every loss term and their weighted sum, `total`."""
    member = batch.member.float()

    def coordinate_error(nocs: Tensor) -> Tensor:
        error = functional.smooth_l1_loss(nocs, batch.nocs, beta=weights.smoothness,
                                          reduction='none').sum(dim=2)
        return global_mean((error * member).sum(), member.sum())

    shape = output.shape
    terms = {
        'correspondence': coordinate_error(output.nocs),
        'guess': coordinate_error(output.guess),
        'placed': torch.stack([coordinate_error(stage) for stage in output.placed]).mean(),
        'chamfer': chamfer_distance(shape, batch.shape),
        # A quarter of the points is enough for this small term, and saves a tenth of the step.
        'entropy': assignment_entropy(output.assignment[:, ::4]),
        'deformation': deformation_magnitude(output.deformation.float()),
        'size': (extent(shape) - extent(batch.shape)).abs().mean(),
        'membership': functional.binary_cross_entropy_with_logits(
            output.membership.float(), member),
        'choice': functional.cross_entropy(output.likelihood, output.chosen),
    }
    total = terms['correspondence'] + sum(
        getattr(weights, name) * terms[name] for name in terms if name != 'correspondence')
    return {'total': torch.as_tensor(total), **terms}


def extent(shape: Tensor) -> Tensor:
    """Return the (B, 3) box size of (B, V, 3) points, symmetric about the origin as in SPD."""
    return 2.0 * shape.abs().amax(dim=1)


class SpdLiteTask(SourcedTask):
    """SPD `lite` with its data and losses; see `task.TrainingTask`."""

    network = NETWORK
    figure = 'nocs'

    def __init__(self, sources: Sequence[SampleSource], validation: Crops | None,
                 priors: ShapePriors, config: SpdLiteConfig, points: int) -> None:
        """Join network and data.

        Args:
            sources: Training views.
            validation: Validation views; None = no validation.
            priors: Mean shapes of the categories.
            config: Sizes of the network, for as many categories.
            points: Points per object.
        """
        super().__init__(sources)
        self._validation, self._priors = validation, priors
        self._config, self._points = config, points

    def new_model(self) -> nn.Module:
        """Return the network with random weights."""
        return build_model(self._config, torch.from_numpy(self._priors.points))

    def players(self, model: nn.Module) -> list[Player]:
        """Return the network as the one player."""
        return [Player('', model, torch.optim.AdamW(model.parameters(), weight_decay=1e-2))]

    def batch(self, request: BatchRequest) -> PointBatch:
        """Return an augmented batch."""
        parts = []
        for grain in request.grains(math.gcd(request.size, _GRAIN)):
            views = join([self._sources[draw.source].samples(draw) for draw in grain.draws])
            parts.append(training_batch(views, np.arange(len(views)), self._points,
                                        _SHAPE_POINTS, CropAugmentation(), grain.generator,
                                        self._priors.categories))
        return PointBatch(*(torch.cat([getattr(part, field.name) for part in parts])
                            for field in fields(PointBatch)))

    def losses(self, modules: Mapping[str, nn.Module], player: str, batch: PointBatch) -> Losses:
        """Return the losses of a batch."""
        output = modules[player](batch.points, batch.condition, batch.category,
                                 truth=batch.nocs, member=batch.member)
        with torch.autocast(batch.points.device.type, enabled=False):
            return spd_lite_losses(output, batch, LossWeights())

    def validate(self, model: nn.Module) -> dict[str, float]:
        """Return the NOCS distance of points on the object and the accuracy of membership."""
        if self._validation is None:
            return {}
        nocs, membership = validation_error(model, self._validation, self._points,
                                            self._priors.categories)
        return {'nocs': nocs, 'membership': membership}

    def notes(self) -> dict[str, Any]:
        """Return sizes for the exporter."""
        return {'config': self._config.as_dict(), 'points': self._points,
                'prior_points': self._priors.points.shape[1],
                'categories': [category.as_plain() for category in self._priors.categories]}


def build_model(config: SpdLiteConfig, prior: Tensor) -> SpdLite:
    """Return the network with random weights.

    Args:
        config: Its sizes.
        prior: (categories, V, 3) mean shapes, NOCS coordinates.
    """
    return SpdLite(config, prior)


def make_task(data: TrainingData, settings: TrainingSettings) -> SpdLiteTask:
    """Return the task on the given data.

    Raises:
        ConfigurationError: If data are missing.
        ModelError: If the priors cannot be read.
    """
    if data.priors is None:
        raise ConfigurationError(f'{NETWORK} deforms shape priors; give their file as --priors, '
                                 'such as models/shape_priors/priors.npz')
    priors = read_priors(data.priors)
    priors = replace(priors, points=priors.points[:, :PRIOR_POINTS])
    weights = partial(view_weights, priors.categories)
    sources = [crop_source(source, data, 2 * POINTS, priors.categories, weights, settings.seed)
               for source in data.sources]
    validation = (stored_crops(data_path(data.validation)[0], priors.categories)
                  if data.validation else None)
    return SpdLiteTask(sources, validation, priors,
                       SpdLiteConfig(categories=len(priors.categories)), POINTS)


def view_weights(categories: tuple[Category, ...], crops: Crops) -> NDArray[np.float64]:
    """Return (S,) how often each of the stored views is drawn."""
    by_category = np.array([_CATEGORY_WEIGHTS.get(category.name, 1.0) for category in categories])
    lying = (crops.up * crops.T_camera_object[:, :3, 1]).sum(axis=1) < 0.95
    return by_category[crops.category] * np.where(lying, _LYING_WEIGHT, 1.0)


def validation_error(model: nn.Module, crops: Crops, points: int,
                     categories: tuple[Category, ...]) -> tuple[float, float]:
    """Return the mean NOCS distance on members and the membership accuracy, no augmentation."""
    device = next(model.parameters()).device
    distance, correct, members, total = 0.0, 0.0, 0.0, 0
    generator = np.random.default_rng(0)
    for start in range(0, len(crops), _VALIDATION_BATCH):
        index = np.arange(start, min(start + _VALIDATION_BATCH, len(crops)))
        data = on_device(training_batch(crops, index, points, PRIOR_POINTS, None, generator,
                                        categories), device)
        output = model(data.points, data.condition, data.category)
        error = torch.linalg.vector_norm(output.nocs - data.nocs, dim=2)
        distance += float((error * data.member).sum())
        members += float(data.member.sum())
        correct += float(((output.membership > 0) == data.member).sum())
        total += data.member.numel()
    return distance / max(members, 1.0), correct / max(total, 1)
