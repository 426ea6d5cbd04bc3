"""Published SPD checkpoints become model folders; everything else is refused by name."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from pose_estimation_ros.core.categories import CATEGORY_NAMES
from pose_estimation_ros.core.errors import ModelError
from pose_estimation_ros.networks.shape_prior_autoencoder import ShapePriorAutoEncoder
from pose_estimation_ros.networks.spd import SPD, reconstruct
from pose_estimation_ros.runtime.manifest import file_sha256, read_manifest
from pose_estimation_ros.runtime.model_store import ModelStore
from pose_estimation_ros.runtime.session import InferenceSession
from pose_estimation_ros.training.spd_import import import_spd, load_spd_checkpoint


@pytest.fixture(scope='module')
def network() -> SPD:
    torch.manual_seed(1)
    return SPD().eval()


@pytest.fixture(scope='module')
def priors(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return mean shapes in the published form: float64, and mugs off their box's centre."""
    points = np.random.default_rng(0).uniform(-0.3, 0.3, (6, 1024, 3))
    points[5, 0] = (0.5, 0.0, 0.0)
    path = tmp_path_factory.mktemp('priors') / 'mean_points_emb.npy'
    np.save(path, points)
    return path


def _state(network: SPD) -> dict[str, Tensor]:
    return dict(network.state_dict())


def test_an_old_checkpoint_becomes_a_model_that_computes_the_same(
    network: SPD, priors: Path, tmp_path: Path
) -> None:
    # Published files were written by torch 1.0, in the container without zip.
    checkpoint = tmp_path / 'model_50.pth'
    torch.save(network.state_dict(), checkpoint, _use_new_zipfile_serialization=False)
    assert checkpoint.read_bytes()[2:12] == bytes.fromhex('8a0a6cfc9c46f9206aa8')

    manifest = import_spd(checkpoint, priors, tmp_path / 'models' / 'spd_real')

    model = ModelStore([tmp_path / 'models']).find('spd_real', task='pose')
    assert model.manifest == read_manifest(tmp_path / 'models/spd_real/model.yaml')
    assert (manifest.name, manifest.backend, manifest.size) == ('spd_real', 'spd', 'full')
    assert manifest.categories == CATEGORY_NAMES
    assert 'non-commercial' in manifest.licence
    assert 'no licence' in manifest.training['licence_note']
    assert manifest.training['checkpoint_sha256'] == file_sha256(checkpoint)
    assert manifest.training['priors_sha256'] == file_sha256(priors)
    assert manifest.parameters['recentred_categories'] == ['mug']
    assert manifest.parameters['prior_box_centres']['mug'][0] == pytest.approx(0.1, abs=0.005)
    assert manifest.input['crop_rule'] == 'square-of-40s'
    with np.load(model.file('priors')) as file:
        prior = torch.from_numpy(file['priors'][[5]])
    generator = np.random.default_rng(2)
    inputs = {
        'points': generator.normal(0.0, 0.1, (1, 1024, 3)).astype(np.float32),
        'image': generator.normal(size=(1, 3, 192, 192)).astype(np.float32),
        'pixel_index': generator.integers(192 * 192, size=(1, 1024)),
        'category': np.array([5]),
    }
    outputs = InferenceSession(model.file('network'), 'cpu', threads=1).run(inputs)
    with torch.no_grad():
        logits, deformation = network(
            *(torch.from_numpy(value) for value in inputs.values()), prior
        )
        nocs, shape = reconstruct(logits, deformation, prior)
    np.testing.assert_allclose(outputs['nocs'], nocs, atol=1e-5)
    np.testing.assert_allclose(outputs['shape'], shape, atol=1e-5)


def test_the_prefix_of_data_parallel_is_stripped(network: SPD, tmp_path: Path) -> None:
    path = tmp_path / 'model.pth'
    torch.save({f'module.{name}': value for name, value in _state(network).items()}, path)
    loaded = load_spd_checkpoint(path)
    for name, value in _state(network).items():
        assert torch.equal(loaded.state_dict()[name], value)


