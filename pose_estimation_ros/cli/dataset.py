"""`pose-estimation dataset`: synthetic data for training and evaluation."""

from __future__ import annotations

from typing import Annotated

import typer

from pose_estimation_ros.cli.dataset_options import (
    GENERATED,
    Categories,
    Cluster,
    Count,
    Domain,
    DomainOption,
    Folder,
    Objects,
    Processes,
    Seed,
    Split,
    SplitOption,
    object_source,
)
from pose_estimation_ros.cli.progress import progress_bar
from pose_estimation_ros.cli.teaching import examples

_DOCS = 'docs/custom_categories.md'

dataset = typer.Typer(no_args_is_help=True, help='Make synthetic data. An interrupted command '
                      'goes on where it stopped when it is given again.',
                      epilog=examples('dataset crops data/crops/train --count 28000',
                                      'dataset frames data/frames/test --split test --count 480',
                                      docs=_DOCS))


@dataset.command(epilog=examples(
    'dataset crops data/crops/train --count 28000 --processes 2',
    'dataset crops data/tools/train --objects meshes --count 10000', docs=_DOCS))
def crops(folder: Folder, count: Count = 10000, domain: DomainOption = Domain.primary,
          split: SplitOption = Split.train, seed: Seed = 0, processes: Processes = 2,
          points: Annotated[int, typer.Option(min=1, help='Points per object.')] = 512,
          objects: Objects = GENERATED, categories: Categories = '', cluster: Cluster = '',
          shard_size: Annotated[int, typer.Option(min=1, help='Samples per file.')] = 1000,
          ) -> None:
    """Make point clouds of single objects under masks with a detector's errors."""
    from pose_estimation_ros.synthetic.crops import write_crop_shards
    from pose_estimation_ros.synthetic.shard_files import Workers

    source = object_source(objects, categories, domain.value)
    with progress_bar('shards') as report:
        write_crop_shards(folder, count, domain.value, split.value, seed=seed,
                          point_count=points, shard_size=shard_size, source=source,
                          workers=Workers(processes, cluster, report))


@dataset.command(epilog=examples(
    'dataset frames data/frames/train --count 2400 --width 400 --height 300', docs=_DOCS))
def frames(folder: Folder, count: Count = 480, domain: DomainOption = Domain.primary,
           split: SplitOption = Split.train, seed: Seed = 0, processes: Processes = 2,
           width: Annotated[int, typer.Option(min=16, help='Pixels.')] = 640,
           height: Annotated[int, typer.Option(min=16, help='Pixels.')] = 480,
           objects: Objects = GENERATED, categories: Categories = '',
           cluster: Cluster = '') -> None:
    """Make RGB-D frames of tabletop scenes with instance masks and poses."""
    from pose_estimation_ros.synthetic.frame_cache import write_frame_shards
    from pose_estimation_ros.synthetic.shard_files import Workers

    source = object_source(objects, categories, domain.value)
    with progress_bar('shards') as report:
        write_frame_shards(folder, count, domain.value, split.value, resolution=(width, height),
                           seed=seed, source=source,
                           workers=Workers(processes, cluster, report))
