"""What the trainings of all full networks share: data, batches, losses, validation (spec 4)."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torchvision.transforms.v2 import ColorJitter

from pose_estimation_ros.backends.spd_preprocessing import normalized_image
from pose_estimation_ros.core.categories import CATEGORIES
from pose_estimation_ros.core.errors import ConfigurationError
from pose_estimation_ros.networks.spd import reconstruct
from pose_estimation_ros.training.batch_plan import BatchRequest
from pose_estimation_ros.training.color_crops import ColorCrops
from pose_estimation_ros.training.color_sources import (
    color_source,
    convention_of,
    validation_crops,
)
from pose_estimation_ros.training.losses import SPDLosses, spd_losses
from pose_estimation_ros.training.shape_priors import load_priors, priors_digest
from pose_estimation_ros.training.sources import SampleSource, SourcedTask
from pose_estimation_ros.training.step_batches import on_device
from pose_estimation_ros.training.symmetry_targets import symmetric_targets
from pose_estimation_ros.training.task import Losses, Player, TrainingData, TrainingSettings

# Logits (B, N, V) of the assignment and deformation (B, V, 3).
Stage = tuple[Tensor, Tensor]

# Published augmentation (spec 4.2), metres.
_LARGEST_SHIFT = 0.01
_NOISE = 0.001
_LARGEST_NOISE = 0.005
_COLOR_JITTER = (0.2, 0.2, 0.2, 0.05)

_SYMMETRIC = np.array([category.symmetry.axis is not None for category in CATEGORIES])
_VALIDATION_BATCH = 16


@dataclass(frozen=True)
class FullBatch:
    """What one step sees of B objects; see `networks.spd.SPD` and `training.losses`."""

    points: Tensor
    image: Tensor
    pixel_index: Tensor
    category: Tensor
    nocs: Tensor
    shape: Tensor


def augmented_batch(crops: ColorCrops, generator: np.random.Generator) -> FullBatch:
    """Return all of the crops as a batch, augmented as published.

    Colours are jittered, each object is shifted by up to 1 cm along each axis, its points get
    noise of 1 mm. Symmetric objects are turned to their representative.
    """
    count = len(crops)
    shift = generator.uniform(-_LARGEST_SHIFT, _LARGEST_SHIFT, (count, 1, 3))
    noise = generator.normal(0.0, _NOISE, crops.points.shape)
    moved = crops.points + shift + noise.clip(-_LARGEST_NOISE, _LARGEST_NOISE)
    return _batch(crops, _jittered(crops.image, generator), moved)


def plain_batch(crops: ColorCrops) -> FullBatch:
    """Return all of the crops as a batch, as they are."""
    return _batch(crops, crops.image, crops.points)


def _batch(crops: ColorCrops, images: NDArray[np.uint8],
           points: NDArray[np.floating]) -> FullBatch:
    _, nocs = symmetric_targets(crops.rotation, crops.nocs, _SYMMETRIC[crops.category])
    return FullBatch(
        torch.from_numpy(points.astype(np.float32)),
        torch.from_numpy(normalized_image(images)),
        torch.from_numpy(crops.pixel_index.astype(np.int64)),
        torch.from_numpy(crops.category),
        torch.from_numpy(nocs),
        torch.from_numpy(crops.shape),
    )


def _jittered(images: NDArray[np.uint8], generator: np.random.Generator) -> NDArray[np.uint8]:
    jitter = ColorJitter(*_COLOR_JITTER)
    # The jitter draws from torch's own generator, which is left as it was.
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(int(generator.integers(1 << 62)))
        changed = [jitter(image) for image in torch.from_numpy(images).permute(0, 3, 1, 2)]
    return torch.stack(changed).permute(0, 2, 3, 1).numpy()


class FullTask(SourcedTask):
    """A full correspondence network with its data and losses; see `task.TrainingTask`."""

    figure = 'nocs'

    def __init__(self, sources: Sequence[SampleSource], validation: ColorCrops | None,
                 priors: NDArray[np.float32]) -> None:
        """Take the data.

        Args:
            sources: Training views, as `ColorCrops`.
            validation: Validation views; None = no validation.
            priors: (6, 1024, 3) shape priors, NOCS coordinates.

        Raises:
            ConfigurationError: If the sources have objects in different frames.
        """
        super().__init__(sources)
        self._convention = convention_of(sources)
        self._validation, self._priors = validation, torch.from_numpy(priors)

    @abstractmethod
    def stages(self, network: nn.Module, batch: FullBatch, prior: Tensor) -> Sequence[Stage]:
        """Return what the network answers, first to last, for objects of the (B, V, 3) priors."""

    def players(self, model: nn.Module) -> list[Player]:
        """Return the network as the one player."""
        return [Player('', model, torch.optim.Adam(model.parameters()))]

    def batch(self, request: BatchRequest) -> FullBatch:
        """Return an augmented batch."""
        parts = [augmented_batch(self._sources[draw.source].samples(draw), grain.generator)
                 for grain in request.grains(1) for draw in grain.draws]
        return FullBatch(*(torch.cat([getattr(part, field.name) for part in parts])
                           for field in fields(FullBatch)))

    def losses(self, modules: Mapping[str, nn.Module], player: str, batch: FullBatch) -> Losses:
        """Return the losses of a batch, each summed over the stages."""
        prior = self.prior(batch)
        terms = [spd_losses(logits, deformation, prior, batch.nocs, batch.shape)
                 for logits, deformation in self.stages(modules[player], batch, prior)]
        return {field.name: torch.stack([getattr(term, field.name) for term in terms]).sum()
                for field in fields(SPDLosses)}

    def validate(self, model: nn.Module) -> dict[str, float]:
        """Return the mean distance between predicted and true NOCS coordinates."""
        if self._validation is None:
            return {}
        device = next(model.parameters()).device
        distances = []
        for start in range(0, len(self._validation), _VALIDATION_BATCH):
            index = np.arange(start, min(start + _VALIDATION_BATCH, len(self._validation)))
            batch = on_device(plain_batch(self._validation.take(index)), device)
            prior = self.prior(batch)
            nocs, _ = reconstruct(*self.stages(model, batch, prior)[-1], prior)
            distances.append(torch.linalg.vector_norm(nocs - batch.nocs, dim=2).flatten())
        return {'nocs': float(torch.cat(distances).mean())}

    def notes(self) -> dict[str, Any]:
        """Return whose priors they are and the frame of the objects."""
        return {'priors': priors_digest(self._priors.numpy()), 'convention': self._convention}

    def prior(self, batch: FullBatch) -> Tensor:
        """Return the (B, V, 3) priors of a batch's objects."""
        return self._priors.to(batch.category.device)[batch.category]


def full_data(data: TrainingData, settings: TrainingSettings, network: str
              ) -> tuple[list[SampleSource], ColorCrops | None, NDArray[np.float32]]:
    """Return sources, validation views and priors of a full network.

    Args:
        data: Where they are.
        settings: For the seed.
        network: Its name, for messages.

    Raises:
        ConfigurationError: If data are missing.
        ModelError: If the priors cannot be read.
    """
    if data.priors is None:
        raise ConfigurationError(f'{network} deforms shape priors; give their file as --priors, '
                                 'such as models/shape_priors/priors.npz')
    priors = load_priors(data.priors)
    sources = [color_source(source, data, settings.seed) for source in data.sources]
    return sources, validation_crops(data.validation) if data.validation else None, priors
