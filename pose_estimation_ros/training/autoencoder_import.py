"""Import of checkpoints of SPD's shape prior auto-encoder (spec 4.4).

The model that comes of it describes a cloud of NOCS points by an embedding and decodes
embeddings to clouds. Decoded, the mean embedding of a category's instances is its shape prior.
"""

from __future__ import annotations

import warnings
from pathlib import Path

import torch

from pose_estimation_ros.core.categories import CATEGORY_NAMES
from pose_estimation_ros.networks.shape_prior_autoencoder import (
    EMBEDDING_SIZE,
    ShapePriorAutoEncoder,
)
from pose_estimation_ros.runtime.manifest import (
    ModelFile,
    ModelManifest,
    file_sha256,
    write_manifest,
)
from pose_estimation_ros.runtime.model_folder import new_model_folder
from pose_estimation_ros.training.published_checkpoint import (
    AUTOENCODER_NETWORK,
    LICENCE,
    LICENCE_NOTE,
    check_tensors,
    read_tensors,
)

# Points that the published training gives the encoder; it takes any number.
TRAINED_POINTS = 2048

_OPSET = 17
_NETWORK_FILE = 'autoencoder.onnx'


def load_autoencoder_checkpoint(file: Path) -> ShapePriorAutoEncoder:
    """Return the auto-encoder of a checkpoint, in evaluation mode.

    Raises:
        ModelError: If the file is missing or damaged, or holds another network.
    """
    state = read_tensors(file)
    network = ShapePriorAutoEncoder()
    check_tensors(file, AUTOENCODER_NETWORK, state, network.state_dict())
    network.load_state_dict(state)
    return network.eval()


def import_autoencoder(file: Path, out_dir: Path) -> ModelManifest:
    """Turn a checkpoint of the auto-encoder into a model folder.

    The ONNX network takes points (B, N, 3), float32 NOCS coordinates, B and N dynamic, and gives
    embedding (B, 512) and cloud (B, 1024, 3).

    Args:
        file: The checkpoint.
        out_dir: Folder to write; its name is the model's name.

    Returns:
        The manifest that was written.

    Raises:
        ModelError: If the file is missing or damaged, or holds another network.
    """
    network = load_autoencoder_checkpoint(file)
    with new_model_folder(out_dir) as folder:
        _export(network, folder / _NETWORK_FILE)
        manifest = ModelManifest(
            name=folder.name,
            task='shape_autoencoder',
            backend='spd',
            size='full',
            files={'network': ModelFile.of(folder / _NETWORK_FILE, folder)},
            categories=CATEGORY_NAMES,
            input={'points': TRAINED_POINTS, 'embedding': EMBEDDING_SIZE},
            training={
                'program': 'published checkpoint of github mentian/object-deformnet',
                'checkpoint': file.name,
                'checkpoint_sha256': file_sha256(file),
                'licence_note': LICENCE_NOTE,
            },
            licence=LICENCE,
        )
        write_manifest(manifest, folder)
    return manifest


def _export(network: ShapePriorAutoEncoder, path: Path) -> None:
    with warnings.catch_warnings(), torch.inference_mode():
        # The newer exporter needs a package more and says so at every call of this one.
        warnings.simplefilter('ignore', DeprecationWarning)
        torch.onnx.export(
            network,
            (torch.zeros(2, TRAINED_POINTS, 3),),
            str(path),
            dynamo=False,
            opset_version=_OPSET,
            input_names=['points'],
            output_names=['embedding', 'cloud'],
            dynamic_axes={'points': {0: 'objects', 1: 'points'}, 'embedding': {0: 'objects'},
                          'cloud': {0: 'objects'}},
        )
