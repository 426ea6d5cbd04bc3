"""Scenes of standing objects that hide each other, graded by how much of an object is covered.

Levels are those of OccludedPASCAL3D+ (L1 to L3), and L0 for objects that nothing covers. Only
cameras are chosen by what they see; scenes are drawn as all others.

Source: specs/mrc_c2f_disp6d.md, section 5; A. Wang et al., NeMo, ICLR 2021, for the levels.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from pose_estimation_ros.synthetic.frame_cache import stored_frames
from pose_estimation_ros.synthetic.layout import LayoutStyle
from pose_estimation_ros.synthetic.object_source import ObjectSource, ProceduralObjects
from pose_estimation_ros.synthetic.scene import SCENES_PER_POOL, Scene, SceneGenerator
from pose_estimation_ros.synthetic.scene_renderer import (
    cast_view,
    object_window,
    render_frame,
    share_in_image,
    visibility_of,
)
from pose_estimation_ros.synthetic.shard_files import ALONE, Workers, write_shards
from pose_estimation_ros.synthetic.viewpoints import View, ViewpointStyle

# Covered share of an object by level: from, up to.
LEVELS = {'L0': (0.0, 0.02), 'L1': (0.2, 0.4), 'L2': (0.4, 0.6), 'L3': (0.6, 0.8)}
SHARD_SIZE = 16
# Objects stand on the table; many together, so that they hide each other.
_STANDING = LayoutStyle((4, 9), (0, 4), (0, 4), (0, 3), (0.25, 0.8), lying=0.0, tumbled=0.0,
                        stacked=0.0)
_VIEWS = ViewpointStyle((0.45, 1.4), (10.0, 50.0), steep=0.0, roll=4.0, tilted=0.0, tilt=0.0,
                        focal_length=(500.0, 700.0), aim=0.2)
_VIEWS_PER_SCENE = 24
# After so many scenes in vain, one without the rarest category and level is taken.
_PATIENCE = 12
_LOOK = (160, 120)
# Objects of which less is in the image are cut off by its border.
_WHOLE = 0.999
# Longer side of a whole object, pixels of an image 640 wide.
LEAST_PIXELS = 50.0
# Shards look at more scenes than they take; so many pools of objects keep them apart.
_POOLS = 4
# Shares of pixels in the small look differ from those in the picture.
_MARGIN = 0.03


def level_of(covered: float) -> str:
    """Return the level of an object by its covered share, 0 to 1; '' = between levels."""
    return next((name for name, (low, high) in LEVELS.items() if low <= covered <= high), '')


def write_occluded_shards(folder: Path, frames: int, domain: str, split: str,
                          resolution: tuple[int, int] = (640, 480), seed: int = 0,
                          workers: Workers = ALONE) -> list[Path]:
    """Write frames in which objects of all categories and levels occur; see `write_frame_shards`.

    Args:
        folder: Where to write.
        frames: Their number, rounded up to whole shards.
        domain: 'primary' or 'second'.
        split: 'train', 'val' or 'test'.
        resolution: Width and height, pixels.
        seed: 0 or more; different seeds give different scenes.
        workers: Who makes the shards.
    """
    source = ProceduralObjects(domain)
    description = {'kind': 'frames', 'scenes': 'occluded', 'domain': domain, 'split': split,
                   'seed': seed, 'resolution': list(resolution), 'shard_size': SHARD_SIZE,
                   **source.describe()}
    make = partial(_shard, domain, split, seed, resolution, source)
    return write_shards(folder, -(-frames // SHARD_SIZE), description, make, workers)


def occluded_scenes(domain: str, split: str, source: ObjectSource,
                    first: int) -> Iterator[Scene]:
    """Yield scenes whose cameras see occluded objects, rare categories and levels first.

    Args:
        domain: 'primary' or 'second'.
        split: 'train', 'val' or 'test'.
        source: The objects to be found.
        first: Seed of the first scene that is looked at.
    """
    generator = SceneGenerator(domain, split, source, _STANDING, _VIEWS)
    seen = Counter({(category.name, level): 0 for category in source.categories
                    for level in LEVELS if level != 'L0'})
    in_vain = 0
    for number in count(first):
        scene = generator.scene(number)
        looks = [(view, occluded_objects(scene, view)) for view in scene.views(_VIEWS_PER_SCENE)]
        view, found = max(looks, key=lambda look: sum(1 / (1 + seen[cell]) ** 2
                                                      for cell in set(look[1])))
        rarest = min(seen.values())
        in_vain += 1
        if any(seen[cell] == rarest or in_vain > _PATIENCE for cell in found):
            in_vain = 0
            seen.update(found)
            yield scene.seen_from(view)


def occluded_objects(scene: Scene, view: View) -> list[tuple[str, str]]:
    """Return category and level (not L0) of the objects that are whole in the image of a view."""
    surfaces = cast_view(scene, view.resized(*_LOOK))
    scale = view.intrinsics.width / _LOOK[0]
    found = []
    for index, body in enumerate(scene.instances):
        window = object_window(body, surfaces.view)
        if (window is None or share_in_image(body, view) < _WHOLE
                or max(window.width, window.height) * scale < LEAST_PIXELS):
            continue
        mask = surfaces.hits.mesh[window.y:window.y + window.height,
                                  window.x:window.x + window.width] == index
        covered = 1.0 - visibility_of(body, surfaces.cut(window), mask).whole
        level = level_of(covered)
        if level not in ('', 'L0') and level == level_of(covered - _MARGIN) == level_of(
                covered + _MARGIN):
            found.append((body.solid.category, level))
    return found


def _shard(domain: str, split: str, seed: int, resolution: tuple[int, int],
           source: ObjectSource, number: int) -> dict[str, NDArray[Any]]:
    first = ((seed << 20) + number) * SCENES_PER_POOL * _POOLS
    scenes = occluded_scenes(domain, split, source, first)
    return stored_frames(render_frame(next(scenes), resolution) for _ in range(SHARD_SIZE))
