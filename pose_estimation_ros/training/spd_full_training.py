r"""Training of the full SPD network with the published schedule (spec 4.3).

Usage::

    python -m pose_estimation_ros.training.spd_full_training --data data/color_crops/train \
        --priors models/shape_priors/priors.npz --out runs/spd_full --device cuda --minutes 8

Run the same command again to go on where it stopped.
"""

from __future__ import annotations

import argparse
import logging
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torchvision.transforms.v2 import ColorJitter

from pose_estimation_ros.backends.spd_preprocessing import normalized_image
from pose_estimation_ros.core.categories import CATEGORIES
from pose_estimation_ros.networks.spd import SPD
from pose_estimation_ros.training.checkpoints import (
    TrainingState,
    load_checkpoint,
    save_checkpoint,
)
from pose_estimation_ros.training.color_crops import ColorCrops, read_color_crops
from pose_estimation_ros.training.losses import SPDLosses, spd_losses
from pose_estimation_ros.training.schedules import (
    forget_moments,
    published_spd_schedule,
    set_rate,
)
from pose_estimation_ros.training.shape_priors import load_priors
from pose_estimation_ros.training.symmetry_targets import symmetric_targets
from pose_estimation_ros.training.training_log import TrainingLog

Precision = Literal['float32', 'bfloat16']

PUBLISHED_STEPS = 75_000
CHECKPOINT = 'last.pt'

# Published augmentation (spec 4.2), metres.
_LARGEST_SHIFT = 0.01
_NOISE = 0.001
_LARGEST_NOISE = 0.005
_COLOR_JITTER = (0.2, 0.2, 0.2, 0.05)

_LOG_EVERY = 20
_SAVE_EVERY_SECONDS = 120.0
_SYMMETRIC = np.array([category.symmetry.axis is not None for category in CATEGORIES])

_logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class FullTraining:
    """How the full network is trained.

    Attributes:
        folder: Where checkpoint and log go; a run found there is resumed.
        steps: Steps of the whole training, over which the learning rate falls.
        minutes: The run stops after this time; call again to go on.
        batch_size: Objects per step.
        device: 'cpu' or 'cuda'.
        precision: Arithmetic of the network; losses and weights are float32 always.
        seed: Seed of weights, data and augmentation.
    """

    folder: Path
    steps: int = PUBLISHED_STEPS
    minutes: float = 1e9
    batch_size: int = 32
    device: str = 'cpu'
    precision: Precision = 'bfloat16'
    seed: int = 0


@dataclass(frozen=True)
class FullBatch:
    """What one step sees of B objects; see `networks.spd.SPD` and `training.losses`."""

    points: Tensor
    image: Tensor
    pixel_index: Tensor
    category: Tensor
    nocs: Tensor
    shape: Tensor

    def to(self, device: str) -> FullBatch:
        """Return the batch on a device."""
        return FullBatch(*(getattr(self, name).to(device) for name in self.__dataclass_fields__))


def augmented_batch(crops: ColorCrops, generator: np.random.Generator) -> FullBatch:
    """Return all of the crops as a batch, augmented as published.

    Colours are jittered (with torch's random generator), each object is shifted by up to 1 cm
    along each axis, its points get noise of 1 mm. Symmetric objects are turned to their
    representative.
    """
    count = len(crops)
    jitter = ColorJitter(*_COLOR_JITTER)
    images = torch.from_numpy(crops.image).permute(0, 3, 1, 2)
    jittered = torch.stack([jitter(image) for image in images]).permute(0, 2, 3, 1)
    shift = generator.uniform(-_LARGEST_SHIFT, _LARGEST_SHIFT, (count, 1, 3))
    noise = generator.normal(0.0, _NOISE, crops.points.shape)
    points = crops.points + shift + noise.clip(-_LARGEST_NOISE, _LARGEST_NOISE)
    _, nocs = symmetric_targets(crops.rotation, crops.nocs, _SYMMETRIC[crops.category])
    return FullBatch(
        torch.from_numpy(points.astype(np.float32)),
        torch.from_numpy(normalized_image(jittered.numpy())),
        torch.from_numpy(crops.pixel_index.astype(np.int64)),
        torch.from_numpy(crops.category),
        torch.from_numpy(nocs),
        torch.from_numpy(crops.shape),
    )


