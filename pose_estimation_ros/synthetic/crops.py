"""Samples for pose networks: the points of one object as a depth camera and a detector give them.

This is the fast path: one window per object, several cameras per scene, colours only if asked for.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from functools import cached_property, partial
from itertools import islice
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pose_estimation_ros.core.point_colors import point_colors
from pose_estimation_ros.core.se3 import inverse
from pose_estimation_ros.rendering.renderer import Window
from pose_estimation_ros.synthetic.crop_samples import (
    Crops,
    PoseSample,
    pack_crops,
    read_crop_shard,
)
from pose_estimation_ros.synthetic.depth_sensor import simulate_depth
from pose_estimation_ros.synthetic.mask_errors import detector_mask
from pose_estimation_ros.synthetic.object_source import ObjectSource, ProceduralObjects
from pose_estimation_ros.synthetic.scene import SCENES_PER_POOL, Body, Scene, SceneGenerator
from pose_estimation_ros.synthetic.scene_renderer import (
    Surfaces,
    body_looks,
    cast_view,
    object_window,
    share_in_image,
    view_light,
    visibility_of,
    window_rgb,
)
from pose_estimation_ros.synthetic.shard_files import ALONE, Workers, write_shards
from pose_estimation_ros.synthetic.viewpoints import View

__all__ = ['Crops', 'PoseSample', 'crop_shard', 'iterate_crops', 'read_crop_shard', 'render_crops',
           'write_crop_shards']

_VIEWS_PER_SCENE = 4
_MARGIN = 0.15
_MAX_SAMPLES = 150
_MIN_POINTS = 48
_MIN_VISIBILITY = 0.12
_MIN_IN_IMAGE = 0.3
# Points farther than this share of the diagonal from their true surface are no inliers.
_INLIER_SHARE = 0.1
# A category may be this many samples ahead of the rarest one.
_IMBALANCE = 6
_MAX_SHARDS = 1 << 14


def iterate_crops(domain: str, split: str, seed: int, worker: int = 0, workers: int = 1,
                  point_count: int = 1024,
                  source: ObjectSource | None = None, *, colored: bool = False,
                  lying: float | None = None) -> Iterator[PoseSample]:
    """Yield samples without end, all categories about equally often.

    Args:
        domain: 'primary' or 'second'.
        split: 'train', 'val' or 'test'.
        seed: 0 or more; different seeds give different scenes.
        worker: Number of this worker, from 0.
        workers: How many workers share the seed; each makes other scenes.
        point_count: Points per sample.
        source: The objects; None = the generated ones of the six categories.
        colored: Whether the points get colours.
        lying: Share of objects that do not stand upright; None = as usual.
    """
    source = ProceduralObjects(domain) if source is None else source
    scenes = SceneGenerator(domain, split, source, lying=lying)
    made: Counter[int] = Counter(dict.fromkeys(range(len(source.categories)), 0))
    # Blocks of seeds that share objects stay within one worker; seeds do not meet before 2^20
    # blocks are used up.
    block = (seed << 20) + worker
    while True:
        for offset in range(SCENES_PER_POOL):
            scene = scenes.scene(block * SCENES_PER_POOL + offset)
            for sample in render_crops(scene, point_count, made, colored=colored):
                made[sample.category] += 1
                yield sample
        block += workers


def render_crops(scene: Scene, point_count: int = 1024,
                 made: Counter[int] | None = None, *,
                 colored: bool = False) -> Iterator[PoseSample]:
    """Yield the samples of several cameras in one scene.

    Args:
        scene: What to look at.
        point_count: Points per sample.
        made: Samples made so far of each category index; categories far ahead of the rarest one
            are left out. The caller counts. None = keep all.
        colored: Whether the points get colours.
    """
    generator = scene.generator(500)
    # Colours draw from a source of their own: the same points come with and without.
    of_colors = scene.generator(501)
    for view in scene.views(_VIEWS_PER_SCENE):
        colors = _ViewColors(scene, view, of_colors) if colored else None
        for body in scene.instances:
            category = scene.categories.index(body.solid.category)
            if made is not None and made[category] > min(made.values()) + _IMBALANCE:
                continue
            sample = _crop(scene, view, body, category, point_count, generator, colors)
            if sample is not None:
                yield sample


class _ViewColors:
    """The colours of what one camera sees in windows; its exposure is set by all that it sees."""

    def __init__(self, scene: Scene, view: View, generator: np.random.Generator) -> None:
        self._scene, self._view, self._generator = scene, view, generator

    @cached_property
    def _light(self) -> float:
        return view_light(self._scene, self._view, self._generator)

    def at(self, surfaces: Surfaces, box: NDArray[np.integer], rows: NDArray[np.intp],
           columns: NDArray[np.intp]) -> NDArray[np.uint8]:
        """Return the (N, 9) colours at pixels of a window; see `point_colors`."""
        rgb = window_rgb(self._scene, surfaces, self._light, self._generator)
        return np.round(255.0 * point_colors(rgb, box, rows, columns)).astype(np.uint8)


def _crop(scene: Scene, view: View, body: Body, category: int, point_count: int,
          generator: np.random.Generator, colors: _ViewColors | None) -> PoseSample | None:
    """Return the sample of one object, or None if too little of it is to be seen."""
    window = object_window(body, view, _MARGIN)
    if window is None or share_in_image(body, view) < _MIN_IN_IMAGE:
        return None
    stride = -(-max(window.width, window.height) // _MAX_SAMPLES)
    window = Window(window.x, window.y, window.width // stride, window.height // stride, stride)
    if min(window.width, window.height) < 8:
        return None
    surfaces = cast_view(scene, view, window)
    index = scene.bodies.index(body)
    true_mask = surfaces.hits.mesh == index
    if true_mask.sum() < _MIN_POINTS:
        return None
    seen = visibility_of(body, surfaces, true_mask)
    if seen.whole < _MIN_VISIBILITY:
        return None
    luminance, gloss = body_looks(scene, surfaces)
    intrinsics = window.intrinsics(view.intrinsics)
    in_full = (window.x // stride, window.y // stride, view.intrinsics.width // stride,
               view.intrinsics.height // stride)
    depth = simulate_depth(surfaces.depth, surfaces.cosine(), luminance, gloss, intrinsics,
                           scene.depth_sensor, generator, in_full)
    mask = detector_mask(true_mask, seen.handle, generator)
    rows, columns = np.nonzero(mask & np.isfinite(depth))
    if len(rows) < _MIN_POINTS:
        return None
    box = np.array([columns.min(), rows.min(), columns.max() + 1, rows.max() + 1])
    order = generator.permutation(len(rows))
    chosen = np.resize(order, point_count)
    rows, columns = rows[chosen], columns[chosen]
    T_camera_object = inverse(view.T_world_camera) @ body.T_world_object
    rays = np.stack([(columns - intrinsics.cx) / intrinsics.fx,
                     (rows - intrinsics.cy) / intrinsics.fy, np.ones(point_count)], axis=-1)
    measured, clean = depth[rows, columns], surfaces.depth[rows, columns]
    on_object = true_mask[rows, columns]
    true_points = rays * np.where(on_object, clean, measured)[:, None]
    nocs = (true_points - T_camera_object[:3, 3]) @ T_camera_object[:3, :3] / body.solid.diagonal
    near = np.abs(measured - clean) < _INLIER_SHARE * body.solid.diagonal
    return PoseSample(
        (rays * measured[:, None]).astype(np.float32), nocs.astype(np.float32), on_object & near,
        category, T_camera_object, body.solid.size, seen.whole,
        seen.parts.get('handle', float('nan')), body.solid.name, body.solid.model_points,
        view.T_world_camera[2, :3].copy(),
        None if colors is None else colors.at(surfaces, box, rows, columns))


def write_crop_shards(folder: Path, count: int, domain: str, split: str, seed: int = 0,
                      point_count: int = 1024, shard_size: int = 1000,
                      source: ObjectSource | None = None, workers: Workers = ALONE, *,
                      colored: bool = False, lying: float | None = None) -> list[Path]:
    """Write samples to a folder; what an interrupted call left out is made by the next one.

    Args:
        folder: Where to write.
        count: Number of samples, rounded up to whole shards.
        domain: 'primary' or 'second'.
        split: 'train', 'val' or 'test'.
        seed: As in `iterate_crops`; shard k holds what worker k yields first.
        point_count: Points per sample.
        shard_size: Samples per shard.
        source: The objects; None = the generated ones of the six categories.
        workers: Who makes the shards.
        colored: Whether the points get colours, which takes longer.
        lying: Share of objects that do not stand upright; None = as usual.

    Returns:
        The paths of the shards, for `read_crop_shard`.
    """
    source = ProceduralObjects(domain) if source is None else source
    description = {'kind': 'crops', 'domain': domain, 'split': split, 'seed': seed,
                   'points': point_count, 'shard_size': shard_size,
                   **({'colored': True} if colored else {}),
                   **({} if lying is None else {'lying': lying}), **source.describe()}
    samples = partial(iterate_crops, domain, split, seed, point_count=point_count, source=source,
                      colored=colored, lying=lying)
    make = partial(crop_shard, samples, shard_size)
    return write_shards(folder, -(-count // shard_size), description, make, workers)


def crop_shard(samples: Callable[..., Iterator[PoseSample]], size: int,
               number: int) -> dict[str, NDArray[np.generic]]:
    """Return the arrays of a shard.

    Args:
        samples: `iterate_crops` with all but the worker and the number of workers.
        size: Samples per shard.
        number: Which shard.
    """
    # As many workers as there can ever be shards, so that more shards can be added later.
    of_shard = samples(worker=number, workers=_MAX_SHARDS)
    return pack_crops(Crops.stack(list(islice(of_shard, size))))
