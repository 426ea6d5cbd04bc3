r"""Single-object samples with colour, for training the full SPD network.

Usage::

    python -m pose_estimation_ros.training.color_crops --out data/color_crops/train \
        --scenes 7000 --processes 2
"""

from __future__ import annotations

import argparse
import logging
from collections.abc import Iterator
from dataclasses import dataclass, fields
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pose_estimation_ros.backends.spd_preprocessing import (
    crop_window,
    object_input,
    resized_crop,
)
from pose_estimation_ros.core.categories import CATEGORY_NAMES
from pose_estimation_ros.core.detection import Detection
from pose_estimation_ros.core.errors import InvalidInputError
from pose_estimation_ros.synthetic.scene import SCENES_PER_POOL, Scene, SceneGenerator
from pose_estimation_ros.synthetic.scene_renderer import render_frame
from pose_estimation_ros.synthetic.shard_files import Workers, list_shards, write_shards

POINTS = 1024

_MIN_VISIBILITY = 0.25
_MIN_PIXELS = 64
_MAX_SHARDS = 1 << 14

_logger = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class ColorCrops:
    """S views of single objects.

    Attributes:
        image: (S, 192, 192, 3) uint8 RGB.
        points: (S, 1024, 3) float32 metres, camera optical frame.
        pixel_index: (S, 1024) int32 pixel of each point in the crop, row * 192 + column.
        nocs: (S, 1024, 3) float32 true NOCS coordinates at those pixels.
        category: (S,) int64 index into `core.categories.CATEGORIES`.
        rotation: (S, 3, 3) float32 R_camera_object.
        shape: (S, 1024, 3) float32 surface points, NOCS coordinates.
    """

    image: NDArray[np.uint8]
    points: NDArray[np.float32]
    pixel_index: NDArray[np.int32]
    nocs: NDArray[np.float32]
    category: NDArray[np.int64]
    rotation: NDArray[np.float32]
    shape: NDArray[np.float32]

    def __len__(self) -> int:
        """Return the number of views."""
        return len(self.category)

    def take(self, index: NDArray[np.integer]) -> ColorCrops:
        """Return the chosen views."""
        return ColorCrops(*(getattr(self, field.name)[index] for field in fields(self)))


def scene_crops(
    scene: Scene, resolution: tuple[int, int] = (640, 480)
) -> Iterator[tuple[NDArray[np.generic], ...]]:
    """Render a scene and yield its well visible objects, one tuple of `ColorCrops` fields each.

    Masks are the true ones, as in the published training; coordinates are those of the true
    surface, points those of the simulated sensor.
    """
    truth = render_frame(scene, resolution)
    frame, nocs_map = truth.frame, truth.nocs_map()
    generator = scene.generator(700)
    for instance in truth.instances:
        mask = truth.instance_map == instance.id
        if instance.visibility < _MIN_VISIBILITY or mask.sum() < _MIN_PIXELS:
            continue
        detection = Detection(instance.category, 1.0, instance.box, mask)
        seen = object_input(frame, detection, POINTS, generator)
        if seen is None:
            continue
        column, row = np.rint(frame.intrinsics.project(seen.points.astype(np.float64))).T
        window = crop_window(instance.box, *mask.shape)
        yield (
            resized_crop(frame.rgb, window),
            seen.points,
            seen.pixel_index.astype(np.int32),
            nocs_map[row.astype(np.intp), column.astype(np.intp)],
            np.int64(CATEGORY_NAMES.index(instance.category)),
            instance.T_camera_object[:3, :3].astype(np.float32),
            scene.instances[instance.id - 1].solid.model_points,
        )


def stack_crops(samples: list[tuple[NDArray[np.generic], ...]]) -> ColorCrops:
    """Return the samples of `scene_crops` in stacked arrays."""
    return ColorCrops(*(np.stack(column) for column in zip(*samples, strict=True)))


def write_color_crops(
    folder: Path, scenes: int, domain: str, split: str, seed: int = 0, processes: int = 1
) -> list[Path]:
    """Render scenes, write their samples to a folder of shards and return the shards' paths.

    What an interrupted call left out is made by the next one.

    Args:
        folder: Where to write, about 150 kB per sample.
        scenes: Number of scenes, rounded up to whole shards of scenes that share objects.
        domain: 'primary' or 'second'.
        split: 'train', 'val' or 'test'.
        seed: Different seeds give different scenes.
        processes: How many shards are made at the same time.
    """
    description = {'kind': 'color crops', 'domain': domain, 'split': split, 'seed': seed,
                   'points': POINTS, 'scenes_per_shard': SCENES_PER_POOL}
    make = partial(_shard, domain, split, seed)
    workers = Workers(
        processes, report=lambda done, total: _logger.info('%d of %d shards', done, total)
    )
    return write_shards(folder, -(-scenes // SCENES_PER_POOL), description, make, workers)


def read_color_crops(folder: Path) -> ColorCrops:
    """Return all samples of a folder.

    Raises:
        InvalidInputError: There are none.
    """
    parts = []
    for shard in list_shards(folder):
        with np.load(shard) as stored:
            parts.append([stored[field.name] for field in fields(ColorCrops)])
    if not parts:
        raise InvalidInputError(
            f'{folder} holds no colour crops; make some: python -m '
            f'{__name__} --out {folder} --scenes 7000'
        )
    return ColorCrops(*(np.concatenate(column) for column in zip(*parts, strict=True)))


def _shard(domain: str, split: str, seed: int, number: int) -> dict[str, NDArray[np.generic]]:
    scenes = SceneGenerator(domain, split)
    first = (seed * _MAX_SHARDS + number) * SCENES_PER_POOL
    samples = [
        sample
        for scene_seed in range(first, first + SCENES_PER_POOL)
        for sample in scene_crops(scenes.scene(scene_seed))
    ]
    crops = stack_crops(samples)
    return {field.name: getattr(crops, field.name) for field in fields(crops)}


def main() -> None:
    """Write samples as the command line says."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('--out', type=Path, required=True)
    parser.add_argument('--scenes', type=int, default=7000)
    parser.add_argument('--domain', default='primary')
    parser.add_argument('--split', default='train')
    parser.add_argument('--seed', type=int, default=0)
    parser.add_argument('--processes', type=int, default=1)
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format='%(message)s')
    write_color_crops(
        arguments.out, arguments.scenes, arguments.domain, arguments.split, arguments.seed,
        arguments.processes,
    )


if __name__ == '__main__':
    main()
