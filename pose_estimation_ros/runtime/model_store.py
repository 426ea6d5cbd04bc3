"""Where models lie, and whether their files are whole."""

from __future__ import annotations

import importlib.util
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from pose_estimation_ros.core.errors import ModelError
from pose_estimation_ros.runtime.manifest import (
    MANIFEST_NAME,
    ModelFile,
    ModelManifest,
    file_sha256,
    read_manifest,
)

PACKAGE = 'pose_estimation_ros'
MODELS_VARIABLE = 'POSE_ESTIMATION_MODELS'


@dataclass(frozen=True)
class Model:
    """A model that was found.

    Attributes:
        manifest: What it is.
        folder: Where its files lie.
    """

    manifest: ModelManifest
    folder: Path

    def file(self, role: str) -> Path:
        """Return the verified path of one of the model's files.

        Args:
            role: Its name in the manifest, such as 'network'.

        Raises:
            ModelError: If the file is not in the manifest, missing, cut short or altered.
        """
        entry = self.manifest.files.get(role)
        if entry is None:
            raise ModelError(f'model {self.manifest.name!r} has no file {role!r}; its manifest '
                             f'lists {", ".join(self.manifest.files) or "none"}')
        path = self.folder / entry.path
        fault = self._fault(path, entry)
        if fault:
            cure = (f'fetch it with: pose-estimation models fetch {self.folder.name}' if entry.url
                    else 'restore it from the repository, or import it again')
            raise ModelError(f'model {self.manifest.name!r} is refused: {path} {fault}; {cure}')
        return path

    @staticmethod
    def _fault(path: Path, entry: ModelFile) -> str:
        """Return what is wrong with a file, '' if nothing."""
        if not path.is_file():
            return 'is missing'
        length = path.stat().st_size
        if length != entry.bytes:
            return f'has {length} bytes instead of {entry.bytes}, it was cut short or replaced'
        digest = file_sha256(path)
        if digest != entry.sha256:
            return (f'has the SHA-256 {digest[:12]}… instead of {entry.sha256[:12]}…, its '
                    'content was altered')
        return ''


class ModelStore:
    """Finds models by name or path."""

    def __init__(self, folders: Sequence[Path] | None = None) -> None:
        """Make a store.

        Args:
            folders: Folders that hold model folders, first one wins; None means
                `default_folders()`.
        """
        self.folders = tuple(default_folders() if folders is None else folders)

    def find(self, name: str | Path, task: str | None = None) -> Model:
        """Return a model.

        Args:
            name: Name of a model in one of the store's folders, or the path of a model's folder
                or of its `model.yaml`.
            task: The task it must be made for, if given.

        Raises:
            ModelError: If there is no such model or it is made for another task. The message
                lists the known ones. Also if the path names a home folder that is none.
        """
        folder = self._folder(name)
        if folder is None:
            searched = ', '.join(str(folder) for folder in self.folders)
            raise ModelError(f'unknown model {str(name)!r}; known are '
                             f'{", ".join(self.names(task)) or "none"} (searched in {searched})')
        model = Model(read_manifest(folder / MANIFEST_NAME), folder)
        if task is not None and model.manifest.task != task:
            raise ModelError(f'model {str(name)!r} is made for {model.manifest.task}, not for '
                             f'{task}; models for {task}: '
                             f'{", ".join(self.names(task)) or "none"}')
        return model

    def models(self) -> Iterator[Model]:
        """Yield every model once, by folder and name.

        Raises:
            ModelError: If a manifest is damaged.
        """
        for folder in self.model_folders():
            yield Model(read_manifest(folder / MANIFEST_NAME), folder)

    def model_folders(self) -> Iterator[Path]:
        """Yield the folder of every model once, by the store's folder and by name."""
        seen: set[str] = set()
        for folder in self.folders:
            for path in sorted(folder.glob(f'*/{MANIFEST_NAME}')):
                name = path.parent.name
                if name not in seen:
                    seen.add(name)
                    yield path.parent

    def names(self, task: str | None = None) -> list[str]:
        """Return the names of the models for a task, or of all.

        Raises:
            ModelError: If a task is given and a manifest is damaged.
        """
        if task is None:
            return sorted(folder.name for folder in self.model_folders())
        return sorted(model.folder.name for model in self.models()
                      if model.manifest.task == task)

    def _folder(self, name: str | Path) -> Path | None:
        """Return the folder of a model by name or path, None if there is none."""
        path = expand_home(name)
        if path.name == MANIFEST_NAME:
            path = path.parent
        candidates = [path]
        if not path.is_absolute() and len(path.parts) == 1:
            # A bare name means the store's model even where a folder of that name lies about.
            candidates = [folder / path for folder in self.folders] + candidates
        return next((c for c in candidates if (c / MANIFEST_NAME).is_file()), None)


def default_folders() -> list[Path]:
    """Return where models are looked for, best place first.

    $POSE_ESTIMATION_MODELS (several are separated as in $PATH), the package's share folder in
    the ament index, the folder beside the package in a source tree, the share folder of a pip
    installation, and the user's cache; a user without a home folder has none.

    Raises:
        ModelError: If the variable names a home folder that is none.
    """
    given = os.environ.get(MODELS_VARIABLE, '')
    folders = [expand_home(part) for part in given.split(os.pathsep) if part]
    folders += _ament_share_folders()
    folders.append(Path(__file__).resolve().parents[2] / 'models')
    folders.append(Path(sys.prefix) / 'share' / PACKAGE / 'models')
    with suppress(ModelError):
        folders.append(cache_folder())
    return list(dict.fromkeys(folders))


def cache_folder() -> Path:
    """Return the folder that fetched and imported models are put in.

    Raises:
        ModelError: If the user has no home folder and $XDG_CACHE_HOME is not set.
    """
    base = os.environ.get('XDG_CACHE_HOME', '')
    return (Path(base) if base else expand_home('~/.cache')) / PACKAGE / 'models'


def expand_home(path: str | Path) -> Path:
    """Return a path with the home folder in the place of a `~` or `~user` at its beginning.

    Raises:
        ModelError: If there is no such home folder.
    """
    try:
        return Path(path).expanduser()
    except RuntimeError as error:
        raise ModelError(f'{path} begins with a home folder that nobody has; set HOME, or give '
                         'the whole path') from error


def _ament_share_folders() -> list[Path]:
    if importlib.util.find_spec('ament_index_python') is None:
        return []
    from ament_index_python.packages import get_package_share_directory

    try:
        return [Path(get_package_share_directory(PACKAGE)) / 'models']
    except (LookupError, OSError):  # not installed there, or no ROS environment is set up
        return []
