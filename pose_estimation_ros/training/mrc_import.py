"""Import of published MRC-Net checkpoints (github amzn/mrc-net-6d-pose)."""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor

from pose_estimation_ros.core.errors import ConfigurationError, InvalidInputError, ModelError
from pose_estimation_ros.core.symmetry import NO_SYMMETRY, Symmetry
from pose_estimation_ros.datasets.bop_models import BopModel, read_models, read_object_names
from pose_estimation_ros.networks.mrc import MRCConfig, MRCNet
from pose_estimation_ros.rendering.mesh import Mesh
from pose_estimation_ros.runtime.manifest import ModelManifest, file_sha256
from pose_estimation_ros.runtime.model_folder import new_model_folder
from pose_estimation_ros.training.mrc_export import write_mrc_model
from pose_estimation_ros.training.mrc_objects import CadObject
from pose_estimation_ros.training.published_checkpoint import (
    MRC_NETWORK,
    check_tensors,
    read_tensors,
)

# The depths that the classifier's bins span: millimetres per pixel of the crop.
_DEPTHS = {
    'lmo': (0.01, 2.15), 'tless': (0.05, 1.7), 'ycbv': (0.03, 2.0), 'itodd': (0.01, 1.85)}
_MILLIMETRE = 1e-3

_WEIGHTS_ENTRY = 'network'
_DECODERS = 'backbone.decoder.'
# The layers of the ResNet that the encoder was made from are in the file twice; its first ones,
# for three channels, were replaced and are not used.
_RESNET = 'backbone.base_model.'
_FIRST_RESNET_STAGE = 4

# What a part of our network is called in the published one, in the order of replacement.
_RENAMED = (
    (r'^encoder\.first\.', 'backbone.layer0.'),
    (r'^encoder\.stages\.0\.', 'backbone.layer1.0.'),
    (r'^encoder\.stages\.1\.', 'backbone.layer2.0.'),
    (r'^encoder\.stages\.2\.', 'backbone.layer3.0.'),
    (r'^encoder\.stages\.3\.', 'backbone.layer4.0.'),
    (r'\.norm([12])\.', r'.bn\1.'),
    (r'\.shortcut\.', '.downsample.'),
    (r'^context\.', 'backbone.pool.'),
    (r'^decoder\.coarse\.', f'{_DECODERS}layer4_1x1.'),
    (r'^decoder\.middle\.', f'{_DECODERS}layer3_1x1.'),
    (r'^decoder\.fine\.', f'{_DECODERS}layer2_1x1.'),
    (r'^decoder\.join_middle\.', f'{_DECODERS}conv_up3.'),
    (r'^decoder\.join_fine\.', f'{_DECODERS}conv_up2.'),
    (r'^decoder\.last\.', f'{_DECODERS}conv_last.'),
    (r'^to_', 'decoder.conv_down_x'),
    (r'^classifier\.context\.', 'decoder.clf_pool.'),
    (r'^regressor\.context\.', 'decoder.reg_pool.'),
    (r'^regressor\.correlations\.(\d+)\.projection\.', r'decoder.corr_x\1.proj_in.'),
    (r'^regressor\.from_4\.', 'decoder.reg_conv_x8.'),
    (r'^regressor\.from_8\.', 'decoder.reg_conv_x16.'),
    (r'^regressor\.from_16\.', 'decoder.reg_conv_add.'),
    (r'^classifier\.(\w+)\.', r'classifier.\1_clf.'),
    (r'^regressor\.(\w+)\.', r'regressor.\1_reg.'),
    (r'\.rotation_', '.pose_'),
    (r'\.xy_', '.trans_'),
    (r'\.shrink\.', '.conv_in.'),
    (r'\.hidden\.', '.linear1.'),
    (r'(_clf|_reg)\.last\.', r'\1.linear2.'))

_logger = logging.getLogger(__name__)


def published_name(name: str) -> str:
    """Return what a parameter of `MRCNet` is called in published checkpoints."""
    for ours, published in _RENAMED:
        name = re.sub(ours, published, name)
    return name


def load_mrc_checkpoint(file: Path, config: MRCConfig | None = None) -> MRCNet:
    """Return the network of a published checkpoint, in evaluation mode.

    It normalises by the statistics of the batch, as published. The number of its objects is that
    of the decoders in the file.

    Args:
        file: The checkpoint, such as `chkpt_lmo/model.pth`.
        config: The sizes of the network besides objects and norm; None = the published ones.

    Raises:
        ModelError: If the file is missing or damaged, or holds another network.
    """
    state = _without_duplicates(read_tensors(file, _WEIGHTS_ENTRY), file)
    decoders = next((len(value) for name, value in state.items()
                     if name.startswith(_DECODERS) and value.ndim), 1)
    plain = (config or MRCConfig(decoders)).as_dict()
    with torch.device('meta'):
        network = MRCNet(MRCConfig.from_dict({**plain, 'objects': decoders, 'norm': 'batch'}))
    names = {name: published_name(name) for name in network.state_dict()}
    check_tensors(file, MRC_NETWORK, state, {
        names[name]: value for name, value in network.state_dict().items()})
    network.load_state_dict({name: state[published] for name, published in names.items()},
                            assign=True)
    return network.eval()


