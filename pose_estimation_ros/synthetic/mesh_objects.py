"""Objects from a folder of mesh files: categories of one's own, or known CAD models.

Layout: `<folder>/<category>/<name>.ply`, and `<folder>/<name>.ply` for an object that is a
category of its own; PLY, OBJ, STL, OFF, GLB or GLTF. An `objects.yaml` beside them gives units,
axes, frame and symmetries, see `object_rules`. A folder with a `models_info.json` holds the models
of a BOP data set.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from pose_estimation_ros.core.categories import Category
from pose_estimation_ros.core.errors import ConfigurationError, InvalidInputError
from pose_estimation_ros.datasets.bop_models import MODELS_INFO, read_models
from pose_estimation_ros.datasets.mesh_files import diameter, read_mesh
from pose_estimation_ros.rendering.mesh import Mesh
from pose_estimation_ros.rendering.mesh_symmetry import check_symmetry, propose_symmetry
from pose_estimation_ros.synthetic.colors import srgb_to_linear
from pose_estimation_ros.synthetic.object_model import ObjectModel
from pose_estimation_ros.synthetic.object_rules import (
    FILE_NAME,
    UNITS,
    ObjectRules,
    check_mirrors,
    read_rules,
)
from pose_estimation_ros.synthetic.shapes.resting import UPRIGHT, stable_rotations
from pose_estimation_ros.synthetic.splits import BACKGROUND_ROLES, DISTRACTOR, SPLITS

_logger = logging.getLogger(__name__)

SUFFIXES = ('.ply', '.obj', '.stl', '.off', '.glb', '.gltf')
# What stands on a table and is seen by a camera: longest side, metres.
SMALLEST_EXTENT = 0.005
LARGEST_EXTENT = 2.0
# From the middle of a known object, as share of its diameter: MRC-Net looks for the origin within
# a crop that is hardly larger than the object.
_FARTHEST_ORIGIN = 0.6
# Fewer meshes than splits cannot be split.
_FEWEST_SPLIT = len(SPLITS)
_HELD_OUT = 10
# A plane needs a thickness: a box of zero volume has no stable facets.
_THINNEST = 1e-4


@dataclass(frozen=True)
class MeshFolder:
    """The objects of a folder, read when they are asked for.

    Within each category the meshes are ordered by the SHA-256 of their file's name: the first
    tenth (at least one) is test, the next val, all others train. A category of one or two meshes
    shows them in every split: known objects, not generalisation.

    Attributes:
        root: The folder.
        rules: By category, in the order of category indices.
        files: By category and split, paths inside the folder.
    """

    root: Path
    rules: Mapping[str, ObjectRules]
    files: Mapping[str, Mapping[str, tuple[str, ...]]]

    @property
    def is_known(self) -> bool:
        """Whether these are known CAD models, each one mesh in its own frame."""
        return all(rules.frame == 'cad' for rules in self.rules.values())

    @property
    def categories(self) -> tuple[Category, ...]:
        """What there is, in alphabetical order."""
        return tuple(rules.category for rules in self.rules.values())

    def count(self, category: str, split: str) -> int:
        """Return how many meshes of a category a split has."""
        return len(self.files[category][split])

    def model(self, category: str, split: str, number: int) -> ObjectModel:
        """Read a mesh.

        Raises:
            InvalidInputError: If it cannot be read, or is larger or smaller than what stands on
                tables.
        """
        path = self.files[category][split][number]
        return read_object(self.root, path, self.rules[category])

    def describe(self) -> dict[str, Any]:
        """Return the rules of all categories, and a hash of all files' names and contents."""
        digest = hashlib.sha256()
        names = {name for splits in self.files.values() for split in splits.values()
                 for name in split}
        for name in sorted(names):
            content = hashlib.sha256((self.root / name).read_bytes()).hexdigest()
            digest.update(f'{name} {content}\n'.encode())
        scenes = {'scenes': 'known objects'} if self.is_known else {}
        return {'categories': [rules.as_plain() for rules in self.rules.values()],
                'objects': {'folder': self.root.name, 'meshes': len(names),
                            'sha256': digest.hexdigest()}, **scenes}

    def check(self) -> None:
        """Read every mesh once, so that a bad one is found before anything is made of them.

        Raises:
            InvalidInputError: As `model`, or if the origin of a known object is far from it, or
                its stated symmetry passes beside it.
        """
        for category, splits in self.files.items():
            rules = self.rules[category]
            for name in sorted({name for split in splits.values() for name in split}):
                model = read_object(self.root, name, rules)
                if rules.frame == 'cad':
                    _check_origin(self.root / name, model.mesh)
                if rules.frame == 'cad' and rules.is_symmetry_known:
                    check_symmetry(model.mesh, rules.category.symmetry,
                                   f'{self.root}: the stated symmetry of {category!r}')


