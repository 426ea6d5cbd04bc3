"""`pose-estimation dataset views`: known objects with their surroundings, cut out of frames."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from pose_estimation_ros.cli.dataset_options import Cluster, Folder, Processes
from pose_estimation_ros.cli.progress import progress_bar
from pose_estimation_ros.cli.teaching import examples

EPILOG = examples('dataset views data/views/train --frames data/frames/train --objects cad',
                  docs='docs/known_objects.md')


def views(folder: Folder,
          frames: Annotated[Path, typer.Option(help='Folder of `dataset frames --objects`.')],
          objects: Annotated[Path, typer.Option(help='Folder of the CAD models in the frames.')],
          side: Annotated[int, typer.Option(min=32, help='Largest side of a picture, pixels: '
                                            'for mrc-full 416.')] = 192,
          processes: Processes = 2, cluster: Cluster = '') -> None:
    """Cut known objects with what is around them out of frames, for training mrc-lite, mrc-full.

    The folder also gets the CAD models, so that it is all that training needs. An interrupted
    command goes on where it stopped.
    """
    from pose_estimation_ros.synthetic.mesh_objects import open_mesh_folder
    from pose_estimation_ros.synthetic.shard_files import Workers
    from pose_estimation_ros.training.mrc_views import write_views

    with progress_bar('shards') as report:
        write_views(folder, frames, open_mesh_folder(objects), side,
                    Workers(processes, cluster, report))
