"""Training of the shape prior auto-encoder on synthetic training instances (spec 4.4)."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from pose_estimation_ros.core.categories import CATEGORIES, Category
from pose_estimation_ros.networks.shape_prior_autoencoder import ShapePriorAutoEncoder
from pose_estimation_ros.training.batch_plan import BatchRequest
from pose_estimation_ros.training.loop import run
from pose_estimation_ros.training.losses import chamfer_distance
from pose_estimation_ros.training.sources import SourcedTask
from pose_estimation_ros.training.stages import StageSettings, stretched
from pose_estimation_ros.training.task import Losses, Player, TrainingSettings

NETWORK = 'shape-prior'
# Published: 50 epochs of 10 passes; the rate falls every 5000 steps.
PUBLISHED_STEPS = 20_000
DEFAULTS = TrainingSettings(
    stages=tuple(StageSettings(PUBLISHED_STEPS // 4, 1e-4 * factor)
                 for factor in (1.0, 0.6, 0.3, 0.1)),
    batch=32, log_every=20)
# Published: 2048; fewer are quicker.
INPUT_POINTS = 512

_GRAIN = 8
_NOISE = 0.01
_LARGEST_NOISE = 0.02
_LARGEST_SHIFT = 0.02


@dataclass(frozen=True)
class AutoEncoderTraining:
    """How the auto-encoder is trained.

    Attributes:
        folder: Where checkpoint and log go; a run found there is resumed.
        steps: Steps of the whole training, over which the learning rate falls.
        minutes: The run stops after this time; call again to go on.
        batch_size: Clouds per step.
        input_points: Points drawn from each cloud, which are the target as well.
        device: 'cpu' or 'cuda'.
        seed: Seed of weights and data.
    """

    folder: Path
    steps: int = PUBLISHED_STEPS
    minutes: float = 30.0
    batch_size: int = 32
    input_points: int = INPUT_POINTS
    device: str = 'cpu'
    seed: int = 0


class AutoEncoderTask(SourcedTask):
    """The auto-encoder with its clouds and loss; see `task.TrainingTask`."""

    network = NETWORK
    figure = 'chamfer'

    def __init__(self, clouds: NDArray[np.float32],
                 categories: tuple[Category, ...] = CATEGORIES,
                 input_points: int = INPUT_POINTS, source: str = '') -> None:
        """Take the clouds.

        Args:
            clouds: (M, P, 3) NOCS surface points of the training instances of all categories.
            categories: What they are of.
            input_points: Points drawn from each cloud, which are the target as well.
            source: What the clouds were made from, for the exporter.
        """
        super().__init__([])
        self._clouds, self._categories = clouds, categories
        self._input_points, self._source = input_points, source

    def new_model(self) -> nn.Module:
        """Return the auto-encoder with random weights."""
        return ShapePriorAutoEncoder()

    def players(self, model: nn.Module) -> list[Player]:
        """Return the auto-encoder as the one player."""
        return [Player('', model, torch.optim.Adam(model.parameters()))]

    def batch(self, request: BatchRequest) -> Tensor:
        """Return (B, input points, 3) points drawn with replacement, with noise and a shift."""
        size = math.gcd(request.size, _GRAIN)
        return torch.cat([self._augmented(size, grain.generator)
                          for grain in request.grains(size)])

    def losses(self, modules: Mapping[str, nn.Module], player: str, batch: Tensor) -> Losses:
        """Return the Chamfer distance between input and output."""
        return {'total': chamfer_distance(modules[player](batch)[1], batch)}

    def validate(self, model: nn.Module) -> dict[str, float]:  # noqa: ARG002
        """Return nothing: the auto-encoder is judged by the priors it gives."""
        return {}

    def notes(self) -> dict[str, Any]:
        """Return what was drawn from."""
        return {'input_points': self._input_points, 'source': self._source,
                'categories': [category.as_plain() for category in self._categories]}

    def advance(self, now: BatchRequest, ahead: BatchRequest) -> None:
        """Do nothing: all clouds are there."""

    def _augmented(self, count: int, generator: np.random.Generator) -> Tensor:
        instance = generator.integers(len(self._clouds), size=(count, 1))
        point = generator.integers(self._clouds.shape[1], size=(count, self._input_points))
        points = self._clouds[instance, point]
        noise = generator.normal(0.0, _NOISE, points.shape).clip(-_LARGEST_NOISE, _LARGEST_NOISE)
        shift = generator.uniform(-_LARGEST_SHIFT, _LARGEST_SHIFT, (count, 1, 3))
        return torch.from_numpy((points + noise + shift).astype(np.float32))


def train_autoencoder(
    clouds: NDArray[np.float32], training: AutoEncoderTraining
) -> ShapePriorAutoEncoder:
    """Train, or go on training, the auto-encoder.

    Args:
        clouds: (M, P, 3) NOCS surface points of the training instances of all categories.
        training: How to train.

    Returns:
        The auto-encoder in evaluation mode, trained as far as the time allowed.
    """
    settings = replace(
        DEFAULTS, stages=stretched(DEFAULTS.stages, training.steps), batch=training.batch_size,
        seed=training.seed, device=training.device, minutes=training.minutes)
    task = AutoEncoderTask(clouds, input_points=training.input_points)
    model = run(task, settings, training.folder).model
    assert isinstance(model, ShapePriorAutoEncoder)
    return model.eval()


def decoded_mean_shape(
    model: ShapePriorAutoEncoder, clouds: NDArray[np.float32]
) -> NDArray[np.float32]:
    """Return the (1024, 3) decoded mean embedding of one category's (M, P, 3) clouds."""
    device = next(model.parameters()).device
    with torch.no_grad():
        embeddings = [model.encoder(torch.from_numpy(cloud[None]).to(device)) for cloud in clouds]
        mean = torch.cat(embeddings).mean(dim=0, keepdim=True)
        shape: NDArray[np.float32] = model.decoder(mean)[0].cpu().numpy()
    return shape
