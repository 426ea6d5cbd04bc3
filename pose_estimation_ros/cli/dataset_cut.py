"""`pose-estimation dataset cut`: coloured point clouds of single objects, cut out of frames."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from pose_estimation_ros.cli.dataset_options import Cluster, Folder, Processes
from pose_estimation_ros.cli.progress import progress_bar
from pose_estimation_ros.cli.teaching import examples

EPILOG = examples('dataset cut data/crops/rgbd_train --frames data/frames/train',
                  docs='docs/datasets.md')


def cut(folder: Folder,
        frames: Annotated[Path, typer.Option(help='Folder of `dataset frames`, of the six '
                                             'categories.')],
        points: Annotated[int, typer.Option(min=1, help='Points per object.')] = 1024,
        processes: Processes = 2, cluster: Cluster = '') -> None:
    """Cut point clouds of single objects, with the colours around each point, out of frames.

    These show what a frame shows, with the noise of its sensors; `dataset crops --colored` makes
    more objects in less time. An interrupted command goes on where it stopped.
    """
    from pose_estimation_ros.synthetic.frame_crops import write_frame_crops
    from pose_estimation_ros.synthetic.shard_files import Workers

    with progress_bar('shards') as report:
        write_frame_crops(folder, frames, points, Workers(processes, cluster, report))
