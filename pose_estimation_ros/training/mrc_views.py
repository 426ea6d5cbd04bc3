"""Known objects cut out of stored frames with their surroundings, for training MRC-Net.

Reading a whole frame for each object would take longer than the network. Here every object is a
small picture that shows all that a jittered crop of it can show, at the resolution of the frame
or, if that is larger, at the given side; a batch is decoded from memory in milliseconds.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from pose_estimation_ros.core.errors import ConfigurationError, InvalidInputError
from pose_estimation_ros.rendering.mesh_archive import read_mesh_archive, write_mesh_archive
from pose_estimation_ros.rendering.mesh_simplification import simplified
from pose_estimation_ros.rendering.model_meshes import DRAWN_FACES
from pose_estimation_ros.synthetic.frame_cache import described_frame_shards, read_frames
from pose_estimation_ros.synthetic.mesh_objects import MeshFolder
from pose_estimation_ros.synthetic.object_rules import FILE_NAME
from pose_estimation_ros.synthetic.object_source import categories_of
from pose_estimation_ros.synthetic.shard_files import (
    ALONE,
    Workers,
    list_shards,
    opened_shard,
    read_description,
    write_shards,
)
from pose_estimation_ros.synthetic.synthetic_frame import Instance, SyntheticFrame
from pose_estimation_ros.training.mrc_objects import CadObject
from pose_estimation_ros.training.packed_pictures import (
    packed_colors,
    packed_maps,
    unpacked_colors,
    unpacked_map,
)

KIND = 'views'
# Smaller or less visible objects are not learnt, as published.
LEAST_SIDE = 10
LEAST_VISIBILITY = 0.1
# A crop is 1.5 boxes wide, up to a quarter wider and shifted by up to a quarter of the box.
_REACH = 1.5 * 1.25 + 2 * 0.25
_MESHES = 'meshes.npz'


@dataclass(frozen=True, eq=False)
class ObjectView:
    """One object in its surroundings.

    Attributes:
        rgb: (h, w, 3) uint8.
        mask: (h, w) uint8, 1 where the object is seen.
        from_image: (2, 3) affine map from pixels of the frame to pixels of `rgb`.
        K: (3, 3) camera matrix of the frame, pixels.
        image_size: (2,) width and height of the frame, pixels.
        box: (4,) x_min, y_min, x_max, y_max of what is seen, pixels of the frame, upper bounds
            exclusive.
        T_camera_object: (4, 4) metres.
        object: Which object it is.
        visibility: Share of the whole object that is seen, 0 to 1.
    """

    rgb: NDArray[np.uint8]
    mask: NDArray[np.uint8]
    from_image: NDArray[np.float64]
    K: NDArray[np.float64]
    image_size: NDArray[np.int64]
    box: NDArray[np.float64]
    T_camera_object: NDArray[np.float64]
    object: int
    visibility: float


@dataclass(frozen=True, eq=False)
class _Shard:
    """S views in stacked arrays; pictures are JPEG, masks PNG files one after the other."""

    pictures: NDArray[np.uint8]
    picture_ends: NDArray[np.int64]
    masks: NDArray[np.uint8]
    mask_ends: NDArray[np.int64]
    from_image: NDArray[np.float64]
    K: NDArray[np.float64]
    image_size: NDArray[np.int64]
    box: NDArray[np.float64]
    T_camera_object: NDArray[np.float64]
    object: NDArray[np.int64]
    visibility: NDArray[np.float64]

    @classmethod
    def of(cls, views: Sequence[ObjectView]) -> _Shard:
        return cls(
            *packed_colors([view.rgb for view in views]),
            *packed_maps([view.mask for view in views]),
            *(np.array([getattr(view, field.name) for view in views])
              for field in fields(ObjectView)[2:]))

    def __len__(self) -> int:
        return len(self.object)

    def __getitem__(self, row: int) -> ObjectView:
        return ObjectView(
            unpacked_colors(self.pictures, self.picture_ends, row),
            unpacked_map(self.masks, self.mask_ends, row),
            self.from_image[row], self.K[row],
            self.image_size[row], self.box[row], self.T_camera_object[row],
            int(self.object[row]), float(self.visibility[row]))


class ViewShards:
    """Random access to the views of a folder, which are kept in memory undecoded.

    Attributes:
        objects: What they show, in the order of their indices.
        object: (S,) int64 which object each view shows.
    """

    def __init__(self, folder: Path) -> None:
        """Read the folder.

        Raises:
            ConfigurationError: If it holds no views.
            InvalidInputError: If a shard is damaged.
            ModelError: If the meshes are damaged.
        """
        self.objects = read_objects(folder)
        paths = list_shards(folder)
        if not paths:
            raise ConfigurationError(f'{folder} holds no views yet; {_cure(folder)}')
        self._shards = [_read(path) for path in paths]
        self._ends = np.cumsum([len(shard) for shard in self._shards])
        self.object = np.concatenate([shard.object for shard in self._shards])

    def __len__(self) -> int:
        """Return the number of views."""
        return len(self.object)

    def __getitem__(self, index: int) -> ObjectView:
        """Decode a view."""
        number = int(np.searchsorted(self._ends, index, side='right'))
        return self._shards[number][index - int(self._ends[number]) + len(self._shards[number])]


def read_objects(folder: Path) -> tuple[CadObject, ...]:
    """Return what the views of a folder show, in the order of their indices.

    Raises:
        ConfigurationError: If it holds something else.
        ModelError: If the meshes are damaged.
    """
    if not (folder / _MESHES).is_file():
        raise ConfigurationError(f'{folder} holds no views of known objects; {_cure(folder)}')
    meshes = read_mesh_archive(folder / _MESHES)
    return tuple(CadObject(category.name, meshes[category.name], category.symmetry)
                 for category in categories_of(read_description(folder, KIND)))


def write_views(folder: Path, frames: Path, objects: MeshFolder, side: int = 192,
                workers: Workers = ALONE) -> list[Path]:
    """Cut the known objects out of frames, a shard of views per shard of frames.

    Args:
        folder: Where to write; what an interrupted call left out is made by the next one. It also
            gets the objects' meshes, so that it can be copied to where it is trained.
        frames: Folder of frame shards.
        objects: What they show.
        side: Largest side of a picture, pixels: 1.6 times that of the network's crops, or more.
        workers: Who makes the shards.

    Raises:
        InvalidInputError: If there are no frames, or they show other objects.
        ConfigurationError: If the folder holds other data, or the objects are categories.
    """
    if not objects.is_known:
        raise ConfigurationError(f'{objects.root} is a folder of categories, but views are of '
                                 'known objects in the frames of their files; write "frame: cad" '
                                 f'into {objects.root / FILE_NAME} and make the frames anew')
    shards, made = described_frame_shards(frames)
    known = objects.describe()
    if _geometry(made) != _geometry(known):
        raise InvalidInputError(f'{frames} shows other objects than those of {objects.root}, or '
                                'the same in other versions, units or frames; give the folder '
                                'that the frames were made with, or make them anew')
    folder.mkdir(parents=True, exist_ok=True)
    if not (folder / _MESHES).is_file():
        write_mesh_archive(folder / _MESHES, {
            category.name: simplified(objects.model(category.name, 'train', 0).mesh, DRAWN_FACES)
            for category in objects.categories})
    description = {'kind': KIND, 'side': side, 'categories': known['categories'],
                   'objects': known['objects'], 'frames': made}
    names = tuple(category.name for category in objects.categories)
    make = partial(_shard, [str(path) for path in shards], names, side)
    return write_shards(folder, len(shards), description, make, workers)


def object_views(frame: SyntheticFrame, names: Sequence[str], side: int) -> Iterator[ObjectView]:
    """Yield every known object of a frame of which enough is seen."""
    for instance in frame.instances:
        width, height = instance.box[2:] - instance.box[:2]
        visibility = instance.visibility * instance.in_image
        if (instance.category in names and visibility >= LEAST_VISIBILITY
                and min(width, height) > LEAST_SIDE):
            yield _cut(frame, instance, names.index(instance.category), visibility, side)


def pack_views(views: Sequence[ObjectView]) -> dict[str, NDArray[Any]]:
    """Return the arrays of a shard file."""
    packed = _Shard.of(views)
    return {field.name: getattr(packed, field.name) for field in fields(packed)}


def _cut(frame: SyntheticFrame, instance: Instance, number: int, visibility: float,
         side: int) -> ObjectView:
    intrinsics = frame.frame.intrinsics
    low, high = instance.box.reshape(2, 2)
    reach = 0.5 * _REACH * (high - low).max() + 1.0
    middle, size = 0.5 * (low + high), np.array([intrinsics.width, intrinsics.height])
    left, top = np.floor(np.clip(middle - reach, 0, size)).astype(int)
    right, bottom = np.ceil(np.clip(middle + reach, 0, size)).astype(int)
    window = (slice(top, bottom), slice(left, right))
    rgb = np.ascontiguousarray(frame.frame.rgb[window])
    mask = (frame.instance_map[window] == instance.id).astype(np.uint8)
    scale = min(1.0, side / max(rgb.shape[:2]))
    if scale < 1.0:
        target = tuple(max(1, round(scale * extent)) for extent in rgb.shape[1::-1])
        rgb = np.asarray(cv2.resize(rgb, target, interpolation=cv2.INTER_AREA), dtype=np.uint8)
        mask = np.asarray(cv2.resize(255 * mask, target, interpolation=cv2.INTER_AREA) > 127,
                          dtype=np.uint8)
    # Pixel centres are integers: the corner of the window is half a pixel before its first one.
    factors = np.array(rgb.shape[1::-1]) / (right - left, bottom - top)
    shift = factors * (0.5 - np.array([left, top])) - 0.5
    return ObjectView(rgb, mask, np.column_stack([np.diag(factors), shift]), intrinsics.K, size,
                      instance.box, instance.T_camera_object, number, visibility)


def _geometry(description: Mapping[str, Any]) -> tuple[Any, ...]:
    """Return what decides which meshes are in frames; symmetries may be corrected later."""
    return (description.get('objects', {}).get('sha256'),
            [(category['name'], category.get('unit'), category.get('frame'))
             for category in description['categories']])


def _shard(shards: Sequence[str], names: tuple[str, ...], side: int,
           number: int) -> dict[str, NDArray[Any]]:
    views = [view for frame in read_frames(Path(shards[number]))
             for view in object_views(frame, names, side)]
    if not views:
        raise InvalidInputError(f'{shards[number]} shows no known object of which enough is '
                                'seen; make frames with more in a shard, or larger ones')
    return pack_views(views)


def _read(path: Path) -> _Shard:
    with opened_shard(path) as stored:
        return _Shard(*(stored[field.name] for field in fields(_Shard)))


def _cure(folder: Path) -> str:
    return (f'make some with: pose-estimation dataset views {folder} --frames <folder of frames> '
            '--objects <folder of CAD models>')
