"""Published DISP6D checkpoints become models that compute the same."""

import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

sys.path.insert(0, str(Path(__file__).parents[1] / 'support'))

from disp6d_networks import published_values, tiny_config
from tensorflow_tables import save_checkpoint

from pose_estimation_ros.cli.main import app
from pose_estimation_ros.core.errors import ConfigurationError, ModelError
from pose_estimation_ros.networks.disp6d import Disp6d, Disp6dConfig
from pose_estimation_ros.runtime.model_store import ModelStore
from pose_estimation_ros.training import disp6d_import
from pose_estimation_ros.training.disp6d_import import (
    import_disp6d,
    load_disp6d_checkpoint,
    published_name,
)

PLAIN = {'kernel': 5, 'blocks': (0, 0), 'encoding': 'published'}
TINY_CAD = tiny_config(**PLAIN, norm='none', code_length='free', decoded=('color',))
TINY_CATEGORIES = tiny_config(**PLAIN, norm='row')


def _save(config: Disp6dConfig, prefix: Path, **more: np.ndarray) -> Path:
    with torch.device('meta'):
        network = Disp6d(config)
    values = published_values(network, 'my_exp')
    # As in the published files: what the optimizer and the codes of shapes need besides.
    kernel = values['my_exp/encoder/encoder/conv2d/kernel']
    return save_checkpoint(prefix, {
        **values, 'my_exp/encoder/encoder/conv2d/kernel/Adam': 0 * kernel,
        'my_exp/encoder/encoder/conv2d/kernel/Adam_1': 0 * kernel,
        'my_exp/gprior/obj_prior/ema_dw': np.ones((8, 3), np.float32),
        'global_step': np.array(50000), **more})


def test_kernels_are_turned_around_and_styles_scaled(tmp_path: Path) -> None:
    network = load_disp6d_checkpoint(_save(TINY_CATEGORIES, tmp_path / 'chkpt'), TINY_CATEGORIES)
    stored = published_values(network, 'my_exp')
    kernel = stored['my_exp/encoder/encoder/conv2d_1/kernel']
    assert network.encoder.stages[1][0].conv.weight[3, 2, 4, 1] == kernel[4, 1, 2, 3]
    # Flattened as rows, columns, channels of an image of 8 x 8 with 8 channels.
    dense = stored['my_exp/encoder/encoder/z_pose/kernel'].reshape(8, 8, 8, 8)
    assert network.encoder.pose.weight.reshape(8, 8, 8, 8)[6, 5, 2, 3] == dense[2, 3, 5, 6]
    first = stored['my_exp/decoder/decoder/decoder_depth/dense/kernel'].reshape(8, 8, 8, 8)
    assert network.decoders['depth'].first.weight.reshape(8, 8, 8, 8)[5, 2, 3, 6] == (
        first[6, 2, 3, 5])
    style = stored['my_exp/decoder/decoder/decoder_bgr/block_0/StyleMod/weight']
    torch.testing.assert_close(network.decoders['color'].styles[1].style.weight,
                               torch.from_numpy(style.T / np.sqrt(8).astype(np.float32)))


def test_every_parameter_has_a_name_of_its_own() -> None:
    with torch.device('meta'):
        names = [published_name(name) for name in Disp6d(TINY_CATEGORIES).state_dict()]
    assert len(set(names)) == len(names)
    assert 'decoder/decoder/decoder_depth/block_0/StyleMod/bias' in names
    assert 'gprior/cond_block_f/ff/dense_1/kernel' in names
    assert not [name for name in names if 'styles' in name or 'stages' in name or '.' in name]


@pytest.mark.parametrize(('config', 'folder', 'given', 'categories'), [
    (TINY_CATEGORIES, 'mug', None, ('mug',)),
    (TINY_CATEGORIES, 'all', ['can', 'bowl'], ('can', 'bowl')), (TINY_CAD, 'tless', None, ())])
def test_a_checkpoint_becomes_a_model(
        config: Disp6dConfig, folder: str, given: list[str] | None, categories: tuple[str, ...],
        tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(disp6d_import, 'PUBLISHED_CATEGORIES', TINY_CATEGORIES)
    monkeypatch.setattr(disp6d_import, 'PUBLISHED_CAD', TINY_CAD)
    prefix = _save(config, tmp_path / folder / 'chkpt-50000')

    manifest = import_disp6d(prefix, tmp_path / 'models' / 'published', given)

    assert manifest.categories == categories
    assert manifest.parameters['background'] == ('white' if categories else 'kept')
    assert (manifest.backend, manifest.licence) == ('disp6d', 'NOASSERTION')
    model = ModelStore([tmp_path / 'models']).find('published', task='pose')
    assert ('depth_decoder' in model.manifest.files) == bool(categories)
    assert Disp6dConfig.from_dict({
        name: value for name, value in manifest.parameters.items()
        if name in config.as_dict()}) == config


def test_categories_that_a_network_cannot_know_are_refused(
        tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(disp6d_import, 'PUBLISHED_CAD', TINY_CAD)
    prefix = _save(TINY_CAD, tmp_path / 'chkpt')
    with pytest.raises(ConfigurationError, match='cannot know mug: it decodes no depth'):
        import_disp6d(prefix, tmp_path / 'model', ['mug'])
    with pytest.raises(ConfigurationError, match='cannot know shoe: published networks know'):
        import_disp6d(prefix, tmp_path / 'model', ['shoe'])


def test_other_checkpoints_are_refused(tmp_path: Path) -> None:
    other = save_checkpoint(tmp_path / 'other', {'model/kernel': np.ones(3, np.float32)})
    with pytest.raises(ModelError, match='no variables …/encoder/encoder/conv2d/kernel'):
        load_disp6d_checkpoint(other, TINY_CAD)
    prefix = _save(TINY_CAD, tmp_path / 'chkpt')
    with pytest.raises(ModelError, match=r'of shape \(5, 5, 3, 8\) instead of \(3, 3, 3, 8\)'):
        load_disp6d_checkpoint(prefix, tiny_config(blocks=(0, 0), encoding='published',
                                                   decoded=('color',)))
    twice = _save(TINY_CAD, tmp_path / 'twice', **{
        'other/encoder/encoder/conv2d/bias': np.ones(8, np.float32)})
    with pytest.raises(ModelError, match='has 2 variables …/encoder/encoder/conv2d/bias'):
        load_disp6d_checkpoint(twice, TINY_CAD)
    bad = _save(TINY_CAD, tmp_path / 'bad', **{
        'my_exp/encoder/encoder/conv2d/bias': np.full(8, np.nan, np.float32)})
    with pytest.raises(ModelError, match='no finite numbers'):
        load_disp6d_checkpoint(bad, TINY_CAD)


def test_the_command_line_names_what_is_missing(tmp_path: Path) -> None:
    answer = CliRunner().invoke(app, ['import', 'disp6d', str(tmp_path / 'chkpt-50000')])
    assert isinstance(answer.exception, ModelError)
    assert 'no checkpoint of TensorFlow' in str(answer.exception)
