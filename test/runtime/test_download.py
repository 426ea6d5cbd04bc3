"""Downloads from a real server on this machine: whole, interrupted, wrong, refused."""

import hashlib
import re
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from pose_estimation_ros.core.errors import ModelError
from pose_estimation_ros.runtime.download import ExpectedContent, download, is_url

CONTENT = bytes(range(256)) * 2000
WHOLE = ExpectedContent(hashlib.sha256(CONTENT).hexdigest(), len(CONTENT))


class Server(ThreadingHTTPServer):
    """Serves one content, as well as it is told to.

    Attributes:
        content: What every address gives.
        cut_after: Bytes of each answer after which the connection is closed.
        ranges: Continue where a client asks for it.
        code: Answer of a server that does not have it.
        says_length: Send Content-Length.
        asked: The Range header of each request, '' without one.
    """

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(('127.0.0.1', 0), Handler)
        self.content = CONTENT
        self.cut_after: int | None = None
        self.ranges = True
        self.code = 200
        self.says_length = True
        self.asked: list[str] = []

    @property
    def url(self) -> str:
        return f'http://127.0.0.1:{self.server_address[1]}/network.onnx'


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        wanted = self.headers.get('Range', '')
        self.server.asked.append(wanted)
        if self.server.code != 200:
            self.send_error(self.server.code)
            return
        content, first = self.server.content, 0
        if wanted and self.server.ranges:
            first = int(re.match(r'bytes=(\d+)-', wanted).group(1))
            if first >= len(content):
                self.send_response(416)
                self.send_header('Content-Range', f'bytes */{len(content)}')
                self.send_header('Content-Length', '0')
                self.end_headers()
                return
            self.send_response(206)
            self.send_header('Content-Range', f'bytes {first}-{len(content) - 1}/{len(content)}')
        else:
            self.send_response(200)
        if self.server.says_length:
            self.send_header('Content-Length', str(len(content) - first))
        self.end_headers()
        end = len(content) if self.server.cut_after is None else first + self.server.cut_after
        self.wfile.write(content[first:end])

    def log_message(self, *_arguments: object) -> None:
        pass


@pytest.fixture
def server() -> Iterator[Server]:
    server = Server()
    thread = threading.Thread(target=server.serve_forever, kwargs={'poll_interval': 0.01})
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / 'model' / 'network.onnx'


def partial_of(path: Path) -> Path:
    return path.with_name('network.onnx.part')


def leave_partial(path: Path, content: bytes) -> None:
    path.parent.mkdir()
    partial_of(path).write_bytes(content)


def test_a_whole_file_arrives_and_its_progress_is_told(server: Server, path: Path) -> None:
    told: list[tuple[int, int]] = []
    download(server.url, path, WHOLE, lambda arrived, total: told.append((arrived, total)))
    assert path.read_bytes() == CONTENT
    assert told[-1] == (len(CONTENT), len(CONTENT))
    assert [arrived for arrived, _ in told] == sorted(arrived for arrived, _ in told)
    assert not partial_of(path).exists()


def test_a_transfer_that_breaks_off_again_and_again_goes_on_each_time(
        server: Server, path: Path) -> None:
    server.cut_after = 200_000
    download(server.url, path, WHOLE)
    assert path.read_bytes() == CONTENT
    assert server.asked == ['', 'bytes=200000-', 'bytes=400000-']


def test_the_next_call_goes_on_with_what_an_interrupted_one_left(
        server: Server, path: Path) -> None:
    leave_partial(path, CONTENT[:300_000])
    download(server.url, path, WHOLE)
    assert path.read_bytes() == CONTENT
    assert server.asked == ['bytes=300000-']


def test_what_was_complete_already_is_checked_and_not_fetched_again(
        server: Server, path: Path) -> None:
    leave_partial(path, CONTENT)
    download(server.url, path, WHOLE)
    assert path.read_bytes() == CONTENT
    assert server.asked == []
    path.unlink()
    partial_of(path).write_bytes(CONTENT)
    download(server.url, path, ExpectedContent())
    assert path.read_bytes() == CONTENT
    assert server.asked == [f'bytes={len(CONTENT)}-']


