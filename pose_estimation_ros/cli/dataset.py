"""`pose-estimation dataset`: synthetic data for training and evaluation, and downloaded ones."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from pose_estimation_ros.cli import (
    dataset_candidates,
    dataset_cut,
    dataset_pictures,
    dataset_prepare,
    dataset_turned,
    dataset_views,
)
from pose_estimation_ros.cli.dataset_options import (
    GENERATED,
    Categories,
    Cluster,
    Count,
    Domain,
    DomainOption,
    Folder,
    Layout,
    Objects,
    Processes,
    Resolution,
    Seed,
    Split,
    SplitOption,
    limited,
    object_source,
    resolution_of,
)
from pose_estimation_ros.cli.progress import progress_bar
from pose_estimation_ros.cli.teaching import examples
from pose_estimation_ros.core.errors import ConfigurationError

_DOCS = 'docs/custom_categories.md'
# A BOP data set is of known objects, each with a model; most have thirty or fewer.
_BOP_INSTANCES = 20

dataset = typer.Typer(no_args_is_help=True, help='Make synthetic data, or prepare '
                      'downloaded ones. An interrupted command goes on where it stopped when it '
                      'is given again.',
                      epilog=examples('dataset crops data/crops/train --count 28000',
                                      'dataset frames data/frames/test --split test --count 480',
                                      docs=_DOCS))


@dataset.command(epilog=examples(
    'dataset crops data/crops/train --count 28000 --processes 2',
    'dataset crops data/tools/train --objects meshes --count 10000', docs=_DOCS))
def crops(folder: Folder, count: Count = 10000, domain: DomainOption = Domain.primary,
          split: SplitOption = Split.train, seed: Seed = 0, processes: Processes = 2,
          points: Annotated[int, typer.Option(min=1, help='Points per object.')] = 1024,
          objects: Objects = GENERATED, categories: Categories = '', cluster: Cluster = '',
          shard_size: Annotated[int, typer.Option(min=1, help='Samples per file.')] = 1000,
          colored: Annotated[bool, typer.Option(
              '--colored', help='Give the points colours, as networks that look at them need; '
              'takes longer.')] = False,
          lying: Annotated[float | None, typer.Option(
              min=0.0, max=1.0, help='Share of objects that do not stand upright; they are what '
              'takes longest to learn.', show_default='as in frames')] = None) -> None:
    """Make point clouds of single objects under masks with a detector's errors."""
    from pose_estimation_ros.synthetic.crops import write_crop_shards
    from pose_estimation_ros.synthetic.shard_files import Workers

    source = object_source(objects, categories, domain.value)
    with progress_bar('shards') as report:
        write_crop_shards(folder, count, domain.value, split.value, seed=seed,
                          point_count=points, shard_size=shard_size, source=source,
                          workers=Workers(processes, cluster, report), colored=colored,
                          lying=lying)


@dataset.command(epilog=examples(
    'dataset frames data/frames/train --count 2400 --width 400 --height 300', docs=_DOCS))
def frames(folder: Folder, count: Count = 480, domain: DomainOption = Domain.primary,
           split: SplitOption = Split.train, seed: Seed = 0, processes: Processes = 2,
           width: Annotated[int, typer.Option(min=16, help='Pixels.')] = 640,
           height: Annotated[int, typer.Option(min=16, help='Pixels.')] = 480,
           objects: Objects = GENERATED, categories: Categories = '',
           occluded: Annotated[bool, typer.Option(
               '--occluded', help='Objects of the six categories stand and hide each other, as '
               'docs/occlusion.md measures.')] = False,
           cluster: Cluster = '') -> None:
    """Make RGB-D frames of tabletop scenes with instance masks and poses."""
    from pose_estimation_ros.synthetic.frame_cache import write_frame_shards
    from pose_estimation_ros.synthetic.occlusion import write_occluded_shards
    from pose_estimation_ros.synthetic.shard_files import Workers

    if occluded:
        if (objects, categories) != (GENERATED, ''):
            raise ConfigurationError('--occluded is for the generated objects of the six '
                                     'categories; leave --objects and --categories out')
        with progress_bar('shards') as report:
            write_occluded_shards(folder, count, domain.value, split.value, (width, height), seed,
                                  Workers(processes, cluster, report))
        return
    source = object_source(objects, categories, domain.value)
    with progress_bar('shards') as report:
        write_frame_shards(folder, count, domain.value, split.value, resolution=(width, height),
                           seed=seed, source=source,
                           workers=Workers(processes, cluster, report))