def batch_losses(
    network: SPD, priors: Tensor, batch: FullBatch, precision: Precision
) -> SPDLosses:
    """Run the network on a batch and return its losses.

    Args:
        network: The network.
        priors: (6, 1024, 3) on the network's device.
        batch: The batch, on the same device.
        precision: Arithmetic of the network.
    """
    prior = priors[batch.category]
    with torch.autocast(
        priors.device.type, dtype=torch.bfloat16, enabled=precision == 'bfloat16'
    ):
        logits, deformation = network(
            batch.points, batch.image, batch.pixel_index, batch.category, prior
        )
    return spd_losses(logits, deformation, prior, batch.nocs, batch.shape)


def train_full(
    crops: ColorCrops, priors: NDArray[np.float32], training: FullTraining
) -> TrainingState:
    """Train, or go on training, the full network.

    Args:
        crops: Training views.
        priors: (6, 1024, 3) shape priors, NOCS coordinates.
        training: How to train.

    Returns:
        The state reached, which is also in the folder's checkpoint.
    """
    torch.manual_seed(training.seed)
    network = SPD().to(training.device)
    generator = np.random.default_rng(training.seed)
    state = TrainingState(
        network, torch.optim.Adam(network.parameters(), lr=1e-4), generators={'data': generator}
    )
    checkpoint = training.folder / CHECKPOINT
    if checkpoint.is_file():
        load_checkpoint(checkpoint, state)
        _logger.info('resumed at step %d', state.step)
    schedule = published_spd_schedule(training.steps)
    prior_table = torch.from_numpy(priors).to(training.device)
    network.train()
    start = saved = time.monotonic()
    with TrainingLog(training.folder, state.step) as log:
        while state.step < training.steps and time.monotonic() - start < 60 * training.minutes:
            if schedule.starts_stage(state.step):
                forget_moments(state.optimizer)
            set_rate(state.optimizer, schedule.rate_at(state.step))
            index = generator.integers(len(crops), size=training.batch_size)
            batch = augmented_batch(crops.take(index), generator).to(training.device)
            losses = batch_losses(network, prior_table, batch, training.precision)
            state.optimizer.zero_grad(set_to_none=True)
            losses.total.backward()
            state.optimizer.step()
            state.step += 1
            if state.step % _LOG_EVERY == 0 or state.step == training.steps:
                log.write(state.step, losses.detached())
            if time.monotonic() - saved > _SAVE_EVERY_SECONDS:
                save_checkpoint(checkpoint, state)
                saved = time.monotonic()
    save_checkpoint(checkpoint, state)
    _logger.info('at step %d of %d', state.step, training.steps)
    return state


def main() -> None:
    """Train as the command line says."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('--data', type=Path, required=True, help='folder of colour crops')
    parser.add_argument('--priors', type=Path, required=True, help='shape priors')
    parser.add_argument('--out', type=Path, required=True, help='checkpoint and log')
    parser.add_argument('--steps', type=int, default=PUBLISHED_STEPS)
    parser.add_argument('--minutes', type=float, default=1e9, help='stop this slice after')
    parser.add_argument('--batch', type=int, default=32)
    parser.add_argument('--device', default='cpu')
    parser.add_argument('--precision', choices=get_args(Precision), default='bfloat16')
    parser.add_argument('--seed', type=int, default=0)
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format='%(message)s')
    train_full(
        read_color_crops(arguments.data),
        load_priors(arguments.priors),
        FullTraining(
            arguments.out, arguments.steps, arguments.minutes, arguments.batch,
            arguments.device, arguments.precision, arguments.seed,
        ),
    )


if __name__ == '__main__':
    main()
