"""From a checkpoint of the full SPD network to the model folder that the run time loads."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pose_estimation_ros.core.errors import ModelError
from pose_estimation_ros.networks.spd import SPD
from pose_estimation_ros.runtime.manifest import ModelManifest, file_sha256
from pose_estimation_ros.training.checkpoints import (
    check_network,
    first_fault,
    read_checkpoint,
    trained_weights,
)
from pose_estimation_ros.training.onnx_export import write_full_model
from pose_estimation_ros.training.provenance import training_facts
from pose_estimation_ros.training.shape_priors import load_priors, priors_digest


def export_full(
    checkpoint: Path, prior_file: Path, out_dir: Path, training: Mapping[str, Any] | None = None
) -> ModelManifest:
    """Write the model folder of a network that `pose-estimation train spd-full` trained.

    Args:
        checkpoint: Its checkpoint.
        prior_file: The priors it was trained with.
        out_dir: Folder to write; its name is the model's name.
        training: What the manifest is to say of the training besides what the run noted.

    Raises:
        ModelError: The checkpoint or the priors are missing, damaged or of another network.
    """
    content = read_checkpoint(checkpoint)
    check_network(content, 'spd-full', checkpoint)
    network = SPD()
    try:
        network.load_state_dict(trained_weights(content))
    except (RuntimeError, AttributeError) as error:
        raise ModelError(
            f'The checkpoint {checkpoint} is not one of the full SPD network: '
            f'{first_fault(error)}. Give the last.pt of `pose-estimation train spd-full`.'
        ) from error
    notes, priors = content.get('notes', {}), load_priors(prior_file)
    if notes.get('priors', priors_digest(priors)) != priors_digest(priors):
        raise ModelError(f'{prior_file} does not hold the shape priors that {checkpoint} was '
                         'trained with; give the file that was its --priors')
    return write_full_model(
        network.eval(),
        priors,
        out_dir,
        parameters={'recentred_categories': []},
        training={
            **training_facts(notes, content['step']),
            'priors_sha256': file_sha256(prior_file),
            **(training or {}),
        },
        licence='Apache-2.0',
    )
