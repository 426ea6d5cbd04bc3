"""Checkpoints of the shape prior auto-encoder become models; others are refused by name."""

import sys
from pathlib import Path

import numpy as np
import pytest
import torch

sys.path.insert(0, str(Path(__file__).parents[1] / 'support'))

from parity_parameters import fill_parameters

from pose_estimation_ros.core.errors import ModelError
from pose_estimation_ros.networks.shape_prior_autoencoder import ShapePriorAutoEncoder
from pose_estimation_ros.runtime.model_store import ModelStore
from pose_estimation_ros.runtime.session import InferenceSession
from pose_estimation_ros.training.autoencoder_import import (
    import_autoencoder,
    load_autoencoder_checkpoint,
)

EXCERPT = Path(__file__).parents[1] / 'data' / 'spd' / 'autoencoder_excerpt.npz'


def test_an_imported_checkpoint_encodes_and_decodes_as_published(tmp_path: Path) -> None:
    network = ShapePriorAutoEncoder()
    fill_parameters(network, 'A')
    checkpoint = tmp_path / 'model_50.pth'
    state = {f'module.{name}': value for name, value in network.state_dict().items()}
    torch.save(state, checkpoint, _use_new_zipfile_serialization=False)

    import_autoencoder(checkpoint, tmp_path / 'models' / 'shapes')

    model = ModelStore([tmp_path / 'models']).find('shapes', task='shape_autoencoder')
    assert 'non-commercial' in model.manifest.licence
    session = InferenceSession(model.file('network'), 'cpu', threads=1)
    with np.load(EXCERPT) as file:
        output = session.run({'points': file['in_pc']})
        np.testing.assert_allclose(output['embedding'], file['emb'], atol=1e-5)
        np.testing.assert_allclose(output['cloud'], file['out_pc'], atol=1e-5)
        # The order of the points does not matter, nor does their number.
        few = session.run({'points': np.ascontiguousarray(file['in_pc'][:1, ::-1])})
        np.testing.assert_allclose(few['embedding'], file['emb'][:1], atol=1e-5)
        assert session.run({'points': file['in_pc'][:, :100]})['cloud'].shape[1:] == (1024, 3)


def test_other_networks_are_refused_by_name(tmp_path: Path) -> None:
    torch.save({'psp.a': torch.zeros(1)}, tmp_path / 'spd.pth')
    with pytest.raises(ModelError, match='no checkpoint of the shape prior auto-encoder but of '
                                         'SPD'):
        load_autoencoder_checkpoint(tmp_path / 'spd.pth')
    torch.save(ShapePriorAutoEncoder(8).state_dict(), tmp_path / 'small.pth')
    with pytest.raises(ModelError, match=r"'decoder\.fc3\.weight' of shape \[24, 1024\] instead "
                                         r'of \[3072, 1024\]'):
        load_autoencoder_checkpoint(tmp_path / 'small.pth')
