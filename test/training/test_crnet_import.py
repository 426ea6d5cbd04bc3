"""Published CR-Net checkpoints become model folders; everything else is refused by name."""

import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from pose_estimation_ros.core.categories import CATEGORY_NAMES
from pose_estimation_ros.core.errors import ModelError
from pose_estimation_ros.networks.crnet import CRNet, CRNetConfig
from pose_estimation_ros.networks.spd import reconstruct
from pose_estimation_ros.runtime.model_store import ModelStore
from pose_estimation_ros.runtime.session import InferenceSession
from pose_estimation_ros.training.crnet_import import import_crnet, load_crnet_checkpoint


@pytest.fixture(scope='module')
def network() -> CRNet:
    torch.manual_seed(1)
    network = CRNet().eval()
    # A fresh network hardly tells points apart; these weights keep the signal's strength.
    for parameter in network.parameters():
        if parameter.ndim > 1:
            nn.init.kaiming_normal_(parameter)
    nn.init.normal_(network.psp.final.weight, std=0.003)
    with torch.no_grad():
        for step in ('', '0', '1'):
            network.get_submodule(f'assignment{step}')[4].weight *= 0.1
            network.get_submodule(f'deformation{step}')[4].weight *= 0.3
    return network


@pytest.fixture(scope='module')
def checkpoint(network: CRNet, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a checkpoint where the authors' repository has it, with its mean shapes."""
    repository = tmp_path_factory.mktemp('Category-6D-Pose')
    (repository / 'models').mkdir()
    (repository / 'assets').mkdir()
    path = repository / 'models/real.pth'
    torch.save({f'module.{name}': value for name, value in network.state_dict().items()}, path)
    np.save(repository / 'assets/mean_points_emb.npy',
            np.random.default_rng(0).uniform(-0.3, 0.3, (6, 1024, 3)))
    return path


def test_the_released_checkpoint_becomes_a_model_that_computes_the_same(
    network: CRNet, checkpoint: Path, tmp_path: Path
) -> None:
    manifest = import_crnet(checkpoint, None, tmp_path / 'models/crnet_real')

    model = ModelStore([tmp_path / 'models']).find('crnet_real', task='pose')
    assert (manifest.name, manifest.backend, manifest.size) == ('crnet_real', 'crnet', 'full')
    assert manifest.categories == CATEGORY_NAMES
    assert 'non-commercial' in manifest.licence
    assert 'SocialGoodAI/Category-6D-Pose' in manifest.training['program']
    assert manifest.parameters['recentred_categories'] == ['mug']
    assert manifest.input['crop_rule'] == 'square-of-40s'
    session = InferenceSession(model.file('network'), 'cpu', threads=1)
    with np.load(model.file('priors')) as file:
        priors = torch.from_numpy(file['priors'])
    for objects in (1, 2):
        generator = np.random.default_rng(objects)
        inputs = {
            'points': generator.normal(0.0, 0.1, (objects, 1024, 3)).astype(np.float32),
            'image': generator.normal(size=(objects, 3, 192, 192)).astype(np.float32),
            'pixel_index': generator.integers(192 * 192, size=(objects, 1024)),
            'category': generator.integers(6, size=objects),
        }
        outputs = session.run(inputs)
        tensors = [torch.from_numpy(value) for value in inputs.values()]
        prior = priors[tensors[-1]]
        with torch.no_grad():
            nocs, shape = reconstruct(*network.last_stage(*tensors, prior), prior)
        assert nocs.std(dim=1).min() > 1e-4
        np.testing.assert_allclose(outputs['nocs'], nocs, atol=1e-5)
        np.testing.assert_allclose(outputs['shape'], shape, atol=1e-5)


def test_the_network_of_the_development_fork_is_told_by_its_tensors(tmp_path: Path) -> None:
    fork = CRNet(CRNetConfig(recurrence='paper'))
    torch.save(fork.state_dict(), tmp_path / 'fork.pth')
    loaded = load_crnet_checkpoint(tmp_path / 'fork.pth')
    assert loaded.config.recurrence == 'paper'
    for name, value in fork.state_dict().items():
        assert torch.equal(loaded.state_dict()[name], value)


def _without_second_step(state: dict[str, Tensor]) -> None:
    del state['assignment1.4.bias']


def _of_spd(state: dict[str, Tensor]) -> None:
    for name in [name for name in state if 'transformer' in name]:
        del state[name]


def _without_first_step(state: dict[str, Tensor]) -> None:
    for name in [name for name in state if name.startswith('assignment0')]:
        del state[name]


@pytest.mark.parametrize(('change', 'message'), [
    (_without_second_step, r"CR-Net as released lacks 1 of the tensors, first 'assignment1\.4"),
    (_of_spd, 'no checkpoint of CR-Net as released but of SPD'),
    (_without_first_step, 'no checkpoint of CR-Net as released but of a variant of CR-Net'),
])
def test_a_checkpoint_that_does_not_fit_is_refused_by_name(
    network: CRNet, tmp_path: Path, change: object, message: str
) -> None:
    state = dict(network.state_dict())
    change(state)
    torch.save(state, tmp_path / 'model.pth')
    with pytest.raises(ModelError, match=message):
        load_crnet_checkpoint(tmp_path / 'model.pth')


def test_without_mean_shapes_their_place_is_named(checkpoint: Path, tmp_path: Path) -> None:
    shutil.copy(checkpoint, tmp_path / 'real.pth')
    with pytest.raises(ModelError, match=r'no mean_points_emb\.npy beside .*real\.pth.*--priors'):
        import_crnet(tmp_path / 'real.pth', None, tmp_path / 'models/crnet')
    assert not (tmp_path / 'models').exists()
