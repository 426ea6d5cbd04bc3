"""`objects.yaml`: what a folder of meshes cannot say of itself: unit, axes, frame and symmetry.

A folder with a `models_info.json` is read as the models of a BOP data set, which says some of it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import yaml

from pose_estimation_ros.core.categories import Category, category_named
from pose_estimation_ros.core.errors import ConfigurationError
from pose_estimation_ros.core.rotation import axis_rotation
from pose_estimation_ros.core.symmetry import NO_SYMMETRY, Symmetry
from pose_estimation_ros.datasets.bop_models import MODELS_INFO, read_models

FILE_NAME = 'objects.yaml'
UNITS: dict[str, float] = {'m': 1.0, 'mm': 0.001, 'cm': 0.01}
RESTING = ('stable', 'upright')
FRAMES = ('canonical', 'cad')

_AXES: dict[str, tuple[float, float, float]] = {
    'x': (1.0, 0.0, 0.0), 'y': (0.0, 1.0, 0.0), 'z': (0.0, 0.0, 1.0),
    '-x': (-1.0, 0.0, 0.0), '-y': (0.0, -1.0, 0.0), '-z': (0.0, 0.0, -1.0)}
_FILE_RULES = ('unit', 'up', 'front', 'resting')
_CATEGORY_RULES = (*_FILE_RULES, 'symmetry', 'mirrors')
_DEFAULTS = {'unit': 'm', 'up': 'y', 'resting': 'stable', 'frame': 'canonical'}
_BOP_DEFAULTS = {'unit': 'mm', 'up': 'z', 'resting': 'stable', 'frame': 'cad'}
_LARGEST_FOLD = 36
_MIRROR = np.diag([1.0, 1.0, -1.0])
# Radians; proposed symmetries are not exact.
_SAME_TURN = 1e-3
# The largest group of rotations of a solid is the icosahedron's; prisms may have more.
_LARGEST_GROUP = 2 * _LARGEST_FOLD


@dataclass(frozen=True)
class ObjectRules:
    """How the mesh files of one category are to be read.

    Attributes:
        category: Its name, symmetry in the canonical frame, and whether mirror images belong.
        unit: Metres per unit of the files.
        R_object_file: (3, 3) rotation from the files' axes to the canonical frame (+y up, +x
            front).
        resting: 'stable': on every side on which it stays put; 'upright': only as it stands.
        frame: 'canonical': poses are of the canonical frame; 'cad': of the files' own frame, as
            those of known objects are. The canonical one then only tells what is up.
        is_symmetry_known: Whether somebody said what the symmetry is.
    """

    category: Category
    unit: float
    R_object_file: npt.NDArray[np.float64]
    resting: str
    frame: str = 'canonical'
    is_symmetry_known: bool = True

    def as_plain(self) -> dict[str, Any]:
        """Return the rules as numbers and words, to be written beside data made of them."""
        frame = {} if self.frame == 'canonical' else {'frame': self.frame}
        return {**self.category.as_plain(), 'unit': self.unit, 'resting': self.resting,
                'R_object_file': self.R_object_file.tolist(), **frame}


def read_rules(folder: Path, names: Sequence[str]) -> dict[str, ObjectRules]:
    """Return the rules of all categories of a folder; without `objects.yaml`, the defaults.

    The defaults are metres, +y up, +x front, all stable sides, no symmetry, the canonical frame;
    a category that is one of the six has their symmetry. Those of BOP models are millimetres, +z
    up, the files' own frame, and the symmetries of their `models_info.json`.

    Args:
        folder: The folder of meshes.
        names: The categories in it.

    Raises:
        ConfigurationError: If the file is not YAML, or an entry is unknown or wrong.
        InvalidInputError: If `models_info.json` cannot be used.
    """
    path = folder / FILE_NAME
    is_bop = (folder / MODELS_INFO).is_file()
    defaults = _BOP_DEFAULTS if is_bop else _DEFAULTS
    stated = _bop_symmetries(folder) if is_bop else {}
    content: Any = {}
    if path.is_file():
        try:
            content = yaml.safe_load(path.read_text(encoding='utf-8')) or {}
        except (yaml.YAMLError, UnicodeDecodeError) as error:
            raise ConfigurationError(f'{path} is not valid YAML: {error}') from error
    _check_keys(path, 'file', content, (*_FILE_RULES, 'frame', 'categories'))
    common = defaults | {key: value for key, value in content.items() if key != 'categories'}
    single = content.get('categories') or {}
    _check_keys(path, 'entry categories', single, names)
    return {name: _category_rules(path, name, common, single.get(name) or {}, stated.get(name))
            for name in names}


def _bop_symmetries(folder: Path) -> dict[str, Symmetry]:
    """Return the symmetries that a `models_info.json` states, by the models' names.

    Where it states any, objects without have none. Where it states none, nobody looked.
    """
    found = {model.name: model.symmetry for model in read_models(folder).values()}
    return found if any(symmetry != NO_SYMMETRY for symmetry in found.values()) else {}


def _category_rules(path: Path, name: str, common: Mapping[str, Any],
                    own: Mapping[str, Any], stated: Symmetry | None) -> ObjectRules:
    _check_keys(path, f'category {name!r}', own, _CATEGORY_RULES)
    rules = {**common, **own}
    for key, known in (('unit', UNITS), ('resting', RESTING), ('up', _AXES), ('frame', FRAMES)):
        if rules[key] not in known:
            raise ConfigurationError(f'{path}: {key} of {name!r} is {rules[key]!r}; it must be '
                                     f'one of {", ".join(known)}')
    known_category = category_named(name)
    # A CAD file's axes are not those in which the six categories have their symmetries.
    if rules['frame'] == 'cad':
        known_category = None
    symmetry = stated or (known_category.symmetry if known_category else NO_SYMMETRY)
    mirrors = known_category.mirrors if known_category else False
    if 'symmetry' in rules:
        symmetry = _symmetry(path, name, rules['symmetry'])
    category = Category(name, symmetry, mirrors=bool(rules.get('mirrors', mirrors)))
    if known_category is not None:
        category = Category(name, symmetry, known_category.color, category.mirrors)
    check_mirrors(path, category)
    return ObjectRules(category, UNITS[rules['unit']], _axes(path, name, rules),
                       str(rules['resting']), str(rules['frame']),
                       stated is not None or known_category is not None or 'symmetry' in rules)


def check_mirrors(path: Path, category: Category) -> None:
    """Check that the mirror images of a category's objects have the same symmetry.

    Otherwise one of two equal rotations would be taught as right and as wrong.

    Args:
        path: Of the rules, for messages.
        category: The category.

    Raises:
        ConfigurationError: If it has mirror images, and they have another symmetry.
    """
    symmetry = category.symmetry
    turns = _MIRROR @ symmetry.rotations @ _MIRROR
    off_axis = 0.0
    if symmetry.axis is not None:
        off_axis = float(np.linalg.norm(np.cross(symmetry.axis, _MIRROR @ symmetry.axis)))
    if category.mirrors and (off_axis > _SAME_TURN or any(
            symmetry.rotation_error(turn, np.eye(3)) > _SAME_TURN for turn in turns)):
        raise ConfigurationError(
            f'{path}: {category.name!r} has mirrors, but its mirror image in the x-y plane has '
            f'another symmetry than its own, {symmetry.as_plain()}; write "mirrors: no", or give '
            'a symmetry that is the same with +z and -z swapped')


def _axes(path: Path, name: str, rules: Mapping[str, Any]) -> npt.NDArray[np.float64]:
    """Return the rotation whose rows are the canonical axes in the files' coordinates."""
    up = rules['up']
    front = rules.get('front', 'z' if up in ('x', '-x') else 'x')
    if front not in _AXES or front[-1] == up[-1]:
        raise ConfigurationError(f'{path}: front of {name!r} is {front!r}; it must be one of '
                                 f'{", ".join(_AXES)}, and not along up ({up})')
    x, y = np.array(_AXES[front]), np.array(_AXES[up])
    return np.stack([x, y, np.cross(x, y)])


