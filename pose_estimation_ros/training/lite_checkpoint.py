"""The other way round of `lite_export`: a checkpoint of CR-Net or ACR-Pose lite, out of a model.

It has no state of an optimizer, and ACR-Pose's discriminator, which models lack, begins anew.
Pictures that were trained apart can be put in: the network then offers placements by them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from pose_estimation_ros.core.categories import Category, category_named
from pose_estimation_ros.core.errors import ConfigurationError, ModelError
from pose_estimation_ros.networks.acr_lite import ACRLite, ACRLiteConfig
from pose_estimation_ros.networks.crnet_lite import CRNetLite, CRNetLiteConfig
from pose_estimation_ros.networks.discriminator import Discriminator
from pose_estimation_ros.runtime.model_store import Model
from pose_estimation_ros.training.adversarial_losses import DISCRIMINATOR, RECONSTRUCTOR
from pose_estimation_ros.training.checkpoints import (
    TrainingState,
    check_network,
    first_fault,
    read_checkpoint,
    save_checkpoint,
    trained_weights,
)
from pose_estimation_ros.training.crop_batches import CropAugmentation, training_batch
from pose_estimation_ros.training.crop_sources import stored_crops
from pose_estimation_ros.training.exported_weights import (
    exported_constants,
    load_exported,
    restore_statistics,
    weights_of,
)
from pose_estimation_ros.training.lite_task import PICTURED, POINTS
from pose_estimation_ros.training.picture_placement_training import NETWORK as PICTURES
from pose_estimation_ros.training.picture_placement_training import SHARED
from pose_estimation_ros.training.sources import data_path

BACKENDS = ('crnet', 'acr')

_PREFIX = 'network.'
# The exporter computes what this parameter is taken as; the operator that takes it tells.
_NO_COLOR, _NO_COLOR_AT = 'encoder.no_color', 'encoder/Where/2'
# Views that the statistics of normalisations are measured on.
_BATCHES, _BATCH = 8, 96


def write_lite_checkpoint(model: Model, data: Sequence[str], out: Path,
                          picture: Path | None = None) -> Path:
    """Write a checkpoint whose network computes what a model's does, or begins near that.

    Args:
        model: Of CR-Net or ACR-Pose lite, as `pose-estimation export` writes it.
        data: Folders of crops as those of the training, if the model sees pictures:
            normalisations are given the statistics that they have on them.
        out: The file to write.
        picture: Checkpoint of `train picture-placement`; None = the model's own pictures, if it
            sees any. With it the placements are those of this checkpoint, and what follows them
            is the model's.

    Returns:
        That file.

    Raises:
        ModelError: If it is another model, or one was exported or trained by something else.
        ConfigurationError: If crops are needed and missing.
    """
    manifest = model.manifest
    if manifest.backend not in BACKENDS or manifest.size != 'lite':
        raise ModelError(f'{manifest.name} is {manifest.backend} {manifest.size}; checkpoints '
                         f'are made of lite models of {" and ".join(BACKENDS)}')
    constants = exported_constants([model.file('network')], _PREFIX)
    network = _network(model.manifest.parameters, model, constants)
    found = weights_of(network, constants)
    found[_NO_COLOR] = constants.get(_NO_COLOR_AT, torch.zeros_like(network.encoder.no_color))
    load_exported(network, found, model)
    categories = [category_named(name) or Category(name, manifest.symmetry_of(name))
                  for name in manifest.categories]
    if picture is not None:
        parameters = model.manifest.parameters
        encoder = {**parameters['encoder'], 'picture': 'on'}
        network = _with_picture(network, _network({**parameters, 'encoder': encoder}, model,
                                                  constants), picture)
    elif network.config.encoder.picture == 'on':
        if not data:
            raise ConfigurationError(f'{manifest.name} sees pictures: give --data, a folder of '
                                     '`pose-estimation dataset crops` or `dataset cut`')
        restore_statistics(network, lambda batch: network(*batch, every=PICTURED),
                           _batches(data, categories))
    trained: nn.Module = network if manifest.backend == 'crnet' else nn.ModuleDict(
        {RECONSTRUCTOR: network, DISCRIMINATOR: Discriminator()})
    save_checkpoint(out, TrainingState(trained, {}, notes={
        'network': f'{manifest.backend}-lite', 'config': network.config.as_dict(),
        'points': POINTS, 'prior_points': network.prior.shape[1],
        'categories': [category.as_plain() for category in categories]}))
    return out


def _network(parameters: Mapping[str, Any], model: Model,
             constants: Mapping[str, Tensor]) -> CRNetLite | ACRLite:
    """Return a new network of a model's kind, of the sizes that parameters tell."""
    prior = torch.zeros_like(constants['prior'])
    torch.manual_seed(0)
    if model.manifest.backend == 'crnet':
        return CRNetLite(CRNetLiteConfig.from_dict(dict(parameters)), prior)
    return ACRLite(ACRLiteConfig.from_dict(dict(parameters)), prior)


def _with_picture(network: CRNetLite | ACRLite, pictured: CRNetLite | ACRLite,
                  checkpoint: Path) -> CRNetLite | ACRLite:
    """Return `pictured` with the weights of `network` and of the pictures of a checkpoint.

    Raises:
        ModelError: If the checkpoint is of another network or of other sizes.
    """
    content = read_checkpoint(checkpoint)
    check_network(content, PICTURES, checkpoint)
    theirs = {name: value for name, value in trained_weights(content).items()
              if name.startswith(SHARED)}
    fresh = pictured.state_dict()
    own = {name: value for name, value in network.state_dict().items() if name in fresh}
    weights = {**fresh, **own, **theirs}
    try:
        pictured.load_state_dict(weights)
    except RuntimeError as error:
        raise ModelError(f'the pictures of {checkpoint} do not fit the model: '
                         f'{first_fault(error)}; train them anew with `pose-estimation train '
                         f'{PICTURES}`') from error
    return pictured


def _batches(data: Sequence[str], categories: Sequence[Category]) -> Iterator[tuple[Tensor, ...]]:
    """Yield what a network is run on: training views of all folders in turn."""
    generator = np.random.default_rng(0)
    folders = [stored_crops(data_path(source)[0], tuple(categories)) for source in data]
    for number in range(_BATCHES):
        crops = folders[number % len(folders)]
        chosen = generator.choice(len(crops), min(_BATCH, len(crops)), replace=False)
        batch = training_batch(crops, chosen, PICTURED * POINTS, POINTS, CropAugmentation(),
                               generator, tuple(categories))
        yield batch.points, batch.condition, batch.category, batch.color
