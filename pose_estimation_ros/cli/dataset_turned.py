"""`pose-estimation dataset turned`: objects in known rotations, for training DISP6D."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from pose_estimation_ros.cli.dataset_options import (
    Cluster,
    Folder,
    Processes,
    Seed,
    Split,
    SplitOption,
)
from pose_estimation_ros.cli.progress import progress_bar
from pose_estimation_ros.cli.teaching import examples

EPILOG = examples('dataset turned data/turned/train --frames data/frames/train',
                  'dataset turned data/parts/train --count 1600 --views 32',
                  'dataset turned data/parts/val --split val --count 64 --views 16',
                  docs='docs/disp6d.md')


def turned(folder: Folder,
           frames: Path = typer.Option(None, help='Folder of `dataset frames`, for '
                                       'disp6d-category. Default: random parts are drawn, for '
                                       'disp6d-parts.'),
           count: Annotated[int, typer.Option(min=1, help='How many parts.')] = 1600,
           views: Annotated[int, typer.Option(min=1, help='Pictures of each part.')] = 32,
           split: SplitOption = Split.train, seed: Seed = 0, processes: Processes = 2,
           cluster: Cluster = '') -> None:
    """Make pictures of objects in known rotations, and what DISP6D is to decode of them."""
    from pose_estimation_ros.synthetic.shard_files import Workers
    from pose_estimation_ros.training.disp6d_view_making import (
        write_turned_from_frames,
        write_turned_parts,
    )

    with progress_bar('shards') as report:
        workers = Workers(processes, cluster, report)
        if frames is not None:
            write_turned_from_frames(folder, frames, workers)
        else:
            write_turned_parts(folder, count, views, split.value, seed, workers)
