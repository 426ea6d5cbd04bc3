"""Data sets with truth, whatever their layout on disk."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import get_args

from pose_estimation_ros.core.errors import ConfigurationError, InvalidInputError
from pose_estimation_ros.datasets.annotated_frame import AnnotatedDataset
from pose_estimation_ros.datasets.bop_dataset import BopDataset, list_splits
from pose_estimation_ros.datasets.bop_models import MODELS_INFO
from pose_estimation_ros.datasets.nocs_dataset import NocsDataset
from pose_estimation_ros.datasets.nocs_layout import NocsLayout, Subset
from pose_estimation_ros.datasets.pascal3d import Pascal3dDataset
from pose_estimation_ros.datasets.pascal3d_layout import find_layout
from pose_estimation_ros.datasets.pascal3d_occluded import OccludedPascal3dDataset, list_levels

_PASCAL3D_FOLDER = 'PASCAL3D+_release1.1'


@dataclass(frozen=True)
class _Layout:
    """A kind of data set.

    Attributes:
        name: For people.
        signs: What its folder holds, for people.
        splits: Returns the splits of a folder; none if the folder has another layout.
        open: Opens a split of a folder.
        aliases: Other names that `open` understands.
    """

    name: str
    signs: str
    splits: Callable[[Path], Sequence[str]]
    open: Callable[[Path, str], AnnotatedDataset]
    aliases: tuple[str, ...] = ()


def open_dataset(folder: Path, split: str = '') -> AnnotatedDataset:
    """Find out the layout of a data set and open it.

    Args:
        folder: Its root: NOCS, BOP, PASCAL3D+, ObjectNet3D or OccludedPASCAL3D+ (the last with
            `PASCAL3D+_release1.1` inside or beside it).
        split: Subset, split or level in the data set's own terms, such as 'real_test',
            'test_primesense', 'imagenet_val' or 'L1'; '' = the only one.

    Raises:
        InvalidInputError: If the folder is missing or has none of the layouts.
        ConfigurationError: If the split is not there, or '' and there are several.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise InvalidInputError(f'{folder} is not a folder; give the root of a data set')
    for layout in _LAYOUTS:
        splits = tuple(layout.splits(folder))
        if splits:
            return layout.open(folder, _choose(folder, layout, splits, split))
    known = '; '.join(f'{layout.name} ({layout.signs})' for layout in _LAYOUTS)
    raise InvalidInputError(f'{folder} is no data set of a known layout. Known are {known}. Give '
                            'the root folder, not one of its splits or scenes')


def _choose(folder: Path, layout: _Layout, splits: Sequence[str], wanted: str) -> str:
    if not wanted and len(splits) == 1:
        return splits[0]
    if wanted in splits or wanted in layout.aliases:
        return wanted
    fault = f'has no split {wanted!r}' if wanted else 'has several splits'
    raise ConfigurationError(f'{folder} ({layout.name}) {fault}; choose one of '
                             f'{", ".join(splits)}')


def _nocs_subsets(folder: Path) -> list[str]:
    layouts = (NocsLayout(folder, subset) for subset in get_args(Subset))
    return [layout.subset for layout in layouts if (layout.source / layout.split).is_dir()]


def _open_nocs(folder: Path, subset: str) -> AnnotatedDataset:
    return NocsDataset(folder, next(name for name in get_args(Subset) if name == subset))


def _bop_splits(folder: Path) -> list[str]:
    return list_splits(folder) if any(folder.glob(f'models*/{MODELS_INFO}')) else []


def _open_bop(folder: Path, split: str) -> AnnotatedDataset:
    # T-LESS and others have several sets of models; `models` is there in most.
    models = ('models', 'models_cad', 'models_reconst', 'models_eval')
    there = next((name for name in models if (folder / name / MODELS_INFO).is_file()), 'models')
    return BopDataset(folder, split, models=there)


def _pascal3d_splits(folder: Path) -> tuple[str, ...]:
    try:
        return find_layout(folder).splits
    except InvalidInputError:
        return ()


def _open_occluded(folder: Path, level: str) -> AnnotatedDataset:
    for root in (folder / _PASCAL3D_FOLDER, folder.resolve().parent / _PASCAL3D_FOLDER):
        if root.is_dir():
            return OccludedPascal3dDataset(folder, level, root)
    raise InvalidInputError(f'{folder} is OccludedPASCAL3D+, whose poses are in PASCAL3D+; put or '
                            f'link {_PASCAL3D_FOLDER} into it or beside it')


_LAYOUTS = (
    _Layout('NOCS', 'CAMERA/<split>/ or Real/<split>/', _nocs_subsets, _open_nocs),
    _Layout('BOP', f'models/{MODELS_INFO}, <split>/000000/scene_camera.json', _bop_splits,
            _open_bop),
    _Layout('PASCAL3D+ or ObjectNet3D', 'Annotations/, Images/, CAD/, Image_sets/',
            _pascal3d_splits, Pascal3dDataset),
    _Layout('OccludedPASCAL3D+', 'images/, annotations/, lists/<class>FGL1_BGL1.txt',
            list_levels, _open_occluded, aliases=('L1', 'L2', 'L3')),
)
