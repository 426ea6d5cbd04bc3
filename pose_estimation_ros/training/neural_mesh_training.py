"""Training of the features of neural meshes, on windows of pictures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.spatial import cKDTree
from torch import Tensor, nn

from pose_estimation_ros.core.categories import Category
from pose_estimation_ros.core.errors import ConfigurationError, ModelError
from pose_estimation_ros.networks.detector_features import DetectorFeatures
from pose_estimation_ros.training.batch_plan import BatchRequest, WeightedOrder
from pose_estimation_ros.training.checkpoints import first_fault, trained_weights
from pose_estimation_ros.training.neural_mesh_batches import (
    WindowBatch,
    focus_weights,
    window_batch,
)
from pose_estimation_ros.training.neural_mesh_labels import window_labels
from pose_estimation_ros.training.neural_mesh_model import NeuralMeshModel
from pose_estimation_ros.training.neural_mesh_recipes import NeuralMeshRecipe
from pose_estimation_ros.training.neural_mesh_shapes import CategoryShape, category_shapes
from pose_estimation_ros.training.neural_mesh_validation import validation_rows, vertex_errors
from pose_estimation_ros.training.neural_mesh_windows import random_window
from pose_estimation_ros.training.object_pictures import ObjectPicture, PictureShards
from pose_estimation_ros.training.sources import (
    Items,
    SourcedTask,
    StoredSamples,
    data_path,
)
from pose_estimation_ros.training.task import Losses, Player, TrainingData

_DETECTOR = 'maskrcnn'
# More would take longer than the steps between two validations.
_VALIDATION_OBJECTS = 192


class NeuralMeshTask(SourcedTask):
    """The features of neural meshes with their data and losses; see `task.TrainingTask`."""

    figure = 'error'

    def __init__(self, network: str, training: Sequence[PictureShards],
                 validation: PictureShards | None, recipe: NeuralMeshRecipe) -> None:
        """Join network and data.

        Args:
            network: Its name.
            training: Training pictures, one part per share of the data ratio.
            validation: Validation pictures; None = no validation.
            recipe: The network and how it is taught.
        """
        super().__init__([
            StoredSamples(partial(_shown, pictures),
                          WeightedOrder(focus_weights(pictures, recipe.lying)))
            for pictures in training])
        self.network = network
        self._validation, self._recipe = validation, recipe
        self._shapes = category_shapes(
            training[0].categories,
            np.concatenate([pictures.objects.category for pictures in training]),
            np.concatenate([pictures.objects.size for pictures in training]), recipe.vertices)

    def new_model(self) -> nn.Module:
        """Return the network with random weights and a random bank."""
        return NeuralMeshModel(self._recipe, self._shapes)

    def players(self, model: nn.Module) -> list[Player]:
        """Return the network as the one player; biases and normalisations do not decay."""
        assert isinstance(model, NeuralMeshModel)
        pyramid = model.extractor.pyramid
        begun = set(pyramid.backbone.parameters()) if isinstance(
            pyramid, DetectorFeatures) else set()
        groups = [
            {'params': [p for p in model.parameters() if (p in begun) == old
                        and (p.ndim > 1) == decays],
             'weight_decay': self._recipe.weight_decay * decays,
             'rate_factor': self._recipe.begun_rate if old else 1.0}
            for old in ((True, False) if begun else (False,)) for decays in (True, False)]
        return [Player('', model, torch.optim.AdamW(groups))]

    def first_weights(self, content: Mapping[str, Any], path: Path) -> dict[str, Tensor]:
        """Return the weights of a run of the same network, or begin with a detector's backbone.

        Raises:
            ModelError: If the checkpoint is of another network, or of a detector and this
                network has another backbone.
        """
        if content.get('notes', {}).get('network', self.network) == self.network and (
                'bank.vertices' in content['model']):
            # What is only for learning may be new.
            weights = {**self.new_model().state_dict(), **trained_weights(content)}
            before = [CategoryShape.from_plain(plain) for plain in content['notes']['shapes']]
            weights['bank.vertices'] = self._moved_features(weights['bank.vertices'], before)
            return weights
        model = NeuralMeshModel(self._recipe, self._shapes)
        pyramid = model.extractor.pyramid
        if not isinstance(pyramid, DetectorFeatures):
            raise ModelError(f'{path} is not a checkpoint of {self.network}; give one that '
                             f'`pose-estimation train {self.network}` wrote')
        try:
            pyramid.begin_with_detector(trained_weights(content))
        except RuntimeError as error:
            raise ModelError(f'{path} is a checkpoint neither of {self.network} nor of the lite '
                             f'detector ({first_fault(error)}); give one of these') from error
        return model.state_dict()

    def _moved_features(self, features: Tensor, before: Sequence[CategoryShape]) -> Tensor:
        """Return for each vertex the feature of the nearest one of its category's old cuboid.

        Cuboids are as large as the mean of the objects at hand, and vertices are counted by it.

        Raises:
            ModelError: If a category is new.
        """
        starts = np.cumsum([0, *(len(shape.mesh.vertices) for shape in before)])
        names = [shape.category.name for shape in before]
        rows = []
        for shape in self._shapes:
            if shape.category.name not in names:
                raise ModelError(f'the run to begin with knows {", ".join(names)}, and no '
                                 f'{shape.category.name}; begin with a detector instead')
            number = names.index(shape.category.name)
            _, nearest = cKDTree(_places(before[number])).query(_places(shape))
            rows.append(starts[number] + nearest)
        return features[torch.from_numpy(np.concatenate(rows))]

    def batch(self, request: BatchRequest) -> WindowBatch:
        """Return changed windows with what they teach."""
        recipe = self._recipe
        windows, labels = [], []
        for grain in request.grains(1):
            for draw in grain.draws:
                for picture, focus in self._sources[draw.source].samples(draw):
                    window = random_window(picture, focus, recipe.windows, grain.generator)
                    windows.append(window)
                    labels.append(window_labels(picture, window, self._shapes, recipe.labels,
                                                grain.generator))
        return window_batch(windows, labels, self._shapes, recipe.labels.stride)

    def losses(self, modules: Mapping[str, nn.Module], player: str, batch: Any) -> Losses:
        """Return the loss terms of a batch."""
        losses: Losses = modules[player](batch)
        return losses

    def validate(self, model: nn.Module) -> dict[str, float]:
        """Return how well vertices are told apart, see `vertex_errors`."""
        pictures = self._validation
        if pictures is None:
            return {}
        assert isinstance(model, NeuralMeshModel)
        rows = validation_rows(pictures, _VALIDATION_OBJECTS)
        return vertex_errors(model, pictures, [int(row) for row in rows], self._shapes,
                             self._recipe)

    def notes(self) -> dict[str, Any]:
        """Return sizes and cuboids for the exporter."""
        return {'config': self._recipe.network.as_dict(),
                'shapes': [shape.as_plain() for shape in self._shapes]}


def make_neural_mesh_task(network: str, data: TrainingData,
                          recipe: NeuralMeshRecipe) -> NeuralMeshTask:
    """Return the task on the given data.

    Args:
        network: Its name.
        data: Folders of `dataset pictures`.
        recipe: The network and how it is taught.

    Raises:
        ConfigurationError: If a folder is missing or holds no pictures, or they are of different
            categories.
    """
    training = [PictureShards(data_path(source)[0]) for source in data.sources]
    validation = PictureShards(data_path(data.validation)[0]) if data.validation else None
    others = [*zip(data.sources[1:], training[1:], strict=True)]
    if validation is not None:
        others.append((data.validation, validation))
    for source, pictures in others:
        _check_same(data.sources[0], training[0].categories, source, pictures.categories)
    return NeuralMeshTask(network, training, validation, recipe)


def _shown(pictures: PictureShards, rows: Items) -> list[tuple[ObjectPicture, int]]:
    return [pictures.focus(int(row)) for row in rows]


def _places(shape: CategoryShape) -> NDArray[np.float64]:
    """Return (V, 4) where vertices are in the cuboid, in half its extents; faces lie far apart."""
    mesh = shape.mesh
    return np.column_stack([2.0 * mesh.vertices / mesh.extents, 10.0 * mesh.face_of_vertex])


def _check_same(first: str, wanted: Sequence[Category], other: str,
                found: Sequence[Category]) -> None:
    if wanted != found:
        names, others = (', '.join(category.name for category in entry)
                         for entry in (wanted, found))
        raise ConfigurationError(f'{first} shows {names}, {other} shows {others}, or with other '
                                 'symmetries; give pictures of the same categories')
