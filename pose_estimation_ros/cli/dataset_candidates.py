"""`pose-estimation dataset candidates`: training data of the point classifier."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from pose_estimation_ros.cli.dataset_options import Cluster, Processes
from pose_estimation_ros.cli.progress import progress_bar
from pose_estimation_ros.cli.teaching import examples

EPILOG = examples('dataset candidates --frames data/frames/primary/train --detector '
                  'maskrcnn_lite --out data/candidates/primary/train', docs='docs/training.md')


def candidates(
        frames: Annotated[Path, typer.Option(help='Folder of `dataset frames`, of the six '
                                             'categories.')],
        out: Annotated[Path, typer.Option(help='Where the candidates go.')],
        detector: Annotated[str, typer.Option(help='Name of a model or its folder.')
                            ] = 'maskrcnn_lite',
        processes: Processes = 2, cluster: Cluster = '') -> None:
    """Let a detector look at frames and write what it finds, with what that really is.

    The point classifier learns from this which detections to believe. An interrupted command
    goes on where it stopped.
    """
    from pose_estimation_ros.synthetic.shard_files import Workers
    from pose_estimation_ros.training.classifier_samples import write_candidates

    with progress_bar('shards') as report:
        write_candidates(out, frames, detector, Workers(processes, cluster, report))
