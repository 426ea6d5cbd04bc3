"""Checkpoints of the SPD family, MRC-Net and neural meshes as their authors published them.

They are state dictionaries, some written by PyTorch 1.0 in the container without zip, some with
the prefix `module.` of DataParallel. They do not say whose they are: their tensors do.
"""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from pose_estimation_ros.core.errors import ModelError
from pose_estimation_ros.training.checkpoints import load_plain

SPD_NETWORK = 'SPD'
CRNET_NETWORK = 'CR-Net as released'
CRNET_FORK_NETWORK = "CR-Net of the authors' development fork"
AUTOENCODER_NETWORK = 'the shape prior auto-encoder'
MRC_NETWORK = 'MRC-Net'
NEURAL_MESH_NETWORK = 'a neural mesh'

LICENCE = 'LicenseRef-NOCS-non-commercial'
LICENCE_NOTE = ('the authors state no licence for their weights, and the NOCS data they were '
                'trained on are for non-commercial use')

_WRAPPER_PREFIX = 'module.'


def read_tensors(file: Path, entry: str = '') -> dict[str, Tensor]:
    """Return the tensors of a checkpoint, without the prefix of torch's DataParallel.

    Args:
        file: The checkpoint.
        entry: Where the file keeps them if it holds something besides; '' = it does not.

    Raises:
        ModelError: If the file is missing, damaged, or holds anything but named tensors.
    """
    content = read_content(file)
    return named_tensors(file, content[entry] if isinstance(content, Mapping) and entry in content
                         else content)


def read_content(file: Path) -> Any:
    """Return what a checkpoint holds; the arguments of its program may be among it.

    Raises:
        ModelError: If the file is missing or damaged, or holds more than tensors, plain values
            and arguments.
    """
    if not file.is_file():
        raise ModelError(f'There is no checkpoint at {file}. Check the path.')
    return load_plain(file, 'Download it again.', [Namespace])


def named_tensors(file: Path, content: Any) -> dict[str, Tensor]:
    """Return the tensors of a checkpoint's content, without the prefix of torch's DataParallel.

    Args:
        file: The checkpoint, for messages.
        content: What it or one of its entries holds.

    Raises:
        ModelError: If that is anything but named tensors.
    """
    if (
        not isinstance(content, Mapping)
        or not content
        or not all(isinstance(value, Tensor) for value in content.values())
    ):
        raise ModelError(
            f'{file} does not hold named tensors but {type(content).__name__}. Give the file '
            'that torch.save(model.state_dict()) wrote.'
        )
    return {name.removeprefix(_WRAPPER_PREFIX): value for name, value in content.items()}


def network_of(state: Mapping[str, Tensor]) -> str:
    """Say in words which network of the family the tensors belong to."""
    if any('SA_modules.' in name or name.startswith('conv1d_stpts_prob.') for name in state):
        return 'SGPA'
    if any(name.startswith('backbone.decoder.') for name in state):
        return MRC_NETWORK
    if any(name.startswith('net.upsample0.') for name in state):
        return NEURAL_MESH_NETWORK
    if any(name.startswith('transformer64.') for name in state):
        first = state.get('assignment0.0.weight')
        width = first.shape[1] if first is not None and first.ndim == 3 else None
        if width == 256:
            return CRNET_NETWORK
        if width == 128:
            return CRNET_FORK_NETWORK
        return 'a variant of CR-Net'
    if 'encoder.conv1.weight' in state and 'decoder.fc1.weight' in state:
        return AUTOENCODER_NETWORK
    if not any(name.startswith('psp.') for name in state):
        return f'an unknown network whose first tensor is {next(iter(state))!r}'
    return SPD_NETWORK


def check_tensors(
    file: Path, network: str, state: Mapping[str, Tensor], expected: Mapping[str, Tensor]
) -> None:
    """Compare names, shapes and values of a checkpoint with the network's.

    Raises:
        ModelError: If it is a checkpoint of another network, a tensor is missing, unknown or of
            another shape, or a value is not finite.
    """
    found = network_of(state)
    if found != network:
        raise ModelError(
            f'{file} is no checkpoint of {network} but of {found}. Give the file of {network}.'
        )
    missing = [name for name in expected if name not in state]
    unknown = [name for name in state if name not in expected]
    if missing or unknown:
        faults = [
            f'{kind} {len(names)} of the tensors, first {names[0]!r}'
            for kind, names in (('lacks', missing), ('has unknown', unknown))
            if names
        ]
        raise ModelError(
            f'The checkpoint {file} of {network} {" and ".join(faults)}. Download it again.'
        )
    for name, value in state.items():
        if value.shape != expected[name].shape:
            raise ModelError(
                f'The checkpoint {file} of {network} has {name!r} of shape {list(value.shape)} '
                f'instead of {list(expected[name].shape)}. Only the published sizes are '
                'supported.'
            )
        if not value.is_floating_point() or not torch.isfinite(value).all():
            raise ModelError(
                f'The checkpoint {file} of {network} has values in {name!r} that are no finite '
                'numbers. Download it again.'
            )