def import_mrc(file: Path, models: Path, out: Path, dataset: str = 'lmo',
               config: MRCConfig | None = None) -> ModelManifest:
    """Turn a published MRC-Net checkpoint into a model folder.

    Args:
        file: The checkpoint, such as `chkpt_lmo/model.pth`.
        models: The CAD models it was trained with, with their models_info.json: `models` of the
            BOP data set, or `models_cad` of T-LESS. Names come from an object_names.json beside
            that folder, if there is one. If the network has more decoders than there are
            models, they belong to the objects 1, 2, 3 and so on.
        out: Folder to write; its name is the model's.
        dataset: What it was trained for, 'lmo', 'tless', 'ycbv' or 'itodd', which decides the
            range of depths.
        config: As of `load_mrc_checkpoint`.

    Raises:
        ModelError: If the file is missing or damaged, or holds another network, or the models
            are not those of its decoders.
        ConfigurationError: If the data set is none of the published ones.
        InvalidInputError: If the models cannot be read.
    """
    if dataset not in _DEPTHS:
        raise ConfigurationError(f'there is no published MRC-Net of the data set {dataset!r}; '
                                 f'choose one of {", ".join(_DEPTHS)}')
    nearest, farthest = (_MILLIMETRE * depth for depth in _DEPTHS[dataset])
    network = load_mrc_checkpoint(file, config)
    known = read_models(models)
    rows = _decoder_rows(sorted(known), network.config.objects, models)
    network = _with_decoders(network, rows, nearest, farthest)
    names = read_object_names(models.parent)
    objects = [_cad_object(model, names.get(number, model.name))
               for number, model in sorted(known.items())]
    with new_model_folder(out) as folder:
        return write_mrc_model(network, objects, 'full', folder, training={
            'program': 'published checkpoint of github amzn/mrc-net-6d-pose',
            'checkpoint': file.name, 'checkpoint_sha256': file_sha256(file), 'dataset': dataset,
            'licence_note': 'the authors license their code under Apache-2.0 and state no '
                            'licence for the weights'}, metrics={}, licence='NOASSERTION')


def _without_duplicates(state: Mapping[str, Tensor], file: Path) -> dict[str, Tensor]:
    """Return the tensors without those of the ResNet that the encoder was made from."""
    kept = {name: value for name, value in state.items() if not name.startswith(_RESNET)}
    for name, value in state.items():
        match = re.match(rf'{re.escape(_RESNET)}(\d+)\.(.*)', name)
        if match is None or int(match[1]) < _FIRST_RESNET_STAGE:
            continue
        used = f'backbone.layer{int(match[1]) - _FIRST_RESNET_STAGE + 1}.0.{match[2]}'
        if not torch.equal(kept.setdefault(used, value), value):
            raise ModelError(f'{file} holds {used!r} twice, the second time as {name!r} with '
                             'other values; give the file as its authors published it')
    return kept


def _decoder_rows(numbers: list[int], decoders: int, models: Path) -> list[int]:
    """Return which decoder belongs to each object."""
    if len(numbers) == decoders:
        return list(range(decoders))
    if not numbers or len(numbers) > decoders or max(numbers) > decoders:
        raise ModelError(f'the checkpoint has {decoders} decoders, but {models} has the objects '
                         f'{", ".join(map(str, numbers)) or "none"}; give the models of the data '
                         'set that it was trained for')
    return [number - 1 for number in numbers]


def _with_decoders(network: MRCNet, rows: list[int], nearest: float, farthest: float) -> MRCNet:
    """Return the network with some of its decoders, for a range of depths in metres."""
    plain = {**network.config.as_dict(), 'objects': len(rows), 'nearest': nearest,
             'farthest': farthest}
    with torch.device('meta'):
        chosen = MRCNet(MRCConfig.from_dict(plain))
    chosen.load_state_dict({
        name: value[rows] if published_name(name).startswith(_DECODERS) else value
        for name, value in network.state_dict().items()}, assign=True)
    return chosen.eval()


def _cad_object(model: BopModel, name: str) -> CadObject:
    mesh = model.read_mesh()
    return CadObject(name, Mesh(mesh.vertices.astype('float32'), mesh.faces), _symmetry(model))


def _symmetry(model: BopModel) -> Symmetry:
    try:
        return model.symmetry
    except InvalidInputError as error:
        _logger.warning('The symmetry of %s is left out: %s', model.name, error)
        return NO_SYMMETRY