def test_a_server_that_cannot_continue_is_read_from_the_beginning(
        server: Server, path: Path) -> None:
    server.ranges = False
    leave_partial(path, CONTENT[:300_000])
    download(server.url, path, WHOLE)
    assert path.read_bytes() == CONTENT


@pytest.mark.parametrize('stale', [b'old' * 1000, b'old' * 1_000_000], ids=['shorter', 'longer'])
def test_the_rest_of_another_version_is_thrown_away(
        server: Server, path: Path, stale: bytes) -> None:
    leave_partial(path, stale)
    download(server.url, path, WHOLE)
    assert path.read_bytes() == CONTENT


def test_a_broken_transfer_keeps_what_arrived_and_never_has_the_files_name(
        server: Server, path: Path) -> None:
    server.cut_after, server.ranges = 200_000, False
    with pytest.raises(ModelError, match='closed after 200000 of 512000 bytes; 200000 bytes are '
                                         'kept: fetch again to go on'):
        download(server.url, path, WHOLE)
    assert not path.exists()
    assert partial_of(path).read_bytes() == CONTENT[:200_000]


def _other_content(server: Server) -> None:
    server.content = bytes(len(CONTENT))


def _other_length(server: Server) -> None:
    server.content = CONTENT[:-1]


def _endless(server: Server) -> None:
    server.content, server.says_length = CONTENT + bytes(1_000_000), False


@pytest.mark.parametrize(('spoil', 'complaint'), [
    (_other_content, r'network\.onnx has the SHA-256 [0-9a-f]{12}… instead of [0-9a-f]{12}…'),
    (_other_length, 'gives 511999 bytes instead of 512000'),
    (_endless, r'has \d+ bytes instead of 512000'),
], ids=['hash', 'length', 'endless'])
def test_what_is_not_expected_is_refused_and_nothing_is_kept(
        server: Server, path: Path, spoil: Callable[[Server], None], complaint: str) -> None:
    spoil(server)
    with pytest.raises(ModelError, match=complaint):
        download(server.url, path, WHOLE)
    assert not path.exists()
    assert not partial_of(path).exists() or partial_of(path).stat().st_size == 0


def test_a_file_that_was_there_survives_a_failing_download(server: Server, path: Path) -> None:
    path.parent.mkdir()
    path.write_bytes(b'before')
    _other_content(server)
    with pytest.raises(ModelError):
        download(server.url, path, WHOLE)
    assert path.read_bytes() == b'before'


def test_the_servers_refusal_is_reported(server: Server, path: Path) -> None:
    server.code = 404
    with pytest.raises(ModelError, match=r'network\.onnx cannot be fetched: the server answers '
                                         '404 Not Found; check the address'):
        download(server.url, path, WHOLE)
    assert not path.exists()


def test_a_server_that_is_not_there_is_reported(path: Path) -> None:
    with pytest.raises(ModelError, match=r'cannot be fetched: .*refused.*check the network'):
        download('http://127.0.0.1:1/network.onnx', path, WHOLE)


def test_a_folder_that_cannot_be_written_is_named(server: Server, tmp_path: Path) -> None:
    (tmp_path / 'file').write_text('not a folder')
    with pytest.raises(ModelError, match=r'file/network\.onnx cannot be written'):
        download(server.url, tmp_path / 'file' / 'network.onnx', WHOLE)


def test_two_downloads_of_one_file_exclude_each_other(server: Server, path: Path) -> None:
    def again(_arrived: int, _total: int) -> None:
        with pytest.raises(ModelError, match='is being fetched by another process'):
            download(server.url, path, WHOLE)

    download(server.url, path, WHOLE, again)
    assert path.read_bytes() == CONTENT


def test_names_and_paths_are_no_addresses(path: Path) -> None:
    assert [is_url(text) for text in ('spd_lite', '/models/spd')] == [False, False]
    assert [is_url(text) for text in ('https://a.b/c', 'file:///a')] == [True, True]
    with pytest.raises(ModelError, match=r"'ftp://a\.b/c' is no address that can be fetched"):
        download('ftp://a.b/c', path, WHOLE)
