"""`pose-estimation models add-meshes` and its kin: CAD models that may not travel with weights."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import typer

from pose_estimation_ros.core.errors import ModelError
from pose_estimation_ros.runtime.manifest import ModelFile, write_manifest
from pose_estimation_ros.runtime.model_store import Model, ModelStore

DOCS = 'docs/mrc.md'
_BACKEND = 'mrc'
_NAME = typer.Argument(..., help='Name or folder of an MRC-Net model.')


def add_meshes(
        name: str = _NAME,
        objects: Path = typer.Option(..., help='Folder of the CAD models, such as `models` of a '
                                     'BOP data set; see docs/known_objects.md for units.'),
) -> None:
    """Give a model the meshes of its objects, which it compares pictures with.

    Shipped weights are without them where the CAD models have owners of their own. The model's
    folder gets two files more, and its manifest tells them.
    """
    # The other commands must start without what makes data.
    from pose_estimation_ros.rendering.mesh_simplification import simplified
    from pose_estimation_ros.rendering.model_meshes import DRAWN_FACES, write_model_meshes
    from pose_estimation_ros.synthetic.mesh_objects import open_mesh_folder

    model = _found(name)
    wanted = model.manifest.categories
    source = open_mesh_folder(objects)
    known = {category.name for category in source.categories}
    if missing := [label for label in wanted if label not in known]:
        raise ModelError(f'{objects} has no CAD model of {", ".join(missing)}, only of '
                         f'{", ".join(sorted(known))}; model {name!r} needs those of all its '
                         'objects, by the same names')
    if not source.is_known:
        raise ModelError(f'{objects} is a folder of categories, but {name!r} knows objects in the '
                         'frames of their files; give the folder that it was trained with')
    files = write_model_meshes(model.folder, {
        label: simplified(source.model(label, 'train', 0).mesh, DRAWN_FACES) for label in wanted})
    _describe(model, {role: ModelFile.of(path, model.folder) for role, path in files.items()})
    for path in files.values():
        print(path)


def remove_meshes(name: str = _NAME) -> None:
    """Take the meshes out of a model, to pass it on without the CAD models."""
    from pose_estimation_ros.rendering.model_meshes import MESHES, SHOWN

    model = _found(name)
    paths = [model.folder / model.manifest.files[role].path
             for role in (MESHES, SHOWN) if role in model.manifest.files]
    # The manifest first: it must never name a file that is not there.
    _describe(model, {})
    for path in paths:
        path.unlink(missing_ok=True)


def _found(name: str) -> Model:
    model = ModelStore().find(name, 'pose')
    if model.manifest.backend != _BACKEND:
        raise ModelError(f'{name!r} is a model of the backend {model.manifest.backend!r}; only '
                         f'those of {_BACKEND!r} hold meshes of known objects')
    return model


def _describe(model: Model, meshes: dict[str, ModelFile]) -> None:
    """Write the manifest anew with these meshes, or without any."""
    from pose_estimation_ros.rendering.model_meshes import MESHES, SHOWN

    others = {role: file for role, file in model.manifest.files.items()
              if role not in (MESHES, SHOWN)}
    try:
        write_manifest(replace(model.manifest, files={**others, **meshes}), model.folder)
    except OSError as error:
        raise ModelError(f'{model.folder} cannot be written ({error.strerror}); copy the model '
                         'to a folder of your own and give that') from error
