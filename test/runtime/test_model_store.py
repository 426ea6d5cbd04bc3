import pwd
from pathlib import Path

import pytest

from pose_estimation_ros.core.errors import ModelError
from pose_estimation_ros.runtime.manifest import ModelFile, ModelManifest, write_manifest
from pose_estimation_ros.runtime.model_store import ModelStore, cache_folder, default_folders


def make_model(folder: Path, task: str = 'segmentation', url: str = '') -> Path:
    folder.mkdir(parents=True)
    network = folder / 'network.onnx'
    network.write_bytes(b'some weights')
    file = ModelFile.of(network, folder)
    write_manifest(ModelManifest(
        folder.name, task, 'maskrcnn', 'lite',
        {'network': ModelFile(file.path, file.sha256, file.bytes, url)}, ('mug',)), folder)
    return folder


@pytest.fixture
def store(tmp_path: Path) -> ModelStore:
    make_model(tmp_path / 'first' / 'detector')
    make_model(tmp_path / 'second' / 'detector')
    make_model(tmp_path / 'second' / 'spd_lite', task='pose')
    return ModelStore([tmp_path / 'first', tmp_path / 'second'])


def test_a_model_is_found_by_name_in_the_first_folder_that_has_it(
        store: ModelStore, tmp_path: Path):
    assert store.find('detector').folder == tmp_path / 'first' / 'detector'


@pytest.mark.parametrize('path', ['second/detector', 'second/detector/model.yaml'])
def test_a_model_is_found_by_path(store: ModelStore, tmp_path: Path, path: str):
    assert store.find(tmp_path / path).folder == tmp_path / 'second' / 'detector'


def test_a_whole_file_passes(store: ModelStore):
    assert store.find('detector').file('network').read_bytes() == b'some weights'


def test_an_unknown_name_lists_the_known_ones(store: ModelStore):
    with pytest.raises(ModelError, match=r"unknown model 'nothing'; known are detector, spd_lite"):
        store.find('nothing')


def test_a_model_for_another_task_is_refused(store: ModelStore):
    with pytest.raises(ModelError, match=r'made for pose, not for segmentation.*: detector'):
        store.find('spd_lite', task='segmentation')


def test_a_missing_file_is_named(store: ModelStore):
    model = store.find('detector')
    (model.folder / 'network.onnx').unlink()
    with pytest.raises(ModelError, match=r'network\.onnx is missing; restore'):
        model.file('network')


def test_a_missing_file_that_can_be_fetched_says_how(tmp_path: Path):
    folder = make_model(tmp_path / 'models' / 'big', url='https://example.org/big.onnx')
    (folder / 'network.onnx').unlink()
    with pytest.raises(ModelError, match='pose-estimation models fetch big'):
        ModelStore([tmp_path / 'models']).find('big').file('network')


def test_a_truncated_file_is_refused_with_both_lengths(store: ModelStore):
    model = store.find('detector')
    (model.folder / 'network.onnx').write_bytes(b'some')
    with pytest.raises(ModelError, match='has 4 bytes instead of 12'):
        model.file('network')


def test_an_altered_file_of_the_same_length_is_refused(store: ModelStore):
    model = store.find('detector')
    (model.folder / 'network.onnx').write_bytes(b'some_weights')
    with pytest.raises(ModelError, match='content was altered'):
        model.file('network')


def test_an_unlisted_role_is_refused(store: ModelStore):
    with pytest.raises(ModelError, match="no file 'priors'; its manifest lists network"):
        store.find('detector').file('priors')


def test_each_name_is_listed_once(store: ModelStore):
    assert store.names() == ['detector', 'spd_lite']
    assert store.names('pose') == ['spd_lite']


def test_a_model_that_is_still_being_put_together_is_not_listed(store: ModelStore, tmp_path: Path):
    make_model(tmp_path / 'first' / 'big.part' / 'big')
    assert store.names() == ['detector', 'spd_lite']


def test_a_damaged_manifest_hides_no_other_model(store: ModelStore, tmp_path: Path):
    (tmp_path / 'first' / 'detector' / 'model.yaml').write_text('name: [')
    assert store.names() == ['detector', 'spd_lite']
    assert store.find('spd_lite', task='pose').manifest.name == 'spd_lite'
    with pytest.raises(ModelError, match='not valid YAML'):
        store.find('detector')


def test_the_environment_variable_comes_first_and_the_cache_last(
        monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.setenv('POSE_ESTIMATION_MODELS', f'{tmp_path / "a"}:{tmp_path / "b"}')
    monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path / 'cache'))
    folders = default_folders()
    assert folders[:2] == [tmp_path / 'a', tmp_path / 'b']
    assert folders[-1] == cache_folder() == tmp_path / 'cache' / 'pose_estimation_ros' / 'models'


@pytest.fixture
def homeless(monkeypatch: pytest.MonkeyPatch):
    """A user that the machine does not know, as in containers that run under any number."""
    def nobody(_uid: int) -> None:
        raise KeyError('uid not found')

    for variable in ('HOME', 'XDG_CACHE_HOME', 'POSE_ESTIMATION_MODELS'):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setattr(pwd, 'getpwuid', nobody)


@pytest.mark.usefixtures('homeless')
def test_a_user_without_a_home_folder_finds_shipped_models():
    assert ModelStore().find('spd_lite').manifest.task == 'pose'


@pytest.mark.usefixtures('homeless')
def test_a_user_without_a_home_folder_is_told_that_there_is_no_cache():
    with pytest.raises(ModelError, match=r'~/\.cache begins with a home folder that nobody has; '
                                         'set HOME'):
        cache_folder()


def test_the_home_folder_of_nobody_is_named(store: ModelStore, monkeypatch: pytest.MonkeyPatch):
    with pytest.raises(ModelError, match='~nobodyhere/x begins with a home folder'):
        store.find('~nobodyhere/x')
    monkeypatch.setenv('POSE_ESTIMATION_MODELS', '~nobodyhere/models')
    with pytest.raises(ModelError, match='~nobodyhere/models begins with a home folder'):
        default_folders()