@dataset.command(epilog=examples(
    'dataset generate data/nocs --format nocs --count 1000 --processes 4',
    'dataset generate data/tools --format bop --objects meshes --split test --count 480',
    'dataset generate /shared/bop --format bop --count 100000 --cluster tcp://10.0.0.5:8786',
    docs=_DOCS))
def generate(folder: Folder,
             layout: Annotated[Layout, typer.Option('--format', help='nocs: CAMERA layout, frames '
                               'in folders of ten; bop: scenes, models and targets; shards: our '
                               'own, the smallest.')],
             count: Count = 480, domain: DomainOption = Domain.primary,
             split: SplitOption = Split.train, objects: Objects = GENERATED,
             categories: Categories = '',
             instances: Annotated[int, typer.Option(min=0, help='Objects per category and split '
                                  'to choose from; 0 = all, with bop 20. Not of known objects, '
                                  'which are one each.')] = 0,
             resolution: Resolution = '640x480', seed: Seed = 0, processes: Processes = 2,
             cluster: Cluster = '') -> None:
    """Make RGB-D frames with masks, poses and NOCS maps in a layout that others read, too.

    NOCS: train becomes CAMERA/train, val and test become CAMERA/val; the camera is the published
    one, which loaders of that layout take for granted. BOP: scenes hold 48 frames; other splits
    can be added to the same folder if they are made of the same objects. Of known objects
    (docs/known_objects.md) it also gets symmetries.png, a picture to confirm them by.
    """
    from pose_estimation_ros.synthetic.dataset_writing import (
        SCENE_SIZE,
        claim_bop,
        generate_frames,
    )
    from pose_estimation_ros.synthetic.mesh_objects import MeshFolder
    from pose_estimation_ros.synthetic.recipe import FrameRecipe
    from pose_estimation_ros.synthetic.shard_files import Workers
    from pose_estimation_ros.synthetic.symmetry_picture import write_symmetry_picture

    source = limited(object_source(objects, categories, domain.value), instances,
                     _BOP_INSTANCES if layout is Layout.bop else 0)
    recipe = FrameRecipe(domain.value, split.value, source, seed, resolution_of(resolution))
    if layout is Layout.bop and isinstance(source, MeshFolder) and source.is_known:
        # Refuse before the picture of the data that are there is replaced.
        claim_bop(folder, recipe, SCENE_SIZE)
        print('look whether the symmetries are right: '
              f'{write_symmetry_picture(folder, source)}')
    with progress_bar('shards') as report:
        generate_frames(folder, layout.value, count, recipe, Workers(processes, cluster, report))


@dataset.command(epilog=examples('dataset priors models/tool_priors/priors.npz --objects meshes',
                                 docs=_DOCS))
def priors(file: Annotated[Path, typer.Argument(help='Where the shapes go, an .npz file.')],
           objects: Objects = GENERATED, categories: Categories = '',
           instances: Annotated[int, typer.Option(min=1, help='Most training objects looked at '
                                'per category.')] = 200) -> None:
    """Choose the shape prior of each category: the training object most like all others.

    SPD deforms it into the object that it sees. Without training; `pose-estimation train
    shape-prior` is the published way. Needs PyTorch to be installed.
    """
    from pose_estimation_ros.training.shape_priors import category_priors, save_priors

    source = object_source(objects, categories, Domain.primary.value)
    save_priors(file, category_priors(instances, source), 'medoid', source.categories)
    names = ', '.join(category.name for category in source.categories)
    print(f'wrote the shapes of {names} to {file}')


dataset.command(epilog=dataset_cut.EPILOG)(dataset_cut.cut)
dataset.command(epilog=dataset_views.EPILOG)(dataset_views.views)
dataset.command(epilog=dataset_pictures.EPILOG)(dataset_pictures.pictures)
dataset.command(epilog=dataset_turned.EPILOG)(dataset_turned.turned)
dataset.command(epilog=dataset_prepare.EPILOG)(dataset_prepare.prepare)
dataset.command(epilog=dataset_candidates.EPILOG)(dataset_candidates.candidates)
