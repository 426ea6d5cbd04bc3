"""Where the full SPD's colour views come from: stored, NOCS frames, or the renderer."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import fields, replace
from functools import lru_cache, partial
from itertools import islice
from pathlib import Path
from typing import get_args

import numpy as np
from numpy.typing import NDArray

from pose_estimation_ros.core.errors import ConfigurationError
from pose_estimation_ros.datasets.nocs_dataset import NocsDataset
from pose_estimation_ros.datasets.nocs_models import Convention
from pose_estimation_ros.datasets.open_dataset import open_dataset
from pose_estimation_ros.synthetic.scene import SCENES_PER_POOL, SceneGenerator
from pose_estimation_ros.synthetic.shard_files import list_shards
from pose_estimation_ros.training.batch_plan import Draw, PassOrder
from pose_estimation_ros.training.color_crops import (
    ColorCrops,
    read_color_crops,
    scene_crops,
    stack_crops,
)
from pose_estimation_ros.training.nocs_samples import NocsViews
from pose_estimation_ros.training.sources import (
    Items,
    RenderedSamples,
    SampleSource,
    StoredSamples,
    SyntheticWorld,
    data_path,
    synthetic_world,
)
from pose_estimation_ros.training.synthetic_stream import SyntheticStream
from pose_estimation_ros.training.task import TrainingData

_SHARD_SIZE = 96
# A shard's scenes; only the last pool is not used up.
_POOLS_PER_SHARD = 16
_VALIDATION_VIEWS = 256


def color_source(source: str, data: TrainingData, seed: int) -> SampleSource:
    """Return a source of colour views.

    Args:
        source: A folder of colour crops, a NOCS folder and subset such as
            'data/nocs:camera_train', 'synthetic' or 'synthetic:<domain>'; the six categories.
            'data/nocs:camera_train@spd' has the published frame and size of objects, with mugs
            re-centred, see `NocsDataset.convention`.
        data: Where rendered views are kept, and who renders them.
        seed: Seed of rendered scenes.

    Raises:
        ConfigurationError: If there is no such folder or subset.
        InvalidInputError: If it holds no views.
    """
    world = synthetic_world(source)
    if world is not None:
        make = partial(color_crop_shard, world, seed)
        stream = SyntheticStream(data.cache / f'color_crops_{world.name}_{seed}', make,
                                 _SHARD_SIZE, makers=data.makers)
        return RenderedSamples(stream, _take_from_shards)
    folder, split = data_path(source)
    if split or not list_shards(folder):
        return NocsViews([_nocs_dataset(folder, split)])
    crops = read_color_crops(folder)
    return StoredSamples(crops.take, PassOrder(len(crops)))


def convention_of(sources: Sequence[SampleSource]) -> Convention:
    """Return the frame of the objects in all sources of `color_source`.

    Raises:
        ConfigurationError: If they differ: a network learns one frame of mugs.
    """
    found: set[Convention] = set()
    for source in sources:
        found |= source.conventions if isinstance(source, NocsViews) else {'nocs'}
    if len(found) > 1:
        raise ConfigurationError('some data end with @spd and some do not, and mugs have another '
                                 'frame there; give @spd to all, which must be NOCS data, or to '
                                 'none')
    return 'spd' if 'spd' in found else 'nocs'


def validation_crops(source: str) -> ColorCrops:
    """Return views to validate with; of NOCS frames a few hundred.

    Raises:
        ConfigurationError: If there is no such folder or subset.
        InvalidInputError: If it holds no views.
    """
    folder, split = data_path(source)
    if not split and list_shards(folder):
        return read_color_crops(folder)
    dataset = _nocs_dataset(folder, split)
    views: ColorCrops = NocsViews([dataset]).samples(
        Draw(0, 0, min(len(dataset), _VALIDATION_VIEWS), (0,)))
    return views


def color_crop_shard(world: SyntheticWorld, seed: int,
                     number: int) -> dict[str, NDArray[np.generic]]:
    """Render a shard of training views; see `synthetic_stream`."""
    crops = stack_crops(list(islice(_views(world, seed, number), _SHARD_SIZE)))
    return {field.name: getattr(crops, field.name) for field in fields(crops)}


def _views(world: SyntheticWorld, seed: int,
           number: int) -> Iterator[tuple[NDArray[np.generic], ...]]:
    scenes = SceneGenerator(world.domain, 'train', world.objects)
    first = ((seed << 20) + number * _POOLS_PER_SHARD) * SCENES_PER_POOL
    for offset in range(_POOLS_PER_SHARD * SCENES_PER_POOL):
        yield from scene_crops(scenes.scene(first + offset))


def _nocs_dataset(folder: Path, split: str) -> NocsDataset:
    """Open a subset, or '<subset>@<convention>'."""
    subset, _, convention = split.partition('@')
    dataset = open_dataset(folder, subset)
    if not isinstance(dataset, NocsDataset):
        raise ConfigurationError(f'{folder} is {dataset.name}; the full SPD trains on colour '
                                 'crops or on NOCS data, which have NOCS coordinates')
    if not convention:
        return dataset
    known: tuple[Convention, ...] = get_args(Convention)
    chosen = next((name for name in known if name == convention), None)
    if chosen is None:
        raise ConfigurationError(f'{folder}:{split} ends with @{convention}; after @ comes the '
                                 f'frame of the objects, {" or ".join(known)}')
    return replace(dataset, convention=chosen)


def _take_from_shards(paths: tuple[Path, ...], items: Items) -> ColorCrops:
    return _joined(paths).take(items)


@lru_cache(maxsize=2)
def _joined(paths: tuple[Path, ...]) -> ColorCrops:
    parts = []
    for path in paths:
        with np.load(path) as stored:
            parts.append([stored[field.name] for field in fields(ColorCrops)])
    return ColorCrops(*(np.concatenate(column) for column in zip(*parts, strict=True)))
