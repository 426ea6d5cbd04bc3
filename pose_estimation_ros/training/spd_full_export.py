r"""From a checkpoint of the full SPD network to the model folder that the run time loads.

Usage::

    python -m pose_estimation_ros.training.spd_full_export --checkpoint runs/spd_full/last.pt \
        --priors models/shape_priors/priors.npz --out models/spd_full
"""

from __future__ import annotations

import argparse
import logging
from pathlib import Path

from pose_estimation_ros.core.errors import ModelError
from pose_estimation_ros.networks.spd import SPD
from pose_estimation_ros.runtime.manifest import ModelManifest, file_sha256
from pose_estimation_ros.training.checkpoints import read_checkpoint
from pose_estimation_ros.training.onnx_export import write_full_model
from pose_estimation_ros.training.shape_priors import load_priors

_logger = logging.getLogger(__name__)


def export_full(checkpoint: Path, prior_file: Path, out_dir: Path) -> ModelManifest:
    """Write the model folder of a network that `spd_full_training` trained.

    Args:
        checkpoint: Its checkpoint.
        prior_file: The priors it was trained with.
        out_dir: Folder to write; its name is the model's name.

    Raises:
        ModelError: The checkpoint or the priors are missing, damaged or of another network.
    """
    content = read_checkpoint(checkpoint)
    network = SPD()
    try:
        network.load_state_dict(content['model'])
    except (RuntimeError, AttributeError) as error:
        raise ModelError(
            f'The checkpoint {checkpoint} is not one of the full SPD network: {error}. '
            'Give the last.pt of spd_full_training.'
        ) from error
    return write_full_model(
        network.eval(),
        load_priors(prior_file),
        out_dir,
        parameters={'recentred_categories': []},
        training={
            'program': 'pose_estimation_ros.training.spd_full_training',
            'data': 'synthetic frames, split train',
            'steps': content['step'],
            'priors_sha256': file_sha256(prior_file),
        },
        licence='Apache-2.0',
    )


def main() -> None:
    """Export as the command line says."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('--checkpoint', type=Path, required=True)
    parser.add_argument('--priors', type=Path, required=True)
    parser.add_argument('--out', type=Path, required=True)
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format='%(message)s')
    export_full(arguments.checkpoint, arguments.priors, arguments.out)
    _logger.info('wrote %s', arguments.out)


if __name__ == '__main__':
    main()
