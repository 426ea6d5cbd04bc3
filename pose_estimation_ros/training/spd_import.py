"""Import of published SPD checkpoints (spec 2).

A checkpoint becomes a model folder as the run time loads it. The weights stay what their
authors made them: trained on the NOCS data, which are for non-commercial use, with mean shapes
and a mug frame of their own, all of which the manifest records.
"""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pose_estimation_ros.backends.spd_preprocessing import box_centre
from pose_estimation_ros.core.categories import CATEGORY_NAMES
from pose_estimation_ros.core.errors import ModelError
from pose_estimation_ros.networks.spd import PRIOR_POINTS, SPD
from pose_estimation_ros.runtime.manifest import ModelManifest, file_sha256
from pose_estimation_ros.runtime.model_folder import new_model_folder
from pose_estimation_ros.training.onnx_export import write_full_model
from pose_estimation_ros.training.published_checkpoint import (
    LICENCE,
    LICENCE_NOTE,
    SPD_NETWORK,
    check_tensors,
    read_tensors,
)
from pose_estimation_ros.training.shape_priors import load_priors

# Of mean_points_emb.npy in the authors' repository, shared by SPD, CR-Net and SGPA.
PUBLISHED_PRIORS_SHA256 = ('8c0c4b8c', 'd8ce')
# Published mugs are moved along x until the axis of the cup, not of its box, is at x = 0.
RECENTRED_CATEGORIES = ('mug',)

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
    with new_model_folder(out_dir) as folder:
        return write_full_model(
            network,
            priors,
            folder,
            parameters={
                'recentred_categories': list(RECENTRED_CATEGORIES),
                'prior_box_centres': _box_centres(priors),
            },
            training={
                'program': 'published checkpoint of github mentian/object-deformnet',
                'checkpoint': file.name,
                'checkpoint_sha256': file_sha256(file),
                'priors_sha256': priors_sha256,
                'licence_note': LICENCE_NOTE,
            },
            licence=LICENCE,
        )


def load_spd_checkpoint(file: Path) -> SPD:
    """Return the SPD network of a checkpoint, in evaluation mode.

    Raises:
        ModelError: As `import_spd`.
    """
    state = read_tensors(file)
    network = SPD()
    check_tensors(file, SPD_NETWORK, state, network.state_dict())
    network.load_state_dict(state)
    return network.eval()


def _box_centres(priors: NDArray[np.float32]) -> dict[str, list[float]]:
    """Return the centre of each prior's box in its own frame, NOCS units."""
    return {
        name: [round(float(value), 5) for value in centre]
        for name, centre in zip(CATEGORY_NAMES, box_centre(priors), strict=True)
    }
