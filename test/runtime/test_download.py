"""Downloads from a real server on this machine: whole, interrupted, wrong, refused."""

import hashlib
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from file_server import FileServer, serve

from pose_estimation_ros.core.errors import ModelError
from pose_estimation_ros.runtime.download import ExpectedContent, download, is_url

CONTENT = bytes(range(256)) * 2000
WHOLE = ExpectedContent(hashlib.sha256(CONTENT).hexdigest(), len(CONTENT))


@pytest.fixture
def server() -> Iterator[FileServer]:
    with serve({'/network.onnx': CONTENT}) as server:
        yield server


def fetch(server: FileServer, path: Path, expected: ExpectedContent = WHOLE) -> None:
    download(server.url('/network.onnx'), path, expected)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / 'model' / 'network.onnx'


def ranges_of(server: FileServer) -> list[str]:
    return [wanted for _, wanted in server.asked]


def partial_of(path: Path) -> Path:
    return path.with_name('network.onnx.part')


def leave_partial(path: Path, content: bytes) -> None:
    path.parent.mkdir()
    partial_of(path).write_bytes(content)


def test_a_whole_file_arrives_and_its_progress_is_told(server: FileServer, path: Path) -> None:
    told: list[tuple[int, int]] = []
    download(server.url('/network.onnx'), path, WHOLE, lambda *progress: told.append(progress))
    assert path.read_bytes() == CONTENT
    assert told[-1] == (len(CONTENT), len(CONTENT))
    assert [arrived for arrived, _ in told] == sorted(arrived for arrived, _ in told)
    assert not partial_of(path).exists()


def test_a_transfer_that_breaks_off_again_and_again_goes_on_each_time(
        server: FileServer, path: Path) -> None:
    server.cut_after = 200_000
    fetch(server, path)
    assert path.read_bytes() == CONTENT
    assert ranges_of(server) == ['', 'bytes=200000-', 'bytes=400000-']


def test_the_next_call_goes_on_with_what_an_interrupted_one_left(
        server: FileServer, path: Path) -> None:
    leave_partial(path, CONTENT[:300_000])
    fetch(server, path)
    assert path.read_bytes() == CONTENT
    assert ranges_of(server) == ['bytes=300000-']


def test_what_was_complete_already_is_checked_and_not_fetched_again(
        server: FileServer, path: Path) -> None:
    leave_partial(path, CONTENT)
    fetch(server, path)
    assert path.read_bytes() == CONTENT
    assert server.asked == []
    path.unlink()
    partial_of(path).write_bytes(CONTENT)
    fetch(server, path, ExpectedContent(WHOLE.sha256))
    assert path.read_bytes() == CONTENT
    assert ranges_of(server) == [f'bytes={len(CONTENT)}-']


def test_a_server_that_cannot_continue_is_read_from_the_beginning(
        server: FileServer, path: Path) -> None:
    server.ranges = False
    leave_partial(path, CONTENT[:300_000])
    fetch(server, path)
    assert path.read_bytes() == CONTENT


@pytest.mark.parametrize('stale', [b'old' * 1000, b'old' * 1_000_000], ids=['shorter', 'longer'])
def test_the_rest_of_another_version_is_thrown_away(
        server: FileServer, path: Path, stale: bytes) -> None:
    leave_partial(path, stale)
    fetch(server, path)
    assert path.read_bytes() == CONTENT


def test_without_a_hash_nothing_is_added_to_what_an_older_call_left(
        server: FileServer, path: Path) -> None:
    leave_partial(path, b'old' * 1000)
    fetch(server, path, ExpectedContent())
    assert path.read_bytes() == CONTENT
    assert ranges_of(server) == ['']


def test_a_transfer_without_a_length_that_ends_early_is_gone_on_with(
        server: FileServer, path: Path) -> None:
    server.cut_after, server.says_length = 200_000, False
    fetch(server, path)
    assert path.read_bytes() == CONTENT
    assert ranges_of(server) == ['', 'bytes=200000-', 'bytes=400000-']


