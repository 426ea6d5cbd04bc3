"""`pose-estimation dataset prepare`: downloaded NOCS data become ready to train and evaluate."""

from __future__ import annotations

from enum import Enum
from pathlib import Path
from typing import Annotated

import typer

from pose_estimation_ros.cli.dataset_options import Cluster, Processes
from pose_estimation_ros.cli.progress import progress_bar
from pose_estimation_ros.cli.teaching import examples
from pose_estimation_ros.core.errors import ConfigurationError

EPILOG = examples('dataset prepare data/nocs --subset camera_train --processes 4',
                  'dataset prepare data/nocs --subset real_test', docs='docs/datasets.md')


class Subset(str, Enum):
    """The parts of the NOCS data sets."""

    camera_train = 'camera_train'
    camera_val = 'camera_val'
    real_train = 'real_train'
    real_test = 'real_test'


def prepare(root: Annotated[Path, typer.Argument(help='Folder with CAMERA/ or Real/, '
                                                 'obj_models/ and, for tests, gts/.')],
            subset: Annotated[Subset, typer.Option(help='Which part.')],
            processes: Processes = 2, cluster: Cluster = '') -> None:
    """Prepare downloaded NOCS data: surface points of models, labels and lists of frames.

    These are the steps that SPD's authors publish; NOCS data can also be read without them, but
    slower, and training with --data data/nocs:camera_train needs the models. Damaged files are
    named and left out. An interrupted command goes on where it stopped.
    """
    from pose_estimation_ros.datasets.nocs_dataset import NocsDataset
    from pose_estimation_ros.datasets.open_dataset import open_dataset
    from pose_estimation_ros.synthetic.shard_files import Workers
    from pose_estimation_ros.training.nocs_preparation import prepare_labels, prepare_models

    dataset = open_dataset(root.resolve(), subset.value)
    if not isinstance(dataset, NocsDataset):
        raise ConfigurationError(f'{root} is {dataset.name}, which needs no preparation; use it '
                                 'as it is')
    left_out: tuple[str, ...] = ()
    if not dataset.layout.points_file.is_file():
        with progress_bar('models') as report:
            left_out += prepare_models(dataset.layout, Workers(processes, cluster, report))
    with progress_bar('folders') as report:
        left_out += prepare_labels(dataset, Workers(processes, cluster, report))
    for problem in left_out:
        print(f'left out: {problem}')
    ready = len(dataset.layout.list_file.read_text(encoding='utf-8').splitlines())
    print(f'{ready} frames are ready, listed in {dataset.layout.list_file}')
    unpublished = dataset.layout.frames_without_truth()
    if unpublished:
        print(f'{len(unpublished)} of them, such as {unpublished[0]}, have no published poses '
              f'({dataset.layout.gts_file(unpublished[0])}); their truth is our own fit of '
              'coordinates to depth, so that figures do not compare with published ones; unpack '
              "gts.zip, delete these frames' _label.pkl and prepare again")
