"""A small web server on this machine that is as good, or as bad, as a test wants it."""

import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class FileServer(ThreadingHTTPServer):
    """Serves files from memory.

    Attributes:
        files: Content by path, such as '/network.onnx'.
        cut_after: Bytes of each answer after which the connection is closed.
        ranges: Continue where a client asks for it.
        says_length: Send Content-Length.
        asked: Path and Range header ('' without one) of each request.
    """

    daemon_threads = True

    def __init__(self, files: dict[str, bytes]) -> None:
        super().__init__(('127.0.0.1', 0), _Handler)
        self.files = files
        self.cut_after: int | None = None
        self.ranges = True
        self.says_length = True
        self.asked: list[tuple[str, str]] = []

    def url(self, path: str) -> str:
        return f'http://127.0.0.1:{self.server_address[1]}{path}'


@contextmanager
def serve(files: dict[str, bytes]) -> Iterator[FileServer]:
    """Serve files as long as the context lasts."""
    server = FileServer(files)
    thread = threading.Thread(target=server.serve_forever, kwargs={'poll_interval': 0.01})
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


class _Handler(BaseHTTPRequestHandler):
    server: FileServer

    def do_GET(self) -> None:
        wanted = self.headers.get('Range', '')
        self.server.asked.append((self.path, wanted))
        content, first = self.server.files.get(self.path), 0
        if content is None:
            self.send_error(404)
            return
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
