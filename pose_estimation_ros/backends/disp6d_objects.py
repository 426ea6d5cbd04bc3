"""The folder of known objects, which may change while it is in use."""

from __future__ import annotations

import os
import threading
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType

from pose_estimation_ros.backends.depth_refinement import ModelSurface
from pose_estimation_ros.backends.disp6d_codebook import CodeTable
from pose_estimation_ros.backends.disp6d_object_file import (
    SUFFIX,
    KnownObject,
    check_encoder,
    read_object,
)
from pose_estimation_ros.core.errors import ModelError
from pose_estimation_ros.runtime.model_store import PACKAGE, expand_home

OBJECTS_VARIABLE = 'POSE_ESTIMATION_OBJECTS'

_Stamp = tuple[int, int, int]


@dataclass(frozen=True, eq=False)
class LoadedObject:
    """An object that is ready to be recognised.

    Attributes:
        known: What its file holds.
        table: Its codes.
        surface: What is fitted to depth images.
    """

    known: KnownObject
    table: CodeTable
    surface: ModelSurface


@dataclass(frozen=True, eq=False)
class ObjectSet:
    """What a folder holds at one time.

    Attributes:
        objects: By name.
        refused: By name, why a file is not used.
    """

    objects: Mapping[str, LoadedObject]
    refused: Mapping[str, str]

    @property
    def labels(self) -> tuple[str, ...]:
        """Labels of detections that may be one of the objects."""
        return tuple(dict.fromkeys(label for entry in self.objects.values()
                                   for label in entry.known.identity.detected_as))

    def candidates(self, label: str) -> list[LoadedObject]:
        """Return the objects that a detection with that label may be."""
        return [entry for entry in self.objects.values()
                if label in entry.known.identity.detected_as]


class ObjectFolder:
    """Watches the files of objects and loads what has changed.

    A file that cannot be used is told and changes nothing: what it is to replace stays until the
    file is whole. Nor does a folder that cannot be read. `present` may be read by any thread, and
    is one state at a time.
    """

    def __init__(self, folder: Path, encoder: str, model: str) -> None:
        """Load the objects that are there.

        Args:
            folder: Of the files; need not be there yet.
            encoder: That codes must be of.
            model: Name of its model, for messages.
        """
        self.folder = folder
        self._encoder = encoder
        self._model = model
        self._lock = threading.Lock()
        self._stamps: dict[Path, _Stamp] = {}
        self.present = ObjectSet({}, {})
        self.refresh()

    def refresh(self) -> ObjectSet:
        """Look at the folder, load what is new and forget what is gone."""
        with self._lock:
            try:
                stamps = self._files()
            except OSError as error:
                # It may be a disk that is away for a moment: nothing is forgotten.
                reason = f'{self.folder} cannot be read ({error.strerror or error}); make it so'
                self.present = replace(self.present, refused={self.folder.name: reason})
                # No file has this stamp, so whatever is there next is looked at anew.
                self._stamps = {self.folder: (0, 0, 0)}
                return self.present
            if stamps != self._stamps:
                self.present = self._loaded(stamps)
                self._stamps = stamps
            return self.present

    def _files(self) -> dict[Path, _Stamp]:
        try:
            with os.scandir(self.folder) as entries:
                found = [entry for entry in entries
                         if entry.name.endswith(SUFFIX) and not entry.name.startswith('.')]
        except (FileNotFoundError, NotADirectoryError):
            return {}
        stamps = {}
        for entry in sorted(found, key=lambda entry: entry.name):
            try:
                status = entry.stat()
            except OSError:  # Removed meanwhile, or a link to nothing.
                continue
            stamps[Path(entry.path)] = (status.st_ino, status.st_mtime_ns, status.st_size)
        return stamps

    def _loaded(self, stamps: Mapping[Path, _Stamp]) -> ObjectSet:
        objects, refused = {}, {}
        for path, stamp in stamps.items():
            name = path.stem
            unchanged = self._stamps.get(path) == stamp
            if name in self.present.objects:
                objects[name] = self.present.objects[name]
            if unchanged and name in self.present.refused:
                refused[name] = self.present.refused[name]
            if unchanged:
                continue
            try:
                objects[name] = self._load(path)
            except ModelError as error:
                refused[name] = str(error)
        return ObjectSet(MappingProxyType(objects), MappingProxyType(refused))

    def _load(self, path: Path) -> LoadedObject:
        known = read_object(path)
        check_encoder(known, self._encoder, self._model)
        return LoadedObject(known, CodeTable(known.codes), ModelSurface.of(known.mesh))


def default_objects_folder(model: str) -> Path:
    """Return where the objects of a model are kept.

    In $POSE_ESTIMATION_OBJECTS, else in the user's data folder; each model has a folder there.

    Args:
        model: Its name.

    Raises:
        ModelError: If the user has no home folder and neither that nor $XDG_DATA_HOME is set.
    """
    if given := os.environ.get(OBJECTS_VARIABLE, ''):
        return expand_home(given) / model
    base = os.environ.get('XDG_DATA_HOME', '')
    return (Path(base) if base else expand_home('~/.local/share')) / PACKAGE / 'objects' / model
