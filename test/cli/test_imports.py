"""`pose-estimation import` as a user types it."""

from pathlib import Path

import numpy as np
import pytest
import torch
from typer.testing import CliRunner, Result

from pose_estimation_ros.cli.main import app
from pose_estimation_ros.core.errors import ConfigurationError, ModelError
from pose_estimation_ros.networks.shape_prior_autoencoder import ShapePriorAutoEncoder
from pose_estimation_ros.runtime.model_store import ModelStore


def run(*arguments: object) -> Result:
    return CliRunner().invoke(app, ['import', *map(str, arguments)])


def test_an_imported_model_goes_to_the_users_cache(
        tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path / 'cache'))
    torch.save(ShapePriorAutoEncoder().state_dict(), tmp_path / 'model_50.pth')
    answer = run('spd-autoencoder', tmp_path / 'model_50.pth')
    assert answer.exit_code == 0, answer.exception
    assert 'spd_autoencoder: shape_autoencoder of bottle' in answer.stdout
    assert 'LicenseRef-NOCS-non-commercial' in answer.stdout
    model = ModelStore().find('spd_autoencoder')
    assert model.folder.parent == tmp_path / 'cache' / 'pose_estimation_ros' / 'models'
    assert model.file('network').is_file()


def test_a_failing_import_leaves_nothing_behind(tmp_path: Path) -> None:
    torch.save({'psp.a': torch.zeros(1)}, tmp_path / 'model_50.pth')
    np.save(tmp_path / 'priors.npy', np.zeros((6, 1024, 3)))
    answer = run('spd', tmp_path / 'model_50.pth', '--priors', tmp_path / 'priors.npy',
                 '--output', tmp_path / 'models' / 'spd')
    assert isinstance(answer.exception, ModelError)
    assert 'lacks 69 of the tensors' in str(answer.exception)
    assert not (tmp_path / 'models').exists()


def test_without_torch_the_cure_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr('pose_estimation_ros.cli.imports.find_spec', lambda name: None)
    for words in (('spd', 'a.pth', '--priors', 'b.npy'), ('spd-autoencoder', 'a.pth'),
                  ('maskrcnn-coco', 'a.pth')):
        answer = run(*words)
        assert isinstance(answer.exception, ConfigurationError)
        assert 'pip install torch' in str(answer.exception)