def open_mesh_folder(root: Path, names: Sequence[str] = ()) -> MeshFolder:
    """List the objects of a folder, and propose the symmetries of known ones that nobody stated.

    Args:
        root: The folder, see the module's docstring.
        names: Categories to use; none = all.

    Raises:
        ConfigurationError: If the folder is missing or empty, a category is empty, unknown or
            wrongly named, its `objects.yaml` is wrong, a known object has several meshes, or two
            meshes would have one name.
        InvalidInputError: If a `models_info.json` cannot be used.
    """
    root = root.resolve()
    if not root.is_dir():
        raise ConfigurationError(f'{root} is no folder; give a folder of meshes '
                                 f'({", ".join(SUFFIXES)}), one subfolder per category')
    found = _list_meshes(root)
    unknown = sorted(set(names) - set(found))
    if unknown:
        raise ConfigurationError(f'{root} has no category {", ".join(unknown)}; it has '
                                 f'{", ".join(sorted(found))}')
    rules = read_rules(root, sorted(found))
    chosen = [name for name in sorted(found) if not names or name in names]
    several = [name for name in chosen if rules[name].frame == 'cad' and len(found[name]) > 1]
    if several:
        raise ConfigurationError(f'{root}: known objects are one mesh each, but {several[0]!r} '
                                 f'has {", ".join(found[several[0]])}; keep one of them, give '
                                 'each its own name, or, for a category of many instances, write '
                                 f'"frame: canonical" into {FILE_NAME}')
    _check_names(root, (file for name in chosen for file in found[name]))
    source = MeshFolder(root, {name: rules[name] for name in chosen},
                        {name: split_names(found[name]) for name in chosen})
    return replace(source, rules={name: _with_symmetry(source, entry)
                                  for name, entry in source.rules.items()})


def models_without_mesh(root: Path) -> list[str]:
    """Return the models of a folder's `models_info.json` of which there is no mesh file.

    Raises:
        InvalidInputError: If the file cannot be used.
    """
    if not (root / MODELS_INFO).is_file():
        return []
    present = _list_meshes(root)
    return [model.name for model in read_models(root).values() if model.name not in present]


def _with_symmetry(source: MeshFolder, rules: ObjectRules) -> ObjectRules:
    """Return the rules of a known object with a proposed symmetry if nobody stated one."""
    if rules.frame != 'cad' or rules.is_symmetry_known:
        return rules
    model = source.model(rules.category.name, SPLITS[0], 0)
    proposal = propose_symmetry(model.mesh)
    for element in proposal.left_out:
        _logger.warning('%s: %s', rules.category.name, element.describe())
    category = replace(rules.category, symmetry=proposal.symmetry)
    check_mirrors(source.root / FILE_NAME, category)
    return replace(rules, category=category)


