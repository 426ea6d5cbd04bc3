"""Data sets to evaluate on, ours included, by their folder."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from pose_estimation_ros.core.errors import ConfigurationError, InvalidInputError
from pose_estimation_ros.datasets.annotated_frame import AnnotatedDataset, AnnotatedFrame
from pose_estimation_ros.datasets.bop_dataset import BopDataset
from pose_estimation_ros.datasets.nocs_dataset import NocsDataset
from pose_estimation_ros.datasets.nocs_models import Convention
from pose_estimation_ros.datasets.open_dataset import open_dataset
from pose_estimation_ros.synthetic.annotation import annotated_frame
from pose_estimation_ros.synthetic.frame_cache import FrameShards, list_shards
from pose_estimation_ros.synthetic.object_source import categories_of
from pose_estimation_ros.synthetic.shard_files import read_description

EVERYTHING = 10**9


@dataclass(frozen=True)
class Data:
    """Frames with truth to evaluate on.

    Attributes:
        folder: Root of a data set in any layout we read, or a folder of our own frame shards.
        split: Which part of it, in its own terms; shards have none.
        frames: Most frames, from the first.
        targets: Of a BOP data set, the file in its root that chooses images and objects, such as
            'test_targets_bop19.json'; '' = all images.
        convention: Of a NOCS data set, frame and size of the objects: 'nocs', or 'spd' as the
            SPD family is trained and judged.
    """

    folder: Path
    split: str = ''
    frames: int = EVERYTHING
    targets: str = ''
    convention: Convention = 'nocs'

    def open(self) -> AnnotatedDataset:
        """Open the data set.

        Raises:
            InvalidInputError: If it is missing, empty or of an unknown layout.
            ConfigurationError: If the split is not there, or targets or convention do not fit
                the layout.
        """
        dataset = self._opened()
        if len(dataset) == 0:
            raise InvalidInputError(f'{self.folder} holds no frames'
                                    f'{f" of split {self.split!r}" if self.split else ""}; '
                                    'give a folder with frames')
        return dataset

    def resolved(self) -> Data:
        """Return the same with an absolute folder and the true number of frames."""
        folder = self.folder.expanduser().resolve()
        data = replace(self, folder=folder)
        return replace(data, frames=min(self.frames, len(data.open())))

    def _opened(self) -> AnnotatedDataset:
        folder = self.folder.expanduser()
        if not folder.is_dir():
            raise InvalidInputError(f'{folder} is no folder; give the root of a data set')
        dataset: AnnotatedDataset
        if list_shards(folder):
            if self.split:
                raise ConfigurationError(f'split {self.split!r} is for published layouts, and '
                                         f'{folder} holds frame shards, which have none; give '
                                         'the folder of a split and leave it out')
            dataset = ShardDataset(folder)
        else:
            dataset = open_dataset(folder, self.split)
        if self.targets:
            if not isinstance(dataset, BopDataset):
                raise ConfigurationError(f'targets {self.targets!r} are for BOP data, and '
                                         f'{folder} has another layout; leave them out')
            dataset = BopDataset(folder, dataset.split, self.targets, dataset.models_folder.name)
        if self.convention != 'nocs':
            if not isinstance(dataset, NocsDataset):
                raise ConfigurationError(f'convention {self.convention!r} is for NOCS data, and '
                                         f'{folder} has another layout; leave it out')
            dataset = replace(dataset, convention=self.convention)
        return dataset


def open_evaluation_data(folder: Path, split: str = '') -> AnnotatedDataset:
    """Open a data set in any layout we read, or a folder of our own frame shards.

    Raises:
        InvalidInputError: If it is missing, empty or of an unknown layout.
        ConfigurationError: If the split is not there.
    """
    return Data(folder, split).open()


class ShardDataset:
    """Our frame shards as an `AnnotatedDataset`."""

    def __init__(self, folder: Path) -> None:
        """List the shards.

        Raises:
            InvalidInputError: If there is none.
        """
        self._shards = FrameShards(folder)
        self._categories = categories_of(read_description(folder))
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
        return annotated_frame(f'{index:06d}', self._shards[index], self._categories)

    def __iter__(self) -> Iterator[AnnotatedFrame]:
        """Read all frames in order."""
        return (self[index] for index in range(len(self)))
