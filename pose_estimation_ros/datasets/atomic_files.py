"""Files that are there whole or not at all, whatever kills the process that writes them."""

from __future__ import annotations

import os
from pathlib import Path


def write_atomically(path: Path, content: bytes) -> None:
    """Write a file under another name and rename it; its folder is made if needed."""
    path.parent.mkdir(parents=True, exist_ok=True)
    # Processes that write the same file do not share a partial one; the last one wins.
    partial = path.with_name(f'{path.name}.{os.getpid()}.partial')
    try:
        partial.write_bytes(content)
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)
