"""OccludedPASCAL3D+: photographs of PASCAL3D+ with things pasted over the object.

Source: Wang et al., Robust Object Detection under Occlusion with Context-Aware CompositionalNets,
CVPR 2020, and the description of the released files (github.com/Angtian/OccludedPASCAL3D).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from pose_estimation_ros.core.errors import InvalidInputError
from pose_estimation_ros.datasets.annotated_frame import AnnotatedFrame
from pose_estimation_ros.datasets.pascal3d import read_frame
from pose_estimation_ros.datasets.pascal3d_layout import (
    AnnotatedImage,
    CadModels,
    Pascal3dPlus,
    find_layout,
    read_list,
)
from pose_estimation_ros.datasets.pascal3d_record import Pascal3dRecord, read_record

# The papers' L1, L2 and L3 are 20-40, 40-60 and 60-80 % of the object covered.
_LEVELS = {'L1': 'FGL1_BGL1', 'L2': 'FGL2_BGL2', 'L3': 'FGL3_BGL3'}
_LEVEL_NAME = re.compile(r'FGL\d_BGL\d')


class OccludedPascal3dDataset:
    """One level of OccludedPASCAL3D+; implements `AnnotatedDataset`.

    Poses come from PASCAL3D+, masks from here: the instance map shows what is visible of the
    first object of the annotation, the only one in the released images.
    """

    def __init__(self, root: Path, level: str, pascal3d_root: Path,
                 categories: Sequence[str] = ()) -> None:
        """Find the images.

        Args:
            root: Folder with `images/`, `annotations/` and `lists/`.
            level: 'L1', 'L2', 'L3', or one of the nine such as 'FGL2_BGL3'.
            pascal3d_root: The unpacked PASCAL3D+.
            categories: Classes to read; none = all that are there.

        Raises:
            InvalidInputError: If a folder or list is missing or there is no such level.
        """
        root = Path(root)
        self.level = _LEVELS.get(level, level)
        there = list_levels(root)
        if self.level not in there:
            raise InvalidInputError(f'{root} has no level {level!r}; it has '
                                    f'{", ".join(there) or "none"}: choose one of them, or L1, '
                                    'L2, L3 for FGL1_BGL1, FGL2_BGL2, FGL3_BGL3')
        layout = find_layout(Path(pascal3d_root))
        if not isinstance(layout, Pascal3dPlus):
            raise InvalidInputError(f'{pascal3d_root} is {layout.title}; give PASCAL3D+, where '
                                    'the poses are')
        self.categories = tuple(categories) or list_categories(root, self.level)
        self.cad_models = CadModels(layout.cad_folder)
        self._images: list[AnnotatedImage] = []
        self._masks: list[Path] = []
        for category in self.categories:
            folder = f'{category}{self.level}'
            for name in read_list(root / 'lists' / f'{folder}.txt'):
                annotation = (layout.root / 'Annotations' / f'{category}_imagenet'
                              / f'{name}.mat')
                self._images.append(AnnotatedImage(
                    f'{folder}/{name}', root / 'images' / folder / name, annotation,
                    frozenset({category})))
                self._masks.append(root / 'annotations' / folder / f'{name}.npz')

    @property
    def name(self) -> str:
        """Name for tables, such as 'OccludedPASCAL3D+-FGL1_BGL1'."""
        return f'OccludedPASCAL3D+-{self.level}'

    def __len__(self) -> int:
        """Return the number of frames, those without a usable object included."""
        return len(self._images)

    def __getitem__(self, index: int) -> AnnotatedFrame:
        """Read a frame.

        Raises:
            InvalidInputError: If a file of it is missing or wrong; names path and cure.
            IndexError: Past the end.
        """
        frame = read_frame(self._images[index], self.record(index), self.cad_models,
                           stamp_ns=index * 1_000_000_000)
        whole, visible = _read_masks(self._masks[index], frame.frame.rgb.shape[:2])
        share = np.count_nonzero(visible) / max(np.count_nonzero(whole), 1)
        objects = tuple(replace(item, visibility=share) if item.instance_id == 1 else item
                        for item in frame.objects)
        return replace(frame, objects=objects, instance_map=visible.astype(np.int32))

    def __iter__(self) -> Iterator[AnnotatedFrame]:
        """Read all frames in order."""
        return (self[index] for index in range(len(self)))

    def record(self, index: int) -> Pascal3dRecord:
        """Read the annotation of a frame without its image.

        Raises:
            InvalidInputError: If the file is missing or damaged.
        """
        return read_record(self._images[index].annotation, self._images[index].categories)


def list_levels(root: Path) -> tuple[str, ...]:
    """Return the levels that a folder of OccludedPASCAL3D+ has lists of."""
    found = (_LEVEL_NAME.search(path.stem) for path in (Path(root) / 'lists').glob('*FGL*.txt'))
    return tuple(sorted({match.group() for match in found if match}))


def list_categories(root: Path, level: str) -> tuple[str, ...]:
    """Return the classes that a level has lists of."""
    return tuple(sorted(path.stem.removesuffix(level)
                        for path in (Path(root) / 'lists').glob(f'*{level}.txt')))


def _read_masks(path: Path, shape: tuple[int, int]) -> tuple[NDArray[np.bool_],
                                                             NDArray[np.bool_]]:
    """Return (H, W) masks: of the whole object, and of what nothing covers."""
    try:
        # Arrays of objects in the file (boxes of the occluders) are not touched: no pickles.
        with np.load(path, allow_pickle=False) as content:
            whole, cover = (np.asarray(content[name]) for name in ('mask', 'occluder_mask'))
    except (OSError, ValueError, KeyError, BadZipFile) as error:
        raise InvalidInputError(f'cannot use {path} ({error}); it needs the arrays mask and '
                                'occluder_mask: unpack the annotations of OccludedPASCAL3D+'
                                ) from error
    if whole.shape != shape or cover.shape != shape:
        raise InvalidInputError(f'{path}: mask is {whole.shape}, occluder_mask {cover.shape}, but '
                                f'the image is {shape}; unpack images and annotations again')
    # The mask was stored as a JPEG once: its edges are soft.
    whole = whole > 0.5 * max(float(whole.max(initial=0)), 1.0)
    return whole, whole & ~(cover > 0)
