"""Training of the point classifier on what the detector finds in training frames.

    pose-estimation train point-classifier --data data/candidates/primary/train \
        --data data/crops/primary/train --ratio 7:3 \
        --validation data/candidates/primary/val --out runs/point_classifier

Crops show many more objects than frames do, but nothing that is no object.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from pose_estimation_ros.core.categories import CATEGORY_NAMES
from pose_estimation_ros.networks.point_classifier import PointClassifier, PointClassifierConfig
from pose_estimation_ros.segmentation.object_cloud import AROUND, INSIDE, classifier_input
from pose_estimation_ros.training.batch_plan import BatchRequest, PassOrder
from pose_estimation_ros.training.classifier_samples import (
    Candidates,
    join_candidates,
    read_candidates,
    take_candidates,
)
from pose_estimation_ros.training.sources import (
    SampleSource,
    SourcedTask,
    StoredSamples,
    data_path,
)
from pose_estimation_ros.training.stages import StageSettings
from pose_estimation_ros.training.step_batches import on_device
from pose_estimation_ros.training.task import Losses, Player, TrainingData, TrainingSettings

NETWORK = 'point-classifier'
DEFAULTS = TrainingSettings(
    stages=(StageSettings(4000, 1.5e-3, 'cosine', warm_up=100),), batch=64,
    precision='bfloat16', clip=5.0, average=0.998)

_GRAIN = 8
_LABEL_SMOOTHING = 0.03
_VALIDATION_BATCH = 64
_MIRROR = np.array([-1.0, 1.0, 1.0])


@dataclass(frozen=True)
class CandidateAugmentation:
    """How strongly candidates are varied.

    Attributes:
        scale: Standard deviation of the logarithm of the size.
        noise: Largest standard deviation of noise along the ray, metres.
        tilt: Standard deviation of the error of the up direction, radians.
        unknown_up: Share of candidates whose up direction is not known.
        no_color: Share without colour, so that shape is learnt as well.
        no_scores: Share without the detector's opinion.
    """

    scale: float = 0.03
    noise: float = 0.002
    tilt: float = 0.01
    unknown_up: float = 0.06
    no_color: float = 0.35
    no_scores: float = 0.25


@dataclass(frozen=True)
class CandidateBatch:
    """What one training step sees.

    Attributes:
        points: (B, N, 7), see `ClassifierInput`.
        condition: (B, 4 + categories), see `ClassifierInput`.
        target: (B,) int64: 0 = none, else 1 + the category's index.
    """

    points: Tensor
    condition: Tensor
    target: Tensor


def candidate_batch(data: Candidates, augmentation: CandidateAugmentation | None,
                    generator: np.random.Generator) -> CandidateBatch:
    """Return a batch of all given candidates.

    Args:
        data: The candidates.
        augmentation: Strength of the variation; None takes them as they are.
        generator: Source of everything random.
    """
    points, colors, up = data.points.astype(np.float64), data.colors, data.up
    scores = data.scores.copy()
    if augmentation is not None:
        points, up = _varied_geometry(points, up, augmentation, generator)
        chosen = _seen_again(len(data), generator)
        points = np.take_along_axis(points, chosen[..., None], axis=1)
        colors = np.take_along_axis(colors, chosen[..., None], axis=1)
        colors = _varied_colors(colors, augmentation, generator)
        scores *= generator.random((len(data), 1)) >= augmentation.no_scores
    prepared = classifier_input(points, colors, up, scores)
    return CandidateBatch(torch.from_numpy(prepared.points),
                          torch.from_numpy(prepared.condition), torch.from_numpy(data.target))


def _varied_geometry(points: NDArray[np.float64], up: NDArray[np.float64],
                     augmentation: CandidateAugmentation, generator: np.random.Generator,
                     ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    batch = len(points)
    mirror = np.where(generator.random((batch, 1)) < 0.5, _MIRROR, 1.0)
    points, up = points * mirror[:, None], up * mirror
    points = points * np.exp(generator.normal(0.0, augmentation.scale, (batch, 1, 1)))
    sigma = generator.uniform(0.0, augmentation.noise, (batch, 1))
    distance = np.maximum(np.linalg.norm(points, axis=2), 0.1)
    shift = sigma * np.clip(generator.standard_normal(distance.shape), -3, 3)
    points = points * (1.0 + shift / distance)[..., None]
    up = up + augmentation.tilt * generator.standard_normal((batch, 3))
    up /= np.linalg.norm(up, axis=1, keepdims=True)
    unknown = generator.random((batch, 1)) < augmentation.unknown_up
    return points, np.where(unknown, np.nan, up)


def _seen_again(batch: int, generator: np.random.Generator) -> NDArray[np.intp]:
    """Return (B, N) which points are kept: a random part of each group, repeated.

    Fewer were seen.
    """
    chosen = []
    for first, count in ((0, INSIDE), (INSIDE, AROUND)):
        kept = (generator.uniform(0.15, 1.0, (batch, 1)) * count).astype(np.intp) + 1
        order = np.argsort(generator.random((batch, count)), axis=1)
        chosen.append(first + np.take_along_axis(order, np.arange(count)[None] % kept, axis=1))
    return np.concatenate(chosen, axis=1)


def _varied_colors(colors: NDArray[np.uint8], augmentation: CandidateAugmentation,
                   generator: np.random.Generator) -> NDArray[np.uint8]:
    batch = len(colors)
    value = colors.astype(np.float32)
    order = np.argsort(generator.random((batch, 1, 3)), axis=2)
    swapped = generator.random((batch, 1, 1)) < 0.3
    value = np.where(swapped, np.take_along_axis(value, np.broadcast_to(order, value.shape), 2),
                     value)
    value = value * generator.uniform(0.6, 1.4, (batch, 1, 3)) + generator.normal(
        0.0, 15.0, (batch, 1, 3))
    grey = generator.random((batch, 1, 1)) < 0.25
    value = np.where(grey, value.mean(axis=2, keepdims=True), value)
    none = generator.random((batch, 1, 1)) < augmentation.no_color
    return np.clip(np.where(none, 127.5, value), 0, 255).astype(np.uint8)


class PointClassifierTask(SourcedTask):
    """The classifier with its data and losses; see `task.TrainingTask`."""

    network = NETWORK
    figure = 'error'

    def __init__(self, sources: Sequence[SampleSource], validation: Candidates | None,
                 config: PointClassifierConfig) -> None:
        """Join network and data.

        Args:
            sources: Training candidates.
            validation: Validation candidates; None = no validation.
            config: Sizes of the network.
        """
        super().__init__(sources)
        self._validation, self._config = validation, config

    def new_model(self) -> nn.Module:
        """Return the network with random weights."""
        return PointClassifier(self._config)

    def players(self, model: nn.Module) -> list[Player]:
        """Return the network as the one player."""
        return [Player('', model, torch.optim.AdamW(model.parameters(), weight_decay=0.02))]

    def batch(self, request: BatchRequest) -> CandidateBatch:
        """Return an augmented batch."""
        parts = [candidate_batch(join_candidates([self._sources[draw.source].samples(draw)
                                                  for draw in grain.draws]),
                                 CandidateAugmentation(), grain.generator)
                 for grain in request.grains(math.gcd(request.size, _GRAIN))]
        return CandidateBatch(*(torch.cat([getattr(part, name) for part in parts])
                                for name in ('points', 'condition', 'target')))

    def losses(self, modules: Mapping[str, nn.Module], player: str,
               batch: CandidateBatch) -> Losses:
        """Return the cross entropy of a batch."""
        logits = modules[player](batch.points, batch.condition).float()
        return {'total': functional.cross_entropy(logits, batch.target,
                                                  label_smoothing=_LABEL_SMOOTHING)}

    def validate(self, model: nn.Module) -> dict[str, float]:
        """Return the shares that are named rightly, and the mean of their errors."""
        if self._validation is None:
            return {}
        objects, others = naming_accuracy(model, self._validation)
        return {'objects': objects, 'others': others, 'error': 1.0 - (objects + others) / 2}

    def notes(self) -> dict[str, Any]:
        """Return the sizes for the exporter."""
        return {'config': self._config.as_dict()}


def make_task(data: TrainingData, settings: TrainingSettings) -> PointClassifierTask:
    """Return the task on the given data.

    Raises:
        ConfigurationError: If data are missing.
    """
    del settings
    validation = (read_candidates(data_path(data.validation)[0]) if data.validation else None)
    return PointClassifierTask([_source(source) for source in data.sources], validation,
                               PointClassifierConfig(categories=len(CATEGORY_NAMES)))


def naming_accuracy(model: nn.Module, data: Candidates) -> tuple[float, float]:
    """Return the shares of objects and of other things that are named rightly.

    An object counts if its category is the most probable one of the categories, and another
    thing if 'none' is more probable than all of them together.
    """
    device = next(model.parameters()).device
    generator = np.random.default_rng(0)
    answers = []
    for start in range(0, len(data), _VALIDATION_BATCH):
        index = np.arange(start, min(start + _VALIDATION_BATCH, len(data)))
        batch = on_device(candidate_batch(take_candidates(data, index), None, generator), device)
        answers.append(torch.softmax(model(batch.points, batch.condition), dim=1).cpu().numpy())
    probability = np.concatenate(answers)
    is_object = data.target > 0
    named = 1 + probability[is_object, 1:].argmax(axis=1)
    return (float((named == data.target[is_object]).mean()),
            float((probability[~is_object, 0] > 0.5).mean()))


def _source(source: str) -> SampleSource:
    data = read_candidates(data_path(source)[0])
    return StoredSamples(partial(take_candidates, data), PassOrder(len(data)))
