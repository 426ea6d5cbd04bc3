"""Data sets to evaluate on, ours included, by their folder."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from pose_estimation_ros.core.categories import category_named
from pose_estimation_ros.core.errors import InvalidInputError
from pose_estimation_ros.core.symmetry import NO_SYMMETRY
from pose_estimation_ros.datasets.annotated_frame import (
    AnnotatedDataset,
    AnnotatedFrame,
    ObjectAnnotation,
)
from pose_estimation_ros.evaluation.pose_accuracy import HIDDEN_HANDLE
from pose_estimation_ros.synthetic.frame_cache import FrameShards, list_shards
from pose_estimation_ros.synthetic.synthetic_frame import Instance, SyntheticFrame


def open_evaluation_data(folder: Path, split: str = '') -> AnnotatedDataset:
    """Open a data set in any layout we read, or a folder of our own frame shards.

    Args:
        folder: Its root.
        split: Which part of it, in its own terms; shards have none.

    Raises:
        InvalidInputError: If the folder is missing, empty or of another layout.
    """
    folder = folder.expanduser()
    if not folder.is_dir():
        raise InvalidInputError(f'{folder} is no folder; give the root of a data set')
    if list_shards(folder):
        return ShardDataset(folder)
    from pose_estimation_ros.datasets.open_dataset import open_dataset

    return open_dataset(folder, split)


class ShardDataset:
    """Our frame shards as an `AnnotatedDataset`."""

    def __init__(self, folder: Path) -> None:
        """List the shards.

        Raises:
            InvalidInputError: If there is none.
        """
        self._shards = FrameShards(folder)
        self._folder = folder

    @property
    def name(self) -> str:
        """The last two folders of its path, such as 'primary-test'."""
        return '-'.join(self._folder.resolve().parts[-2:])

    def __len__(self) -> int:
        """Return the number of frames."""
        return len(self._shards)

    def __getitem__(self, index: int) -> AnnotatedFrame:
        """Read a frame; its name is its number."""
        return annotated(f'{index:06d}', self._shards[index])

    def __iter__(self) -> Iterator[AnnotatedFrame]:
        """Read all frames in order."""
        return (self[index] for index in range(len(self)))


def annotated(name: str, synthetic: SyntheticFrame) -> AnnotatedFrame:
    """Return a synthetic frame as every data set has it; visibility counts what is cut off."""
    return AnnotatedFrame(name, synthetic.frame,
                          tuple(_annotation(entry) for entry in synthetic.instances),
                          synthetic.instance_map.astype(np.int32))


def _annotation(instance: Instance) -> ObjectAnnotation:
    category = category_named(instance.category)
    handle = instance.part_visibility.get('handle', 1.0)
    return ObjectAnnotation(
        instance.id, instance.category, instance.name, instance.T_camera_object, instance.size,
        NO_SYMMETRY if category is None else category.symmetry,
        instance.visibility * instance.in_image, handle >= HIDDEN_HANDLE)
