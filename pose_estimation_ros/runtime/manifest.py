"""What a model is, as written in its `model.yaml`."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Any

import yaml

from pose_estimation_ros.core.categories import category_named
from pose_estimation_ros.core.errors import InvalidInputError, ModelError
from pose_estimation_ros.core.pose_confidence import ConfidenceModel
from pose_estimation_ros.core.symmetry import NO_SYMMETRY, Symmetry

MANIFEST_NAME = 'model.yaml'
_READ_SIZE = 1 << 20
_SECTIONS = ('input', 'parameters', 'training', 'metrics', 'symmetries', 'confidence')
_ENTRIES: Mapping[str, type] = {
    **dict.fromkeys(('name', 'task', 'backend', 'size', 'licence'), str),
    'files': dict, 'categories': list, **dict.fromkeys(_SECTIONS, dict)}
_FILE_ENTRIES: Mapping[str, type] = {'path': str, 'sha256': str, 'bytes': int, 'url': str}
# What backends read without a check of their own.
_INPUT_ENTRIES: Mapping[str, type] = {'points': int, 'every': int, 'color': bool,
                                      'mirrors': list, 'mirrored_below': float}
_TYPE_NAMES: Mapping[type, str] = {str: 'a text', int: 'a whole number', float: 'a number',
                                   bool: 'true or false', list: 'a list', dict: 'a mapping'}


@dataclass(frozen=True)
class ModelFile:
    """One file of a model.

    Attributes:
        path: Path inside the model's folder, with forward slashes.
        sha256: Hash of its content, 64 hexadecimal digits in lower case.
        bytes: Its length.
        url: Where it can be fetched from if it is not part of the repository; '' = nowhere.
    """

    path: str
    sha256: str
    bytes: int
    url: str = ''

    @classmethod
    def of(cls, path: Path, folder: Path) -> ModelFile:
        """Describe an existing file of the model in `folder`."""
        return cls(path.relative_to(folder).as_posix(), file_sha256(path), path.stat().st_size)


@dataclass(frozen=True)
class ModelManifest:
    """Everything the run time must know of a model before it loads it.

    Attributes:
        name: Name of the model, which is that of its folder.
        task: What it does: 'segmentation' or 'pose'.
        backend: Which code runs it, such as 'maskrcnn' or 'spd'.
        size: 'lite' or 'full'.
        files: Its files by role, such as 'network' or 'priors'.
        categories: Labels in the order of the network's classes.
        input: What the network takes: sizes, channels, normalisation.
        parameters: Settings of the code that runs it.
        training: How it was made: data, seeds, duration, commit.
        metrics: What was measured of it.
        licence: SPDX identifier of the weights' licence.
        symmetries: By category, for categories beyond the six: `Symmetry.as_plain`.
        confidence: How its answers are judged: `ConfidenceModel.as_plain`, and how it was
            calibrated; empty = not calibrated.
    """

    name: str
    task: str
    backend: str
    size: str
    files: Mapping[str, ModelFile]
    categories: tuple[str, ...]
    input: Mapping[str, Any] = field(default_factory=dict)
    parameters: Mapping[str, Any] = field(default_factory=dict)
    training: Mapping[str, Any] = field(default_factory=dict)
    metrics: Mapping[str, Any] = field(default_factory=dict)
    licence: str = 'Apache-2.0'
    symmetries: Mapping[str, Any] = field(default_factory=dict)
    confidence: Mapping[str, Any] = field(default_factory=dict)

    def symmetry_of(self, label: str) -> Symmetry:
        """Return the symmetry of a category: the model's own word, else that of the six."""
        if label in self.symmetries:
            return Symmetry.from_plain(self.symmetries[label])
        known = category_named(label)
        return NO_SYMMETRY if known is None else known.symmetry

    def confidence_model(self) -> ConfidenceModel | None:
        """Return the calibration of the model's answers; None if there is none."""
        return ConfidenceModel.from_plain(self.confidence) if self.confidence else None


def file_sha256(path: Path) -> str:
    """Return the SHA-256 hash of a file as hexadecimal digits."""
    digest = hashlib.sha256()
    with path.open('rb') as file:
        while block := file.read(_READ_SIZE):
            digest.update(block)
    return digest.hexdigest()


def write_manifest(manifest: ModelManifest, folder: Path) -> Path:
    """Write `model.yaml` into the model's folder and return its path."""
    content = asdict(manifest)
    content['categories'] = list(manifest.categories)
    content['files'] = {
        role: {key: value for key, value in asdict(file).items() if value != ''}
        for role, file in manifest.files.items()}
    if not manifest.confidence:
        del content['confidence']
    path = folder / MANIFEST_NAME
    partial = path.with_name(f'{path.name}.part')
    partial.write_text(yaml.safe_dump(content, sort_keys=False, allow_unicode=True, width=99),
                       encoding='utf-8')
    partial.replace(path)
    return path


