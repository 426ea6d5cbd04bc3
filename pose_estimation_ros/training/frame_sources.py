"""Where the detector's frames come from: stored, data sets of any layout, or the renderer."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any, Protocol

import cv2
import numpy as np

from pose_estimation_ros.core.categories import CATEGORIES, CATEGORY_NAMES, Category
from pose_estimation_ros.core.errors import ConfigurationError, InvalidInputError
from pose_estimation_ros.datasets.annotated_frame import AnnotatedDataset, AnnotatedFrame
from pose_estimation_ros.datasets.bop_dataset import BopDataset
from pose_estimation_ros.datasets.frame_files import read_json
from pose_estimation_ros.datasets.nocs_dataset import NocsDataset
from pose_estimation_ros.datasets.open_dataset import open_dataset
from pose_estimation_ros.synthetic.dataset_writing import GENERATED_MODELS
from pose_estimation_ros.synthetic.frame_cache import FrameShards, frame_shard, read_frame
from pose_estimation_ros.synthetic.object_source import categories_of
from pose_estimation_ros.synthetic.shard_files import list_shards, read_description
from pose_estimation_ros.synthetic.synthetic_frame import Instance, SyntheticFrame
from pose_estimation_ros.training.batch_plan import PassOrder
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

_SHARD_SIZE = 24
# A little more than the detector's input.
_RESOLUTION = (400, 300)


class Frames(Protocol):
    """Frames by number."""

    def __len__(self) -> int:
        """Return the number of frames."""

    def __getitem__(self, index: int) -> SyntheticFrame:
        """Return a frame."""


class AnnotatedFrames:
    """Frames of a data set in the form of rendered ones."""

    def __init__(self, dataset: AnnotatedDataset) -> None:
        """Take the data set."""
        self._dataset = dataset

    def __len__(self) -> int:
        """Return the number of frames."""
        return len(self._dataset)

    def __getitem__(self, index: int) -> SyntheticFrame:
        """Read a frame."""
        return with_visible_boxes(self._dataset[index])


def frame_source(source: str, data: TrainingData, seed: int) -> SampleSource:
    """Return a source of frames.

    Args:
        source: A folder of frame shards, a NOCS or BOP folder and its split such as
            'data/nocs:camera_train', 'synthetic' or 'synthetic:<domain>'.
        data: Where rendered frames are kept, and who renders them.
        seed: Seed of rendered scenes.

    Raises:
        ConfigurationError: If there is no such folder or split.
        InvalidInputError: If it holds no frames.
    """
    world = synthetic_world(source)
    if world is not None:
        make = partial(frame_shard, world.domain, 'train', seed, _RESOLUTION, _SHARD_SIZE,
                       world.objects)
        stream = SyntheticStream(data.cache / f'frames_{world.name}_{seed}', make, _SHARD_SIZE,
                                 makers=data.makers)
        return RenderedSamples(stream, _frames_of_shards)
    frames = stored_frames(source)
    return StoredSamples(lambda items: [frames[int(item)] for item in items],
                         PassOrder(len(frames)))


def stored_frames(source: str) -> Frames:
    """Return the frames of a folder of shards or of a data set.

    Raises:
        ConfigurationError: If there is no such folder or split.
        InvalidInputError: If it holds no frames.
    """
    folder, split = data_path(source)
    if not split and list_shards(folder):
        return FrameShards(folder)
    try:
        return AnnotatedFrames(open_dataset(folder, split))
    except InvalidInputError as error:
        raise InvalidInputError(f'{folder} holds no frames to train on: {error}. Make some with: '
                                f'pose-estimation dataset frames {folder}') from error


def common_categories(sources: Sequence[str]) -> tuple[Category, ...]:
    """Return the categories that all sources have.

    Frame shards, NOCS folders and BOP folders made by us say what theirs are; of other BOP
    folders they are the labels of the models, or the six if all labels are of them.

    Raises:
        ConfigurationError: If two sources differ, or there is no such folder.
    """
    found = [_categories_of(source) for source in sources]
    for source, categories in zip(sources[1:], found[1:], strict=True):
        if categories != found[0]:
            first, other = (', '.join(category.name for category in entry)
                            for entry in (found[0], categories))
            raise ConfigurationError(f'{sources[0]} is of the categories {first}, {source} of '
                                     f'{other}; mix data of equal categories only')
    return found[0]


def has_sensor_depth(source: str) -> bool:
    """Return whether the depth of a source is as a sensor gives it.

    Scenes of known objects are for networks that look at colour only, and their depth is exact.
    """
    return 'scenes' not in _description_of(source)


def _description_of(source: str) -> dict[str, Any]:
    """Return what generated data says of itself; {} of others."""
    world = synthetic_world(source)
    if world is not None:
        return world.objects.describe()
    folder, split = data_path(source)
    if not split and list_shards(folder):
        return read_description(folder)
    generated = folder / GENERATED_MODELS
    return dict(read_json(generated)) if generated.is_file() else {}


def _categories_of(source: str) -> tuple[Category, ...]:
    description = _description_of(source)
    folder, split = (None, '') if synthetic_world(source) else data_path(source)
    if 'categories' in description or folder is None or (not split and list_shards(folder)):
        return categories_of(description)
    dataset = open_dataset(folder, split)
    if isinstance(dataset, NocsDataset):
        return dataset.categories
    return _model_categories(dataset) if isinstance(dataset, BopDataset) else CATEGORIES


def _model_categories(dataset: BopDataset) -> tuple[Category, ...]:
    labels = {dataset.label(obj_id): model for obj_id, model in dataset.models.items()}
    if labels.keys() <= set(CATEGORY_NAMES):
        return CATEGORIES
    return tuple(Category(label, labels[label].symmetry) for label in sorted(labels))


def with_visible_boxes(annotated: AnnotatedFrame) -> SyntheticFrame:
    """Return an annotated frame in the form of a rendered one.

    Where the data set does not know how much of an object is visible, all of it counts as such.

    Raises:
        InvalidInputError: If the data set has no masks.
    """
    instances = []
    for annotation in annotated.objects:
        mask = annotated.mask(annotation)
        x, y, width, height = cv2.boundingRect(mask.astype(np.uint8))
        visibility = annotation.visibility if np.isfinite(annotation.visibility) else 1.0
        instances.append(Instance(
            annotation.instance_id, annotation.label, annotation.model,
            annotation.T_camera_object, annotation.size, visibility, {},
            np.array([x, y, x + width, y + height], dtype=np.float64), 1.0))
    assert annotated.instance_map is not None or not instances
    instance_map = (np.zeros(annotated.frame.rgb.shape[:2], np.int16)
                    if annotated.instance_map is None else annotated.instance_map.astype(np.int16))
    return SyntheticFrame(annotated.frame, None, instance_map, tuple(instances))


def _frames_of_shards(paths: tuple[Path, ...], items: Items) -> list[SyntheticFrame]:
    return [read_frame(paths[item // _SHARD_SIZE], int(item % _SHARD_SIZE)) for item in items]
