"""Synthetic frames on disk, for training detectors."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pose_estimation_ros.core.camera import CameraIntrinsics
from pose_estimation_ros.core.errors import InvalidInputError
from pose_estimation_ros.core.frame import RGBDFrame
from pose_estimation_ros.synthetic.object_source import ObjectSource, ProceduralObjects
from pose_estimation_ros.synthetic.scene import SCENES_PER_POOL, SceneGenerator
from pose_estimation_ros.synthetic.scene_renderer import FRAME_ID, render_frame
from pose_estimation_ros.synthetic.shard_files import (
    ALONE,
    Workers,
    list_shards,
    opened_shard,
    read_description,
    write_shards,
)
from pose_estimation_ros.synthetic.synthetic_frame import Instance, SyntheticFrame

__all__ = ['FrameShards', 'list_shards', 'read_frames', 'write_frame_shards']

# Stored depth: 0.1 mm steps, up to 6.5 m.
_DEPTH_STEP = 1e-4


def write_frame_shards(folder: Path, count: int, domain: str, split: str,
                       resolution: tuple[int, int] = (640, 480), seed: int = 0,
                       shard_size: int = SCENES_PER_POOL, source: ObjectSource | None = None,
                       workers: Workers = ALONE) -> list[Path]:
    """Write frames to a folder; what an interrupted call left out is made by the next one.

    Args:
        folder: Where to write.
        count: Number of frames, rounded up to whole shards.
        domain: 'primary' or 'second'.
        split: 'train', 'val' or 'test'.
        resolution: Width and height, pixels.
        seed: 0 or more; different seeds give different scenes.
        shard_size: Frames per shard.
        source: The objects; None = the generated ones of the six categories.
        workers: Who makes the shards.

    Returns:
        The paths of the shards, for `read_frames` and `FrameShards`.
    """
    source = ProceduralObjects(domain) if source is None else source
    description = {'kind': 'frames', 'domain': domain, 'split': split, 'seed': seed,
                   'resolution': list(resolution), 'shard_size': shard_size,
                   **source.describe()}
    make = partial(frame_shard, domain, split, seed, resolution, shard_size, source)
    return write_shards(folder, -(-count // shard_size), description, make, workers)


def described_frame_shards(folder: Path) -> tuple[list[Path], dict[str, Any]]:
    """Return the frame shards of a folder, and what they hold.

    Raises:
        InvalidInputError: If there is none.
        ConfigurationError: If they hold something else.
    """
    shards = list_shards(folder)
    if not shards:
        raise InvalidInputError(f'{folder} holds no frame shards; make some with: '
                                f'pose-estimation dataset frames {folder}')
    return shards, read_description(folder, 'frames')


def read_frames(shard: Path) -> Iterator[SyntheticFrame]:
    """Yield the frames of one shard, without their clean depth."""
    with opened_shard(shard) as stored:
        truths = json.loads(str(stored['truth']))
        for index in range(len(truths)):
            yield _read(stored, truths, index)


def read_frame(shard: Path, place: int) -> SyntheticFrame:
    """Return one frame of a shard, without its clean depth."""
    with opened_shard(shard) as stored:
        return _read(stored, json.loads(str(stored['truth'])), place)


class FrameShards:
    """Random access to the frames of a folder."""

    def __init__(self, folder: Path) -> None:
        """List the shards.

        Raises:
            InvalidInputError: If there is none.
            ConfigurationError: If they hold something else.
        """
        self._shards, description = described_frame_shards(folder)
        self._shard_size = int(description['shard_size'])

    def __len__(self) -> int:
        """Return the number of frames."""
        return len(self._shards) * self._shard_size

    def __getitem__(self, index: int) -> SyntheticFrame:
        """Return a frame, without its clean depth."""
        if not 0 <= index < len(self):
            raise IndexError(f'frame {index} of {len(self)}')
        shard, place = divmod(index, self._shard_size)
        return read_frame(self._shards[shard], place)


def frame_shard(domain: str, split: str, seed: int, resolution: tuple[int, int],
                shard_size: int, source: ObjectSource, number: int) -> dict[str, NDArray[Any]]:
    """Render the frames of a shard; arguments as of `write_frame_shards`."""
    scenes = SceneGenerator(domain, split, source)
    # Whole blocks of scenes that share objects, so that no two shards share a scene.
    blocks = -(-shard_size // SCENES_PER_POOL)
    first = ((seed << 20) + number * blocks) * SCENES_PER_POOL
    return stored_frames(render_frame(scenes.scene(first + index), resolution)
                         for index in range(shard_size))


def stored_frames(frames: Iterable[SyntheticFrame]) -> dict[str, NDArray[Any]]:
    """Return the arrays of a shard of frames."""
    arrays: dict[str, NDArray[Any]] = {}
    truths = []
    for index, truth in enumerate(frames):
        arrays[f'rgb_{index}'] = truth.frame.rgb
        assert truth.frame.depth is not None
        arrays[f'depth_{index}'] = np.round(
            np.clip(np.nan_to_num(truth.frame.depth) / _DEPTH_STEP, 0, 65535)).astype(np.uint16)
        arrays[f'instances_{index}'] = truth.instance_map.astype(np.uint8)
        truths.append({'K': truth.frame.intrinsics.K.tolist(),
                       'instances': [_plain(instance) for instance in truth.instances]})
    arrays['truth'] = np.array(json.dumps(truths))
    return arrays


def _plain(instance: Instance) -> dict[str, Any]:
    return {'id': instance.id, 'category': instance.category, 'name': instance.name,
            'T_camera_object': instance.T_camera_object.tolist(), 'size': instance.size.tolist(),
            'visibility': instance.visibility, 'part_visibility': dict(instance.part_visibility),
            'box': instance.box.tolist(), 'in_image': instance.in_image}


def _read(stored: Any, truths: list[dict[str, Any]], index: int) -> SyntheticFrame:
    truth = truths[index]
    rgb, steps = stored[f'rgb_{index}'], stored[f'depth_{index}']
    depth = np.where(steps > 0, steps * np.float32(_DEPTH_STEP), np.float32(np.nan))
    height, width = steps.shape
    instances = tuple(Instance(
        item['id'], item['category'], item['name'], np.array(item['T_camera_object']),
        np.array(item['size']), item['visibility'], item['part_visibility'],
        np.array(item['box']), item['in_image']) for item in truth['instances'])
    frame = RGBDFrame(0, FRAME_ID, rgb, depth.astype(np.float32),
                      CameraIntrinsics(width, height, np.array(truth['K'])))
    return SyntheticFrame(frame, None, stored[f'instances_{index}'].astype(np.int16), instances)
