"""Import of published neural meshes (github wufeim/6d_pose_eccv22, wufeim/NeMo, Angtian/NeMo).

A checkpoint is of one category. It holds the feature extractor (`state`) and what was learnt of
the category's mesh and of clutter (`memory`), but not the mesh.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from pose_estimation_ros.backends.neural_mesh_archive import CategoryMesh
from pose_estimation_ros.backends.neural_mesh_search_space import PARAMETER as SEARCH
from pose_estimation_ros.core.categories import category_named
from pose_estimation_ros.core.cuboid_mesh import CuboidMesh
from pose_estimation_ros.core.errors import ConfigurationError, ModelError
from pose_estimation_ros.core.symmetry import NO_SYMMETRY
from pose_estimation_ros.datasets.pascal3d_layout import CadModels
from pose_estimation_ros.evaluation.cad_frame import PARAMETER as CAD_FRAME
from pose_estimation_ros.networks.neural_mesh import (
    FeatureExtractor,
    NeuralMeshConfig,
    full_config,
)
from pose_estimation_ros.runtime.manifest import ModelManifest, file_sha256
from pose_estimation_ros.runtime.model_folder import new_model_folder
from pose_estimation_ros.training.cad_cuboids import (
    PUBLISHED_CATEGORIES,
    cuboid_of_models,
    published_cuboid,
    upright,
)
from pose_estimation_ros.training.neural_mesh_export import write_neural_mesh_model
from pose_estimation_ros.training.published_checkpoint import (
    NEURAL_MESH_NETWORK,
    check_tensors,
    named_tensors,
    read_content,
)

_STATE, _MEMORY = 'state', 'memory'
# Counts of batches, which files of early versions of PyTorch lack and nothing reads.
_COUNTER = 'num_batches_tracked'
# What images are scaled to, and the poses that are searched: lowest, highest and number (spec 2.1
# and 2.4). The published distances, in diagonals, belong to a focal length of 3000 pixels.
_WIDTH, _HEIGHT = 448, 320
_AZIMUTHS = 24
_ELEVATIONS, _THETAS = (-np.pi / 6, np.pi / 3, 6), (-np.pi / 6, np.pi / 6, 6)
_NEAREST, _FARTHEST, _DISTANCES = 4.0, 20.0, 9
_PUBLISHED_FOCAL = 3000.0
# Of a camera with 60 degrees from left to right whose image is 448 pixels wide.
_USUAL_FOCAL = 388.0

# What a part of our network is called in the published one, in the order of replacement.
_RENAMED = (
    (r'^pyramid\.stem\.', 'net.extractor.'),
    (r'^pyramid\.stages\.0\.', 'net.extractor.4.'),
    (r'^pyramid\.stages\.1\.', 'net.extractor.5.'),
    (r'^pyramid\.stages\.2\.', 'net.extractor1.'),
    (r'^pyramid\.stages\.3\.', 'net.extractor2.'),
    (r'^pyramid\.join_32\.', 'net.upsample0.doubleconv.'),
    (r'^pyramid\.join_16\.', 'net.upsample1.doubleconv.doubleconv.'),
    (r'^pyramid\.join_8\.', 'net.upsample2.doubleconv.doubleconv.'),
    (r'^project\.', 'out_layer.'))
_LINEAR = 'out_layer.weight'


def published_name(name: str) -> str:
    """Return what a parameter of the full `FeatureExtractor` is called in checkpoints."""
    for ours, published in _RENAMED:
        name = re.sub(ours, published, name)
    return name


def load_neural_mesh_checkpoint(file: Path, config: NeuralMeshConfig | None = None
                                ) -> tuple[FeatureExtractor, Tensor]:
    """Return the feature extractor of a published checkpoint and its memory.

    Args:
        file: The checkpoint.
        config: The sizes of the network; None = the published ones.

    Returns:
        The extractor in evaluation mode, and (V + C, D) features of the V vertices of the mesh
        and of C patches of clutter.

    Raises:
        ModelError: If the file is missing or damaged, or holds anything else.
    """
    content = read_content(file)
    if not isinstance(content, Mapping) or not {_STATE, _MEMORY} <= set(content):
        raise ModelError(f'{file} is no checkpoint of {NEURAL_MESH_NETWORK}: it lacks {_STATE!r} '
                         f'or {_MEMORY!r}. Give the file as its authors published it.')
    config = config or full_config()
    extractor = _extractor(file, named_tensors(file, content[_STATE]), config)
    return extractor, _memory(file, content[_MEMORY], config.features)


def import_neural_mesh(file: Path, out: Path, category: str = '', cad_models: Path | None = None,
                       diagonal: float | None = None, config: NeuralMeshConfig | None = None
                       ) -> ModelManifest:
    """Turn a published neural mesh into a model folder.

    The object frame of its poses is ours: y up, z to the object's front, the origin in the middle
    of the category's cuboid. The clutter at run time is the published one, the mean of what is
    remembered of it.

    Args:
        file: The checkpoint, such as `car.pth`.
        out: Folder to write; its name is the model's.
        category: What it knows; '' = what the file's name says.
        cad_models: Folder CAD of PASCAL3D+ or of a data set like it, from whose models the mesh
            is made; None = the published mesh of the twelve classes of PASCAL3D+.
        diagonal: Of the box around a typical object, metres; None = about 1, as CAD models have
            it, so that sizes and distances are in their units.
        config: As of `load_neural_mesh_checkpoint`.

    Raises:
        ModelError: If the file is missing or damaged, or holds another network, or the memory of
            another mesh.
        ConfigurationError: If the category's mesh is not known or the diagonal not positive.
        InvalidInputError: If the CAD models cannot be read.
    """
    category = category or _category_of(file)
    if diagonal is not None and diagonal <= 0:
        raise ConfigurationError(f"the diagonal of an object's box is {diagonal} m; give a "
                                 'positive number of metres')
    cuboid = (published_cuboid(category) if cad_models is None
              else cuboid_of_models(CadModels(cad_models), category))
    extractor, memory = load_neural_mesh_checkpoint(file, config)
    scale = 1.0 if diagonal is None else diagonal / float(np.linalg.norm(cuboid.extents))
    mesh = _category_mesh(file, cuboid, scale, memory)
    known = category_named(category)
    with new_model_folder(out) as folder:
        return write_neural_mesh_model(
            extractor, {category: mesh}, folder,
            parameters={'width': _WIDTH, 'height': _HEIGHT, SEARCH: _search(scale),
                        CAD_FRAME: {'center': ((cuboid.lower + cuboid.upper) / 2).tolist(),
                                    'scale': scale}},
            training={
                'program': 'published checkpoint of github wufeim/6d_pose_eccv22 or NeMo',
                'checkpoint': file.name, 'checkpoint_sha256': file_sha256(file),
                'unit': 'CAD model' if diagonal is None else 'metre',
                'licence_note': 'the authors state no licence for their code and weights'},
            metrics={}, symmetries={} if known else {category: NO_SYMMETRY},
            licence='NOASSERTION')


def _search(scale: float) -> dict[str, Any]:
    """Return the published grid of poses for a usual camera.

    Objects are as large in the image as in the published grid.

    Args:
        scale: Metres for each unit of the CAD models.
    """
    metres = scale * _USUAL_FOCAL / _PUBLISHED_FOCAL
    return {'azimuths': _AZIMUTHS, 'elevations': list(_ELEVATIONS), 'thetas': list(_THETAS),
            'distances': [_NEAREST * metres, _FARTHEST * metres, _DISTANCES]}


def _category_of(file: Path) -> str:
    name = file.stem.lower()
    found = [category for category in PUBLISHED_CATEGORIES
             if category in re.split(r'[^a-z]+', name)]
    if len(found) != 1:
        raise ConfigurationError(f'the name of {file.name} does not say what the neural mesh '
                                 f'knows; name the category, such as '
                                 f'{", ".join(PUBLISHED_CATEGORIES)}')
    return found[0]


def _extractor(file: Path, state: Mapping[str, Tensor], config: NeuralMeshConfig
               ) -> FeatureExtractor:
    """Return the network with published weights."""
    with torch.device('meta'):
        network = FeatureExtractor(config)
    ours = {published_name(name): name for name in network.state_dict()
            if not name.endswith(_COUNTER)}
    expected = {published: network.state_dict()[name] for published, name in ours.items()}
    expected[_LINEAR] = expected[_LINEAR][:, :, 0, 0]
    weights = {name: value for name, value in state.items() if not name.endswith(_COUNTER)}
    check_tensors(file, NEURAL_MESH_NETWORK, weights, expected)
    counters = {name: torch.tensor(0) for name in network.state_dict() if name.endswith(_COUNTER)}
    network.load_state_dict(
        {name: weights[published].reshape(network.state_dict()[name].shape)
         for published, name in ours.items()} | counters, assign=True)
    return network.eval()


def _memory(file: Path, memory: Any, length: int) -> Tensor:
    """Return the memory; some programs put it into a list."""
    if isinstance(memory, list | tuple) and len(memory) == 1:
        memory = memory[0]
    if (not isinstance(memory, Tensor) or memory.ndim != 2 or memory.shape[1] != length
            or not memory.is_floating_point() or not torch.isfinite(memory).all()):
        found = list(memory.shape) if isinstance(memory, Tensor) else type(memory).__name__
        raise ModelError(f'The checkpoint {file} of {NEURAL_MESH_NETWORK} remembers no finite '
                         f'features of length {length}, but {found}. Download it again.')
    return memory.float()


def _category_mesh(file: Path, cuboid: CuboidMesh, scale: float, memory: Tensor) -> CategoryMesh:
    """Return the mesh of a memory: vertices first, then clutter."""
    vertices = len(cuboid.vertices)
    if len(memory) <= vertices:
        raise ModelError(f'The checkpoint {file} remembers {len(memory)} features, but the mesh '
                         f'has {vertices} vertices and clutter follows. Name the category that '
                         'it was trained for, or give its CAD models.')
    ours, order = upright(cuboid)
    clutter = memory[vertices:].mean(dim=0, keepdim=True)
    return CategoryMesh(ours.extents[None] * scale, ours.counts, memory[:vertices].numpy()[order],
                        torch.nn.functional.normalize(clutter).numpy())
