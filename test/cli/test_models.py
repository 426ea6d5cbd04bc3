"""`pose-estimation models` as a user types it."""

import hashlib
from collections.abc import Iterator
from pathlib import Path

import pytest
from file_server import FileServer, serve
from typer.testing import CliRunner, Result

from pose_estimation_ros.cli.main import app
from pose_estimation_ros.cli.models import model_names
from pose_estimation_ros.core.errors import InvalidInputError, ModelError
from pose_estimation_ros.runtime.manifest import ModelFile, ModelManifest, write_manifest

CONTENT = bytes(2_000_000)


def run(*arguments: object) -> Result:
    return CliRunner().invoke(app, ['models', *map(str, arguments)])


def make_model(folder: Path) -> Path:
    folder.mkdir(parents=True)
    (folder / 'network.onnx').write_bytes(CONTENT)
    write_manifest(ModelManifest(
        folder.name, 'pose', 'spd', 'lite',
        {'network': ModelFile.of(folder / 'network.onnx', folder)}, ('mug', 'can')), folder)
    return folder


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr('pose_estimation_ros.runtime.model_store.default_folders',
                        lambda: [tmp_path / 'models'])
    return tmp_path / 'models'


@pytest.fixture
def tiny(store: Path) -> Path:
    return make_model(store / 'tiny')


@pytest.fixture
def server(tmp_path: Path) -> Iterator[FileServer]:
    original = make_model(tmp_path / 'original' / 'far')
    with serve({'/far/model.yaml': (original / 'model.yaml').read_bytes(),
                '/far/network.onnx': CONTENT}) as server:
        yield server


def test_models_are_listed_with_task_and_size(tiny: Path) -> None:
    answer = run('list')
    assert answer.exit_code == 0
    assert answer.stdout.splitlines()[1].split() == ['tiny', 'pose', 'spd', 'lite', '2.0',
                                                     'mug,', 'can']


def test_a_damaged_manifest_is_listed_as_such_among_the_others(store: Path, tiny: Path) -> None:
    damaged = make_model(store / 'broken')
    (damaged / 'model.yaml').write_text('name: [')
    _, broken, whole = run('list').stdout.splitlines()[:3]
    assert broken.startswith('broken')
    assert 'damaged: model manifest' in broken
    assert 'tiny' in run('list').stdout
    assert whole


def test_no_models_at_all_are_an_error_that_says_where_they_are_looked_for(store: Path) -> None:
    answer = run('list')
    assert isinstance(answer.exception, ModelError)
    assert str(store) in str(answer.exception)


def test_all_models_are_verified_and_those_that_fail_are_refused_by_name(
        store: Path, tiny: Path) -> None:
    other = make_model(store / 'other')
    assert 'tiny: 1 files are whole' in run('verify').stdout
    (other / 'network.onnx').write_bytes(bytes(10))
    answer = run('verify')
    assert "model 'other' is refused: " in answer.stdout
    assert 'has 10 bytes instead of 2000000' in answer.stdout
    assert 'tiny: 1 files are whole' in answer.stdout
    assert isinstance(answer.exception, ModelError)
    assert str(answer.exception).endswith('1 of 2 models are refused, see above: other')
    assert run('verify', 'tiny').exit_code == 0


def test_the_manifest_of_a_model_is_shown(tiny: Path) -> None:
    assert run('info', 'tiny').stdout == (tiny / 'model.yaml').read_text()


def test_a_file_that_is_not_in_the_repository_is_fetched_and_checked(
        tiny: Path, tmp_path: Path) -> None:
    elsewhere = tmp_path / 'elsewhere.onnx'
    (tiny / 'network.onnx').rename(elsewhere)
    text = (tiny / 'model.yaml').read_text()
    (tiny / 'model.yaml').write_text(
        text.replace('bytes: 2000000', f'bytes: 2000000\n    url: {elsewhere.as_uri()}'))
    assert run('fetch', 'tiny').exit_code == 0
    assert (tiny / 'network.onnx').read_bytes() == CONTENT
    (tiny / 'network.onnx').unlink()
    elsewhere.write_bytes(b'other'.ljust(2_000_000))
    assert 'its content was altered' in str(run('fetch', 'tiny').exception)
    assert not (tiny / 'network.onnx').exists()
    elsewhere.unlink()
    assert 'cannot be fetched' in str(run('fetch', 'tiny').exception)


def test_a_model_is_fetched_by_the_address_of_its_manifest(
        server: FileServer, tmp_path: Path) -> None:
    server.cut_after = 1_500_000
    answer = run('fetch', server.url('/far/model.yaml'), '--folder', tmp_path / 'here')
    assert answer.exit_code == 0, answer.exception
    assert f'far is complete in {tmp_path / "here" / "far"}' in answer.stdout
    assert (tmp_path / 'here' / 'far' / 'network.onnx').read_bytes() == CONTENT
    assert ('/far/network.onnx', 'bytes=1500000-') in server.asked


def test_without_a_folder_the_users_cache_gets_it(
        server: FileServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path / 'cache'))
    assert run('fetch', server.url('/far/model.yaml')).exit_code == 0
    assert 'far' in run('list').stdout


def test_a_model_whose_hash_is_wrong_is_refused(server: FileServer, tmp_path: Path) -> None:
    server.files['/far/network.onnx'] = b'other'.ljust(2_000_000)
    answer = run('fetch', server.url('/far/model.yaml'), '--folder', tmp_path / 'here')
    assert isinstance(answer.exception, ModelError)
    assert 'for network.onnx has the SHA-256' in str(answer.exception)
    assert not (tmp_path / 'here' / 'far').exists()


def test_a_hash_may_be_in_capitals_and_must_be_one(server: FileServer, tmp_path: Path) -> None:
    url, folder = server.url('/far/model.yaml'), tmp_path / 'here'
    digest = hashlib.sha256(server.files['/far/model.yaml']).hexdigest()
    for wrong in ('abc', digest[:-1] + 'x'):
        answer = run('fetch', url, '--folder', folder, '--sha256', wrong)
        assert 'is no SHA-256, which has 64 hexadecimal digits' in str(answer.exception)
    assert not server.asked
    assert run('fetch', url, '--folder', folder, '--sha256', digest.upper()).exit_code == 0
    assert (folder / 'far' / 'model.yaml').is_file()


def test_options_of_an_address_are_refused_with_a_name(tiny: Path) -> None:
    answer = run('fetch', 'tiny', '--sha256', '0' * 64)
    assert '--sha256 and --folder are for addresses' in str(answer.exception)


def test_names_of_models_are_completed(store: Path, tiny: Path) -> None:
    make_model(store / 'large')
    assert model_names('') == ['large', 'tiny']
    assert model_names('t') == ['tiny']


def test_data_that_cannot_calibrate_a_model_are_named(tmp_path: Path) -> None:
    models = Path(__file__).resolve().parents[2] / 'models'
    answer = run('calibrate', models / 'spd_lite', '--data', tmp_path / 'nowhere')
    assert isinstance(answer.exception, InvalidInputError)
    assert 'nowhere is no folder' in str(answer.exception)
    assert run('calibrate', models / 'maskrcnn_lite', '--data', tmp_path).exception is not None
