"""`pose-estimation models`: what models are there, and are they whole?"""

from __future__ import annotations

import shutil
import urllib.request
from pathlib import Path
from urllib.error import URLError

import typer

from pose_estimation_ros.core.errors import ModelError
from pose_estimation_ros.runtime import Model, ModelStore

models = typer.Typer(no_args_is_help=True, help='List, inspect, verify and fetch models.')
_TIMEOUT = 60.0


@models.command('list')
def list_models() -> None:
    """Print the known models, one per line."""
    store = ModelStore()
    found = list(store.models())
    if not found:
        places = ', '.join(str(folder) for folder in store.folders)
        raise ModelError(f'there are no models; searched in {places}')
    print(f'{"name":<24} {"task":<13} {"backend":<10} {"size":<6} {"MB":>6}  categories')
    for model in found:
        manifest = model.manifest
        megabytes = sum(file.bytes for file in manifest.files.values()) / 1e6
        print(f'{model.folder.name:<24} {manifest.task:<13} {manifest.backend:<10} '
              f'{manifest.size:<6} {megabytes:>6.1f}  {", ".join(manifest.categories)}')


@models.command()
def info(name: str = typer.Argument(..., help='Name or folder of a model.')) -> None:
    """Print what a model is, how it was trained and what was measured."""
    model = ModelStore().find(name)
    print((model.folder / 'model.yaml').read_text(encoding='utf-8'), end='')


@models.command()
def verify(names: list[str] = typer.Argument(None, help='Models; none = all.')) -> None:
    """Check that every file of the models is there and has the right content."""
    store = ModelStore()
    chosen = [store.find(name) for name in names] if names else list(store.models())
    for model in chosen:
        for role in model.manifest.files:
            model.file(role)
        print(f'{model.folder.name}: {len(model.manifest.files)} files are whole')


@models.command()
def fetch(name: str = typer.Argument(..., help='Name or folder of a model.')) -> None:
    """Download the files of a model that are too large for the repository."""
    model = ModelStore().find(name)
    for role, file in model.manifest.files.items():
        path = model.folder / file.path
        if path.is_file() and path.stat().st_size == file.bytes:
            model.file(role)
        elif file.url:
            _download(file.url, path)
            _keep_if_whole(model, role, path)
            print(f'{path}: {file.bytes / 1e6:.1f} MB')
        else:
            model.file(role)
    print(f'{name} is complete')


def _download(url: str, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(path.name + '.part')
    try:
        with urllib.request.urlopen(url, timeout=_TIMEOUT) as answer, partial.open('wb') as file:
            shutil.copyfileobj(answer, file)
    except (URLError, OSError) as error:
        partial.unlink(missing_ok=True)
        raise ModelError(f'{url} cannot be fetched: {error}; check the network, or put the file '
                         f'at {path} by hand') from error
    partial.replace(path)


def _keep_if_whole(model: Model, role: str, path: Path) -> None:
    try:
        model.file(role)
    except ModelError:
        path.unlink(missing_ok=True)
        raise
