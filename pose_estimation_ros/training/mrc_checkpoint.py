"""The other way round of `mrc_export`: a checkpoint to begin with, out of a model's networks.

Models travel as ONNX files, in which normalisations and decoders are laid out for running. What a
training begins with is made of them again; it has no state of an optimizer.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path

import torch
from torch import Tensor, nn

from pose_estimation_ros.core.errors import ModelError
from pose_estimation_ros.networks.mrc import MRCConfig, MRCNet
from pose_estimation_ros.networks.object_decoder import ObjectConvolution
from pose_estimation_ros.rendering.mesh_archive import read_mesh_archive
from pose_estimation_ros.rendering.model_meshes import MESHES
from pose_estimation_ros.runtime.model_store import Model
from pose_estimation_ros.training.checkpoints import TrainingState, save_checkpoint
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
                         f'checkpoints are made of those of {BACKEND!r}')
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
    _fill(network, dict(entry for file in files for entry in _tensors(file)), model)
    save_checkpoint(out, TrainingState(network, {}, notes={
        'network': f'mrc-{manifest.size}', 'config': network.config.as_dict(),
        'objects': objects_as_notes(objects)}))
    return out


def _tensors(path: Path) -> Iterator[tuple[str, Tensor]]:
    """Yield the constants of a network: by their own names, or by `<scope>/<operator>/<place>`.

    What the exporter has computed has no name, but the operator that takes it tells its module.
    """
    import onnx
    from onnx import numpy_helper

    graph = onnx.load(path).graph
    takers = {name: (node, place) for node in reversed(graph.node)
              for place, name in enumerate(node.input)}
    for constant in graph.initializer:
        value = torch.from_numpy(numpy_helper.to_array(constant).astype('float32'))
        if constant.name.startswith(_PREFIX):
            yield constant.name.removeprefix(_PREFIX).removesuffix('.half'), value
        elif constant.name in takers:
            node, place = takers[constant.name]
            if node.op_type == 'Cast':  # Of weights that are stored in half precision.
                node, place = takers[node.output[0]]
            yield f'{_module_of(node.name)}/{node.op_type}/{place}', value


def _module_of(scope: str) -> str:
    """Return 'a.0.b' of '/a/a.0/b/Conv': a list's scope comes before that of its member."""
    names: list[str] = []
    for part in scope.strip('/').split('/')[:-1]:
        if names and part.startswith(f'{names[-1]}.'):
            names.pop()
        names.append(part)
    return '.'.join(names)


def _fill(network: MRCNet, found: Mapping[str, Tensor], model: Model) -> None:
    """Put a model's constants into a network.

    Raises:
        ModelError: If one is missing, or has another shape.
    """
    wanted = network.state_dict()
    weights = {name: value for name, value in found.items()
               if name in wanted and value.shape == wanted[name].shape}
    modules = dict(network.named_modules())
    for name, value in found.items():
        scope, _, operator = name.partition('/')
        if operator in {'Conv/1', 'Conv/2'}:
            weights |= _joined_with_its_normalisation(_place(scope, modules), operator, value,
                                                      modules)
        elif operator in {'Mul/1', 'Add/1'} and isinstance(modules.get(scope), nn.GroupNorm):
            part = 'weight' if operator.startswith('Mul') else 'bias'
            weights[f'{scope}.{part}'] = value.reshape(-1)
    weights |= _decoder_weights(network, found)
    learnt = {name for name in wanted if not name.endswith('num_batches_tracked')}
    if missing := sorted(learnt - weights.keys()):
        raise ModelError(f'no weights of {", ".join(missing[:3])} are in the networks of model '
                         f'{model.manifest.name!r}; it was not made by this version of '
                         '`pose-estimation export`. Begin with a checkpoint of the training')
    try:
        network.load_state_dict(weights, strict=False)
    except RuntimeError as error:
        raise ModelError(f'the networks of model {model.manifest.name!r} do not fit its manifest: '
                         f'{error}') from error


def _place(scope: str, modules: Mapping[str, nn.Module]) -> str:
    """Return the name of the module of a scope, which leaves out modules that are not called."""
    first, _, rest = scope.partition('.')
    pattern = re.compile(rf'{re.escape(first)}\.(\w+\.)*{re.escape(rest)}')
    return next((name for name in modules if pattern.fullmatch(name)), scope)


def _joined_with_its_normalisation(place: str, operator: str, value: Tensor,
                                   modules: Mapping[str, nn.Module]) -> dict[str, Tensor]:
    """Return the weights of a convolution with which the normalisation behind it was joined.

    The normalisation becomes one that changes nothing but adds the bias.
    """
    if operator == 'Conv/1':
        return {f'{place}.weight': value}
    parent, _, number = place.rpartition('.')
    norm = f'{parent}.{int(number) + 1}' if number.isdigit() else ''
    behind = modules.get(norm)
    if not isinstance(behind, nn.BatchNorm2d):
        return {f'{place}.bias': value}
    ones = torch.ones_like(value)
    return {f'{norm}.bias': value, f'{norm}.weight': ones * (1.0 + behind.eps) ** 0.5,
            f'{norm}.running_mean': torch.zeros_like(value), f'{norm}.running_var': ones}


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
