"""Training of the shape prior auto-encoder on synthetic training instances (spec 4.4)."""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pose_estimation_ros.networks.shape_prior_autoencoder import ShapePriorAutoEncoder
from pose_estimation_ros.training.checkpoints import (
    TrainingState,
    load_checkpoint,
    save_checkpoint,
)
from pose_estimation_ros.training.losses import chamfer_distance
from pose_estimation_ros.training.schedules import StagedSchedule, forget_moments, set_rate
from pose_estimation_ros.training.training_log import TrainingLog

# Published: 50 epochs of 10 passes; the rate falls every 5000 steps.
PUBLISHED_STEPS = 20_000

_NOISE = 0.01
_LARGEST_NOISE = 0.02
_LARGEST_SHIFT = 0.02
_LOG_EVERY = 20
_SAVE_EVERY = 200

_logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class AutoEncoderTraining:
    """How the auto-encoder is trained.

    Attributes:
        folder: Where checkpoint and log go; a run found there is resumed.
        steps: Steps of the whole training, over which the learning rate falls.
        minutes: The run stops after this time; call again to go on.
        batch_size: Clouds per step.
        input_points: Points drawn from each cloud, which are the target as well (published:
            2048; fewer are quicker).
        device: 'cpu' or 'cuda'.
        seed: Seed of weights and data.
    """

    folder: Path
    steps: int = PUBLISHED_STEPS
    minutes: float = 30.0
    batch_size: int = 32
    input_points: int = 512
    device: str = 'cpu'
    seed: int = 0


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
    torch.manual_seed(training.seed)
    model = ShapePriorAutoEncoder().to(training.device)
    generator = np.random.default_rng(training.seed)
    state = TrainingState(
        model, torch.optim.Adam(model.parameters(), lr=1e-4), generators={'data': generator}
    )
    checkpoint = training.folder / 'last.pt'
    if checkpoint.is_file():
        load_checkpoint(checkpoint, state)
        _logger.info('resumed at step %d', state.step)
    schedule = StagedSchedule(
        1e-4, (1.0, 0.6, 0.3, 0.1), tuple(training.steps * k // 4 for k in range(4))
    )
    deadline = time.monotonic() + 60.0 * training.minutes
    with TrainingLog(training.folder, state.step) as log:
        while state.step < training.steps and time.monotonic() < deadline:
            if schedule.starts_stage(state.step):
                forget_moments(state.optimizer)
            set_rate(state.optimizer, schedule.rate_at(state.step))
            points = _augmented_batch(clouds, training, generator).to(training.device)
            loss = chamfer_distance(model(points)[1], points)
            state.optimizer.zero_grad(set_to_none=True)
            loss.backward()
            state.optimizer.step()
            state.step += 1
            if state.step % _LOG_EVERY == 0:
                log.write(state.step, {'chamfer': loss.item()})
            if state.step % _SAVE_EVERY == 0:
                save_checkpoint(checkpoint, state)
    save_checkpoint(checkpoint, state)
    _logger.info('at step %d of %d', state.step, training.steps)
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


def _augmented_batch(
    clouds: NDArray[np.float32], training: AutoEncoderTraining, generator: np.random.Generator
) -> Tensor:
    """Draw clouds and points (with replacement), add noise and a shift."""
    instance = generator.integers(len(clouds), size=(training.batch_size, 1))
    point = generator.integers(
        clouds.shape[1], size=(training.batch_size, training.input_points)
    )
    points = clouds[instance, point]
    noise = generator.normal(0.0, _NOISE, points.shape).clip(-_LARGEST_NOISE, _LARGEST_NOISE)
    shift = generator.uniform(-_LARGEST_SHIFT, _LARGEST_SHIFT, (training.batch_size, 1, 3))
    return torch.from_numpy((points + noise + shift).astype(np.float32))
