"""Import of published SPD checkpoints (spec 2)."""

from __future__ import annotations

from pathlib import Path

from pose_estimation_ros.networks.spd import SPD
from pose_estimation_ros.runtime.manifest import ModelManifest
from pose_estimation_ros.training.published_checkpoint import (
    SPD_NETWORK,
    check_tensors,
    read_tensors,
)
from pose_estimation_ros.training.published_model import write_published_model


def import_spd(file: Path, prior_file: Path | None, out_dir: Path) -> ModelManifest:
    """Turn a published SPD checkpoint into a model folder.

    Args:
        file: The checkpoint, such as `real/model_50.pth` of the authors' evaluation archive.
        prior_file: The mean shapes it was trained with, such as `mean_points_emb.npy`; None =
            the file of that name beside the checkpoint.
        out_dir: Folder to write: network, priors and manifest. Its name is the model's name.

    Returns:
        The manifest that was written.

    Raises:
        ModelError: A file is missing or damaged, or it is not an SPD checkpoint, or a tensor
            has another name or shape than SPD's.
    """
    return write_published_model(
        load_spd_checkpoint(file), file, prior_file, out_dir, 'spd',
        'published checkpoint of github mentian/object-deformnet')


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
