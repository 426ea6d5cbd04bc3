"""Published MRC-Net checkpoints become models with as many objects as they have decoders."""

import json
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor
from typer.testing import CliRunner

sys.path.insert(0, str(Path(__file__).parents[1] / 'support'))

from mrc_networks import tiny_config, tiny_network

from pose_estimation_ros.cli.main import app
from pose_estimation_ros.core.errors import ConfigurationError, ModelError
from pose_estimation_ros.datasets.mesh_files import write_ply
from pose_estimation_ros.networks.mrc import MRCConfig, MRCNet
from pose_estimation_ros.rendering.mesh_archive import read_mesh_archive
from pose_estimation_ros.rendering.primitives import box
from pose_estimation_ros.runtime.model_store import ModelStore
from pose_estimation_ros.runtime.session import InferenceSession
from pose_estimation_ros.training.mrc_import import (
    import_mrc,
    load_mrc_checkpoint,
    published_name,
)

PARAMETERS = Path(__file__).parents[1] / 'data' / 'mrc' / 'parameters.json'


def _published(network: MRCNet) -> dict[str, Tensor]:
    """Return a network's weights as published: ResNet's twice, and its unused first layer."""
    state = {published_name(name): value for name, value in network.state_dict().items()}
    for stage in (1, 2, 3, 4):
        prefix = f'backbone.layer{stage}.0.'
        state |= {f'backbone.base_model.{stage + 3}.{name.removeprefix(prefix)}': value
                  for name, value in state.items() if name.startswith(prefix)}
    return {**state, 'backbone.base_model.0.weight': torch.zeros(64, 3, 7, 7),
            'backbone.base_model.1.weight': torch.ones(64),
            'backbone.base_model.1.bias': torch.zeros(64)}


def _save(state: dict[str, Tensor], path: Path) -> Path:
    torch.save({'network': state, 'optimizer': {'state': {}, 'param_groups': [{'lr': 5e-6}]},
                'scheduler': {'last_epoch': 3}, 'last_epoch': 75}, path)
    return path


def _models(folder: Path, numbers: Sequence[int]) -> Path:
    """Write a folder of BOP models: boxes of different sizes, the first one symmetric."""
    folder.mkdir(parents=True)
    entries = {}
    for number in numbers:
        size = 1e-3 * np.array([40.0, 30.0, 10.0 + number])
        mesh = box(size)
        write_ply(folder / f'obj_{number:06d}.ply', mesh.vertices.astype(np.float64), mesh.faces,
                  unit=1e-3)
        entries[str(number)] = {
            'diameter': 1e3 * float(np.linalg.norm(size)),
            **{f'min_{axis}': -500 * value for axis, value in zip('xyz', size, strict=True)},
            **{f'size_{axis}': 1e3 * value for axis, value in zip('xyz', size, strict=True)}}
    entries[str(numbers[0])]['symmetries_continuous'] = [
        {'axis': [0, 0, 1], 'offset': [0, 0, 0]}]
    (folder / 'models_info.json').write_text(json.dumps(entries))
    return folder


def test_our_parameters_are_the_published_ones() -> None:
    with torch.device('meta'):
        network = MRCNet(MRCConfig(30, norm='batch'))
    expected = json.loads(PARAMETERS.read_text())
    assert {published_name(name): list(value.shape)
            for name, value in network.state_dict().items()} == expected
    per_object = sum(value.numel() for value in network.decoder.parameters()) // 30
    # The unused first layer of the ResNet has 9536 more.
    assert per_object == 5_375_937
    assert sum(value.numel() for value in network.parameters()) == (
        83_567_793 - 9_536 + 30 * per_object)


def test_a_published_checkpoint_becomes_a_model_that_computes_the_same(tmp_path: Path) -> None:
    network = tiny_network(objects=2, norm='batch')
    checkpoint = _save(_published(network), tmp_path / 'model.pth')
    models = _models(tmp_path / 'lmo' / 'models', (1, 5))
    (tmp_path / 'lmo' / 'object_names.json').write_text('{"1": "ape"}')

    manifest = import_mrc(checkpoint, models, tmp_path / 'ours' / 'mrc_lmo',
                          config=tiny_config(norm='group'))

    assert manifest.categories == ('ape', 'obj_000005')
    assert manifest.parameters['norm'] == 'batch'
    assert manifest.parameters['farthest'] == pytest.approx(2.15e-3)
    assert manifest.symmetry_of('ape').axis == (0.0, 0.0, 1.0)
    assert (manifest.licence, manifest.training['dataset']) == ('NOASSERTION', 'lmo')
    model = ModelStore([tmp_path / 'ours']).find('mrc_lmo', task='pose')
    assert read_mesh_archive(model.file('meshes'))['ape'].vertices[:, 2].max() == (
        pytest.approx(0.0055))
    image, index, aux = torch.rand(2, 4, 64, 64), torch.tensor([1, 0]), torch.randn(2, 3)
    answer = InferenceSession(model.file('classifier'), 'cpu', threads=1).run(
        {'image': image.numpy(), 'index': index.numpy(), 'aux': aux.numpy()})
    with torch.no_grad():
        expected = network.classify(network.encode(image, index), aux)
    np.testing.assert_allclose(answer['rotation'], expected.rotation, atol=1e-4)


