"""The other way round of `neural_mesh_export`: a checkpoint to begin with, out of a model.

It has no state of an optimizer.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from pose_estimation_ros.backends.neural_mesh_archive import CategoryMesh, read_category_meshes
from pose_estimation_ros.backends.neural_mesh_model import FEATURES
from pose_estimation_ros.core.categories import Category, category_named
from pose_estimation_ros.core.errors import ModelError
from pose_estimation_ros.networks.neural_mesh import NeuralMeshConfig
from pose_estimation_ros.runtime.model_store import Model
from pose_estimation_ros.training.checkpoints import TrainingState, save_checkpoint
from pose_estimation_ros.training.exported_weights import (
    exported_constants,
    load_exported,
    restore_statistics,
    weights_of,
)
from pose_estimation_ros.training.neural_mesh_batches import focus_weights
from pose_estimation_ros.training.neural_mesh_export import BACKEND, MESHES, RECIPES
from pose_estimation_ros.training.neural_mesh_model import NeuralMeshModel
from pose_estimation_ros.training.neural_mesh_recipes import NeuralMeshRecipe
from pose_estimation_ros.training.neural_mesh_shapes import CategoryShape
from pose_estimation_ros.training.neural_mesh_windows import random_window
from pose_estimation_ros.training.object_pictures import PictureShards
from pose_estimation_ros.training.sources import data_path

_EXTRACTOR, _PYRAMID = 'extractor.', 'detector'
# Windows that the statistics of normalisations are measured in.
_BATCHES, _BATCH = 16, 16


def write_neural_mesh_checkpoint(model: Model, data: Sequence[str], out: Path) -> Path:
    """Write a checkpoint whose network computes what a model's does.

    Args:
        model: Of the backend 'neural_mesh', as `pose-estimation export` writes it.
        data: Folders of pictures as those of the training: normalisations are given the
            statistics that they have on them.
        out: The file to write.

    Returns:
        That file.

    Raises:
        ModelError: If it is another model, or was exported by something else.
        ConfigurationError: If there are no pictures.
    """
    manifest = model.manifest
    if manifest.backend != BACKEND:
        raise ModelError(f'{manifest.name} is a model of the backend {manifest.backend!r}, not of '
                         f'{BACKEND!r}')
    if manifest.parameters.get('pyramid', _PYRAMID) != _PYRAMID:
        raise ModelError(f"{manifest.name} has the pyramid {manifest.parameters['pyramid']!r}; "
                         f'checkpoints can be made of models with the pyramid {_PYRAMID!r}, which '
                         'are those of `train neural_mesh-lite`')
    name = f'neural_mesh-{manifest.size}'
    known = {field: manifest.parameters[field] for field in NeuralMeshConfig().as_dict()
             if field in manifest.parameters}
    recipe = replace(RECIPES[name], network=NeuralMeshConfig.from_dict(known), view=0.0)
    meshes = read_category_meshes(model.file(MESHES))
    shapes = [_shape(category_named(category) or Category(category,
                                                          manifest.symmetry_of(category)),
                     meshes[category], recipe) for category in manifest.categories]
    network = NeuralMeshModel(recipe, shapes)
    weights = weights_of(network, exported_constants([model.file(FEATURES)]))
    extractor = network.extractor
    load_exported(extractor, {key.removeprefix(_EXTRACTOR): value
                              for key, value in weights.items() if key.startswith(_EXTRACTOR)},
                  model)
    _fill_bank(network, [meshes[category] for category in manifest.categories])
    pictures = [PictureShards(data_path(source)[0]) for source in data]
    restore_statistics(extractor, network.cells, _windows(pictures, recipe))
    save_checkpoint(out, TrainingState(network, {}, notes={
        'network': name, 'config': recipe.network.as_dict(),
        'shapes': [shape.as_plain() for shape in shapes]}))
    return out


def _shape(category: Category, mesh: CategoryMesh, recipe: NeuralMeshRecipe) -> CategoryShape:
    """Return the cuboid that a mesh was made of.

    Raises:
        ModelError: If such a mesh has other vertices today.
    """
    shape = CategoryShape(category, mesh.extents, mesh.aspects, recipe.vertices)
    if len(shape.mesh.vertices) != len(mesh.features):
        raise ModelError(f'the mesh of {category.name} has {len(mesh.features)} vertices, '
                         f'but one of these extents has {len(shape.mesh.vertices)} here; it was '
                         'made by another version. Begin with a checkpoint of the training')
    return shape


@torch.no_grad()
def _fill_bank(network: NeuralMeshModel, meshes: Sequence[CategoryMesh]) -> None:
    """Have the bank hold what the meshes do; vertices that no mesh knows stay as they begin."""
    bank = network.bank
    for number, mesh in enumerate(meshes):
        rows = bank.vertices[bank.of_category(number)]
        known = torch.from_numpy(np.linalg.norm(mesh.features, axis=1) > 0.5)
        rows[known] = torch.from_numpy(mesh.features)[known]
    clutter = torch.from_numpy(np.concatenate([mesh.clutter for mesh in meshes]))
    bank.clutter.copy_(clutter[torch.arange(len(bank.clutter)) % len(clutter)])
    bank.updates.fill_(network.recipe.held)


def _windows(pictures: Sequence[PictureShards], recipe: NeuralMeshRecipe) -> Iterator[Tensor]:
    """Yield (B, 3, h, w) uint8 windows as the training draws them."""
    generator = np.random.default_rng(0)
    chances = [focus_weights(part, recipe.lying) for part in pictures]
    for number in range(_BATCHES):
        part = number % len(pictures)
        rows = generator.choice(len(chances[part]), _BATCH, p=chances[part] / chances[part].sum())
        windows = [random_window(*pictures[part].focus(int(row)), recipe.windows, generator)
                   for row in rows]
        yield torch.from_numpy(np.stack([window.rgb.transpose(2, 0, 1) for window in windows]))
