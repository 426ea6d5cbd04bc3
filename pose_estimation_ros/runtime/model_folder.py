"""Folders of models that appear under their name when they are complete.

A model called 'spd' is put together in `spd.part/spd`, where no `ModelStore` looks.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pose_estimation_ros.core.errors import ModelError
from pose_estimation_ros.runtime.manifest import MANIFEST_NAME

_UNFINISHED_SUFFIX = '.part'


def unfinished_folder(target: Path) -> Path:
    """Return the folder, made if need be, in which the model folder `target` is put together.

    Raises:
        ModelError: If it cannot be made, or there is something at `target` that is no model.
    """
    if target.exists() and not _is_replaceable(target):
        raise ModelError(f'{target} exists and is not the folder of a model: it is not replaced; '
                         'choose another folder')
    unfinished = target.with_name(target.name + _UNFINISHED_SUFFIX) / target.name
    try:
        unfinished.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ModelError(f'the model folder {target} cannot be written: {error.strerror}; choose '
                         'a folder that you may write to') from error
    return unfinished


def finish_folder(target: Path) -> None:
    """Give what was put together its name, in the place of what had that name before."""
    unfinished = unfinished_folder(target)
    if target.exists():
        shutil.rmtree(target)
    unfinished.rename(target)
    shutil.rmtree(unfinished.parent)


def _is_replaceable(target: Path) -> bool:
    return target.is_dir() and ((target / MANIFEST_NAME).is_file() or not any(target.iterdir()))


@contextmanager
def new_model_folder(target: Path) -> Iterator[Path]:
    """Give a folder to write a model into; if that fails, what was at `target` stays.

    Args:
        target: The model's folder. The one to write into has the same name.

    Raises:
        ModelError: If the folder cannot be written.
    """
    # With '.' and '..' there would be no name.
    target = target.resolve()
    shutil.rmtree(unfinished_folder(target).parent)
    unfinished = unfinished_folder(target)
    try:
        yield unfinished
        finish_folder(target)
    except OSError as error:
        raise ModelError(f'the model folder {target} cannot be written: {error.strerror}; free '
                         'some space or choose a folder that you may write to') from error
    finally:
        shutil.rmtree(unfinished.parent, ignore_errors=True)
