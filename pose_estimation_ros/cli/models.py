"""`pose-estimation models`: what models are there, are they whole, and where to get more."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import typer

from pose_estimation_ros.cli import known_objects, model_checkpoint, model_meshes
from pose_estimation_ros.cli.teaching import examples
from pose_estimation_ros.core.errors import ModelError
from pose_estimation_ros.runtime.download import Progress, is_url
from pose_estimation_ros.runtime.manifest import MANIFEST_NAME, read_manifest
from pose_estimation_ros.runtime.model_fetch import fetch_missing_files, fetch_model
from pose_estimation_ros.runtime.model_store import Model, ModelStore, cache_folder

_DOCS = 'docs/models.md'

models = typer.Typer(no_args_is_help=True, help='List, inspect, verify and fetch models, and add '
                     'known objects.',
                     epilog=examples('models list', 'models verify', docs=_DOCS))


def model_names(incomplete: str) -> list[str]:
    """Return the names of models that begin so, for the completion of command lines."""
    return [name for name in ModelStore().names() if name.startswith(incomplete)]


_NAME = typer.Argument(..., help='Name or folder of a model.', autocompletion=model_names)


@models.command('list', epilog=examples('models list', docs=_DOCS))
def list_models() -> None:
    """Print the known models, one per line."""
    store = ModelStore()
    folders = list(store.model_folders())
    if not folders:
        places = ', '.join(str(folder) for folder in store.folders)
        raise ModelError(f'there are no models; searched in {places}')
    print(f'{"name":<24} {"task":<13} {"backend":<12} {"size":<6} {"MB":>6}  categories')
    for folder in folders:
        print(f'{folder.name:<24} {_description(folder)}')


@models.command(epilog=examples('models info spd_lite', docs=_DOCS))
def info(name: str = _NAME) -> None:
    """Print what a model is, how it was trained and what was measured."""
    model = ModelStore().find(name)
    print((model.folder / MANIFEST_NAME).read_text(encoding='utf-8'), end='')


@models.command(epilog=examples('models verify', 'models verify spd_lite', docs=_DOCS))
def verify(
        names: list[str] = typer.Argument(None, help='Models; none = all.',
                                          autocompletion=model_names),
) -> None:
    """Check that every file of the models is there and has the right content."""
    store = ModelStore()
    folders = ([store.find(name).folder for name in names] if names
               else list(store.model_folders()))
    damaged = [folder.name for folder in folders if not _is_whole(folder)]
    if damaged:
        raise ModelError(f'{len(damaged)} of {len(folders)} models are refused, see above: '
                         f'{", ".join(damaged)}')


@models.command(epilog=examples(
    'models fetch spd_lite',
    'models fetch https://example.org/models/spd_full/model.yaml',
    'models fetch https://example.org/spd_full.zip --sha256 9f86d0…', docs=_DOCS))
def fetch(
        name: str = typer.Argument(
            ..., metavar='NAME|URL', autocompletion=model_names,
            help='Name or folder of a model whose files are to be completed, or the address of '
            'a model.yaml or of a zip or tar archive.'),
        sha256: str = typer.Option('', help='Hash of what lies at the address. Without it only '
                                   "the model's files are checked, against its own manifest."),
        folder: Path = typer.Option(None, help='Folder of models that gets a model from an '
                                    "address. Default: the user's cache."),
) -> None:
    """Download a model, or those of its files that are too large for the repository.

    An interrupted download of a file whose hash is known goes on where it stopped. Nothing is
    kept whose hash is wrong.
    """
    if is_url(name):
        model = fetch_model(name, folder or cache_folder(), _progress_bar, _hash(sha256))
        print(f'{model.manifest.name} is complete in {model.folder}')
        return
    if sha256 or folder:
        raise ModelError(f'--sha256 and --folder are for addresses, and {name!r} is the name or '
                         'folder of a model; leave them out')
    model = ModelStore().find(name)
    for path in fetch_missing_files(model, _progress_bar):
        print(path)
    print(f'{name} is complete')


@models.command(epilog=examples(
    'models calibrate models/spd_lite --data data/crops/primary/val --data '
    'data/frames/primary/val', docs='docs/evaluation.md'))
def calibrate(
        name: str = _NAME,
        data: list[Path] = typer.Option(..., help='Validation data that the model was not '
                                        'trained on: a folder of `dataset crops`, or frames with '
                                        'truth and masks. May be given several times.'),
        threads: int = typer.Option(0, min=0, help='Of the network; 0 = as many as there are.'),
) -> None:
    """Make the scores of a lite or neural mesh model the probability that a pose is right.

    The result is written into the model's manifest, and the scale of its covariances with it.
    """
    # The other commands must start without data sets.
    from pose_estimation_ros.evaluation.confidence_calibration import calibrate_model
    from pose_estimation_ros.evaluation.neural_mesh_calibration import calibrate_neural_mesh

    model = ModelStore().find(name, 'pose')
    if model.manifest.backend == 'neural_mesh':
        judged = calibrate_neural_mesh(model, data, threads)
        print(f'{judged.right} of {judged.candidates} candidates are right; AUC of the score on '
              f'candidates that it was not fitted to: {judged.area:.4f}; covariances are scaled '
              f'by {judged.calibration.noise:.3g}')
        print(f'Written into {model.folder / MANIFEST_NAME}')
        return
    found = calibrate_model(model, data, threads)
    print(f'{found.right} of {found.poses} poses are right; AUC of the confidence on poses that '
          f'it was not fitted to: {found.area:.4f}; covariances are scaled by '
          f'{found.confidence.covariance_scale:.3g}')
    print(f'Written into {model.folder / MANIFEST_NAME}')


models.command('add-object', epilog=examples(
    'models add-object drill.ply --name drill --unit mm',
    'models add-object cup.stl --name my_cup --detected-as mug --model models/my_disp6d',
    docs=known_objects.DOCS))(known_objects.add_object)
models.command('remove-object', epilog=examples(
    'models remove-object drill', docs=known_objects.DOCS))(known_objects.remove_object)
models.command('objects', epilog=examples(
    'models objects', docs=known_objects.DOCS))(known_objects.list_objects)


def _hash(text: str) -> str:
    """Return a SHA-256 as it is compared, '' if none is given."""
    if text and not re.fullmatch('[0-9a-fA-F]{64}', text):
        raise ModelError(f'--sha256 {text} is no SHA-256, which has 64 hexadecimal digits; give '
                         'what sha256sum prints for the file')
    return text.lower()


def _is_whole(folder: Path) -> bool:
    """Check a model and print what is found."""
    try:
        model = Model(read_manifest(folder / MANIFEST_NAME), folder)
        for role in model.manifest.files:
            model.file(role)
    except ModelError as error:
        print(error)
        return False
    print(f'{folder.name}: {len(model.manifest.files)} files are whole')
    return True


def _description(folder: Path) -> str:
    try:
        manifest = read_manifest(folder / MANIFEST_NAME)
    except ModelError as error:
        return f'damaged: {error}'
    megabytes = sum(file.bytes for file in manifest.files.values()) / 1e6
    return (f'{manifest.task:<13} {manifest.backend:<12} {manifest.size:<6} {megabytes:>6.1f}  '
            f'{", ".join(manifest.categories)}')


@contextmanager
def _progress_bar(name: str) -> Iterator[Progress]:
    """Show how far a download is; on a terminal only."""
    with typer.progressbar(length=1, label=name) as bar:
        def show(arrived: int, total: int) -> None:
            bar.length = max(total, arrived)
            bar.update(arrived - bar.pos)

        yield show
models.command('add-meshes', epilog=examples(
    'models add-meshes mrc_lite --objects lmo/models',
    docs=model_meshes.DOCS))(model_meshes.add_meshes)
models.command('remove-meshes', epilog=examples(
    'models remove-meshes models/my_mrc', docs=model_meshes.DOCS))(model_meshes.remove_meshes)
models.command('make-checkpoint', epilog=examples(
    'models make-checkpoint mrc_lite --out runs/mrc/start.pt',
    docs=model_checkpoint.DOCS))(model_checkpoint.make_checkpoint)
