"""Pickles of the NOCS data sets, read without trusting them."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import numpy as np

from pose_estimation_ros.core.errors import InvalidInputError
from pose_estimation_ros.datasets.atomic_files import write_atomically

# What a pickled array names. Numbers, strings and containers have no names in a pickle.
_ALLOWED = frozenset({
    *((f'numpy.{core}.multiarray', name) for core in ('core', '_core')
      for name in ('_reconstruct', 'scalar')),
    *((f'numpy.{core}.numeric', '_frombuffer') for core in ('core', '_core')),
    ('numpy', 'ndarray'), ('numpy', 'dtype'),
    ('_codecs', 'encode'),
    # The content of an array without elements, as Python 3 writes it for Python 2.
    ('__builtin__', 'bytes'),
    ('collections', 'OrderedDict'),
})


class _DataUnpickler(pickle.Unpickler):
    """Builds arrays, numbers, strings and containers of these; runs nothing else."""

    def find_class(self, module: str, name: str) -> Any:
        """Return one of the few callables that a data file needs."""
        if (module, name) not in _ALLOWED:
            raise pickle.UnpicklingError(f'it wants to call {module}.{name}')
        return super().find_class(module, name)


def read_pickle(path: Path) -> dict[str, Any]:
    """Read a pickled dictionary of arrays, numbers, strings and lists.

    A pickle can run any code. This reader builds plain data only and refuses all else, so a
    downloaded file cannot do harm.

    Raises:
        InvalidInputError: If the file is missing, damaged, no dictionary, or not plain data.
    """
    try:
        with path.open('rb') as file:
            # Python 2 wrote some of the released files.
            content = _DataUnpickler(file, encoding='latin1').load()
    except OSError as error:
        raise InvalidInputError(f'cannot read {path}: {error.strerror}; NOCS data need this file'
                                ) from error
    except Exception as error:  # A damaged pickle can raise anything.
        raise InvalidInputError(f'{path} is not a pickle of plain arrays and containers '
                                f'({error}); download or make it again') from error
    if not isinstance(content, dict):
        raise InvalidInputError(f'{path} must hold a dictionary, not {type(content).__name__}')
    return content


def write_pickle(path: Path, content: dict[str, Any]) -> None:
    """Write a dictionary of arrays, numbers, strings and lists; all of it or nothing."""
    write_atomically(path, pickle.dumps(content, protocol=2))


def entry(content: dict[str, Any], key: str, shape: tuple[int | None, ...],
          path: Path) -> np.ndarray[Any, np.dtype[np.float64]]:
    """Return an array of a pickle as float64, checked.

    Args:
        content: What the pickle holds.
        key: The array's name.
        shape: Its lengths; None = any.
        path: The pickle, for messages.

    Raises:
        InvalidInputError: If it is missing, of another shape, or not finite.
    """
    if key not in content:
        raise InvalidInputError(f'{path} has no {key}; it holds {", ".join(map(str, content))}')
    try:
        value = np.asarray(content[key], dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise InvalidInputError(f'{path}: {key} is not an array of numbers ({error})') from error
    if value.size == 0 and shape[0] in (None, 0):
        value = value.reshape([length or 0 for length in shape])
    if value.ndim != len(shape) or any(wanted is not None and wanted != length
                                       for wanted, length in zip(shape, value.shape, strict=True)):
        wanted = ', '.join('N' if length is None else str(length) for length in shape)
        raise InvalidInputError(f'{path}: {key} must be ({wanted}), it is {value.shape}')
    if not np.isfinite(value).all():
        raise InvalidInputError(f'{path}: {key} holds NaN or infinity; make the file again from '
                                'the raw data')
    return value