def _symmetry(path: Path, name: str, plain: Any) -> Symmetry:
    """Return the symmetry of {axis: y, discrete: [{about: x, fold: 2}]}."""
    plain = {} if plain in (None, 'none') else plain
    _check_keys(path, f'symmetry of {name!r}', plain, ('axis', 'discrete'))
    axis = plain.get('axis')
    turns = plain.get('discrete') or []
    turns = [turns] if isinstance(turns, Mapping) else turns
    is_turn = all(isinstance(turn, Mapping) and set(turn) == {'about', 'fold'}
                  and _unit_axis(turn['about']) and isinstance(turn['fold'], int)
                  and 2 <= turn['fold'] <= _LARGEST_FOLD for turn in turns)
    unit = _unit_axis(axis)
    if (axis is not None and unit is None) or not is_turn:
        raise ConfigurationError(
            f'{path}: symmetry of {name!r} is {plain}; axis must be x, y, z or three numbers, of '
            'the canonical frame (+y up, +x front) or, with frame: cad, of the file, discrete a '
            f'list such as [{{about: y, fold: 4}}] with fold from 2 to {_LARGEST_FOLD}')
    about = [(_unit_axis(turn['about']), turn['fold']) for turn in turns]
    generators = [axis_rotation(line, 2 * np.pi / fold) for line, fold in about if line]
    return Symmetry(unit, _closed(path, name, generators))


def _unit_axis(value: Any) -> tuple[float, float, float] | None:
    """Return the unit vector of 'x', 'y', 'z' or three numbers; None of anything else."""
    if value in ('x', 'y', 'z'):
        return _AXES[value]
    is_vector = (isinstance(value, Sequence) and len(value) == len(_AXES['x'])
                 and all(isinstance(number, int | float) for number in value))
    if not is_vector or not np.linalg.norm(value) > 0:
        return None
    x, y, z = (np.asarray(value) / np.linalg.norm(value)).tolist()
    return x, y, z


def _closed(path: Path, name: str, generators: Sequence[npt.NDArray[np.float64]]
            ) -> tuple[tuple[float, ...], ...]:
    """Return all products of rotations, less the identity, each as 9 numbers."""
    group = [np.eye(3)]
    for member in group:
        for generator in generators:
            product = member @ generator
            if not any(np.abs(product - other).max() < 1e-6 for other in group):
                group.append(product)
        if len(group) > _LARGEST_GROUP:
            raise ConfigurationError(f'{path}: the discrete symmetries of {name!r} generate more '
                                     f'than {_LARGEST_GROUP} rotations; give fewer, or an axis')
    return tuple(tuple(float(x) for x in np.round(rotation, 12).ravel()) for rotation in group[1:])


def _check_keys(path: Path, where: str, content: Any, known: Sequence[str]) -> None:
    if not isinstance(content, Mapping):
        raise ConfigurationError(f'{path}: {where} must be a mapping, it is {content!r}')
    unknown = sorted(map(str, content.keys() - set(known)))
    if unknown:
        raise ConfigurationError(f'{path}: {where} has the unknown entries {", ".join(unknown)}; '
                                 f'known are {", ".join(known)}')
