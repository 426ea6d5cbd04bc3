"""Where the files of PASCAL3D+ and ObjectNet3D lie.

Source: the released PASCAL3D+ 1.1 and ObjectNet3D, and the devkit of PASCAL VOC 2012 inside the
former.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from pose_estimation_ros.core.errors import InvalidInputError
from pose_estimation_ros.datasets.mesh_files import MeshData, read_mesh

_IMAGE_SUFFIXES = ('.JPEG', '.jpg', '.png')
_VOC_LISTS = Path('PASCAL', 'VOCdevkit', 'VOC2012', 'ImageSets', 'Main')


@dataclass(frozen=True)
class AnnotatedImage:
    """The files of one image.

    Attributes:
        name: Unique within the data set.
        image: Without its suffix, which differs between the sources.
        annotation: Its `.mat` file.
        categories: Classes to take from the annotation.
    """

    name: str
    image: Path
    annotation: Path
    categories: frozenset[str]

    def image_file(self) -> Path:
        """Return the path of the image.

        Raises:
            InvalidInputError: If there is none.
        """
        for suffix in _IMAGE_SUFFIXES:
            # Names contain dots, so that with_suffix would cut them.
            path = self.image.with_name(self.image.name + suffix)
            if path.is_file():
                return path
        raise InvalidInputError(f'{self.image} ({", ".join(_IMAGE_SUFFIXES)}) is missing; unpack '
                                'the images of the data set')


class CadModels:
    """The CAD models of a data set; object frame = their own, units = their own."""

    def __init__(self, folder: Path) -> None:
        """Take the folder with a folder of `01.off`, `02.off`, ... for each class.

        Raises:
            InvalidInputError: If it is missing.
        """
        if not folder.is_dir():
            raise InvalidInputError(f'{folder} is missing; unpack the CAD models of the data set, '
                                    'the sizes of objects come from them')
        self.folder = folder
        self._sizes: dict[Path, NDArray[np.float64]] = {}

    def path(self, category: str, cad_index: int) -> Path:
        """Return the file of a model, counted from 1."""
        return self.folder / category / f'{cad_index:02d}.off'

    def indices(self, category: str) -> tuple[int, ...]:
        """Return the numbers of the models of a class."""
        return tuple(sorted(int(path.stem) for path in (self.folder / category).glob('*.off')
                            if path.stem.isdigit()))

    def read(self, category: str, cad_index: int) -> MeshData:
        """Read a model.

        Raises:
            InvalidInputError: If there is none with this number, or the file is damaged.
        """
        path = self.path(category, cad_index)
        if not path.is_file():
            raise InvalidInputError(
                f'{path} is missing: class {category!r} has the models '
                f'{list(self.indices(category))}; unpack all CAD models or correct cad_index')
        return read_mesh(path, unit=1.0)

    def size(self, category: str, cad_index: int) -> NDArray[np.float64]:
        """Return the (3,) extent of a model, read once."""
        path = self.path(category, cad_index)
        if path not in self._sizes:
            self._sizes[path] = self.read(category, cad_index).size
        return self._sizes[path]


class Pascal3dLayout(Protocol):
    """One of the two layouts."""

    root: Path
    title: str

    @property
    def cad_folder(self) -> Path:
        """Folder of the classes' CAD models."""

    @property
    def categories(self) -> tuple[str, ...]:
        """Classes that are there."""

    @property
    def splits(self) -> tuple[str, ...]:
        """Splits that are there."""

    def images(self, split: str, categories: Sequence[str]) -> list[AnnotatedImage]:
        """Return the images of a split that may show one of the classes."""


