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


def object_source(objects: str, categories: str, domain: str, instances: int = 0) -> ObjectSource:
    """Return the objects that the options name; every mesh of a folder is checked.

    Args:
        objects: 'categories', or a folder of meshes.
        categories: Names separated by commas; '' = all.
        domain: 'primary' or 'second'.
        instances: Most objects per category and split; 0 = all.

    Raises:
        ConfigurationError: If the folder or a category is wrong.
        InvalidInputError: If a mesh is.
    """
    from pose_estimation_ros.synthetic.mesh_objects import open_mesh_folder
    from pose_estimation_ros.synthetic.object_source import FewObjects, procedural_objects

    names = tuple(name.strip() for name in categories.split(',') if name.strip())
    source: ObjectSource
    if objects == GENERATED:
        source = procedural_objects(domain, names)
    else:
        source = folder = open_mesh_folder(Path(objects), names)
        folder.check()
    return FewObjects(source, instances) if instances and not source.is_known else source


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
