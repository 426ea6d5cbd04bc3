"""From a checkpoint of a full network to the model folder that the run time loads."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import nn

from pose_estimation_ros.core.errors import ModelError
from pose_estimation_ros.networks.acr import ACRConfig
from pose_estimation_ros.networks.crnet import CRNet, CRNetConfig, LastStage
from pose_estimation_ros.networks.spd import SPD
from pose_estimation_ros.runtime.manifest import ModelManifest, file_sha256
from pose_estimation_ros.training.acr_full_training import new_pair
from pose_estimation_ros.training.adversarial_losses import RECONSTRUCTOR
from pose_estimation_ros.training.onnx_export import write_full_model
from pose_estimation_ros.training.published_model import RECENTRED_CATEGORIES
from pose_estimation_ros.training.shape_priors import load_priors, priors_digest
from pose_estimation_ros.training.trained_networks import filled, trained_network


@dataclass(frozen=True)
class FullNetwork:
    """How a trained full network becomes a model.

    Attributes:
        backend: Name of the backend that runs it.
        create: From the notes of a checkpoint to what was trained, with random weights.
        answering: From what was trained to what maps the inputs of `networks.spd.SPD` to logits
            and deformation.
    """

    backend: str
    create: Callable[[Mapping[str, Any]], nn.Module]
    answering: Callable[[nn.Module], nn.Module]


FULL_NETWORKS = {
    'spd-full': FullNetwork('spd', lambda _: SPD(), lambda network: network),
    'crnet-full': FullNetwork(
        'crnet', lambda notes: CRNet(CRNetConfig(**notes['config'])), LastStage),
    'acr-full': FullNetwork(
        'acr', lambda notes: new_pair(ACRConfig(**notes['config'])),
        lambda pair: pair[RECONSTRUCTOR]),
}


def export_full(
    network: str,
    checkpoint: Path,
    prior_file: Path,
    out_dir: Path,
    training: Mapping[str, Any] | None = None,
) -> ModelManifest:
    """Write the model folder of a network that `pose-estimation train` trained.

    Args:
        network: Its name, one of `FULL_NETWORKS`.
        checkpoint: Its checkpoint.
        prior_file: The priors it was trained with.
        out_dir: Folder to write; its name is the model's name.
        training: What the manifest is to say of the training besides what the run noted.

    Raises:
        ModelError: The checkpoint or the priors are missing, damaged or of another network.
    """
    chosen = FULL_NETWORKS[network]
    trained, notes = trained_network(
        network, checkpoint, lambda notes, weights: filled(chosen.create(notes), weights))
    priors = load_priors(prior_file)
    if notes.get('priors', priors_digest(priors)) != priors_digest(priors):
        raise ModelError(f'{prior_file} does not hold the shape priors that {checkpoint} was '
                         'trained with; give the file that was its --priors')
    config = {'config': notes['config']} if 'config' in notes else {}
    return write_full_model(
        chosen.answering(trained).eval(),
        priors,
        out_dir,
        chosen.backend,
        parameters={'recentred_categories': list(
            RECENTRED_CATEGORIES if notes.get('convention') == 'spd' else ())},
        training={
            **notes['training'],
            **config,
            'priors_sha256': file_sha256(prior_file),
            **(training or {}),
        },
        licence='Apache-2.0',
    )
