"""Objects in known rotations, for training DISP6D: pictures of them, and what is decoded.

What is decoded is a plain rendering of the object alone, from straight ahead at a fixed distance
and scaled to a diagonal of one: grey shade and depth.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pose_estimation_ros.backends.disp6d_depth_alignment import DecodedView
from pose_estimation_ros.core.errors import ConfigurationError
from pose_estimation_ros.core.se3 import make_transform
from pose_estimation_ros.rendering.mesh import Mesh
from pose_estimation_ros.rendering.view_renderer import PIXEL_CENTRE, make_view_renderer
from pose_estimation_ros.synthetic.shard_files import (
    list_shards,
    opened_shard,
    read_description,
)
from pose_estimation_ros.training.packed_pictures import (
    packed_colors,
    packed_maps,
    unpacked_colors,
    unpacked_map,
)

KIND = 'turned'
TARGET_SIDE = 128
# No turn of a shape with a diagonal of one leaves a picture of this focal length. The published
# one, 140 / 128, cuts the ends off long things, and with them what their scale is told from.
TARGET_VIEW = DecodedView(focal=108 / 128)

FloatArray = NDArray[np.float64]

_LEVELS = 255
# Where a depth image shows the object's origin, of the range from 0 to 1.
_MIDDLE = 0.5


@dataclass(frozen=True, eq=False)
class Target:
    """What a network is to decode.

    Attributes:
        shade: (S, S) uint8 grey, 0 = no object.
        depth: (S, S) uint8 of the range from 0 to 1 that `networks.disp6d.Disp6d.decode`
            describes: steps of 0.4 % of the object's diagonal; 255 = no object.
    """

    shade: NDArray[np.uint8]
    depth: NDArray[np.uint8]


@dataclass(frozen=True, eq=False)
class TurnedObject:
    """A picture of an object and what is known of it.

    Attributes:
        rgb: (h, w, 3) uint8, more than the object's box.
        mask: (h, w) uint8, 1 where the object is seen.
        box: (4,) x_min, y_min, x_max, y_max of what is seen, pixels of `rgb`, upper bounds
            exclusive.
        R: (3, 3) rotation from the object frame to a camera that looks straight at it.
        target: What is to be decoded.
        name: Of the object.
    """

    rgb: NDArray[np.uint8]
    mask: NDArray[np.uint8]
    box: FloatArray
    R: FloatArray
    target: Target
    name: str

    @property
    def category(self) -> str:
        """What it is, which the names of generated objects hold; of parts no category."""
        return self.name.split('_')[1]


class TargetRenderer:
    """Draws what is to be decoded of some objects."""

    def __init__(self, meshes: Sequence[Mesh]) -> None:
        """Take the objects, each in its frame; the origin is looked at.

        Raises:
            InvalidInputError: If a mesh cannot be drawn.
        """
        # The middle of a mesh's box is its origin, so the box's diagonal is the unit of NOCS.
        self._renderer = make_view_renderer([
            Mesh(mesh.vertices / np.linalg.norm(np.ptp(mesh.bounds, axis=0)), mesh.faces)
            for mesh in meshes])

    def targets(self, objects: Sequence[int], R: FloatArray) -> list[Target]:
        """Return the targets of some of the objects in (B, 3, 3) rotations."""
        view = TARGET_VIEW
        t = np.broadcast_to([0.0, 0.0, view.distance], (len(R), 3))
        focal, middle = view.focal * TARGET_SIDE, 0.5 * TARGET_SIDE + PIXEL_CENTRE
        K = np.array([[focal, 0.0, middle], [0.0, focal, middle], [0.0, 0.0, 1.0]])
        views = self._renderer.render(objects, make_transform(R, t),
                                      np.broadcast_to(K, (len(R), 3, 3)), TARGET_SIDE)
        value = np.where(views.depth > 0, views.depth - view.distance + _MIDDLE, 1.0)
        return [Target(*images) for images in zip(*(
            np.round(_LEVELS * np.clip(image, 0, 1)).astype(np.uint8)
            for image in (views.shade, value)), strict=True)]


def pack_turned(objects: Sequence[TurnedObject]) -> dict[str, NDArray[Any]]:
    """Return the arrays of a shard."""
    packed = _Shard(
        *packed_colors([item.rgb for item in objects]),
        *packed_maps([item.mask for item in objects]),
        *packed_maps([item.target.shade for item in objects]),
        *packed_maps([item.target.depth for item in objects]),
        np.stack([item.box for item in objects]), np.stack([item.R for item in objects]),
        np.array([item.name for item in objects]))
    return {field.name: getattr(packed, field.name) for field in fields(packed)}


@dataclass(frozen=True, eq=False)
class _Shard:
    """S objects in stacked arrays; pictures are files one after the other."""

    pictures: NDArray[np.uint8]
    picture_ends: NDArray[np.int64]
    masks: NDArray[np.uint8]
    mask_ends: NDArray[np.int64]
    shades: NDArray[np.uint8]
    shade_ends: NDArray[np.int64]
    depths: NDArray[np.uint8]
    depth_ends: NDArray[np.int64]
    box: FloatArray
    R: FloatArray
    name: NDArray[np.str_]

    def __getitem__(self, row: int) -> TurnedObject:
        target = Target(unpacked_map(self.shades, self.shade_ends, row),
                        unpacked_map(self.depths, self.depth_ends, row))
        return TurnedObject(
            unpacked_colors(self.pictures, self.picture_ends, row),
            unpacked_map(self.masks, self.mask_ends, row), self.box[row], self.R[row], target,
            str(self.name[row]))


class TurnedShards:
    """Random access to the objects of a folder, which are kept in memory undecoded.

    Attributes:
        description: What the folder holds.
        name: (S,) name of each one's object.
    """

    def __init__(self, folder: Path) -> None:
        """Read the folder.

        Raises:
            ConfigurationError: If it holds something else, or nothing yet.
            InvalidInputError: If a shard is damaged.
        """
        self.description = read_description(folder, KIND)
        paths = list_shards(folder)
        if not paths:
            raise ConfigurationError(f'{folder} holds no objects yet; make some with: '
                                     f'pose-estimation dataset {KIND} {folder}')
        self._shards = [_read(path) for path in paths]
        self._ends = np.cumsum([len(shard.box) for shard in self._shards])
        self.name = np.concatenate([shard.name for shard in self._shards])

    def __len__(self) -> int:
        """Return the number of pictures."""
        return len(self.name)

    def __getitem__(self, index: int) -> TurnedObject:
        """Decode a picture and its target."""
        number = int(np.searchsorted(self._ends, index, side='right'))
        shard = self._shards[number]
        return shard[index - int(self._ends[number]) + len(shard.box)]


def _read(path: Path) -> _Shard:
    with opened_shard(path) as stored:
        return _Shard(*(stored[field.name] for field in fields(_Shard)))
