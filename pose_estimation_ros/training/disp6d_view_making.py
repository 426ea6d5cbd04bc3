"""Making the data that DISP6D is trained on: cut out of frames, or drawn of random parts."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from pose_estimation_ros.backends.disp6d_translation import turned_to_ray
from pose_estimation_ros.core.categories import CATEGORY_NAMES
from pose_estimation_ros.core.errors import InvalidInputError
from pose_estimation_ros.core.rotation import random_rotation
from pose_estimation_ros.core.se3 import make_transform
from pose_estimation_ros.rendering.mesh import Mesh
from pose_estimation_ros.rendering.view_renderer import PIXEL_CENTRE, make_view_renderer
from pose_estimation_ros.synthetic.frame_cache import described_frame_shards, read_frames
from pose_estimation_ros.synthetic.object_model import make_object
from pose_estimation_ros.synthetic.random_parts import random_part
from pose_estimation_ros.synthetic.shard_files import (
    ALONE,
    Workers,
    write_shards,
)
from pose_estimation_ros.synthetic.synthetic_frame import Instance, SyntheticFrame
from pose_estimation_ros.training.disp6d_painting import painted
from pose_estimation_ros.training.disp6d_views import (
    KIND,
    TARGET_VIEW,
    TargetRenderer,
    TurnedObject,
    pack_turned,
)

FloatArray = NDArray[np.float64]

LEAST_SIDE, LEAST_VISIBILITY = 12, 0.3
# A picture shows this much more than the object's box, so that crops can be shifted.
_REACH = 1.5
_LARGEST_SIDE = 192
# Drawn objects fill this share of their picture, seen from so many diagonals away.
_FILLED, _DISTANCES = 0.66, (2.0, 8.0)
_DRAWN_SIDE = 192
_PARTS_PER_SHARD = 16


def write_turned_from_frames(folder: Path, frames: Path, workers: Workers = ALONE) -> list[Path]:
    """Cut the generated objects of the six categories out of frames.

    Args:
        folder: Where to write; what an interrupted call left out is made by the next one.
        frames: Folder of frame shards.
        workers: Who makes the shards.

    Raises:
        InvalidInputError: If there are no frames, or they show other objects.
    """
    shards, made = described_frame_shards(frames)
    if 'objects' in made:
        raise InvalidInputError(f'{frames} shows the meshes of a folder; the targets of their '
                                'pictures are made for generated objects only: give frames of '
                                'those, or leave --frames out to draw random parts')
    description = {'kind': KIND, 'focal': TARGET_VIEW.focal, 'frames': made,
                   'categories': list(CATEGORY_NAMES)}
    make = partial(_shard_of_frames, [str(path) for path in shards])
    return write_shards(folder, len(shards), description, make, workers)


def write_turned_parts(folder: Path, count: int, views: int, split: str, seed: int = 0,
                       workers: Workers = ALONE) -> list[Path]:
    """Draw random parts in random rotations, painted and lit at random.

    Args:
        folder: Where to write; what an interrupted call left out is made by the next one.
        count: Number of parts, rounded up to whole shards.
        views: Pictures of each.
        split: 'train', 'val' or 'test'; no part is in two of them.
        seed: 0 or more; different seeds give other pictures of the same parts.
        workers: Who makes the shards.
    """
    description = {'kind': KIND, 'focal': TARGET_VIEW.focal, 'split': split, 'views': views,
                   'seed': seed, 'categories': []}
    make = partial(_shard_of_parts, split, views, seed)
    return write_shards(folder, -(-count // _PARTS_PER_SHARD), description, make, workers)


def _shard_of_frames(shards: Sequence[str], number: int) -> dict[str, NDArray[Any]]:
    found = [(frame, instance) for frame in read_frames(Path(shards[number]))
             for instance in frame.instances if _is_seen(instance)]
    if not found:
        raise InvalidInputError(f'{shards[number]} shows no object of the six categories of which '
                                'enough is seen; make frames with more in a shard')
    names = sorted({instance.name for _, instance in found})
    renderer = TargetRenderer([_mesh_of(name) for name in names])
    R = np.stack([_seen_rotation(instance) for _, instance in found])
    targets = renderer.targets([names.index(instance.name) for _, instance in found], R)
    return pack_turned([
        TurnedObject(*_cut(frame, instance), rotation, target, instance.name)
        for (frame, instance), rotation, target in zip(found, R, targets, strict=True)])


def _shard_of_parts(split: str, views: int, seed: int, number: int) -> dict[str, NDArray[Any]]:
    numbers = range(number * _PARTS_PER_SHARD, (number + 1) * _PARTS_PER_SHARD)
    meshes = [random_part(split, part) for part in numbers]
    renderer = TargetRenderer(meshes)
    generator = np.random.default_rng((seed, number))
    turned = []
    for place, mesh in enumerate(meshes):
        R = np.stack([random_rotation(generator) for _ in range(views)])
        targets = renderer.targets([place] * views, R)
        pictures = drawn(mesh, R, generator)
        turned += [TurnedObject(*picture, rotation, target, f'{split}_{numbers[place]}')
                   for picture, rotation, target in zip(pictures, R, targets, strict=True)]
    return pack_turned(turned)


def drawn(mesh: Mesh, R: FloatArray, generator: np.random.Generator
          ) -> Iterator[tuple[NDArray[np.uint8], NDArray[np.uint8], FloatArray]]:
    """Yield painted pictures of a mesh alone, with mask and box.

    Args:
        mesh: About the origin, any unit.
        R: (B, 3, 3) rotations from its frame to the camera.
        generator: Source of randomness.
    """
    diagonal = float(np.linalg.norm(np.ptp(mesh.bounds, axis=0)))
    unit = Mesh(mesh.vertices / diagonal, mesh.faces)
    distance = generator.uniform(*_DISTANCES, len(R))
    t = np.stack([np.zeros_like(distance), np.zeros_like(distance), distance], axis=1)
    T, K = make_transform(R, t), np.stack([
        _filling_camera(unit.vertices @ rotation.T + position)
        for rotation, position in zip(R, t, strict=True)])
    seen = make_view_renderer([unit]).render([0] * len(R), T, K, _DRAWN_SIDE)
    for depth, pose, camera in zip(seen.depth, T, K, strict=True):
        mask = (depth > 0).astype(np.uint8)
        x, y, width, height = cv2.boundingRect(mask)
        yield (painted(depth, pose, camera, generator), mask,
               np.array([x, y, x + width, y + height], dtype=np.float64))


def _filling_camera(points: NDArray[Any]) -> FloatArray:
    """Return the (3, 3) camera matrix whose picture (V, 3) points fill as `_FILLED` says."""
    rays = points[:, :2] / points[:, 2:]
    low, high = rays.min(axis=0), rays.max(axis=0)
    focal = _FILLED * _DRAWN_SIDE / float((high - low).max())
    middle = 0.5 * _DRAWN_SIDE + PIXEL_CENTRE - focal * 0.5 * (low + high)
    return np.array([[focal, 0.0, middle[0]], [0.0, focal, middle[1]], [0.0, 0.0, 1.0]])


def _is_seen(instance: Instance) -> bool:
    return (instance.category in CATEGORY_NAMES
            and instance.visibility * instance.in_image >= LEAST_VISIBILITY
            and min(instance.box[2:] - instance.box[:2]) >= LEAST_SIDE)


def _mesh_of(name: str) -> Mesh:
    """Return the mesh of a generated object from its name, see `ObjectModel.name`.

    Raises:
        InvalidInputError: If no generated object is called so.
    """
    match = re.fullmatch(r'([a-z]+)_([a-z]+)_\w+_(\d+)', name)
    if match is not None:
        model = make_object(match[2], int(match[3]), match[1])
        if model.name == name:
            return model.mesh
    raise InvalidInputError(f'there is no generated object {name!r} (any more); make the frames '
                            'anew with this version')


def _seen_rotation(instance: Instance) -> FloatArray:
    """Return the rotation that the same picture would have straight ahead."""
    T = instance.T_camera_object
    return np.asarray(turned_to_ray(T[:3, 3]).T @ T[:3, :3])


def _cut(frame: SyntheticFrame, instance: Instance
         ) -> tuple[NDArray[np.uint8], NDArray[np.uint8], FloatArray]:
    """Return picture, mask and box of an object."""
    low, high = instance.box.reshape(2, 2)
    middle, reach = 0.5 * (low + high), 0.5 * _REACH * (high - low).max() + 1.0
    size = np.array(frame.instance_map.shape[::-1])
    left, top = np.floor(np.clip(middle - reach, 0, size)).astype(int)
    right, bottom = np.ceil(np.clip(middle + reach, 0, size)).astype(int)
    window = (slice(top, bottom), slice(left, right))
    rgb = np.ascontiguousarray(frame.frame.rgb[window])
    mask = (frame.instance_map[window] == instance.id).astype(np.uint8)
    scale = min(1.0, _LARGEST_SIDE / max(mask.shape))
    if scale < 1.0:
        side = tuple(max(1, round(scale * extent)) for extent in mask.shape[::-1])
        rgb = np.asarray(cv2.resize(rgb, side, interpolation=cv2.INTER_AREA), dtype=np.uint8)
        mask = np.asarray(cv2.resize(255 * mask, side, interpolation=cv2.INTER_AREA) > 127,
                          dtype=np.uint8)
    factors = np.tile(np.array(mask.shape[::-1]) / (right - left, bottom - top), 2)
    return rgb, mask, (instance.box - (left, top, left, top)) * factors