@pytest.mark.parametrize(
    ('change', 'message'),
    [
        (lambda state: state.pop('psp.up_2.conv.1.weight'),
         r"lacks 1 of the tensors, first 'psp\.up_2\.conv\.1\.weight'"),
        (lambda state: state.update({'psp.extra': torch.zeros(1)}),
         r"has unknown 1 of the tensors, first 'psp\.extra'"),
        (lambda state: state.update({'assignment.4.weight': torch.zeros(10, 256, 1)}),
         r"'assignment\.4\.weight' of shape \[10, 256, 1\] instead of \[6144, 256, 1\]"),
        (lambda state: state.update({'instance_color.0.bias': torch.full((64,), torch.nan)}),
         r"values in 'instance_color\.0\.bias' that are no finite"),
        (lambda state: state.update({'transformer64.a': torch.zeros(1),
                                     'assignment0.0.weight': torch.zeros(512, 256, 1)}),
         'no checkpoint of SPD but of CR-Net as released'),
        (lambda state: state.update({'module.transformer64.a': torch.zeros(1),
                                     'assignment0.0.weight': torch.zeros(512, 128, 1)}),
         'development fork'),
        (lambda state: state.update({'instance_geometry.SA_modules.0.mlps.0.layer0.conv.weight':
                                     torch.zeros(1)}),
         'no checkpoint of SPD but of SGPA'),
    ],
    ids=['missing', 'unknown', 'shape', 'nan', 'CR-Net', 'CR-Net fork', 'SGPA'],
)
def test_a_checkpoint_that_does_not_fit_is_refused_by_name(
    network: SPD, tmp_path: Path, change: object, message: str
) -> None:
    state = _state(network)
    change(state)
    path = tmp_path / 'model.pth'
    torch.save(state, path)
    with pytest.raises(ModelError, match=message):
        load_spd_checkpoint(path)


def test_the_auto_encoder_is_told_from_spd(tmp_path: Path) -> None:
    path = tmp_path / 'auto.pth'
    torch.save(ShapePriorAutoEncoder(8).state_dict(), path)
    with pytest.raises(ModelError, match='the shape prior auto-encoder'):
        load_spd_checkpoint(path)


def test_damaged_missing_and_foreign_files_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match='There is no checkpoint at'):
        load_spd_checkpoint(tmp_path / 'none.pth')
    cut = tmp_path / 'cut.pth'
    torch.save({'psp.a': torch.zeros(1000)}, cut)
    cut.write_bytes(cut.read_bytes()[:900])
    with pytest.raises(ModelError, match=r'cut\.pth cannot be read'):
        load_spd_checkpoint(cut)
    foreign = tmp_path / 'whole_model.pth'
    torch.save(torch.nn.Linear(2, 2), foreign)
    with pytest.raises(ModelError, match='might run code and is refused') as refused:
        load_spd_checkpoint(foreign)
    # torch's own sentence tells how to load it all the same.
    assert 'weights_only' not in str(refused.value)
    number = tmp_path / 'number.pth'
    torch.save({'epoch': 3}, number)
    with pytest.raises(ModelError, match='does not hold named tensors'):
        load_spd_checkpoint(number)


def test_priors_of_another_size_are_refused(network: SPD, tmp_path: Path) -> None:
    checkpoint, priors = tmp_path / 'model.pth', tmp_path / 'priors.npy'
    torch.save(network.state_dict(), checkpoint)
    np.save(priors, np.zeros((6, 512, 3)))
    with pytest.raises(ModelError, match='512 points per category; the published ones have 1024'):
        import_spd(checkpoint, priors, tmp_path / 'spd')
    np.save(priors, np.zeros((1024, 3)))
    with pytest.raises(ModelError, match=r'\(6, points, 3\) is needed'):
        import_spd(checkpoint, priors, tmp_path / 'spd')
