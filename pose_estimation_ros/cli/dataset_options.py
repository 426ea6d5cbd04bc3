"""Options that all commands of `pose-estimation dataset` share, and what they mean."""

from __future__ import annotations

import re
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pose_estimation_ros.core.errors import ConfigurationError

if TYPE_CHECKING:
    from pose_estimation_ros.synthetic.object_source import ObjectSource

GENERATED = 'categories'


class Domain(str, Enum):
    """The two synthetic worlds; the second is made differently and never trained on."""

    primary = 'primary'
    second = 'second'


class Split(str, Enum):
    """Instances of one split never occur in another."""

    train = 'train'
    val = 'val'
    test = 'test'


class Layout(str, Enum):
    """How frames lie on the disk."""

    nocs = 'nocs'
    bop = 'bop'
    shards = 'shards'


Folder = Annotated[Path, typer.Argument(help='Where the data goes.')]
Count = Annotated[int, typer.Option(min=1, help='How many, rounded up to whole shards.')]
DomainOption = Annotated[Domain, typer.Option(help='Which synthetic world.')]
SplitOption = Annotated[Split, typer.Option(help='Which instances.')]
Seed = Annotated[int, typer.Option(min=0, help='Other seeds give other scenes.')]
Processes = Annotated[int, typer.Option(min=1, help='Shards made at the same time.')]
Cluster = Annotated[str, typer.Option(help='Address of a Dask scheduler whose workers make the '
                                      'shards, such as tcp://10.0.0.5:8786. All must see the '
                                      'folder under the same path.')]
Objects = Annotated[str, typer.Option(help='"categories" for the generated objects of the six '
                                      'categories, or a folder of meshes, one subfolder per '
                                      'category (docs/custom_categories.md).')]
Categories = Annotated[str, typer.Option(help='Only these, separated by commas; empty = all.')]
Resolution = Annotated[str, typer.Option(help='WIDTHxHEIGHT, pixels.')]


def object_source(objects: str, categories: str, domain: str) -> ObjectSource:
    """Return the objects that the options name; every mesh of a folder is checked.

    Args:
        objects: 'categories', or a folder of meshes.
        categories: Names separated by commas; '' = all.
        domain: 'primary' or 'second'.

    Raises:
        ConfigurationError: If the folder or a category is wrong.
        InvalidInputError: If a mesh is.
    """
    from pose_estimation_ros.synthetic.mesh_objects import models_without_mesh, open_mesh_folder
    from pose_estimation_ros.synthetic.object_source import procedural_objects

    names = tuple(name.strip() for name in categories.split(',') if name.strip())
    if objects == GENERATED:
        return procedural_objects(domain, names)
    folder = open_mesh_folder(Path(objects), names)
    folder.check()
    if absent := models_without_mesh(folder.root):
        print(f'left out, for {folder.root} has no mesh of them: {", ".join(absent)}')
    return folder


def limited(source: ObjectSource, instances: int, usual: int) -> ObjectSource:
    """Return a source with fewer objects per category and split.

    Args:
        source: Known objects are one each, of which there are no fewer.
        instances: How many at most, as asked for; 0 = as usual.
        usual: How many if nothing is asked for; 0 = all.

    Raises:
        ConfigurationError: If known objects are to be limited.
    """
    from pose_estimation_ros.synthetic.object_source import FewObjects

    if source.is_known:
        if instances:
            raise ConfigurationError(f'--instances {instances} is for categories of many objects, '
                                     'but known objects are one each: leave it out, and choose '
                                     'objects with --categories')
        return source
    most = instances or usual
    return FewObjects(source, most) if most else source


def resolution_of(text: str) -> tuple[int, int]:
    """Return width and height of 'WIDTHxHEIGHT'.

    Raises:
        ConfigurationError: If it is not two numbers from 16 to 8192.
    """
    found = re.fullmatch(r'(\d+)x(\d+)', text)
    if found is None or not all(16 <= int(side) <= 8192 for side in found.groups()):
        raise ConfigurationError(f'the resolution {text!r} must be WIDTHxHEIGHT, each from 16 to '
                                 '8192 pixels, such as 640x480')
    return int(found[1]), int(found[2])
