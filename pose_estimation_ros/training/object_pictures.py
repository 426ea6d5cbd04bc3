"""Whole frames without depth, in memory undecoded: windows anywhere in them cost milliseconds.

A window shows several objects, and at what scale and where it lies is drawn anew each time, so
nothing smaller than the frame would do.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pose_estimation_ros.core.categories import Category
from pose_estimation_ros.core.errors import ConfigurationError
from pose_estimation_ros.synthetic.frame_cache import described_frame_shards, read_frames
from pose_estimation_ros.synthetic.object_source import categories_of
from pose_estimation_ros.synthetic.shard_files import (
    ALONE,
    Workers,
    list_shards,
    opened_shard,
    read_description,
    write_shards,
)
from pose_estimation_ros.synthetic.synthetic_frame import SyntheticFrame
from pose_estimation_ros.training.packed_pictures import (
    packed_colors,
    packed_maps,
    unpacked_colors,
    unpacked_map,
)

KIND = 'pictures'
# An object stands if its up axis is nearer to the scene's than this.
_STANDING = np.cos(np.radians(45.0))


@dataclass(frozen=True, eq=False)
class PictureObjects:
    """The N objects of a picture, or of all pictures.

    Attributes:
        id: (N,) int64 values in the map of objects, 1 or more.
        category: (N,) int64 categories, in the order of the folder's.
        T_camera_object: (N, 4, 4) metres, optical frame.
        size: (N, 3) extents of the boxes, metres.
        visibility: (N,) share of the whole object that is seen, 0 to 1.
        box: (N, 4) x_min, y_min, x_max, y_max of what is seen, pixels, upper bounds exclusive.
        standing: (N,) bool, whether its up axis is about that of the scene.
    """

    id: NDArray[np.int64]
    category: NDArray[np.int64]
    T_camera_object: NDArray[np.float64]
    size: NDArray[np.float64]
    visibility: NDArray[np.float64]
    box: NDArray[np.float64]
    standing: NDArray[np.bool_]

    def __len__(self) -> int:
        """Return the number of objects."""
        return len(self.id)

    def __getitem__(self, rows: slice) -> PictureObjects:
        """Return some of the objects."""
        return PictureObjects(*(getattr(self, entry.name)[rows] for entry in fields(self)))

    @classmethod
    def joined(cls, parts: Sequence[PictureObjects]) -> PictureObjects:
        """Return the objects of several in one."""
        return cls(*(np.concatenate([getattr(part, entry.name) for part in parts])
                     for entry in fields(cls)))


@dataclass(frozen=True, eq=False)
class ObjectPicture:
    """A frame with its objects.

    Attributes:
        rgb: (H, W, 3) uint8.
        object_map: (H, W) uint8, 0 = no object, else the object's id.
        K: (3, 3) camera matrix, pixels.
        objects: Those at least partly inside the picture.
    """

    rgb: NDArray[np.uint8]
    object_map: NDArray[np.uint8]
    K: NDArray[np.float64]
    objects: PictureObjects


@dataclass(frozen=True, eq=False)
class _Shard:
    """S pictures in stacked arrays."""

    colors: NDArray[np.uint8]
    color_ends: NDArray[np.int64]
    maps: NDArray[np.uint8]
    map_ends: NDArray[np.int64]
    K: NDArray[np.float64]
    object_ends: NDArray[np.int64]
    objects: PictureObjects

    def __len__(self) -> int:
        return len(self.K)

    def __getitem__(self, row: int) -> ObjectPicture:
        first = int(self.object_ends[row - 1]) if row else 0
        return ObjectPicture(unpacked_colors(self.colors, self.color_ends, row),
                             unpacked_map(self.maps, self.map_ends, row), self.K[row],
                             self.objects[first:int(self.object_ends[row])])


class PictureShards:
    """Random access to the pictures of a folder.

    Attributes:
        categories: What the objects are, in the order of their indices.
        objects: All objects of all pictures.
        picture: (N,) int64 the picture of each of them.
    """

    def __init__(self, folder: Path) -> None:
        """Read the folder.

        Raises:
            ConfigurationError: If it holds no pictures.
            InvalidInputError: If a shard is damaged.
        """
        self.categories: tuple[Category, ...] = categories_of(read_description(folder, KIND))
        paths = list_shards(folder)
        if not paths:
            raise ConfigurationError(f'{folder} holds no pictures yet; make some with: '
                                     f'pose-estimation dataset pictures {folder} --frames '
                                     '<folder of frames>')
        self._shards = [_read(path) for path in paths]
        self._ends = np.cumsum([len(shard) for shard in self._shards])
        self.objects = PictureObjects.joined([shard.objects for shard in self._shards])
        counts = np.concatenate([np.diff(shard.object_ends, prepend=0) for shard in self._shards])
        self.picture = np.repeat(np.arange(len(counts)), counts)
        self._first = np.cumsum(counts) - counts

    def __len__(self) -> int:
        """Return the number of pictures."""
        return int(self._ends[-1])

    def __getitem__(self, index: int) -> ObjectPicture:
        """Decode a picture."""
        number = int(np.searchsorted(self._ends, index, side='right'))
        return self._shards[number][index - int(self._ends[number]) + len(self._shards[number])]

    def focus(self, row: int) -> tuple[ObjectPicture, int]:
        """Return the picture of one of all objects, and which of the picture's it is."""
        index = int(self.picture[row])
        return self[index], row - int(self._first[index])