def read_manifest(path: Path) -> ModelManifest:
    """Read a `model.yaml`.

    Raises:
        ModelError: If it is missing, is not YAML, or an entry is missing, misnamed or of another
            type than it must be.
    """
    try:
        content = yaml.safe_load(path.read_text(encoding='utf-8'))
    except OSError as error:
        raise ModelError(f'model manifest {path} cannot be read ({error.strerror}); '
                         'give the folder of a model') from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ModelError(f'model manifest {path} is not valid YAML: {error}; '
                         'restore it from the repository') from error
    if not isinstance(content, dict):
        raise ModelError(f'model manifest {path} holds {type(content).__name__} instead of a '
                         'mapping; restore it from the repository')
    _check_keys(path, content)
    files = {role: _model_file(path, role, entry) for role, entry in content['files'].items()}
    return ModelManifest(**{**content, 'files': files,
                            'categories': tuple(content['categories'])})


def _check_keys(path: Path, content: dict[str, Any]) -> None:
    known = {entry.name for entry in fields(ModelManifest)}
    required = {'name', 'task', 'backend', 'size', 'files', 'categories'}
    missing = sorted(required - content.keys())
    unknown = sorted(map(str, content.keys() - known))
    if missing:
        raise ModelError(f'model manifest {path} lacks {", ".join(missing)}; add it')
    if unknown:
        raise ModelError(f'model manifest {path} has the unknown entries {", ".join(unknown)}; '
                         f'known are {", ".join(sorted(known))}')
    where = f'model manifest {path}'
    _check_types(where, content, _ENTRIES)
    _check_types(f'{where}, input', content.get('input', {}), _INPUT_ENTRIES)
    for label in content['categories']:
        _check_type(f'{where}: a category', label, str)
    _check_symmetries(path, content)
    _check_confidence(path, content)


def _check_types(where: str, content: Mapping[str, Any], types: Mapping[str, type]) -> None:
    """Check the type of each entry that is there.

    Raises:
        ModelError: If one has another type.
    """
    for name, wanted in types.items():
        if name in content:
            _check_type(f'{where}: {name}', content[name], wanted)


def _check_type(what: str, value: object, wanted: type) -> None:
    # A whole number is a number; true is neither, though Python counts it as 1.
    if type(value) is not wanted and (type(value), wanted) != (int, float):
        raise ModelError(f'{what} must be {_TYPE_NAMES[wanted]}, it is {value!r}; correct it, or '
                         'restore the manifest from where it comes from')


def _check_symmetries(path: Path, content: dict[str, Any]) -> None:
    symmetries = content.get('symmetries', {})
    if not set(symmetries) <= set(content['categories']):
        raise ModelError(f'model manifest {path}: symmetries must be a mapping from some of '
                         f'{content["categories"]} to their symmetry, it is {symmetries}')
    for label, plain in symmetries.items():
        _check_symmetry(path, label, plain)


def _check_symmetry(path: Path, label: str, plain: Any) -> None:
    try:
        Symmetry.from_plain(plain)
    except InvalidInputError as error:
        raise ModelError(f'model manifest {path}, symmetry of {label!r}: {error}') from error


def _check_confidence(path: Path, content: dict[str, Any]) -> None:
    plain = content.get('confidence', {})
    try:
        if plain:
            ConfidenceModel.from_plain(plain)
    except InvalidInputError as error:
        raise ModelError(f'model manifest {path}: {error}; remove the entry confidence, and '
                         'calibrate the model anew with pose-estimation models calibrate') from (
                             error)


def _model_file(path: Path, role: str, entry: Any) -> ModelFile:
    try:
        file = ModelFile(**entry)
    except TypeError as error:
        raise ModelError(f'model manifest {path}: the file {role!r} must have path, sha256 and '
                         f'bytes, got {entry}') from error
    _check_types(f'model manifest {path}, file {role!r}', entry, _FILE_ENTRIES)
    inside = Path(file.path)
    if inside.is_absolute() or '..' in inside.parts:
        raise ModelError(f'model manifest {path}: the file {role!r} has the path {file.path!r}, '
                         'which leaves the model folder; use a path inside it')
    if not re.fullmatch('[0-9a-fA-F]{64}', file.sha256):
        raise ModelError(f'model manifest {path}: the file {role!r} has the sha256 '
                         f'{file.sha256!r}, which is not 64 hexadecimal digits; give what '
                         'sha256sum prints for the file')
    return replace(file, sha256=file.sha256.lower())
