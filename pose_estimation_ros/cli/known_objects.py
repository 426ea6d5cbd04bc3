"""`pose-estimation models add-object` and its kin: known objects of a running robot."""

from __future__ import annotations

import time
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from pose_estimation_ros.core.errors import ModelError

if TYPE_CHECKING:
    from pose_estimation_ros.core.symmetry import Symmetry
    from pose_estimation_ros.rendering.mesh import Mesh
    from pose_estimation_ros.runtime import Model

DOCS = 'docs/disp6d.md'


class Unit(str, Enum):
    """Unit of a CAD file."""

    m = 'm'
    cm = 'cm'
    mm = 'mm'


class SymmetryChoice(str, Enum):
    """Where the symmetry of an object comes from."""

    none = 'none'
    auto = 'auto'
    x = 'x'
    y = 'y'
    z = 'z'


_METRES = {Unit.m: 1.0, Unit.cm: 0.01, Unit.mm: 0.001}
_UNIT_NAMES = {Unit.m: 'metres', Unit.cm: 'centimetres', Unit.mm: 'millimetres'}
_NAME = typer.Argument(..., help='Name of the object.')
_MODEL = typer.Option('', help='Name or folder of the DISP6D model that is to recognise it; empty '
                      '= the default of the backend disp6d.')
_FOLDER = typer.Option(None, help="Folder of the objects' files, the node's parameter "
                       "disp6d.objects. Default: the model's in the user's data folder.")


def add_object(
        mesh: Path = typer.Argument(..., help='CAD model: PLY with or without colours of its '
                                    'vertices, OBJ, STL or another that Open3D reads.'),
        name: str = typer.Option(..., help='What the object is called in all outputs.'),
        model: str = _MODEL,
        folder: Path = _FOLDER,
        unit: Unit = typer.Option(Unit.m, help='Unit of the CAD model.'),
        symmetry: SymmetryChoice = typer.Option(
            SymmetryChoice.none, help='Turned about an axis of its frame it looks the same: x, y '
            'or z; auto = found from the shape, without looking at colours; none = it does not.'),
        detected_as: list[str] = typer.Option(
            None, help='Label under which the detector finds it, if that is not its name. May be '
            'given several times; of several objects with one label the most similar is taken.'),
        device: str = typer.Option('auto', help='auto, cpu, cuda or tensorrt.'),
        threads: int = typer.Option(0, min=0, help='Of the encoder; 0 = one per core.'),
) -> None:
    """Make the poses of an object known from its CAD model, without training.

    Views from everywhere are drawn and encoded. A node that runs with the model and the folder
    finds the object within a second, without restart. An object of that name is replaced.
    """
    # The other commands must start without images, networks and meshes.
    from pose_estimation_ros.backends.disp6d_model import ViewEncoder
    from pose_estimation_ros.backends.disp6d_object_file import ObjectIdentity, write_object
    from pose_estimation_ros.backends.disp6d_object_making import make_object
    from pose_estimation_ros.cli.progress import progress_bar
    from pose_estimation_ros.datasets.mesh_files import check_extent, read_mesh
    from pose_estimation_ros.rendering.mesh import Mesh

    started = time.perf_counter()
    found = _find_model(model)
    data = read_mesh(mesh, _METRES[unit])
    check_extent(data.size, f'{mesh} with --unit {unit.value}', _UNIT_NAMES[unit])
    shape = Mesh(data.vertices.astype('float32'), data.faces)
    identity = ObjectIdentity(name, tuple(detected_as or [name]), _symmetry(symmetry, shape, name))
    encoder = ViewEncoder(found, device, threads)
    try:
        with progress_bar('view') as report:
            known = make_object(encoder, shape, data.colors, identity, report)
    finally:
        encoder.close()
    path = write_object(known, folder or _objects_folder(found))
    print(f'{name}: {len(known.rotations)} views in {time.perf_counter() - started:.0f} s, '
          f'{path.stat().st_size / 1e6:.1f} MB at {path}')
    print(f'Nodes that run with the model {found.manifest.name} use it within a second, once '
          f'their detector finds {" or ".join(identity.detected_as)}')


def remove_object(name: str = _NAME, model: str = _MODEL, folder: Path = _FOLDER) -> None:
    """Forget a known object. Nodes that run with it forget it within a second."""
    from pose_estimation_ros.backends.disp6d_object_file import SUFFIX, object_path

    place = folder or _objects_folder(_find_model(model))
    path = object_path(place, name)
    if path.parent != place or not path.is_file():
        known = ', '.join(sorted(entry.stem for entry in place.glob(f'*{SUFFIX}')
                                 if not entry.name.startswith('.')))
        raise ModelError(f'there is no object {name!r} in {place}; there are {known or "none"}')
    path.unlink()
    print(f'{name} is removed from {place}')


def list_objects(model: str = _MODEL, folder: Path = _FOLDER) -> None:
    """Print the known objects of a model, and which of them cannot be used."""
    from pose_estimation_ros.backends.disp6d_model import fingerprint_of
    from pose_estimation_ros.backends.disp6d_objects import ObjectFolder

    found = _find_model(model)
    objects = ObjectFolder(folder or _objects_folder(found), fingerprint_of(found.manifest),
                           found.manifest.name)
    present = objects.present
    print(f'{len(present.objects)} objects of {found.manifest.name} in {objects.folder}')
    for name, entry in present.objects.items():
        size = ' x '.join(f'{1e3 * extent:.0f}' for extent in
                          entry.known.mesh.bounds[1] - entry.known.mesh.bounds[0])
        print(f'{name:<24} {size} mm, {len(entry.table)} views, {entry.table.bytes / 1e6:.1f} MB '
              f'in memory, detected as {", ".join(entry.known.identity.detected_as)}')
    for reason in present.refused.values():
        print(f'refused: {reason}')


def _find_model(name: str) -> Model:
    from pose_estimation_ros.backends.disp6d_model import find_disp6d_model

    return find_disp6d_model(name)


def _objects_folder(model: Model) -> Path:
    from pose_estimation_ros.backends.disp6d_objects import default_objects_folder

    return default_objects_folder(model.folder.name)


def _symmetry(choice: SymmetryChoice, mesh: Mesh, name: str) -> Symmetry:
    from pose_estimation_ros.core.symmetry import NO_SYMMETRY, Symmetry

    if choice is SymmetryChoice.none:
        return NO_SYMMETRY
    from pose_estimation_ros.rendering.mesh_symmetry import check_symmetry, propose_symmetry

    if choice is SymmetryChoice.auto:
        proposal = propose_symmetry(mesh)
        found = proposal.symmetry
        axis = 'none' if found.axis is None else str(tuple(round(x, 3) for x in found.axis))
        print(f'symmetry found from the shape: any turn about {axis}, and '
              f'{len(found.discrete)} other rotations')
        for element in proposal.left_out:
            print(element.describe())
        return found
    x, y, z = (float(choice.value == axis) for axis in 'xyz')
    stated = Symmetry(axis=(x, y, z))
    check_symmetry(mesh, stated, f'--symmetry {choice.value} of {name!r}')
    return stated
