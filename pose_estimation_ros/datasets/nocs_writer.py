"""Writing data sets in the NOCS layout, by several processes and resumable by folder."""

from __future__ import annotations

import io
import re
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pose_estimation_ros.core.categories import CATEGORIES, Category
from pose_estimation_ros.core.errors import ConfigurationError, InvalidInputError
from pose_estimation_ros.datasets.atomic_files import publish, temporary_name, write_atomically
from pose_estimation_ros.datasets.nocs_layout import MUG, NocsLayout, Subset, categories_text
from pose_estimation_ros.datasets.nocs_models import (
    MODEL_POINTS,
    UNCHANGED,
    Recentring,
    mug_recentring,
    read_mug_recentrings,
)
from pose_estimation_ros.datasets.nocs_pickles import read_pickle, write_pickle
from pose_estimation_ros.datasets.nocs_scene_writer import NocsSceneWriter

IMAGES_PER_FOLDER = 10
# Coordinates are at most half a diagonal of the box, 0.5.
_LARGEST_COORDINATE = 0.51
_NAME = re.compile(r'[^\s/]+')


class NocsWriter:
    """Writes a subset of a data set in the NOCS layout.

    CAMERA subsets keep depth in two channels of 8 bits, REAL subsets in one of 16, each as
    published. Folders hold ten frames (`IMAGES_PER_FOLDER`) in CAMERA, any number in REAL. Labels
    and models are in the frames of the SPD family, so its published code can train on them;
    `NocsDataset` returns what was written.

    Processes share nothing but the folder. Each calls `add_model` for what it needs (a model that
    is there is not written again) and writes whole folders; one calls `finish` at the end:

        writer = NocsWriter(root, 'camera_train')
        writer.add_model('mug_a', 'mug', points)
        if not writer.is_written(0):
            with writer.scene(0) as scene:
                scene.write(frame)
        writer.finish()
    """

    def __init__(self, root: Path, subset: Subset,
                 categories: Sequence[Category] = CATEGORIES) -> None:
        """Prepare to write.

        Args:
            root: Folder of the data set; made if needed.
            subset: Which of the four.
            categories: By class id, from 1; others than the six of NOCS are described in a
                `categories.json`.

        Raises:
            ConfigurationError: If the subset is unknown, or the folder has other categories.
        """
        self._layout = NocsLayout(root, subset)
        self._categories = tuple(categories)
        self._models = _WrittenModels(root / 'obj_models' / f'{subset}_points')
        text = categories_text(self._categories).encode()
        path = self._layout.categories_file
        if path.is_file() and path.read_bytes() != text:
            raise ConfigurationError(f'{path} describes other categories than '
                                     f'{", ".join(c.name for c in self._categories)}; write into '
                                     'another folder')
        if not path.is_file() and self._categories != CATEGORIES:
            write_atomically(path, text)

    def add_model(self, name: str, category: str, points: NDArray[np.floating]) -> None:
        """Write a model unless it is there.

        Args:
            name: As in `ObjectAnnotation.model`.
            category: Of the model.
            points: (1024, 3) surface points, NOCS coordinates: relative to the centre of the
                box, divided by its diagonal.

        Raises:
            InvalidInputError: If the name cannot stand in a list of objects, the category is
                unknown, or the points are no NOCS coordinates.
        """
        if not _NAME.fullmatch(name):
            raise InvalidInputError(f'model name {name!r} must have neither blanks nor slashes')
        if category not in {known.name for known in self._categories}:
            raise InvalidInputError(f'model {name!r} has the unknown category {category!r}; give '
                                    'the writer all categories')
        largest = float(np.abs(points).max(initial=0.0))
        if points.shape != (MODEL_POINTS, 3) or not largest <= _LARGEST_COORDINATE:
            raise InvalidInputError(
                f'model {name!r} must be ({MODEL_POINTS}, 3) NOCS coordinates within ±0.5, it is '
                f'{points.shape} within ±{largest:.4g}; subtract the centre of the box and divide '
                'by its diagonal')
        self._models.add(name, category, np.asarray(points, dtype=np.float32))

    def is_written(self, number: int) -> bool:
        """Tell whether a folder is there, whole."""
        return self._layout.scene_folder(number).is_dir()

    @contextmanager
    def scene(self, number: int) -> Iterator[NocsSceneWriter]:
        """Open a folder; it appears under its name when the block ends without an error.

        Raises:
            InvalidInputError: If the folder is there already.
        """
        folder = self._layout.scene_folder(number)
        if folder.is_dir():
            raise InvalidInputError(f'{folder} is written already; ask is_written first, or '
                                    'delete it')
        partial = temporary_name(folder)
        try:
            writer = NocsSceneWriter(partial, folder.name, self._layout, self._categories,
                                     self._models)
            yield writer
            writer.close()
            publish(partial, folder)
        finally:
            shutil.rmtree(partial, ignore_errors=True)

    def finish(self) -> None:
        """Write the lists and the models' pickles; call it once, when all folders are written.

        Frames without a labelled object are in `<split>_list_all.txt` only. What interrupted
        processes left is removed.

        Raises:
            InvalidInputError: If no frame was written.
        """
        for partial in (self._layout.source / self._layout.split).glob('.*.partial'):
            shutil.rmtree(partial)
        self._models.write_pickles(self._layout)
        names = self._layout.complete_frames()
        if not names:
            raise InvalidInputError(f'{self._layout.source / self._layout.split} has no frame; '
                                    'write one before finish')
        labelled = [name for name in names
                    if read_pickle(self._layout.file(name, 'label.pkl'))['instance_ids']]
        complete = self._layout.list_file.with_name(f'{self._layout.split}_list_all.txt')
        write_atomically(complete, _lines(names))
        write_atomically(self._layout.list_file, _lines(labelled))


class _WrittenModels:
    """The models of a data set that is being written, one file each."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._known: dict[str, tuple[NDArray[np.float32], Recentring]] = {}

    def add(self, name: str, category: str, points: NDArray[np.float32]) -> None:
        change = mug_recentring(name, points.astype(np.float64)) if category == MUG else UNCHANGED
        moved = np.asarray(change.points(points), dtype=np.float32)
        self._known[name] = moved, change
        path = self._folder / f'{name}.npz'
        if not path.is_file():
            content = io.BytesIO()
            np.savez(content, points=moved, is_mug=category == MUG, shift=change.shift,
                     scale=change.scale)
            write_atomically(path, content.getvalue())

    def recentring(self, model: str, category: str) -> Recentring:  # noqa: ARG002
        return self._model(model)[1]

    def points(self, model: str) -> NDArray[np.float32]:
        return self._model(model)[0]

    def _model(self, name: str) -> tuple[NDArray[np.float32], Recentring]:
        if name not in self._known:
            raise InvalidInputError(f'the model {name!r} is not known; call add_model for it '
                                    f'first ({len(self._known)} others are known)')
        return self._known[name]

    def write_pickles(self, layout: NocsLayout) -> None:
        points = {}
        mugs = (read_mug_recentrings(layout.mug_file) if layout.mug_file.is_file() else {})
        for path in sorted(self._folder.glob('*.npz')):
            with np.load(path) as model:
                points[path.stem] = model['points']
                if model['is_mug']:
                    mugs[path.stem] = Recentring(model['shift'], float(model['scale']))
        write_pickle(layout.points_file, points)
        write_pickle(layout.mug_file, {name: [change.shift, change.scale]
                                       for name, change in mugs.items()})


def _lines(names: Sequence[str]) -> bytes:
    return ''.join(f'{name}\n' for name in names).encode()