def test_decoders_beyond_the_models_are_left_out(tmp_path: Path) -> None:
    network = tiny_network(objects=6, norm='batch')
    checkpoint = _save(_published(network), tmp_path / 'model.pth')

    manifest = import_mrc(checkpoint, _models(tmp_path / 'models', (2, 5)), tmp_path / 'mrc',
                          'tless', tiny_config())

    assert manifest.parameters['objects'] == 2
    image, aux = torch.rand(2, 4, 64, 64), torch.randn(2, 3)
    answer = InferenceSession(tmp_path / 'mrc' / 'mrc_classifier.onnx', 'cpu', threads=1).run(
        {'image': image.numpy(), 'index': np.array([0, 1]), 'aux': aux.numpy()})
    with torch.no_grad():
        # Objects 2 and 5 have the decoders 1 and 4.
        expected = network.encode(image, torch.tensor([1, 4])).mask
    np.testing.assert_allclose(answer['mask'], expected, atol=1e-4)


@pytest.mark.parametrize('numbers', [(1, 2, 3, 4), (1, 9)])
def test_models_of_other_objects_are_refused(numbers: tuple[int, ...], tmp_path: Path) -> None:
    checkpoint = _save(_published(tiny_network(norm='batch')), tmp_path / 'model.pth')
    with pytest.raises(ModelError, match='the checkpoint has 3 decoders'):
        import_mrc(checkpoint, _models(tmp_path / 'models', numbers), tmp_path / 'mrc',
                   config=tiny_config())


def test_a_tensor_that_is_there_twice_with_different_values_is_refused(tmp_path: Path) -> None:
    state = _published(tiny_network(norm='batch'))
    state['backbone.base_model.5.0.bn1.weight'] = torch.zeros(16)
    with pytest.raises(ModelError, match=r"'backbone\.layer2\.0\.0\.bn1\.weight' twice"):
        load_mrc_checkpoint(_save(state, tmp_path / 'model.pth'), tiny_config())


def test_the_copies_may_be_missing(tmp_path: Path) -> None:
    network = tiny_network(norm='batch')
    state = {name: value for name, value in _published(network).items()
             if not name.startswith('backbone.layer') or name.startswith('backbone.layer0')}
    loaded = load_mrc_checkpoint(_save(state, tmp_path / 'model.pth'), tiny_config())
    for name, value in network.state_dict().items():
        torch.testing.assert_close(loaded.state_dict()[name], value, atol=0, rtol=0)


def test_other_checkpoints_are_refused_by_what_they_are(tmp_path: Path) -> None:
    state = _published(tiny_network(norm='batch'))
    with pytest.raises(ModelError, match="unknown 1 of the tensors, first 'extra'"):
        load_mrc_checkpoint(_save({**state, 'extra': torch.zeros(1)}, tmp_path / 'a.pth'),
                            tiny_config())
    with pytest.raises(ModelError, match='no checkpoint of MRC-Net but of CR-Net as released'):
        load_mrc_checkpoint(_save({'transformer64.a': torch.zeros(1), 'assignment0.0.weight':
                                   torch.zeros(2, 256, 1)}, tmp_path / 'b.pth'))
    with pytest.raises(ModelError, match='of shape'):
        load_mrc_checkpoint(_save(state, tmp_path / 'c.pth'), tiny_config(hidden=16))


def test_a_data_set_without_a_published_network_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="'hb'; choose one of lmo, tless"):
        import_mrc(tmp_path / 'model.pth', tmp_path, tmp_path / 'mrc', 'hb')


def test_the_command_line_names_what_is_missing(tmp_path: Path) -> None:
    answer = CliRunner().invoke(app, ['import', 'mrc', str(tmp_path / 'model.pth'), '--models',
                                      str(tmp_path)])
    assert isinstance(answer.exception, ModelError)
    assert 'There is no checkpoint' in str(answer.exception)