def test_without_a_length_and_ranges_a_broken_transfer_is_no_altered_content(
        server: FileServer, path: Path) -> None:
    server.cut_after, server.says_length, server.ranges = 200_000, False, False
    with pytest.raises(ModelError, match='closed after 200000 of 512000 bytes; 200000 bytes are '
                                         'kept'):
        fetch(server, path)
    with pytest.raises(ModelError, match='of 512000 bytes; check the network'):
        fetch(server, path, ExpectedContent(bytes=len(CONTENT)))


def test_a_broken_transfer_keeps_what_arrived_and_never_has_the_files_name(
        server: FileServer, path: Path) -> None:
    server.cut_after, server.ranges = 200_000, False
    with pytest.raises(ModelError, match='closed after 200000 of 512000 bytes; 200000 bytes are '
                                         'kept: fetch again to go on'):
        fetch(server, path)
    assert not path.exists()
    assert partial_of(path).read_bytes() == CONTENT[:200_000]


def _other_content(server: FileServer) -> None:
    server.files['/network.onnx'] = bytes(len(CONTENT))


def _other_length(server: FileServer) -> None:
    server.files['/network.onnx'] = CONTENT[:-1]


def _endless(server: FileServer) -> None:
    server.files['/network.onnx'] = CONTENT + bytes(1_000_000)
    server.says_length = False


@pytest.mark.parametrize(('spoil', 'complaint'), [
    (_other_content, r'network\.onnx has the SHA-256 [0-9a-f]{12}… instead of [0-9a-f]{12}…'),
    (_other_length, 'gives 511999 bytes instead of 512000'),
    (_endless, r'has \d+ bytes instead of 512000'),
], ids=['hash', 'length', 'endless'])
def test_what_is_not_expected_is_refused_and_nothing_is_kept(
        server: FileServer, path: Path, spoil: Callable[[FileServer], None],
        complaint: str) -> None:
    spoil(server)
    with pytest.raises(ModelError, match=complaint):
        fetch(server, path)
    assert not path.exists()
    assert not partial_of(path).exists() or partial_of(path).stat().st_size == 0


def test_a_file_that_was_there_survives_a_failing_download(server: FileServer, path: Path) -> None:
    path.parent.mkdir()
    path.write_bytes(b'before')
    _other_content(server)
    with pytest.raises(ModelError):
        fetch(server, path)
    assert path.read_bytes() == b'before'


def test_the_servers_refusal_is_reported(server: FileServer, path: Path) -> None:
    server.files.clear()
    with pytest.raises(ModelError, match=r'network\.onnx cannot be fetched: the server answers '
                                         '404 Not Found; check the address'):
        fetch(server, path)
    assert not path.exists()


def test_a_server_that_is_not_there_is_reported(path: Path) -> None:
    with pytest.raises(ModelError, match=r'cannot be fetched: .*refused.*check the network'):
        download('http://127.0.0.1:1/network.onnx', path, WHOLE)


def test_a_folder_that_cannot_be_written_is_named(server: FileServer, tmp_path: Path) -> None:
    (tmp_path / 'file').write_text('not a folder')
    with pytest.raises(ModelError, match=r'file/network\.onnx cannot be written'):
        fetch(server, tmp_path / 'file' / 'network.onnx')


def test_two_downloads_of_one_file_exclude_each_other(server: FileServer, path: Path) -> None:
    def again(_arrived: int, _total: int) -> None:
        with pytest.raises(ModelError, match='is being fetched by another process'):
            fetch(server, path)

    download(server.url('/network.onnx'), path, WHOLE, again)
    assert path.read_bytes() == CONTENT


def test_names_and_paths_are_no_addresses(path: Path) -> None:
    assert [is_url(text) for text in ('spd_lite', '/models/spd')] == [False, False]
    assert [is_url(text) for text in ('https://a.b/c', 'file:///a')] == [True, True]
    with pytest.raises(ModelError, match=r"'ftp://a\.b/c' is no address that can be fetched"):
        download('ftp://a.b/c', path, WHOLE)
