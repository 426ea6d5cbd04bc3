"""Where the point networks' training views come from: folders of shards, or the renderer."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache, partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pose_estimation_ros.core.categories import Category
from pose_estimation_ros.core.errors import ConfigurationError
from pose_estimation_ros.synthetic.crop_samples import Crops, PackedCrops, read_crop_shard
from pose_estimation_ros.synthetic.crops import crop_shard, iterate_crops
from pose_estimation_ros.synthetic.object_source import categories_of
from pose_estimation_ros.synthetic.shard_files import list_shards, read_description
from pose_estimation_ros.training.batch_plan import WeightedOrder
from pose_estimation_ros.training.crop_batches import join
from pose_estimation_ros.training.sources import (
    Items,
    RenderedSamples,
    SampleSource,
    StoredSamples,
    data_path,
    synthetic_world,
)
from pose_estimation_ros.training.synthetic_stream import SyntheticStream
from pose_estimation_ros.training.task import TrainingData

_SHARD_SIZE = 250


def stored_crops(folder: Path, categories: tuple[Category, ...]) -> Crops:
    """Return all views of a folder of shards.

    Args:
        folder: The folder.
        categories: What its category indices must mean.

    Raises:
        ConfigurationError: If there are none, or they are of other categories.
    """
    return join([read_crop_shard(path) for path in _shards(folder, categories)])


def crop_source(source: str, data: TrainingData, points: int, categories: tuple[Category, ...],
                weights: Callable[[PackedCrops], NDArray[np.floating]], seed: int, *,
                colored: bool) -> SampleSource:
    """Return a source of views.

    Args:
        source: A folder, 'synthetic' or 'synthetic:<domain or mesh folder>'.
        data: Where rendered views are kept, and who renders them.
        points: Points per rendered view.
        categories: What category indices must mean.
        weights: Returns how often each of (S,) views of a folder is drawn; rendered ones are of
            all categories about equally often.
        seed: Seed of rendered scenes.
        colored: Whether rendered views get colours.

    Raises:
        ConfigurationError: If a folder holds no views, or those of other categories.
    """
    world = synthetic_world(source)
    if world is None:
        crops = PackedCrops(_shards(data_path(source)[0], categories))
        return StoredSamples(crops.take, WeightedOrder(weights(crops)))
    _check_categories(source, world.objects.categories, categories)
    views = partial(iterate_crops, world.domain, 'train', seed, point_count=points,
                    source=world.objects, colored=colored)
    make = partial(crop_shard, views, _SHARD_SIZE)
    kind = 'colored_crops' if colored else 'crops'
    stream = SyntheticStream(data.cache / f'{kind}_{world.name}_{seed}', make, _SHARD_SIZE,
                             makers=data.makers)
    return RenderedSamples(stream, _take_from_shards)


def check_colors(sources: Sequence[str], network: str) -> None:
    """Refuse to train a network that sees colours at run time on views that all lack them.

    Args:
        sources: As `crop_source` takes them; a folder is judged by its first shard, rendered
            views will have colours.
        network: Name of the network, for the message.

    Raises:
        ConfigurationError: If no source has colours.
    """
    for source in sources:
        if synthetic_world(source):
            return
        shards = list_shards(data_path(source)[0])
        if shards and read_crop_shard(shards[0]).colored.any():
            return
    raise ConfigurationError(
        f'{network} sees colours, which none of {", ".join(sources)} has; add a folder of '
        '`pose-estimation dataset crops --colored`, or train spd-lite, which sees points alone')


def _shards(folder: Path, categories: tuple[Category, ...]) -> list[Path]:
    shards = list_shards(folder)
    if not shards:
        raise ConfigurationError(f'{folder} holds no crops; make some with: pose-estimation '
                                 f'dataset crops {folder}')
    _check_categories(str(folder), categories_of(read_description(folder, 'crops')), categories)
    return shards


def _check_categories(source: str, found: tuple[Category, ...],
                      wanted: tuple[Category, ...]) -> None:
    if found != wanted:
        names = [', '.join(category.name for category in part) for part in (found, wanted)]
        raise ConfigurationError(
            f'{source} is of the categories {names[0]}, but the shape priors of {names[1]}; '
            'give priors and data of the same categories, in the same order and with the same '
            'symmetries')


def _take_from_shards(paths: tuple[Path, ...], items: Items) -> Crops:
    return _joined(paths).take(items)


@lru_cache(maxsize=2)
def _joined(paths: tuple[Path, ...]) -> PackedCrops:
    return PackedCrops(paths)