@dataclass(frozen=True)
class Pascal3dPlus:
    """PASCAL3D+: splits 'imagenet_train', 'imagenet_val', 'pascal_train', 'pascal_val'.

    An image is listed once for each of its classes, as the protocol judges classes apart.
    """

    root: Path
    title: str = 'PASCAL3D+'

    @property
    def cad_folder(self) -> Path:
        """Folder of the classes' CAD models."""
        return self.root / 'CAD'

    @cached_property
    def categories(self) -> tuple[str, ...]:
        """Classes that have annotations."""
        return tuple(sorted({path.name.rpartition('_')[0]
                             for path in (self.root / 'Annotations').glob('*_*')}))

    @property
    def splits(self) -> tuple[str, ...]:
        """Splits that have a list of images."""
        found = {'_'.join(path.stem.rsplit('_', 2)[1:])
                 for path in (self.root / 'Image_sets').glob('*_*_*.txt')}
        found |= {f'pascal_{name}' for name in ('train', 'val')
                  if (self.root / _VOC_LISTS / f'{name}.txt').is_file()}
        return tuple(sorted(found))

    def images(self, split: str, categories: Sequence[str]) -> list[AnnotatedImage]:
        """Return the images of a split that show one of the classes.

        Raises:
            InvalidInputError: If there is no list of this split for a class.
        """
        source = split.partition('_')[0]
        found = []
        for category in categories:
            folder = f'{category}_{source}'
            annotations = self.root / 'Annotations' / folder
            names = self._names(category, split)
            if source == 'pascal':
                # The lists of VOC name the images of all classes.
                names = [name for name in names if (annotations / f'{name}.mat').is_file()]
            found += [AnnotatedImage(f'{folder}/{name}', self.root / 'Images' / folder / name,
                                     annotations / f'{name}.mat', frozenset({category}))
                      for name in names]
        return found

    def _names(self, category: str, split: str) -> list[str]:
        own = self.root / 'Image_sets' / f'{category}_{split}.txt'
        source, _, subset = split.partition('_')
        of_voc = self.root / _VOC_LISTS / f'{subset}.txt'
        return read_list(of_voc if source == 'pascal' and not own.is_file() else own)


@dataclass(frozen=True)
class ObjectNet3d:
    """ObjectNet3D: splits 'train', 'val', 'test'; an image is listed once."""

    root: Path
    title: str = 'ObjectNet3D'

    @property
    def cad_folder(self) -> Path:
        """Folder of the classes' CAD models."""
        return self.root / 'CAD' / 'off'

    @cached_property
    def categories(self) -> tuple[str, ...]:
        """Classes that have CAD models."""
        return tuple(sorted(path.name for path in self.cad_folder.glob('*') if path.is_dir()))

    @property
    def splits(self) -> tuple[str, ...]:
        """Splits that have a list of images."""
        return tuple(sorted(path.stem for path in (self.root / 'Image_sets').glob('*.txt')))

    def images(self, split: str, categories: Sequence[str]) -> list[AnnotatedImage]:
        """Return the images of a split, whatever they show.

        Raises:
            InvalidInputError: If there is no list of this split.
        """
        return [AnnotatedImage(name, self.root / 'Images' / name,
                               self.root / 'Annotations' / f'{name}.mat', frozenset(categories))
                for name in read_list(self.root / 'Image_sets' / f'{split}.txt')]


def find_layout(root: Path) -> Pascal3dLayout:
    """Tell which of the two layouts a folder has.

    Raises:
        InvalidInputError: If it has neither.
    """
    annotations = root / 'Annotations'
    if annotations.is_dir() and (root / 'Images').is_dir():
        if any(annotations.glob('*_imagenet')) or any(annotations.glob('*_pascal')):
            return Pascal3dPlus(root)
        if next(annotations.glob('*.mat'), None) is not None:
            return ObjectNet3d(root)
    raise InvalidInputError(
        f'{root} is neither PASCAL3D+ (Annotations/<class>_imagenet/*.mat, Images/, CAD/) nor '
        'ObjectNet3D (Annotations/*.mat, Images/, CAD/off/); give the unpacked folder')


def read_list(path: Path) -> list[str]:
    """Return the first word of each line, without the suffix of an image.

    Raises:
        InvalidInputError: If the file is missing.
    """
    if not path.is_file():
        there = sorted(other.name for other in path.parent.glob('*.txt'))[:8]
        raise InvalidInputError(f'{path} is missing, the list of the images; beside it are '
                                f'{", ".join(there) or "none"}: choose another split or unpack '
                                'the image sets')
    words = [line.split()[0] for line in path.read_text(encoding='utf-8').splitlines()
             if line.strip()]
    return [next((word.removesuffix(suffix) for suffix in _IMAGE_SUFFIXES
                  if word.endswith(suffix)), word) for word in words]
