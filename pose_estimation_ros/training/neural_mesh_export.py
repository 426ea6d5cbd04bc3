"""A neural mesh as a model folder: the feature extractor, the meshes of its categories."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from pose_estimation_ros.backends.neural_mesh_archive import CategoryMesh, write_category_meshes
from pose_estimation_ros.backends.neural_mesh_model import FEATURES
from pose_estimation_ros.core.categories import category_named
from pose_estimation_ros.core.errors import ModelError, PoseEstimationError
from pose_estimation_ros.core.symmetry import Symmetry
from pose_estimation_ros.networks.neural_mesh import FeatureExtractor, NeuralMeshConfig
from pose_estimation_ros.runtime.manifest import ModelFile, ModelManifest, write_manifest
from pose_estimation_ros.training.checkpoints import (
    check_network,
    first_fault,
    read_checkpoint,
    trained_weights,
)
from pose_estimation_ros.training.neural_mesh_memory import measured_meshes
from pose_estimation_ros.training.neural_mesh_model import NeuralMeshModel
from pose_estimation_ros.training.neural_mesh_onnx import export_extractor
from pose_estimation_ros.training.neural_mesh_recipes import FULL, LITE
from pose_estimation_ros.training.neural_mesh_shapes import CategoryShape
from pose_estimation_ros.training.neural_mesh_windows import STANDARD_WIDTH
from pose_estimation_ros.training.object_pictures import PictureShards
from pose_estimation_ros.training.provenance import training_facts
from pose_estimation_ros.training.sources import data_path

BACKEND = 'neural_mesh'
MESHES = 'meshes'

RECIPES = {'neural_mesh-lite': LITE, 'neural_mesh-full': FULL}

# How many windows the final features are measured in.
_WINDOWS = 2000
_FEATURES_FILE, _MESHES_FILE = 'features.onnx', 'meshes.npz'


def write_neural_mesh_model(extractor: FeatureExtractor, meshes: Mapping[str, CategoryMesh],
                            out: Path, parameters: Mapping[str, Any],
                            training: Mapping[str, Any], metrics: Mapping[str, Any],
                            symmetries: Mapping[str, Symmetry],
                            licence: str = 'Apache-2.0') -> ModelManifest:
    """Write a model folder that the run time loads.

    Args:
        extractor: The network.
        meshes: By category, with features as long as the extractor's.
        out: Folder to write; its name is the model's.
        parameters: What the run time must know besides the extractor's configuration, such as
            the size that images are scaled to.
        training: How the weights were made.
        metrics: What was measured of them.
        symmetries: Of categories that are none of the six.
        licence: SPDX identifier of the weights' licence.

    Raises:
        ModelError: If there is no mesh, or one with features of another length.
    """
    length = extractor.config.features
    if not meshes or any(mesh.features.shape[1] != length for mesh in meshes.values()):
        lengths = {name: mesh.features.shape[1] for name, mesh in meshes.items()}
        raise ModelError(f"the extractor's features have the length {length}, those of the meshes "
                         f'{lengths or "none"}; give meshes that were trained with it')
    out.mkdir(parents=True, exist_ok=True)
    export_extractor(extractor, out / _FEATURES_FILE)
    write_category_meshes(out / _MESHES_FILE, meshes)
    manifest = ModelManifest(
        name=out.name, task='pose', backend=BACKEND, size=extractor.config.size,
        files={FEATURES: ModelFile.of(out / _FEATURES_FILE, out),
               MESHES: ModelFile.of(out / _MESHES_FILE, out)},
        categories=tuple(meshes),
        input={'channels': ['red', 'green', 'blue'], 'range': [0, 255]},
        parameters={**extractor.config.as_dict(), **parameters}, training=training,
        metrics=metrics, licence=licence,
        symmetries={name: symmetry.as_plain() for name, symmetry in symmetries.items()})
    write_manifest(manifest, out)
    return manifest


def export_neural_mesh(network: str, checkpoint: Path, data: Sequence[str], out: Path,
                       training: Mapping[str, Any], metrics: Mapping[str, Any]) -> ModelManifest:
    """Write the model folder of features that `pose-estimation train` trained.

    The features of vertices and clutter are measured anew with the averaged weights.

    Args:
        network: Its name, such as 'neural_mesh-lite'.
        checkpoint: The run's last.pt or best.pt.
        data: Folders of pictures, those of the training.
        out: Folder to write; its name is the model's.
        training: What the manifest is to say of the training besides what the run noted.
        metrics: What was measured.

    Raises:
        ModelError: If the checkpoint is missing, damaged or not of this network.
        ConfigurationError: If there are no pictures.
    """
    model, shapes, facts = load_trained_neural_mesh(network, checkpoint)
    pictures = [PictureShards(data_path(source)[0]) for source in data]
    meshes = measured_meshes(model, pictures, shapes, model.recipe, _WINDOWS)
    parameters = {'width': STANDARD_WIDTH, 'height': 3 * STANDARD_WIDTH // 4,
                  'size_spread': _size_spread(pictures, shapes)}
    symmetries = {shape.category.name: shape.category.symmetry for shape in shapes
                  if category_named(shape.category.name) is None}
    return write_neural_mesh_model(model.extractor, meshes, out, parameters,
                                   {**facts, **training}, metrics, symmetries)


def load_trained_neural_mesh(network: str, checkpoint: Path
                             ) -> tuple[NeuralMeshModel, list[CategoryShape], dict[str, Any]]:
    """Return the averaged model of a checkpoint, the categories' cuboids and the training.

    Args:
        network: Its name.
        checkpoint: The run's last.pt or best.pt.

    Raises:
        ModelError: If the checkpoint is missing, damaged or not of this network.
    """
    content = read_checkpoint(checkpoint)
    check_network(content, network, checkpoint)
    try:
        notes = content['notes']
        shapes = [CategoryShape.from_plain(plain) for plain in notes['shapes']]
        config = NeuralMeshConfig.from_dict(notes['config'])
        model = NeuralMeshModel(replace(RECIPES[network], network=config, view=0.0), shapes)
        model.load_state_dict({name: value for name, value in trained_weights(content).items()
                               if not name.startswith('view.')})
    except (KeyError, TypeError, AttributeError, RuntimeError, PoseEstimationError) as error:
        raise ModelError(f'checkpoint {checkpoint} is not one of the present {network}: '
                         f'{first_fault(error)}; give the last.pt of `pose-estimation train '
                         f'{network}`, or export it with the version that trained it') from error
    return model.eval(), shapes, training_facts(notes, content['step'])


def _size_spread(pictures: Sequence[PictureShards],
                 shapes: Sequence[CategoryShape]) -> dict[str, float]:
    """Return the deviation of the logarithm of the diagonals of each category's objects."""
    category = np.concatenate([part.objects.category for part in pictures])
    size = np.concatenate([part.objects.size for part in pictures])
    spread = {}
    for number, shape in enumerate(shapes):
        own = np.unique(np.round(size[category == number], 6), axis=0)
        spread[shape.category.name] = round(
            float(np.std(np.log(np.linalg.norm(own, axis=1)))), 4) if len(own) else 0.0
    return spread
