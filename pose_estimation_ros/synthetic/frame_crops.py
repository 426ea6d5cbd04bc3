"""Samples for pose networks with the colour of their points, cut out of synthetic frames.

The frames were rendered for a detector; nothing is rendered here. What a frame does not hold, the
surfaces of its objects, comes from making the objects of these names again.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache, partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pose_estimation_ros.core.categories import CATEGORY_NAMES
from pose_estimation_ros.core.errors import InvalidInputError
from pose_estimation_ros.core.frame import RGBDFrame
from pose_estimation_ros.core.point_colors import point_colors
from pose_estimation_ros.synthetic.crop_samples import Crops, PoseSample, pack_crops
from pose_estimation_ros.synthetic.frame_cache import described_frame_shards, read_frames
from pose_estimation_ros.synthetic.mask_errors import detector_mask
from pose_estimation_ros.synthetic.object_model import make_object
from pose_estimation_ros.synthetic.shard_files import (
    ALONE,
    Workers,
    write_shards,
)
from pose_estimation_ros.synthetic.solids import Solid
from pose_estimation_ros.synthetic.synthetic_frame import Instance, SyntheticFrame

_MIN_POINTS = 48
_MIN_VISIBILITY = 0.12
_MIN_IN_IMAGE = 0.3
# Around an object's box, as share of its longer side, so that a poor mask has room.
_MARGIN = 0.3
# Points farther than this share of the diagonal from the true surface are no inliers.
_INLIER_SHARE = 0.1


def frame_crops(truth: SyntheticFrame, point_count: int,
                generator: np.random.Generator) -> Iterator[PoseSample]:
    """Yield a sample of every object of a frame of which enough is seen.

    NOCS coordinates are those of the measured points, since the frame does not keep the clean
    depth: whoever aligns them with the points finds the true pose.

    Args:
        truth: The frame, of the six generated categories.
        point_count: Points per sample.
        generator: Source of mask errors and of the choice of points.

    Raises:
        InvalidInputError: If an object is not made any more as it was.
    """
    up = truth.frame.up
    for instance in truth.instances:
        if instance.visibility < _MIN_VISIBILITY or instance.in_image < _MIN_IN_IMAGE:
            continue
        seen = _observed(truth, instance, point_count, generator)
        if seen is None:
            continue
        points, on_object, color = seen
        surface = _surface(instance.name, instance.category)
        T = instance.T_camera_object
        nocs = (points - T[:3, 3]) @ T[:3, :3] / instance.diagonal
        near = _distance_to(surface, nocs) < _INLIER_SHARE
        yield PoseSample(
            points.astype(np.float32), nocs.astype(np.float32), on_object & near,
            CATEGORY_NAMES.index(instance.category), T, instance.size, instance.visibility,
            instance.part_visibility.get('handle', float('nan')), instance.name,
            surface, np.full(3, np.nan) if up is None else up, color)


@lru_cache(maxsize=512)
def _surface(name: str, category: str) -> NDArray[np.float32]:
    """Return (1024, 3) surface points of a generated object, NOCS coordinates."""
    model = make_object(category, int(name.rpartition('_')[2]), name.partition('_')[0])
    if model.name != name:
        raise InvalidInputError(f'a frame shows {name}, which is {model.name} in this version; '
                                'make the frames again')
    return Solid.of_model(model).model_points


def _observed(truth: SyntheticFrame, instance: Instance, point_count: int,
              generator: np.random.Generator,
              ) -> tuple[NDArray[np.float64], NDArray[np.bool_], NDArray[np.uint8]] | None:
    """Return (N, 3) points under a detector's mask, which are the object's, and their colours."""
    frame: RGBDFrame = truth.frame
    assert frame.depth is not None
    height, width = frame.depth.shape
    margin = _MARGIN * float(np.max(instance.box[2:] - instance.box[:2]))
    left, top = np.floor(np.maximum(instance.box[:2] - margin, 0)).astype(int)
    right, bottom = np.ceil(np.minimum(instance.box[2:] + margin, (width, height))).astype(int)
    true_mask = truth.instance_map[top:bottom, left:right] == instance.id
    # A frame does not say which pixels are a handle, so masks never miss one as a whole.
    mask = detector_mask(true_mask, np.zeros_like(true_mask), generator)
    known = np.isfinite(frame.depth[top:bottom, left:right])
    rows, columns = np.nonzero(mask & known)
    if len(rows) < _MIN_POINTS:
        return None
    box = np.array([columns.min(), rows.min(), columns.max() + 1, rows.max() + 1], dtype=float)
    chosen = np.resize(generator.permutation(len(rows)), point_count)
    on_object = true_mask[rows, columns][chosen]
    rows, columns = rows[chosen] + top, columns[chosen] + left
    color = point_colors(frame.rgb, box + [left, top, left, top], rows, columns)
    points = frame.intrinsics.back_project(
        np.stack([columns, rows], axis=1).astype(np.float64), frame.depth[rows, columns])
    return points, on_object, np.round(255.0 * color).astype(np.uint8)


def _distance_to(surface: NDArray[np.float32], points: NDArray[np.float64],
                 ) -> NDArray[np.float64]:
    """Return (N,) distances of points to the nearest of the points on a surface."""
    squared = ((points ** 2).sum(axis=1)[:, None] - 2.0 * points @ surface.T
               + (surface ** 2).sum(axis=1))
    return np.asarray(np.sqrt(np.maximum(squared.min(axis=1), 0.0)))


def write_frame_crops(folder: Path, frames: Path, point_count: int = 1024,
                      workers: Workers = ALONE) -> list[Path]:
    """Write the samples of stored frames to a folder, a shard of samples per shard of frames.

    Args:
        folder: Where to write; what an interrupted call left out is made by the next one.
        frames: Folder of frame shards of the generated objects.
        point_count: Points per sample.
        workers: Who makes the shards.

    Raises:
        InvalidInputError: If there are no frames, or they show other objects.
    """
    shards, made = described_frame_shards(frames)
    if 'categories' in made:
        raise InvalidInputError(f'{frames} shows objects of {frames}/description.json; only '
                                'frames of the six generated categories can be cut up')
    description = {'kind': 'crops', 'domain': made['domain'], 'split': made['split'],
                   'points': point_count, 'frames': made}
    make = partial(_shard, made, [str(path) for path in shards], point_count)
    return write_shards(folder, len(shards), description, make, workers)


def _shard(made: dict[str, int | str], shards: list[str], point_count: int,
           number: int) -> dict[str, NDArray[np.generic]]:
    generator = np.random.default_rng((int(made['seed']), number, 800))
    samples = [sample for truth in read_frames(Path(shards[number]))
               for sample in frame_crops(truth, point_count, generator)]
    if not samples:
        raise InvalidInputError(f'{shards[number]} shows no object of which enough is seen; make '
                                'frames with more in a shard, or larger ones')
    return pack_crops(Crops.stack(samples))
