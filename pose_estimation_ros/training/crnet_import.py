"""Import of published CR-Net checkpoints (spec 2)."""

from __future__ import annotations

from pathlib import Path

from pose_estimation_ros.networks.crnet import CRNet, CRNetConfig, LastStage
from pose_estimation_ros.runtime.manifest import ModelManifest
from pose_estimation_ros.training.published_checkpoint import (
    CRNET_FORK_NETWORK,
    CRNET_NETWORK,
    check_tensors,
    network_of,
    read_tensors,
)
from pose_estimation_ros.training.published_model import write_published_model

_CONFIGS = {CRNET_NETWORK: CRNetConfig(), CRNET_FORK_NETWORK: CRNetConfig(recurrence='paper')}


def import_crnet(file: Path, prior_file: Path | None, out_dir: Path) -> ModelManifest:
    """Turn a published CR-Net checkpoint into a model folder.

    Args:
        file: The checkpoint, such as `models/real.pth` of the authors' repository.
        prior_file: The mean shapes it was trained with, such as `mean_points_emb.npy`; None =
            the file of that name beside the checkpoint, or in the repository's assets.
        out_dir: Folder to write: network, priors and manifest. Its name is the model's name.

    Returns:
        The manifest that was written.

    Raises:
        ModelError: A file is missing or damaged, or it is not a CR-Net checkpoint, or a tensor
            has another name or shape than CR-Net's.
    """
    return write_published_model(
        LastStage(load_crnet_checkpoint(file)).eval(), file, prior_file, out_dir, 'crnet',
        'published checkpoint of github SocialGoodAI/Category-6D-Pose')


def load_crnet_checkpoint(file: Path) -> CRNet:
    """Return the CR-Net of a checkpoint, in evaluation mode.

    The released network is told from that of the authors' development fork, whose steps relate
    object and shape anew, by the widths of the tensors.

    Raises:
        ModelError: As `import_crnet`.
    """
    state = read_tensors(file)
    found = network_of(state)
    variant = found if found in _CONFIGS else CRNET_NETWORK
    network = CRNet(_CONFIGS[variant])
    check_tensors(file, variant, state, network.state_dict())
    network.load_state_dict(state)
    return network.eval()
