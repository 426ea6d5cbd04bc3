"""Training of MRC-Net on views of known objects, with rendering in the loop."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from pose_estimation_ros.core.errors import ConfigurationError, ModelError
from pose_estimation_ros.evaluation.view_pose_errors import PoseErrors
from pose_estimation_ros.networks.detector_encoder import DetectorEncoder
from pose_estimation_ros.networks.mrc import MRCNet
from pose_estimation_ros.networks.object_decoder import ObjectDecoder
from pose_estimation_ros.training.batch_plan import BatchRequest, WeightedOrder
from pose_estimation_ros.training.checkpoints import first_fault, trained_weights
from pose_estimation_ros.training.mrc_batches import CropBatch, joined, training_crop
from pose_estimation_ros.training.mrc_labels import ObjectTables
from pose_estimation_ros.training.mrc_measurement import view_errors
from pose_estimation_ros.training.mrc_objects import CadObject, objects_as_notes, objects_of
from pose_estimation_ros.training.mrc_recipes import MRCRecipe
from pose_estimation_ros.training.mrc_steps import CoarseRenderer, RenderedPoseNetwork
from pose_estimation_ros.training.mrc_validation import PoseErrorMeter
from pose_estimation_ros.training.mrc_views import ObjectView, ViewShards
from pose_estimation_ros.training.sources import SourcedTask, StoredSamples, data_path
from pose_estimation_ros.training.task import Losses, Player, TrainingData

WEIGHT_DECAY = 1e-3
# More views would take longer than the steps between two validations.
_VALIDATION_VIEWS = 512


class MRCTask(SourcedTask):
    """MRC-Net with its data and losses; see `task.TrainingTask`."""

    figure = 'error'

    def __init__(self, network: str, training: Sequence[ViewShards],
                 validation: ViewShards | None, recipe: MRCRecipe) -> None:
        """Join network and data.

        Args:
            network: Its name.
            training: Training views, one part per share of the data ratio.
            validation: Validation views; None = no validation.
            recipe: The network and how it is taught.
        """
        super().__init__([_source(views) for views in training])
        self.network = network
        self._training, self._validation, self._recipe = training, validation, recipe
        self._objects = training[0].objects
        self._tables = ObjectTables(self._objects)
        self._renderer = CoarseRenderer(self._objects)
        self._config = recipe.for_objects(len(self._objects),
                                          float(self._tables.diameters.max()))

    def new_model(self) -> nn.Module:
        """Return the network with random weights."""
        return MRCNet(self._config)

    def first_weights(self, content: Mapping[str, Any], path: Path) -> dict[str, Tensor]:
        """Return the weights of the same network, or of a detector for the encoder.

        Raises:
            ModelError: If they are of another network.
            ConfigurationError: If they are of other objects, whose decoders they would be.
        """
        notes = content.get('notes', {})
        if notes.get('network') != 'maskrcnn':
            weights = super().first_weights(content, path)
            check_same_objects('the data', self._objects, str(path), objects_of(notes, path))
            return weights
        model = self.new_model()
        assert isinstance(model, MRCNet)
        if not isinstance(model.encoder, DetectorEncoder):
            raise ModelError(f'{path} is a detector, whose backbone {self.network} does not have; '
                             'begin without it')
        try:
            model.encoder.begin_with_detector(trained_weights(content))
        except RuntimeError as error:
            raise ModelError(f'{path} is of a detector of other sizes ({first_fault(error)}); '
                             'give one of the present `pose-estimation train maskrcnn`'
                             ) from error
        return model.state_dict()

    def players(self, model: nn.Module) -> list[Player]:
        """Return the network as the one player; biases and normalisations do not decay."""
        if self._recipe.shared:
            assert isinstance(model, MRCNet)
            share_gradients(model.decoder, self._recipe.shared)
        decayed = [p for name, p in model.named_parameters() if _decays(name, p)]
        free = [p for name, p in model.named_parameters() if not _decays(name, p)]
        groups = [{'params': decayed, 'weight_decay': WEIGHT_DECAY},
                  {'params': free, 'weight_decay': 0.0}]
        return [Player('', self._rendered(model), torch.optim.AdamW(groups))]

    def batch(self, request: BatchRequest) -> CropBatch:
        """Return augmented crops."""
        recipe = self._recipe
        return joined([
            training_crop(view, partial(_another_view, self._training[draw.source], view.object),
                          self._config.crop, recipe.turned, recipe.augmentation, grain.generator)
            for grain in request.grains(1) for draw in grain.draws
            for view in self._sources[draw.source].samples(draw)])

    def losses(self, modules: Mapping[str, nn.Module], player: str, batch: Any) -> Losses:
        """Return the loss terms of a batch."""
        losses: Losses = modules[player](batch)
        return losses

    def validate(self, model: nn.Module) -> dict[str, float]:
        """Return recalls and rotation errors in true boxes."""
        views = self._validation
        if views is None:
            return {}
        stride = max(1, len(views) // _VALIDATION_VIEWS)
        return self.errors(model, views, range(0, len(views), stride))[0].summary()

    def errors(self, model: nn.Module, views: ViewShards, rows: Sequence[int],
               copies: Sequence[int] = (1,)) -> list[PoseErrors]:
        """Return the errors of a network's poses in views of the same objects.

        Args:
            model: The network, in evaluation mode.
            views: What is looked at.
            rows: Which of them.
            copies: From how many turned copies of each view, see `view_errors`.
        """
        return view_errors(self._rendered(model), _meter(tuple(self._objects)), views, rows,
                           copies)

    def notes(self) -> dict[str, Any]:
        """Return sizes and objects for the exporter."""
        return {'config': self._config.as_dict(), 'objects': objects_as_notes(self._objects)}

    def _rendered(self, model: nn.Module) -> RenderedPoseNetwork:
        device = next(model.parameters()).device
        assert isinstance(model, MRCNet)
        return RenderedPoseNetwork(model, self._tables, self._renderer, self._recipe).to(device)


def make_mrc_task(network: str, data: TrainingData, recipe: MRCRecipe) -> MRCTask:
    """Return the task on the given data.

    Args:
        network: Its name.
        data: Folders of `dataset views`.
        recipe: The network and how it is taught.

    Raises:
        ConfigurationError: If a folder is missing or holds no views, or they are of different
            objects.
    """
    training = [ViewShards(data_path(source)[0]) for source in data.sources]
    validation = ViewShards(data_path(data.validation)[0]) if data.validation else None
    others = [*zip(data.sources[1:], training[1:], strict=True)]
    if validation is not None:
        others.append((data.validation, validation))
    for source, views in others:
        check_same_objects(data.sources[0], training[0].objects, source, views.objects)
    return MRCTask(network, training, validation, recipe)


def check_same_objects(first: str, wanted: Sequence[CadObject], other: str,
                       found: Sequence[CadObject]) -> None:
    """Check that two folders of views show the same objects.

    Args:
        first: Name of a folder.
        wanted: What it shows.
        other: Name of the other folder.
        found: What that shows.

    Raises:
        ConfigurationError: If they are not the same.
    """
    names, other_names = ([known.name for known in objects] for objects in (wanted, found))
    if names != other_names or not all(
            one.symmetry.is_close(its.symmetry)
            for one, its in zip(wanted, found, strict=True)):
        raise ConfigurationError(
            f'{first} is of the objects {", ".join(known.name for known in wanted)}, {other} of '
            f'{", ".join(known.name for known in found)}; give views of the same objects with '
            'the same symmetries')


def share_gradients(decoder: ObjectDecoder, share: float) -> None:
    """Have every object's weights also follow the gradients of all objects'.

    Args:
        decoder: Whose gradients, from now on, are changed.
        share: How much of the sum over the objects is added to the gradient of each.
    """
    for parameter in decoder.parameters():
        parameter.register_hook(  # type: ignore[no-untyped-call]  # torch has no types for it
            lambda own: own + share * own.sum(dim=0, keepdim=True))


def _source(views: ViewShards) -> StoredSamples:
    """Return views in an order that shows every object equally often."""
    counts = np.bincount(views.object, minlength=len(views.objects))

    def take(items: np.ndarray[Any, np.dtype[np.intp]]) -> list[ObjectView]:
        return [views[int(item)] for item in items]

    return StoredSamples(take, WeightedOrder(1.0 / counts[views.object]))


def _another_view(views: ViewShards, number: int, generator: np.random.Generator) -> ObjectView:
    """Return a view of another object than the given one, or of that if there is no other."""
    others = np.flatnonzero(views.object != number)
    return views[int(generator.choice(others) if len(others) else generator.integers(len(views)))]


def _decays(name: str, parameter: nn.Parameter) -> bool:
    return parameter.ndim > 1 and not name.endswith('bias')


@lru_cache(maxsize=1)
def _meter(objects: tuple[CadObject, ...]) -> PoseErrorMeter:
    return PoseErrorMeter(objects)
