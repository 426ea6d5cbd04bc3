"""Arrays by the names of objects or categories in one file: an .npz without pickles."""

from __future__ import annotations

import os
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

_NAMES = 'names'
# What reading a file raises that is missing, damaged, or holds anything else.
DAMAGES = (OSError, LookupError, ValueError, TypeError, AttributeError, EOFError, RuntimeError,
           BadZipFile, zlib.error)


def write_arrays(path: Path, named: Mapping[str, Mapping[str, NDArray[Any]]]) -> None:
    """Write the arrays of named things; the file appears whole or not at all.

    Args:
        path: The .npz file.
        named: By name of a thing, its arrays by what they are; all things have the same ones.
    """
    arrays: dict[str, NDArray[Any]] = {_NAMES: np.array(list(named), dtype=np.str_)}
    for number, parts in enumerate(named.values()):
        arrays |= {f'{part}_{number}': array for part, array in parts.items()}
    partial = path.with_name(f'{path.name}.{os.getpid()}.part')
    try:
        with partial.open('wb') as file:
            # NumPy's stubs take every named array for `allow_pickle`, which is a bool.
            np.savez_compressed(file, **arrays)  # type: ignore[arg-type]
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def read_arrays(path: Path, parts: Sequence[str]) -> dict[str, list[NDArray[Any]]]:
    """Return some arrays of each thing in a file, by the names of the things.

    Args:
        path: What `write_arrays` wrote.
        parts: What arrays.

    Raises:
        DAMAGES: If the file is missing or damaged, or lacks one of them.
    """
    with np.load(path, allow_pickle=False) as archive:
        return {str(name): [archive[f'{part}_{number}'] for part in parts]
                for number, name in enumerate(archive[_NAMES])}
