"""Files that are there whole or not at all, whatever kills the process that writes them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4


def temporary_name(path: Path) -> Path:
    """Return a hidden name beside a path that no other thread, process or machine uses.

    A cluster may give one piece of work to two of its workers, and each may be a thread.
    """
    return path.with_name(f'.{path.name}.{uuid4().hex}.partial')


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Give a temporary path to write to, which gets its name when the block ends without error.

    The folder is made if needed. Of writers of the same file the last one wins.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = temporary_name(path)
    try:
        yield partial
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def write_atomically(path: Path, content: bytes) -> None:
    """Write a file under another name and rename it; its folder is made if needed."""
    with replacing(path) as partial:
        partial.write_bytes(content)


def publish(partial: Path, folder: Path) -> None:
    """Give a folder that was written under a temporary name its name."""
    try:
        partial.rename(folder)
    except OSError:
        # A cluster may give a piece of work to two machines; the first to finish is as good.
        if not folder.is_dir():
            raise
