"""Training of the `lite` Mask R-CNN on synthetic frames."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from pose_estimation_ros.core.categories import CATEGORIES, Category
from pose_estimation_ros.networks.mask_rcnn import MaskRCNN, MaskRCNNConfig
from pose_estimation_ros.segmentation.preprocessing import InputSize
from pose_estimation_ros.synthetic.object_source import categories_of
from pose_estimation_ros.training.batch_plan import BatchRequest
from pose_estimation_ros.training.detection_error import detection_error
from pose_estimation_ros.training.frame_sources import (
    Frames,
    common_categories,
    frame_source,
    has_sensor_depth,
    stored_frames,
)
from pose_estimation_ros.training.maskrcnn_data import (
    COLOR_AND_DEPTH,
    COLORS_OF_KNOWN_OBJECTS,
    InputStyle,
    Sample,
    collate,
    training_sample,
    whole_sample,
)
from pose_estimation_ros.training.maskrcnn_warm_start import begun_weights
from pose_estimation_ros.training.sources import SampleSource, SourcedTask
from pose_estimation_ros.training.stages import StageSettings
from pose_estimation_ros.training.step_batches import on_device
from pose_estimation_ros.training.task import Losses, Player, TrainingData, TrainingSettings

NETWORK = 'maskrcnn'
DEFAULTS = TrainingSettings(
    stages=(StageSettings(6000, 1e-3, 'cosine', warm_up=300),), batch=8, precision='bfloat16',
    clip=5.0, average=0.999, workers=1)

_WEIGHT_DECAY = 0.02
_VALIDATION_BATCH = 8


class MaskRCNNTask(SourcedTask):
    """The detector with its data and losses; see `task.TrainingTask`.

    Its losses count proposals that it chooses at random, so with several processes they are close
    to those of one, and not equal.
    """

    network = NETWORK
    figure = 'error'

    def __init__(self, sources: Sequence[SampleSource], validation: Frames | None,
                 config: MaskRCNNConfig, size: InputSize,
                 categories: tuple[Category, ...] = CATEGORIES,
                 style: InputStyle = COLOR_AND_DEPTH) -> None:
        """Join network and data.

        Args:
            sources: Training frames, as lists of `SyntheticFrame`.
            validation: Validation frames; None = no validation.
            config: Sizes of the network.
            size: Input size of the detector.
            categories: Its classes, from 1.
            style: What it gets to see.
        """
        super().__init__(sources)
        self._validation, self._config, self._size = validation, config, size
        self._categories, self._style = categories, style
        self._names = tuple(category.name for category in categories)

    def new_model(self) -> nn.Module:
        """Return the network with random weights."""
        return MaskRCNN(self._config).to(memory_format=torch.channels_last)

    def first_weights(self, content: Mapping[str, Any], path: Path) -> dict[str, Tensor]:
        """Return the weights of another detector, fitted to these classes and channels."""
        return begun_weights(super().first_weights(content, path), categories_of(content['notes']),
                             self.new_model().state_dict(), self._names)

    def players(self, model: nn.Module) -> list[Player]:
        """Return the network as the one player; biases and normalisations do not decay."""
        decayed = [p for p in model.parameters() if p.ndim > 1]
        free = [p for p in model.parameters() if p.ndim <= 1]
        groups = [{'params': decayed, 'weight_decay': _WEIGHT_DECAY},
                  {'params': free, 'weight_decay': 0.0}]
        return [Player('', model, torch.optim.AdamW(groups))]

    def batch(self, request: BatchRequest) -> Sample:
        """Return augmented pictures and what is in them."""
        return collate([training_sample(frame, self._size, grain.generator, self._names,
                                        self._style)
                        for grain in request.grains(1) for draw in grain.draws
                        for frame in self._sources[draw.source].samples(draw)])

    def losses(self, modules: Mapping[str, nn.Module], player: str, batch: Any) -> Losses:
        """Return torchvision's losses of a batch."""
        images, targets = batch
        _, terms = modules[player](images.contiguous(memory_format=torch.channels_last), targets)
        return {'total': torch.stack(list(terms.values())).sum(), **terms}

    def validate(self, model: nn.Module) -> dict[str, float]:
        """Return one minus the F-score of the detections."""
        if self._validation is None:
            return {}
        device = next(model.parameters()).device
        found, true = [], []
        for start in range(0, len(self._validation), _VALIDATION_BATCH):
            end = min(start + _VALIDATION_BATCH, len(self._validation))
            images, targets = collate([whole_sample(self._validation[index], self._size,
                                                    self._names, self._style)
                                       for index in range(start, end)])
            found += on_device(model(images.to(device))[0], torch.device('cpu'))
            true += targets
        return {'error': detection_error(found, true)}

    def notes(self) -> dict[str, Any]:
        """Return the sizes for the exporter."""
        return {'config': asdict(self._config),
                'categories': [category.as_plain() for category in self._categories]}


def make_task(data: TrainingData, settings: TrainingSettings) -> MaskRCNNTask:
    """Return the task on the given data.

    Raises:
        ConfigurationError: If there is no such folder or split, or the data are of different
            categories.
        InvalidInputError: If a folder holds no frames.
    """
    categories = common_categories([*data.sources, *filter(None, [data.validation])])
    validation = stored_frames(data.validation) if data.validation else None
    style = (COLOR_AND_DEPTH if all(map(has_sensor_depth, data.sources))
             else COLORS_OF_KNOWN_OBJECTS)
    config = MaskRCNNConfig(input_channels=len(style.channels), num_classes=1 + len(categories))
    return MaskRCNNTask([frame_source(source, data, settings.seed) for source in data.sources],
                        validation, config, InputSize(), categories, style)
