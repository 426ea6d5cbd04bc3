"""Where the point networks' training views come from: folders of shards, or the renderer."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache, partial
from itertools import islice
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pose_estimation_ros.core.errors import ConfigurationError
from pose_estimation_ros.synthetic.crop_samples import Crops, pack_crops, read_crop_shard
from pose_estimation_ros.synthetic.crops import iterate_crops
from pose_estimation_ros.synthetic.shard_files import list_shards
from pose_estimation_ros.training.batch_plan import WeightedOrder
from pose_estimation_ros.training.crop_batches import join, take
from pose_estimation_ros.training.sources import (
    Items,
    RenderedSamples,
    SampleSource,
    StoredSamples,
    synthetic_domain,
)
from pose_estimation_ros.training.synthetic_stream import SyntheticStream
from pose_estimation_ros.training.task import TrainingData

_SHARD_SIZE = 250
# As many rows of scenes as `synthetic.crops` keeps apart under one seed.
_MAX_SHARDS = 1 << 14


def stored_crops(folder: Path) -> Crops:
    """Return all views of a folder of shards.

    Raises:
        ConfigurationError: If there are none.
    """
    shards = list_shards(folder)
    if not shards:
        raise ConfigurationError(f'{folder} holds no crops; make some with: pose-estimation '
                                 f'dataset crops {folder}')
    return join([read_crop_shard(path) for path in shards])


def crop_source(source: str, data: TrainingData, points: int, seed: int,
                category_weights: Sequence[float]) -> SampleSource:
    """Return a source of views.

    Args:
        source: A folder, 'synthetic' or 'synthetic:<domain>'.
        data: Where rendered views are kept, and who renders them.
        points: Points per rendered view.
        seed: Seed of rendered scenes.
        category_weights: How often a view of each category is drawn from a folder; rendered
            ones are of all categories about equally often.

    Raises:
        ConfigurationError: If a folder holds no views.
    """
    domain = synthetic_domain(source)
    if domain is None:
        crops = stored_crops(Path(source))
        return StoredSamples(partial(take, crops),
                             WeightedOrder(np.array(category_weights)[crops.category]))
    make = partial(crop_shard, domain, seed, points, _SHARD_SIZE)
    stream = SyntheticStream(data.cache / f'crops_{domain}_{seed}', make, _SHARD_SIZE,
                             makers=data.makers)
    return RenderedSamples(stream, _take_from_shards)


def crop_shard(domain: str, seed: int, points: int, size: int,
               number: int) -> dict[str, NDArray[np.generic]]:
    """Render a shard of training views; see `synthetic_stream`."""
    samples = iterate_crops(domain, 'train', seed, number, _MAX_SHARDS, points)
    return pack_crops(Crops.stack(list(islice(samples, size))))


def _take_from_shards(paths: tuple[Path, ...], items: Items) -> Crops:
    return take(_joined(paths), items)


@lru_cache(maxsize=2)
def _joined(paths: tuple[Path, ...]) -> Crops:
    return join([read_crop_shard(path) for path in paths])
