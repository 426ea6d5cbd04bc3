"""Downloads that go on where they stopped and appear whole or not at all.

What has arrived lies beside the target with the suffix `.part`, and gets the target's name once
its length and hash are right.
"""

from __future__ import annotations

import fcntl
import http.client
import re
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any
from urllib.error import HTTPError, URLError
from urllib.parse import urlsplit

from pose_estimation_ros.core.errors import ModelError
from pose_estimation_ros.runtime.manifest import file_sha256

PARTIAL_SUFFIX = '.part'
SCHEMES = ('https', 'http', 'file')

Progress = Callable[[int, int], None]
"""Is told the bytes there are and the bytes there will be, 0 if the server does not say."""

_TIMEOUT_SECONDS = 60.0
_READ_SIZE = 1 << 16
_RANGE_NOT_SATISFIABLE = 416
_PARTIAL_CONTENT = 206


@dataclass(frozen=True)
class ExpectedContent:
    """What a file must be.

    Attributes:
        sha256: Its hash, 64 hexadecimal digits; '' = not known.
        bytes: Its length; None = not known.
    """

    sha256: str = ''
    bytes: int | None = None


class _CutOffError(Exception):
    """The transfer ended early; what has arrived can be gone on from."""


def is_url(text: str) -> bool:
    """Return whether a text is an address that `download` takes, and not a name or path."""
    return urlsplit(text).scheme in SCHEMES


def download(url: str, path: Path, expected: ExpectedContent,
             progress: Progress | None = None) -> None:
    """Fetch a file.

    An interrupted transfer is continued, at once as long as something more arrives, else by the
    next call if the hash is known. Where the server cannot continue, it starts over.

    Args:
        url: http, https or file address.
        path: File to write.
        expected: What must arrive; compared before the file gets its name.
        progress: Is told how far it is.

    Raises:
        ModelError: If the server does not answer or says no, the transfer breaks off, what
            arrives is not what is expected, or the file cannot be written.
    """
    if not is_url(url):
        raise ModelError(f'{url!r} is no address that can be fetched; give one that begins with '
                         f'{", ".join(f"{scheme}://" for scheme in SCHEMES)}')
    partial = path.with_name(path.name + PARTIAL_SUFFIX)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with partial.open('ab') as file:
            _lock(file, path)
            if not expected.sha256:
                # Nobody could tell whether what is there is of the same version of the file.
                _empty(file)
            continued = file.tell() > 0
            _transfer(url, path, file, expected, progress or _silent)
            fault = _fault(partial, expected)
            if fault and continued:
                # The first part may be of an older version of the file.
                _empty(file)
                _transfer(url, path, file, expected, progress or _silent)
                fault = _fault(partial, expected)
            if fault:
                partial.unlink()
                raise ModelError(f'what {url} gave for {path.name} {fault}, its content was '
                                 'altered; nothing was kept: ask whoever offers it')
            partial.replace(path)
    except OSError as error:
        raise ModelError(f'{path} cannot be written: {error.strerror or error}; free some space, '
                         'or choose a folder that you may write to') from error


def _transfer(url: str, path: Path, file: IO[bytes], expected: ExpectedContent,
              progress: Progress) -> None:
    """Append to the partial file until it is complete."""
    while True:
        before = file.tell()
        if before and before == expected.bytes:
            return
        try:
            _receive(url, file, expected, progress)
            return
        except (URLError, http.client.HTTPException, TimeoutError, ConnectionError,
                _CutOffError) as error:
            arrived = file.tell()
            if arrived <= before:
                kept = arrived if expected.sha256 else 0
                raise ModelError(_failure(url, path, error, kept)) from error


def _receive(url: str, file: IO[bytes], expected: ExpectedContent, progress: Progress) -> None:
    """Append what one answer of the server holds."""
    offset = file.tell()
    request = urllib.request.Request(url, headers={'User-Agent': 'pose-estimation'})
    if offset:
        request.add_header('Range', f'bytes={offset}-')
    try:
        answer = urllib.request.urlopen(request, timeout=_TIMEOUT_SECONDS)
    except HTTPError as error:
        if error.code == _RANGE_NOT_SATISFIABLE and offset:
            # There is nothing after what we have, or what we have is of another file.
            if error.headers.get('Content-Range', '') != f'bytes */{offset}':
                _empty(file)
                _receive(url, file, expected, progress)
            return
        raise
    with answer:
        if offset and not _continues(answer, offset):
            _empty(file)
            offset = 0
        length = answer.headers.get('Content-Length')
        total = (offset + int(length) if length is not None and length.isdigit()
                 else expected.bytes)
        if expected.bytes is not None and total != expected.bytes:
            _empty(file)
            raise ModelError(f'{url} gives {total} bytes instead of {expected.bytes}, it is '
                             'another file; correct the address')
        while block := answer.read(_READ_SIZE):
            file.write(block)
            offset += len(block)
            progress(offset, total or 0)
            if expected.bytes is not None and offset > expected.bytes:
                break
        file.flush()
    if total is not None and offset < total:
        raise _CutOffError(f'the connection was closed after {offset} of {total} bytes')


def _continues(answer: Any, offset: int) -> bool:
    """Return whether an answer begins at the byte that was asked for."""
    content_range = answer.headers.get('Content-Range', '')
    begins = re.match(r'bytes (\d+)-', content_range)
    return (getattr(answer, 'status', None) == _PARTIAL_CONTENT and begins is not None
            and int(begins.group(1)) == offset)


def _fault(partial: Path, expected: ExpectedContent) -> str:
    """Return what is wrong with a complete transfer, '' if nothing."""
    length = partial.stat().st_size
    if expected.bytes is not None and length != expected.bytes:
        return f'has {length} bytes instead of {expected.bytes}'
    digest = file_sha256(partial) if expected.sha256 else ''
    if digest != expected.sha256:
        return f'has the SHA-256 {digest[:12]}… instead of {expected.sha256[:12]}…'
    return ''


def _failure(url: str, path: Path, error: Exception, kept: int) -> str:
    if isinstance(error, HTTPError):
        return (f'{url} cannot be fetched: the server answers {error.code} {error.reason}; check '
                f'the address, or put the file at {path} by hand')
    reason = getattr(error, 'reason', None) or error
    again = (f'; {kept} bytes are kept: fetch again to go on' if kept
             else f'; check the network, or put the file at {path} by hand')
    return f'{url} cannot be fetched: {reason}{again}'


def _lock(file: IO[bytes], path: Path) -> None:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise ModelError(f'{path} is being fetched by another process; wait for it') from error


def _empty(file: IO[bytes]) -> None:
    file.seek(0)
    file.truncate()


def _silent(_arrived: int, _total: int) -> None:
    pass
