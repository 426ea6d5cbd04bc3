"""`pose-estimation dataset pictures`: what frames show, compact, for training neural meshes."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from pose_estimation_ros.cli.dataset_options import Cluster, Folder, Processes
from pose_estimation_ros.cli.progress import progress_bar
from pose_estimation_ros.cli.teaching import examples

EPILOG = examples('dataset pictures data/pictures/train --frames data/frames/train',
                  docs='docs/neural_mesh.md')


def pictures(folder: Folder,
             frames: Annotated[Path, typer.Option(help='Folder of `dataset frames`.')],
             processes: Processes = 2, cluster: Cluster = '') -> None:
    """Keep the colours and the objects of frames, for training neural_mesh-lite and -full.

    A tenth of the size of the frames, as depth is left out. An interrupted command goes on where
    it stopped.
    """
    from pose_estimation_ros.synthetic.shard_files import Workers
    from pose_estimation_ros.training.object_pictures import write_pictures

    with progress_bar('shards') as report:
        write_pictures(folder, frames, Workers(processes, cluster, report))
