"""A small folder of objects in known rotations."""

from functools import partial
from pathlib import Path

import numpy as np

from pose_estimation_ros.core.rotation import random_rotation
from pose_estimation_ros.rendering.primitives import box
from pose_estimation_ros.synthetic.object_model import make_object
from pose_estimation_ros.synthetic.shard_files import write_shards
from pose_estimation_ros.training.disp6d_view_making import drawn
from pose_estimation_ros.training.disp6d_views import (
    KIND,
    TargetRenderer,
    TurnedObject,
    pack_turned,
)

NAMES = ('primary_mug_straight_1', 'primary_camera_compact_2')


def turned_objects(views: int = 3, seed: int = 0, names: tuple[str, ...] = NAMES
                   ) -> list[TurnedObject]:
    """Return pictures of a mug and of a brick called a camera, or of the mug alone."""
    generator = np.random.default_rng(seed)
    meshes = [make_object('mug', 1, 'primary').mesh, box((0.1, 0.06, 0.04))]
    found = []
    for number, (name, mesh) in enumerate(zip(names, meshes, strict=False)):
        R = np.stack([random_rotation(generator) for _ in range(views)])
        targets = TargetRenderer(meshes).targets([number] * views, R)
        found += [TurnedObject(*picture, rotation, target, name) for picture, rotation, target
                  in zip(drawn(mesh, R, generator), R, targets, strict=True)]
    return found


def store_turned(folder: Path, categories: tuple[str, ...] = ('mug', 'camera'), seed: int = 0,
                 names: tuple[str, ...] = NAMES) -> Path:
    """Write such a folder of one shard."""
    write_shards(folder, 1, {'kind': KIND, 'categories': list(categories)},
                 partial(_shard, seed, names))
    return folder


def _shard(seed: int, names: tuple[str, ...], _: int) -> dict[str, np.ndarray]:
    return pack_turned(turned_objects(seed=seed, names=names))
