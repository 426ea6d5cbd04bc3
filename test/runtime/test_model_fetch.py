"""Models by their address: manifest or archive, whole or not there at all."""

import io
import struct
import tarfile
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from file_server import FileServer, serve

from pose_estimation_ros.core.errors import ModelError
from pose_estimation_ros.runtime.download import Progress
from pose_estimation_ros.runtime.manifest import ModelFile, ModelManifest, write_manifest
from pose_estimation_ros.runtime.model_fetch import fetch_missing_files, fetch_model
from pose_estimation_ros.runtime.model_store import ModelStore

FILES = {'network.onnx': bytes(range(256)) * 1000, 'data/priors.npz': b'priors' * 1000}


@contextmanager
def silently(_name: str) -> Iterator[Progress]:
    yield lambda _arrived, _total: None


def write_model(folder: Path, name: str = 'big', url: str = '') -> dict[str, bytes]:
    """Write a model; return the content of each of its files by path."""
    for path, content in FILES.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(content)
    entries = {}
    for path in FILES:
        entry = ModelFile.of(folder / path, folder)
        entries[Path(path).stem] = ModelFile(entry.path, entry.sha256, entry.bytes,
                                             f'{url}/{path}' if url else '')
    write_manifest(ModelManifest(name, 'pose', 'spd', 'full', entries, ('mug',)), folder)
    return {**FILES, 'model.yaml': (folder / 'model.yaml').read_bytes()}


@pytest.fixture
def files(tmp_path: Path) -> dict[str, bytes]:
    return write_model(tmp_path / 'original')


@pytest.fixture
def server(files: dict[str, bytes]) -> Iterator[FileServer]:
    with serve({f'/big/{path}': content for path, content in files.items()}) as server:
        yield server


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / 'models'


def zip_of(files: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, 'w') as archive:
        for path, content in files.items():
            archive.writestr(path, content)
    return buffer.getvalue()


def tar_of(files: dict[str, bytes], compression: str = 'gz') -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode=f'w:{compression}') as archive:
        for path, content in files.items():
            member = tarfile.TarInfo(path)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return buffer.getvalue()


def assert_whole(folder: Path) -> None:
    model = ModelStore([folder]).find('big', task='pose')
    assert {model.file(role).name for role in model.manifest.files} == {'network.onnx',
                                                                       'priors.npz'}
    assert [path.name for path in folder.iterdir()] == ['big']


def test_a_manifest_brings_the_files_beside_it(server: FileServer, folder: Path) -> None:
    model = fetch_model(server.url('/big/model.yaml'), folder, silently)
    assert model.folder == folder / 'big'
    assert_whole(folder)


def test_a_manifest_may_name_other_addresses(
        server: FileServer, folder: Path, tmp_path: Path) -> None:
    elsewhere = write_model(tmp_path / 'other', url=server.url('/big'))
    server.files['/manifests/model.yaml'] = elsewhere['model.yaml']
    fetch_model(server.url('/manifests/model.yaml'), folder, silently)
    assert_whole(folder)


@pytest.mark.parametrize('inside', ['', 'spd/big/'], ids=['at the root', 'in folders'])
@pytest.mark.parametrize(('name', 'pack'), [('big.zip', zip_of), ('big.tar.gz', tar_of)])
def test_an_archive_holds_a_model(
        server: FileServer, files: dict[str, bytes], folder: Path, name: str, pack: object,
        inside: str) -> None:
    server.files[f'/{name}'] = pack({f'{inside}{path}': value for path, value in files.items()})
    fetch_model(server.url(f'/{name}'), folder, silently)
    assert_whole(folder)


def test_an_interrupted_fetch_goes_on_and_leaves_no_model_until_it_is_complete(
        server: FileServer, folder: Path) -> None:
    priors = server.files.pop('/big/data/priors.npz')
    with pytest.raises(ModelError, match='404'):
        fetch_model(server.url('/big/model.yaml'), folder, silently)
    assert ModelStore([folder]).names() == []
    server.files['/big/data/priors.npz'] = priors
    server.asked.clear()
    fetch_model(server.url('/big/model.yaml'), folder, silently)
    assert_whole(folder)
    assert [path for path, _ in server.asked] == ['/big/model.yaml', '/big/data/priors.npz']


