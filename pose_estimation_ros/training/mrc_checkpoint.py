"""The other way round of `mrc_export`: a checkpoint to begin with, out of a model's networks.

It has no state of an optimizer.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor

from pose_estimation_ros.core.errors import ModelError
from pose_estimation_ros.networks.mrc import MRCConfig, MRCNet
from pose_estimation_ros.networks.object_decoder import ObjectConvolution
from pose_estimation_ros.rendering.mesh_archive import read_mesh_archive
from pose_estimation_ros.rendering.model_meshes import MESHES
from pose_estimation_ros.runtime.model_store import Model
from pose_estimation_ros.training.checkpoints import TrainingState, save_checkpoint
from pose_estimation_ros.training.exported_weights import (
    exported_constants,
    load_exported,
    weights_of,
)
from pose_estimation_ros.training.mrc_export import BACKEND, CLASSIFIER, REGRESSOR
from pose_estimation_ros.training.mrc_objects import CadObject, objects_as_notes

_PREFIX = 'network.'
_JOINS = ('join_middle', 'join_fine')
_TAPS = 3


def write_mrc_checkpoint(model: Model, out: Path) -> Path:
    """Write a checkpoint whose network computes what a model's does.

    Args:
        model: Of the backend 'mrc', as `pose-estimation export` writes it.
        out: The file to write.

    Returns:
        That file.

    Raises:
        ModelError: If it is another model, lacks the meshes of its objects, or was exported by
            something else.
    """
    manifest = model.manifest
    if manifest.backend != BACKEND:
        raise ModelError(f'{manifest.name} is a model of the backend {manifest.backend!r}; '
                         "checkpoints are made of those of 'mrc' and 'neural_mesh'")
    if MESHES not in manifest.files:
        raise ModelError(f'{manifest.name} lacks the meshes of its objects, which a training '
                         'needs; add them: pose-estimation models add-meshes '
                         f'{manifest.name} --objects <folder>')
    meshes = read_mesh_archive(model.file(MESHES))
    if missing := [name for name in manifest.categories if name not in meshes]:
        raise ModelError(f'{MESHES} of {manifest.name} has no mesh of {", ".join(missing)}; add '
                         'them again with `pose-estimation models add-meshes`')
    objects = [CadObject(name, meshes[name], manifest.symmetry_of(name))
               for name in manifest.categories]
    network = MRCNet(MRCConfig.from_dict(manifest.parameters))
    files = [model.file(role) for role in (CLASSIFIER, REGRESSOR) if role in manifest.files]
    constants = exported_constants(files, _PREFIX)
    load_exported(network, {**weights_of(network, constants),
                            **_decoder_weights(network, constants)}, model)
    save_checkpoint(out, TrainingState(network, {}, notes={
        'network': f'mrc-{manifest.size}', 'config': network.config.as_dict(),
        'objects': objects_as_notes(objects)}))
    return out


def _decoder_weights(network: MRCNet, found: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return the weights of the decoders, which `SampleDecoder` lays out in another way."""
    weights = {}
    for name, layer in network.decoder.named_children():
        assert isinstance(layer, ObjectConvolution)
        shape = layer.weights.shape
        own = f'decoder.{name}'
        if name in _JOINS and f'{own}.coarse_weights' in found:
            coarse = found[f'{own}.coarse_weights'].unflatten(1, (shape[1], _TAPS, _TAPS))
            fine = found[f'{own}.fine_weights'].unflatten(2, (_TAPS, _TAPS, -1))
            weights[f'{own}.weights'] = torch.cat([
                coarse.transpose(-3, -2).movedim(-1, -3), fine.movedim(-1, 2)], dim=2)
        elif f'{own}.weights' in found:
            weights[f'{own}.weights'] = found[f'{own}.weights'].reshape(shape)
    return weights
