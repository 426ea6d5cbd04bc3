"""`pose-estimation dataset`: synthetic data for training and evaluation."""

from __future__ import annotations

import sys
from enum import Enum
from pathlib import Path
from typing import Annotated

import typer

dataset = typer.Typer(no_args_is_help=True, help='Make synthetic data; an interrupted command '
                      'goes on where it stopped.')


class Domain(str, Enum):
    """The two synthetic worlds; the second is made differently and never trained on."""

    primary = 'primary'
    second = 'second'


class Split(str, Enum):
    """Instances of one split never occur in another."""

    train = 'train'
    val = 'val'
    test = 'test'


Folder = Annotated[Path, typer.Argument(help='where the shards go')]
Count = Annotated[int, typer.Option(help='how many, rounded up to whole shards')]
DomainOption = Annotated[Domain, typer.Option(help='which synthetic world')]
SplitOption = Annotated[Split, typer.Option(help='which instances')]
Seed = Annotated[int, typer.Option(help='other seeds give other scenes')]
Processes = Annotated[int, typer.Option(help='shards made at the same time')]


def _progress(done: int, total: int) -> None:
    sys.stderr.write(f'\r{done} of {total} shards')
    sys.stderr.write('\n' if done == total else '')
    sys.stderr.flush()


@dataset.command()
def crops(folder: Folder, count: Count = 10000, domain: DomainOption = Domain.primary,
          split: SplitOption = Split.train, seed: Seed = 0, processes: Processes = 2,
          points: Annotated[int, typer.Option(help='points per object')] = 512) -> None:
    """Make point clouds of single objects under masks with a detector's errors."""
    from pose_estimation_ros.synthetic.crops import write_crop_shards

    write_crop_shards(folder, count, domain.value, split.value, seed=seed, point_count=points,
                      processes=processes, report=_progress)


@dataset.command()
def frames(folder: Folder, count: Count = 480, domain: DomainOption = Domain.primary,
           split: SplitOption = Split.train, seed: Seed = 0, processes: Processes = 2,
           width: Annotated[int, typer.Option(help='pixels')] = 640,
           height: Annotated[int, typer.Option(help='pixels')] = 480) -> None:
    """Make RGB-D frames of tabletop scenes with instance masks and poses."""
    from pose_estimation_ros.synthetic.frame_cache import write_frame_shards

    write_frame_shards(folder, count, domain.value, split.value, resolution=(width, height),
                       seed=seed, processes=processes, report=_progress)