def test_a_file_with_another_hash_is_refused_and_the_old_model_stays(
        server: FileServer, files: dict[str, bytes], folder: Path) -> None:
    fetch_model(server.url('/big/model.yaml'), folder, silently)
    server.files['/big/network.onnx'] = bytes(len(FILES['network.onnx']))
    with pytest.raises(ModelError, match=r'network\.onnx has the SHA-256'):
        fetch_model(server.url('/big/model.yaml'), folder, silently)
    server.files['/big.zip'] = zip_of({**files, 'network.onnx': b'short'})
    with pytest.raises(ModelError, match="model 'big' is refused: .* has 5 bytes"):
        fetch_model(server.url('/big.zip'), folder, silently)
    assert ModelStore([folder]).names() == ['big']
    ModelStore([folder]).find('big').file('network')


def test_a_newer_model_of_the_same_name_replaces_the_old_one(
        server: FileServer, folder: Path) -> None:
    (folder / 'big').mkdir(parents=True)
    (folder / 'big' / 'model.yaml').touch()
    (folder / 'big' / 'left_over.txt').touch()
    fetch_model(server.url('/big/model.yaml'), folder, silently)
    assert_whole(folder)
    assert not (folder / 'big' / 'left_over.txt').exists()


def test_the_hash_of_an_address_is_checked_if_it_is_known(
        server: FileServer, files: dict[str, bytes], folder: Path) -> None:
    server.files['/big.zip'] = zip_of(files)
    with pytest.raises(ModelError, match=r'big\.zip has the SHA-256 .* instead of 000000000000'):
        fetch_model(server.url('/big.zip'), folder, silently, sha256='0' * 64)
    assert list(folder.iterdir()) == []


@pytest.mark.parametrize(('content', 'complaint'), [
    (b'no archive', r'big\.zip cannot be read'),
    (zip_of({'network.onnx': b''}), r'holds 0 files model\.yaml instead of one'),
    (zip_of({'a/model.yaml': b'', 'b/model.yaml': b''}), r'holds 2 files model\.yaml'),
    (zip_of({'model.yaml': b'name: [1'}), 'not valid YAML'),
], ids=['no archive', 'no model', 'two models', 'damaged manifest'])
def test_an_archive_without_a_model_is_refused(
        server: FileServer, folder: Path, content: bytes, complaint: str) -> None:
    server.files['/big.zip'] = content
    with pytest.raises(ModelError, match=complaint):
        fetch_model(server.url('/big.zip'), folder, silently)
    assert list(folder.iterdir()) == []


def flipped(archive: bytes) -> bytes:
    """Return an archive with some bits in its middle turned over."""
    start = len(archive) // 2
    return (archive[:start] + bytes(byte ^ 0xff for byte in archive[start:start + 64])
            + archive[start + 64:])


