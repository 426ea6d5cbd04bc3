"""Import of published DISP6D checkpoints (huggingface fylwen/DISP6D-Assets)."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pose_estimation_ros.core.categories import CATEGORY_NAMES
from pose_estimation_ros.core.errors import ConfigurationError, ModelError
from pose_estimation_ros.networks.disp6d import (
    PUBLISHED_CAD,
    PUBLISHED_CATEGORIES,
    Disp6d,
    Disp6dConfig,
)
from pose_estimation_ros.runtime.manifest import ModelManifest, file_sha256
from pose_estimation_ros.runtime.model_folder import new_model_folder
from pose_estimation_ros.training.disp6d_export import write_disp6d_model
from pose_estimation_ros.training.tensorflow_checkpoint import TensorFlowCheckpoint

_OPTIMIZER = re.compile(r'/Adam(_1)?$')
_DEPTH_DECODER = '/decoder/decoder/decoder_depth/dense/kernel'

# What a part of our network is called in the published one, in the order of replacement.
_RENAMED: tuple[tuple[str, str | Callable[[re.Match[str]], str]], ...] = (
    (r'^encoder\.stages\.0\.0\.conv\.', 'encoder/encoder/conv2d/'),
    (r'^encoder\.stages\.(\d)\.0\.conv\.', r'encoder/encoder/conv2d_\1/'),
    (r'^encoder\.shape\.', 'encoder/encoder/z_obj/'),
    (r'^encoder\.pose\.', 'encoder/encoder/z_pose/'),
    (r'^conditioner\.shape\.', 'gprior/cond_block_f/fc_zo/dense/'),
    (r'^conditioner\.rotation\.', 'gprior/cond_block_f/fc_cp/dense/'),
    (r'^conditioner\.expand\.', 'gprior/cond_block_f/ff/dense/'),
    (r'^conditioner\.contract\.', 'gprior/cond_block_f/ff/dense_1/'),
    (r'^conditioner\.mix$',
     'gprior/cond_block_f/bilinear_transformation/BilinearTransformation-0/weight'),
    (r'^decoders\.color\.', 'decoder/decoder/decoder_bgr/'),
    (r'^decoders\.depth\.', 'decoder/decoder/decoder_depth/'),
    (r'/first\.', '/dense/'),
    (r'/last\.', '/conv2d/'),
    (r'/(dense|dense_1|conv2d|conv2d_\d|z_obj|z_pose)/weight$', r'/\1/kernel'),
    (r'/convolutions\.(\d)\.', r'/block_\1/'),
    (r'/styles\.0\.', '/'),
    (r'/styles\.(\d)\.', lambda match: f'/block_{int(match[1]) - 1}/'),
    (r'/style\.', '/StyleMod/'))


def published_name(name: str) -> str:
    """Return what a parameter of `Disp6d` is called in checkpoints, without the first scope."""
    for ours, published in _RENAMED:
        name = re.sub(ours, published, name)
    return name


def published_shape(shape: Sequence[int]) -> tuple[int, ...]:
    """Return the shape that a parameter of `Disp6d` has in checkpoints."""
    if len(shape) == 4:
        outputs, inputs, height, width = shape
        return height, width, inputs, outputs
    return tuple(reversed(shape)) if len(shape) == 2 else tuple(shape)


def from_published(name: str, value: NDArray[Any], config: Disp6dConfig) -> Tensor:
    """Return a parameter of `Disp6d`: channels first, and one scale that is left to run time.

    Args:
        name: Its name in checkpoints.
        value: As it is stored there.
        config: Of the network.
    """
    if value.ndim == 4:
        value = value.transpose(3, 2, 0, 1)
    elif name.endswith(('z_obj/kernel', 'z_pose/kernel')):
        side = config.crop >> len(config.widths)
        value = value.reshape(side, side, config.widths[-1], -1).transpose(3, 2, 0, 1)
        value = value.reshape(len(value), -1)
    elif name.startswith('decoder/') and name.endswith('/dense/kernel'):
        side = config.crop >> len(config.decoder_widths)
        value = value.reshape(-1, side, side, config.decoder_widths[0]).transpose(3, 1, 2, 0)
        value = value.reshape(-1, value.shape[-1])
    elif value.ndim == 2:
        value = value.T
    if name.endswith('StyleMod/weight'):
        value = value / np.sqrt(config.code)
    return torch.from_numpy(np.array(value, dtype=np.float32, order='C'))


def load_disp6d_checkpoint(prefix: Path, config: Disp6dConfig | None = None) -> Disp6d:
    """Return the network of a published checkpoint, in evaluation mode.

    Args:
        prefix: The checkpoint, such as `tless_f18/chkpt-50000`.
        config: What the network is made of; None = the published one of categories if the
            checkpoint decodes depth, else that of CAD models.

    Raises:
        ModelError: If a file is missing or damaged, or holds another network.
    """
    checkpoint = TensorFlowCheckpoint(prefix)
    stored = [name for name in checkpoint.variables if not _OPTIMIZER.search(name)]
    if config is None:
        has_depth = any(name.endswith(_DEPTH_DECODER) for name in stored)
        config = PUBLISHED_CATEGORIES if has_depth else PUBLISHED_CAD
    with torch.device('meta'):
        network = Disp6d(config)
    values = {}
    for name, parameter in network.state_dict().items():
        published = published_name(name)
        matching = [variable for variable in stored if variable.endswith(f'/{published}')]
        if len(matching) != 1:
            raise ModelError(f'the checkpoint {prefix} has {len(matching) or "no"} variables '
                             f'…/{published}, so it is not one of DISP6D; its first ones are '
                             f'{", ".join(sorted(stored)[:3])}')
        value = checkpoint.read(matching[0])
        expected = published_shape(parameter.shape)
        if value.shape != expected:
            raise ModelError(f'the checkpoint {prefix} has {matching[0]!r} of shape '
                             f'{value.shape} instead of {expected}; only the published sizes '
                             'are supported')
        if not np.issubdtype(value.dtype, np.floating) or not np.isfinite(value).all():
            raise ModelError(f'the checkpoint {prefix} has values in {matching[0]!r} that are no '
                             'finite numbers; download it again')
        values[name] = from_published(published, value, config)
    network.load_state_dict(values, assign=True)
    return network.eval()


def import_disp6d(prefix: Path, out: Path, categories: Sequence[str] | None = None
                  ) -> ModelManifest:
    """Turn a published DISP6D checkpoint into a model folder.

    Args:
        prefix: The checkpoint, such as `real275_ours_per/mug/chkpt-50000`.
        out: Folder to write; its name is the model's.
        categories: What it knows without CAD models; None = the category that its folder is
            named after, else all six; none for networks that decode no depth, which need CAD
            models.

    Raises:
        ModelError: If a file is missing or damaged, or holds another network.
        ConfigurationError: If a category is none of the six, or one is given for a network that
            needs CAD models.
    """
    network = load_disp6d_checkpoint(prefix)
    knows_categories = 'depth' in network.config.decoded
    if categories is None:
        folder = prefix.parent.name
        categories = (() if not knows_categories else
                      (folder,) if folder in CATEGORY_NAMES else CATEGORY_NAMES)
    unknown = [name for name in categories if name not in CATEGORY_NAMES]
    if unknown or (categories and not knows_categories):
        raise ConfigurationError(
            f'{prefix} cannot know {", ".join(unknown or categories)}: '
            + ('published networks know some of ' + ', '.join(CATEGORY_NAMES) if unknown else
               'it decodes no depth and needs CAD models; leave the categories out'))
    index = prefix.with_name(f'{prefix.name.removesuffix(".index")}.index')
    with new_model_folder(out) as folder_to_write:
        return write_disp6d_model(
            network, categories, 'full', folder_to_write, _preparation(network.config), training={
                'program': 'published checkpoint of github fylwen/DISP-6D',
                'checkpoint': prefix.name, 'index_sha256': file_sha256(index),
                'licence_note': 'the authors license their code under MIT; the licence of their '
                                'weights was not seen'}, metrics={}, licence='NOASSERTION')


def _preparation(config: Disp6dConfig) -> Mapping[str, Any]:
    """Return how the published networks want their crops cut, see `backends.disp6d_crops`."""
    if config.norm == 'row':
        return {'margin': 1.2, 'background': 'white', 'border': 'stretched',
                'interpolation': 'cubic', 'equalized': True}
    return {'margin': 1.2, 'background': 'kept', 'border': 'stretched',
            'interpolation': 'linear', 'equalized': False}