def write_pictures(folder: Path, frames: Path, workers: Workers = ALONE) -> list[Path]:
    """Keep of frames what is seen, and what is true of the objects.

    Args:
        folder: Where to write; what an interrupted call left out is made by the next one.
        frames: Folder of frame shards.
        workers: Who makes the shards.

    Raises:
        InvalidInputError: If there are no frames.
        ConfigurationError: If the folder holds other data.
    """
    shards, made = described_frame_shards(frames)
    categories = categories_of(made)
    description = {'kind': KIND, 'frames': made,
                   'categories': [category.as_plain() for category in categories]}
    names = tuple(category.name for category in categories)
    make = partial(_shard, [str(path) for path in shards], names)
    return write_shards(folder, len(shards), description, make, workers)


def object_picture(frame: SyntheticFrame, names: Sequence[str]) -> ObjectPicture:
    """Return a frame in the form of a picture, with its objects of the named categories."""
    up = frame.frame.up
    shown = [one for one in frame.instances if one.category in names]
    T = np.array([one.T_camera_object for one in shown]).reshape(-1, 4, 4)
    return ObjectPicture(
        frame.frame.rgb, frame.instance_map.astype(np.uint8), frame.frame.intrinsics.K,
        PictureObjects(
            np.array([one.id for one in shown], dtype=np.int64),
            np.array([names.index(one.category) for one in shown], dtype=np.int64), T,
            np.array([one.size for one in shown]).reshape(-1, 3),
            np.array([one.visibility * one.in_image for one in shown], dtype=np.float64),
            np.array([one.box for one in shown]).reshape(-1, 4),
            # Where the ground is not seen, nobody knows; most objects stand.
            np.ones(len(shown), dtype=bool) if up is None else T[:, :3, 1] @ up > _STANDING))


def pack_pictures(pictures: Sequence[ObjectPicture]) -> dict[str, NDArray[Any]]:
    """Return the arrays of a shard file."""
    colors, color_ends = packed_colors([picture.rgb for picture in pictures])
    maps, map_ends = packed_maps([picture.object_map for picture in pictures])
    objects = PictureObjects.joined([picture.objects for picture in pictures])
    return {'colors': colors, 'color_ends': color_ends, 'maps': maps, 'map_ends': map_ends,
            'K': np.array([picture.K for picture in pictures]),
            'object_ends': np.cumsum([len(picture.objects) for picture in pictures]),
            **{entry.name: getattr(objects, entry.name) for entry in fields(objects)}}


def _shard(shards: Sequence[str], names: tuple[str, ...], number: int) -> dict[str, NDArray[Any]]:
    return pack_pictures([object_picture(frame, names)
                          for frame in read_frames(Path(shards[number]))])


def _read(path: Path) -> _Shard:
    with opened_shard(path) as stored:
        return _unpacked(stored)


def _unpacked(stored: Mapping[str, NDArray[Any]]) -> _Shard:
    objects = PictureObjects(*(stored[entry.name] for entry in fields(PictureObjects)))
    return _Shard(stored['colors'], stored['color_ends'], stored['maps'], stored['map_ends'],
                  stored['K'], stored['object_ends'], objects)