def cut(archive: bytes) -> bytes:
    return archive[:len(archive) // 2]


def with_field(archive: bytes, place: int, value: int) -> bytes:
    """Return a zip archive with another 16-bit field in the headers of all its files.

    Args:
        archive: The archive.
        place: Of the field in the header before each file; in the directory it is 2 later.
        value: Of the field.
    """
    changed = bytearray(archive)
    for signature, begin in ((b'PK\x03\x04', place), (b'PK\x01\x02', place + 2)):
        at = changed.find(signature)
        while at >= 0:
            struct.pack_into('<H', changed, at + begin, value)
            at = changed.find(signature, at + 1)
    return bytes(changed)


@pytest.mark.parametrize('damage', [flipped, cut])
@pytest.mark.parametrize('compression', ['gz', 'xz', 'bz2'])
def test_a_damaged_archive_is_refused(
        server: FileServer, files: dict[str, bytes], folder: Path, compression: str,
        damage: Callable[[bytes], bytes]) -> None:
    server.files[f'/big.tar.{compression}'] = damage(tar_of(files, compression))
    with pytest.raises(ModelError, match=rf'big\.tar\.{compression} cannot be read'):
        fetch_model(server.url(f'/big.tar.{compression}'), folder, silently)
    assert ModelStore([folder]).names() == []


@pytest.mark.parametrize(('place', 'value', 'reason'), [
    (6, 1, 'encrypted'), (8, 97, 'compression method')], ids=['encrypted', 'unknown method'])
def test_a_zip_archive_that_cannot_be_unpacked_says_why(
        server: FileServer, files: dict[str, bytes], folder: Path, place: int, value: int,
        reason: str) -> None:
    server.files['/big.zip'] = with_field(zip_of(files), place, value)
    with pytest.raises(ModelError, match=rf'big\.zip cannot be read \(.*{reason}.*not encrypted'):
        fetch_model(server.url('/big.zip'), folder, silently)
    assert list(folder.iterdir()) == []


def test_a_full_disk_is_not_called_a_damaged_archive(
        server: FileServer, files: dict[str, bytes], folder: Path) -> None:
    server.files['/big.tar.bz2'] = tar_of(files, 'bz2')
    unfinished = folder / 'big.part' / 'big'
    unfinished.mkdir(parents=True)
    (unfinished / 'network.onnx').symlink_to('/dev/full')
    with pytest.raises(ModelError, match='cannot be written into .*No space left on device; free'):
        fetch_model(server.url('/big.tar.bz2'), folder, silently)


def test_an_archive_that_lacks_a_file_is_refused(
        server: FileServer, files: dict[str, bytes], folder: Path) -> None:
    del files['data/priors.npz']
    server.files['/big.tgz'] = tar_of(files)
    with pytest.raises(ModelError, match=r'lacks data/priors\.npz'):
        fetch_model(server.url('/big.tgz'), folder, silently)
    assert ModelStore([folder]).names() == []


@pytest.mark.parametrize('name', ['../outside', 'a/b', '..'])
def test_a_name_that_leaves_the_folder_is_refused(
        server: FileServer, folder: Path, tmp_path: Path, name: str) -> None:
    server.files['/big/model.yaml'] = write_model(tmp_path / 'evil', name)['model.yaml']
    with pytest.raises(ModelError, match='cannot be the name of a folder'):
        fetch_model(server.url('/big/model.yaml'), folder, silently)
    assert list(folder.iterdir()) == []


def test_an_address_of_something_else_is_refused(folder: Path) -> None:
    with pytest.raises(ModelError, match=r'neither a model\.yaml nor an archive'):
        fetch_model('https://example.org/network.onnx', folder, silently)


def test_missing_truncated_and_altered_files_of_a_known_model_are_fetched(
        server: FileServer, tmp_path: Path) -> None:
    write_model(tmp_path / 'models' / 'big', url=server.url('/big'))
    model = ModelStore([tmp_path / 'models']).find('big')
    assert fetch_missing_files(model, silently) == []
    (model.folder / 'network.onnx').unlink()
    (model.folder / 'data' / 'priors.npz').write_bytes(b'cut')
    fetched = fetch_missing_files(model, silently)
    assert [path.name for path in fetched] == ['network.onnx', 'priors.npz']
    assert model.file('priors').read_bytes() == FILES['data/priors.npz']
    (model.folder / 'network.onnx').write_bytes(bytes(len(FILES['network.onnx'])))
    assert fetch_missing_files(model, silently) == [model.folder / 'network.onnx']
    assert model.file('network').read_bytes() == FILES['network.onnx']


def test_a_missing_file_without_address_is_named(tmp_path: Path) -> None:
    write_model(tmp_path / 'models' / 'big')
    (tmp_path / 'models' / 'big' / 'network.onnx').unlink()
    model = ModelStore([tmp_path / 'models']).find('big')
    with pytest.raises(ModelError, match=r'network\.onnx is missing; restore it'):
        fetch_missing_files(model, silently)
