"""Import of published SPD checkpoints (spec 2).

A checkpoint becomes a model folder as the run time loads it. The weights stay what their
authors made them: trained on the NOCS data, which are for non-commercial use, with mean shapes
and a mug frame of their own, all of which the manifest records.
"""

from __future__ import annotations

import logging
import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pose_estimation_ros.backends.spd_preprocessing import box_centre
from pose_estimation_ros.core.categories import CATEGORY_NAMES
from pose_estimation_ros.core.errors import ModelError
from pose_estimation_ros.networks.spd import PRIOR_POINTS, SPD
from pose_estimation_ros.runtime.manifest import ModelManifest, file_sha256
from pose_estimation_ros.training.onnx_export import write_full_model
from pose_estimation_ros.training.shape_priors import load_priors

# Of mean_points_emb.npy in the authors' repository, shared by SPD, CR-Net and SGPA.
PUBLISHED_PRIORS_SHA256 = ('8c0c4b8c', 'd8ce')
# Published mugs are moved along x until the axis of the cup, not of its box, is at x = 0.
RECENTRED_CATEGORIES = ('mug',)

_WRAPPER_PREFIX = 'module.'

_logger = logging.getLogger(__name__)


def import_spd(file: Path, prior_file: Path, out_dir: Path) -> ModelManifest:
    """Turn a published SPD checkpoint into a model folder.

    Args:
        file: The checkpoint, such as `real/model_50.pth` of the authors' evaluation archive.
        prior_file: The mean shapes it was trained with, such as `mean_points_emb.npy`.
        out_dir: Folder to write: network, priors and manifest. Its name is the model's name.

    Returns:
        The manifest that was written.

    Raises:
        ModelError: A file is missing or damaged, or it is not an SPD checkpoint, or a tensor
            has another name or shape than SPD's.
    """
    network = load_spd_checkpoint(file)
    priors = load_priors(prior_file)
    if priors.shape[1] != PRIOR_POINTS:
        raise ModelError(
            f'The shape priors {prior_file} have {priors.shape[1]} points per category; SPD has '
            f'{PRIOR_POINTS}. Give the priors that the checkpoint was trained with.'
        )
    priors_sha256 = file_sha256(prior_file)
    start, end = PUBLISHED_PRIORS_SHA256
    if not (priors_sha256.startswith(start) and priors_sha256.endswith(end)):
        _logger.warning(
            '%s is not the mean_points_emb.npy that published checkpoints were trained with '
            '(SHA-256 %s…%s, this one has %s); poses are wrong if they do not belong together',
            prior_file, start, end, priors_sha256,
        )
    return write_full_model(
        network,
        priors,
        out_dir,
        parameters={
            'recentred_categories': list(RECENTRED_CATEGORIES),
            'prior_box_centres': _box_centres(priors),
        },
        training={
            'program': 'published checkpoint of github mentian/object-deformnet',
            'checkpoint': file.name,
            'checkpoint_sha256': file_sha256(file),
            'priors_sha256': priors_sha256,
        },
        licence='LicenseRef-NOCS-non-commercial',
    )


def load_spd_checkpoint(file: Path) -> SPD:
    """Return the SPD network of a checkpoint, in evaluation mode.

    Raises:
        ModelError: As `import_spd`.
    """
    state = _read_state(file)
    _check_variant(file, state)
    network = SPD()
    _check_tensors(file, state, network.state_dict())
    network.load_state_dict(state)
    return network.eval()


def _read_state(file: Path) -> dict[str, Tensor]:
    """Return the tensors of a checkpoint without the prefix of torch's DataParallel."""
    if not file.is_file():
        raise ModelError(f'There is no checkpoint at {file}. Check the path.')
    try:
        content: Any = torch.load(file, map_location='cpu', weights_only=True)
    except (RuntimeError, EOFError, OSError, ValueError, KeyError,
            pickle.UnpicklingError) as error:
        raise ModelError(
            f'The checkpoint {file} cannot be read: {str(error).splitlines()[0]}. Download it '
            'again; only files of plain tensors are accepted, as others may run code.'
        ) from error
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


def _check_variant(file: Path, state: Mapping[str, Tensor]) -> None:
    """Refuse other networks of the family by their name."""
    variant = _variant(state)
    if variant != 'SPD':
        raise ModelError(
            f'{file} is no SPD checkpoint but {variant}. Give SPD weights, such as '
            'real/model_50.pth of deformnet_eval.zip, or import it as what it is.'
        )


def _variant(state: Mapping[str, Tensor]) -> str:
    """Say which network the tensors belong to; 'SPD' is the one this module imports."""
    if any(name.startswith('transformer64.') for name in state):
        first = state.get('assignment0.0.weight')
        width = first.shape[1] if first is not None and first.ndim == 3 else None
        if width == 256:
            return 'CR-Net as released'
        if width == 128:
            return "CR-Net of the authors' development fork"
        return 'a variant of CR-Net'
    if 'encoder.conv1.weight' in state and 'decoder.fc1.weight' in state:
        return 'the shape prior auto-encoder'
    if not any(name.startswith('psp.') for name in state):
        return f'an unknown network whose first tensor is {next(iter(state))!r}'
    return 'SPD'


def _check_tensors(
    file: Path, state: Mapping[str, Tensor], expected: Mapping[str, Tensor]
) -> None:
    """Compare names, shapes and values with the network's."""
    missing = [name for name in expected if name not in state]
    unknown = [name for name in state if name not in expected]
    if missing or unknown:
        faults = [
            f'{kind} {len(names)} of the tensors, first {names[0]!r}'
            for kind, names in (('lacks', missing), ('has unknown', unknown))
            if names
        ]
        raise ModelError(f'The SPD checkpoint {file} {" and ".join(faults)}. Download it again.')
    for name, value in state.items():
        if value.shape != expected[name].shape:
            raise ModelError(
                f'The SPD checkpoint {file} has {name!r} of shape {list(value.shape)} instead '
                f'of {list(expected[name].shape)}. Only the published sizes are supported.'
            )
        if not value.is_floating_point() or not torch.isfinite(value).all():
            raise ModelError(
                f'The SPD checkpoint {file} has values in {name!r} that are no finite '
                'numbers. Download it again.'
            )


def _box_centres(priors: NDArray[np.float32]) -> dict[str, list[float]]:
    """Return the centre of each prior's box in its own frame, NOCS units."""
    return {
        name: [round(float(value), 5) for value in centre]
        for name, centre in zip(CATEGORY_NAMES, box_centre(priors), strict=True)
    }
