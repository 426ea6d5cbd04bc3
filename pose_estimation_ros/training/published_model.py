"""Model folders of published checkpoints: with their mean shapes, and in their frame of mugs.

The weights stay what their authors made them: trained on the NOCS data, which are for
non-commercial use, with mean shapes and a mug frame of their own, all of which the manifest
records.
"""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from torch import nn

from pose_estimation_ros.backends.spd_preprocessing import box_centre
from pose_estimation_ros.core.categories import CATEGORY_NAMES
from pose_estimation_ros.core.errors import ModelError
from pose_estimation_ros.networks.spd import PRIOR_POINTS
from pose_estimation_ros.runtime.manifest import ModelManifest, file_sha256
from pose_estimation_ros.runtime.model_folder import new_model_folder
from pose_estimation_ros.training.onnx_export import write_full_model
from pose_estimation_ros.training.published_checkpoint import LICENCE, LICENCE_NOTE
from pose_estimation_ros.training.shape_priors import load_priors

# Of mean_points_emb.npy in the authors' repositories, shared by SPD, CR-Net and SGPA.
PUBLISHED_PRIORS_SHA256 = ('8c0c4b8c', 'd8ce')
# Published mugs are moved along x until the axis of the cup, not of its box, is at x = 0.
RECENTRED_CATEGORIES = ('mug',)

_PRIORS_NAME = 'mean_points_emb.npy'
# Seen from the checkpoint: beside it, or as the authors' repositories have it.
_PRIORS_PLACES = ('.', '../assets', '../../assets')

_logger = logging.getLogger(__name__)


def write_published_model(network: nn.Module, file: Path, prior_file: Path | None, out_dir: Path,
                          backend: str, program: str) -> ModelManifest:
    """Write the model folder of a published checkpoint.

    Args:
        network: Its network, from the inputs of `networks.spd.SPD` to logits and deformation.
        file: The checkpoint.
        prior_file: The mean shapes it was trained with, such as `mean_points_emb.npy`; None =
            a file of that name beside the checkpoint, or where its repository has it.
        out_dir: Folder to write; its name is the model's name.
        backend: Name of the backend that runs it.
        program: Whose checkpoint it is, for the manifest.

    Raises:
        ModelError: If the priors are missing, damaged or of another size.
    """
    prior_file = prior_file or _priors_of(file)
    priors = load_priors(prior_file)
    if priors.shape[1] != PRIOR_POINTS:
        raise ModelError(
            f'The shape priors {prior_file} have {priors.shape[1]} points per category; the '
            f'published ones have {PRIOR_POINTS}. Give the priors that the checkpoint was '
            'trained with.')
    priors_sha256 = file_sha256(prior_file)
    start, end = PUBLISHED_PRIORS_SHA256
    if not (priors_sha256.startswith(start) and priors_sha256.endswith(end)):
        _logger.warning(
            '%s is not the %s that published checkpoints were trained with (SHA-256 %s…%s, this '
            'one has %s); poses are wrong if they do not belong together',
            prior_file, _PRIORS_NAME, start, end, priors_sha256)
    with new_model_folder(out_dir) as folder:
        return write_full_model(
            network,
            priors,
            folder,
            backend,
            parameters={
                'recentred_categories': list(RECENTRED_CATEGORIES),
                'prior_box_centres': _box_centres(priors),
            },
            training={
                'program': program,
                'checkpoint': file.name,
                'checkpoint_sha256': file_sha256(file),
                'priors_sha256': priors_sha256,
                'licence_note': LICENCE_NOTE,
            },
            licence=LICENCE,
        )


def _priors_of(file: Path) -> Path:
    """Return the mean shapes that lie by a checkpoint."""
    for place in _PRIORS_PLACES:
        path = file.parent / place / _PRIORS_NAME
        if path.is_file():
            return path
    raise ModelError(
        f'There is no {_PRIORS_NAME} beside {file}. The network deforms these mean shapes: take '
        "the file from the folder assets of the authors' repository and give it as --priors.")


def _box_centres(priors: NDArray[np.float32]) -> dict[str, list[float]]:
    """Return the centre of each prior's box in its own frame, NOCS units."""
    return {
        name: [round(float(value), 5) for value in centre]
        for name, centre in zip(CATEGORY_NAMES, box_centre(priors), strict=True)
    }