def split_names(names: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """Return which of some files belong to which split; see `MeshFolder`."""
    ordered = sorted(names, key=lambda name: hashlib.sha256(Path(name).name.encode()).digest())
    if len(ordered) < _FEWEST_SPLIT:
        return dict.fromkeys(SPLITS, tuple(ordered))
    held_out = max(1, len(ordered) // _HELD_OUT)
    return {'test': tuple(ordered[:held_out]), 'val': tuple(ordered[held_out:2 * held_out]),
            'train': tuple(ordered[2 * held_out:])}


def read_object(root: Path, name: str, rules: ObjectRules) -> ObjectModel:
    """Return the object of a mesh file in its canonical frame, or in the file's if it is known.

    Args:
        root: The folder of meshes.
        name: Path inside it.
        rules: How to read it.

    Raises:
        InvalidInputError: As `MeshFolder.model`.
    """
    path = root / name
    data = read_mesh(path, rules.unit)
    vertices = data.vertices @ rules.R_object_file.T
    low, high = vertices.min(axis=0), vertices.max(axis=0)
    _check_extent(root, path, float((high - low).max()), rules.unit)
    vertices, faces, kept = _welded(vertices - 0.5 * (low + high), data.faces)
    resting: tuple[npt.NDArray[np.float64], ...] = (UPRIGHT,)
    if rules.resting == 'stable':
        resting = stable_rotations(vertices, faces) or resting
    if rules.frame == 'cad':
        vertices, size = data.vertices[kept], data.size
        # Known objects often stand on something that is not to be seen.
        others = [R for R in resting if not np.array_equal(R, UPRIGHT)]
        resting = tuple(R @ rules.R_object_file for R in (UPRIGHT, *others))
    else:
        size = high - low
    colors = None if data.colors is None else srgb_to_linear(data.colors[kept] / 255.0)
    return ObjectModel(
        name=_object_name(name),
        category=rules.category.name, mesh=Mesh(vertices.astype(np.float32), faces),
        face_parts=np.zeros(len(faces), dtype=np.int32), part_names=('body',),
        size=np.maximum(size, _THINNEST), resting_rotations=resting, vertex_colors=colors)


def _object_name(file: str) -> str:
    """Return the name of the object in a file, which its pictures and shape are known by."""
    return Path(file).with_suffix('').as_posix().replace('/', '_')


def _check_names(root: Path, files: Iterable[str]) -> None:
    known: dict[str, str] = {}
    for file in files:
        other = known.setdefault(_object_name(file), file)
        if other != file:
            raise ConfigurationError(
                f'{root}: the objects of {other} and {file} would both be called '
                f'{_object_name(file)!r}; rename one of the files, or remove it')


def _check_extent(root: Path, path: Path, extent: float, unit: float) -> None:
    if SMALLEST_EXTENT <= extent <= LARGEST_EXTENT:
        return
    # The unit that would make it the size of a thing on a table, if there is one.
    fitting = [name for name, metres in UNITS.items() if 0.02 <= extent / unit * metres <= 1.0]
    cure = (f'if it is in {fitting[0]}, write "unit: {fitting[0]}" into {root / FILE_NAME}'
            if fitting else 'scale the mesh')
    raise InvalidInputError(
        f'{path} is {extent:.4g} m long, but objects from {SMALLEST_EXTENT} m to '
        f'{LARGEST_EXTENT:.0f} m are wanted; {cure}')


def _check_origin(path: Path, mesh: Mesh) -> None:
    middle = mesh.bounds.mean(axis=0)
    distance, extent = float(np.linalg.norm(middle)), diameter(mesh.vertices)
    if distance > _FARTHEST_ORIGIN * extent:
        place = ', '.join(map(str, np.round(1000.0 * middle, 1) + 0.0))
        raise InvalidInputError(
            f'{path}: the middle of the object, ({place}) mm, is {1000 * distance:.1f} mm from '
            f'the origin of the file, more than {_FARTHEST_ORIGIN} of its diameter of '
            f'{1000 * extent:.1f} mm. Where the origin appears is what networks learn of a known '
            'object, and it would be outside of their crops: move the origin into the object, '
            'such as to its middle')


def _welded(vertices: npt.NDArray[np.float64], faces: npt.NDArray[np.int32]
            ) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.int32], npt.NDArray[np.intp]]:
    """Join equal vertices, drop faces without area and turn an inside-out surface round.

    STL repeats every vertex per face; shading needs to know which faces are neighbours. Also
    returns which of the vertices each of the new ones is.
    """
    vertices, kept, index = np.unique(np.round(vertices, 7), axis=0, return_index=True,
                                      return_inverse=True)
    faces = index.reshape(-1)[faces].astype(np.int32)
    corners = vertices[faces]
    normals = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    has_area = np.linalg.norm(normals, axis=1) > 1e-14
    faces, corners, normals = faces[has_area], corners[has_area], normals[has_area]
    # Six times the enclosed volume about the centre; also telling where small holes are left.
    volume = float((normals * corners.mean(axis=1)).sum())
    return vertices, np.ascontiguousarray(faces[:, ::-1]) if volume < 0 else faces, kept


def _list_meshes(root: Path) -> dict[str, list[str]]:
    """Return the mesh files by category, as paths inside the folder."""
    found: dict[str, list[str]] = {}
    for entry in sorted(root.iterdir()):
        if entry.name.startswith(('.', '_')):
            continue
        if entry.is_dir():
            meshes = sorted(path.relative_to(root).as_posix() for path in entry.rglob('*')
                            if path.suffix.lower() in SUFFIXES)
            if not meshes:
                raise ConfigurationError(f'the category {entry.name!r} has no mesh: {entry} holds '
                                         f'no {", ".join(SUFFIXES)} file; add one or remove it')
            found.setdefault(entry.name, []).extend(meshes)
        elif entry.suffix.lower() in SUFFIXES:
            found.setdefault(entry.stem, []).append(entry.name)
    if not found:
        raise ConfigurationError(f'{root} holds no meshes ({", ".join(SUFFIXES)}) and no folders '
                                 'of them; give a folder with one subfolder per category')
    reserved = sorted(set(found) & {*BACKGROUND_ROLES, DISTRACTOR})
    if reserved:
        raise ConfigurationError(f'{root}: {", ".join(reserved)} is what scenes call their own '
                                 'things; give the category another name')
    return found
