"""Samples for pose networks as values, and how they are stored."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pose_estimation_ros.core.errors import ConfigurationError
from pose_estimation_ros.core.point_colors import COLOR_CHANNELS
from pose_estimation_ros.synthetic.shard_files import opened_shard

# NOCS coordinates are stored in these steps; 16 bits then reach to 3.2 diagonals.
_NOCS_STEP = 1e-4
_NOCS_LIMIT = 3.2
# Arrays of a shard that have a row for each object model, not for each sample.
_OF_MODELS = frozenset({'model_name', 'model_points'})


@dataclass(frozen=True, eq=False)
class PoseSample:
    """The observed points of one object and the truth about it.

    Attributes:
        points: (N, 3) float32 metres, camera optical frame, in random order; repeated when the
            mask has fewer.
        nocs: (N, 3) float32 NOCS coordinates of the true surface at each point's pixel; for
            points that are not on the object, where they lie in the object's frame.
        inlier: (N,) bool, whether the point is on the object and near its true surface.
        category: Index into the categories of the source of objects, by default the six.
        T_camera_object: (4, 4) float64 pose, metres.
        size: (3,) float64 extent of the object's box, metres.
        visibility: Share of the object's pixels in the image that nothing covers, 0 to 1.
        handle_visibility: The same for its handle; NaN if it has none.
        name: Name of the object model.
        model_points: (1024, 3) float32 surface points, uniform by area, NOCS coordinates.
        up: (3,) float64 unit, away from the ground, camera optical frame; NaN where unknown.
        color: (N, 9) uint8 colours around each point, see `core.point_colors`; None = not known.
    """

    points: NDArray[np.float32]
    nocs: NDArray[np.float32]
    inlier: NDArray[np.bool_]
    category: int
    T_camera_object: NDArray[np.float64]
    size: NDArray[np.float64]
    visibility: float
    handle_visibility: float
    name: str
    model_points: NDArray[np.float32]
    up: NDArray[np.float64]
    color: NDArray[np.uint8] | None = None


@dataclass(frozen=True, eq=False)
class Crops:
    """S samples in stacked arrays; see `PoseSample`.

    Attributes:
        points: (S, N, 3) float32 metres, camera optical frame.
        nocs: (S, N, 3) float32 NOCS coordinates.
        member: (S, N) bool, whether a point is on the object and near its true surface.
        category: (S,) int64 index into the categories of the data, by default the six.
        T_camera_object: (S, 4, 4) float64.
        size: (S, 3) float64 metres.
        shape: (S, 1024, 3) float32 points of the whole surface, NOCS coordinates.
        visibility: (S,) float32.
        handle_visibility: (S,) float32; NaN for what has no handle.
        name: (S,) names of the object models.
        up: (S, 3) float64 unit, away from the ground, camera optical frame; NaN where unknown.
        color: (S, N, 9) uint8 colours around each point, see `core.point_colors`.
        colored: (S,) bool, whether the colours are known.
    """

    points: NDArray[np.float32]
    nocs: NDArray[np.float32]
    member: NDArray[np.bool_]
    category: NDArray[np.int64]
    T_camera_object: NDArray[np.float64]
    size: NDArray[np.float64]
    shape: NDArray[np.float32]
    visibility: NDArray[np.float32]
    handle_visibility: NDArray[np.float32]
    name: NDArray[np.str_]
    up: NDArray[np.float64]
    color: NDArray[np.uint8]
    colored: NDArray[np.bool_]

    def __len__(self) -> int:
        """Return the number of samples."""
        return len(self.category)

    @classmethod
    def stack(cls, samples: Sequence[PoseSample]) -> Crops:
        """Return samples of equal point count as stacked arrays."""
        return cls(
            np.stack([sample.points for sample in samples]),
            np.stack([sample.nocs for sample in samples]),
            np.stack([sample.inlier for sample in samples]),
            np.array([sample.category for sample in samples], dtype=np.int64),
            np.stack([sample.T_camera_object for sample in samples]),
            np.stack([sample.size for sample in samples]),
            np.stack([sample.model_points for sample in samples]),
            np.array([sample.visibility for sample in samples], dtype=np.float32),
            np.array([sample.handle_visibility for sample in samples], dtype=np.float32),
            np.array([sample.name for sample in samples]),
            np.stack([sample.up for sample in samples]),
            np.stack([_no_color(1, len(sample.points))[0] if sample.color is None
                      else sample.color for sample in samples]),
            np.array([sample.color is not None for sample in samples]))


def _no_color(samples: int, points: int) -> NDArray[np.uint8]:
    return np.zeros((samples, points, COLOR_CHANNELS), dtype=np.uint8)


def pack_crops(crops: Crops) -> dict[str, NDArray[np.generic]]:
    """Return the arrays of a shard file.

    Points are stored as 16-bit offsets from their mean, accurate to 0.1 mm within 20 cm; each
    object's surface points are stored once.
    """
    center = crops.points.mean(axis=1, dtype=np.float64).astype(np.float32)
    names, first, model = np.unique(crops.name, return_index=True, return_inverse=True)
    nocs = np.round(np.clip(crops.nocs, -_NOCS_LIMIT, _NOCS_LIMIT) / _NOCS_STEP)
    color = {'color': crops.color, 'colored': crops.colored} if crops.colored.any() else {}
    return {
        **color, 'center': center, 'offset': (crops.points - center[:, None]).astype(np.float16),
        'nocs': nocs.astype(np.int16), 'member': np.packbits(crops.member, axis=1),
        'category': crops.category.astype(np.int16), 'T_camera_object': crops.T_camera_object,
        'size': crops.size, 'visibility': crops.visibility,
        'handle_visibility': crops.handle_visibility, 'model': model.astype(np.int32),
        'model_name': names, 'model_points': crops.shape[first], 'up': crops.up}


def read_crop_shard(path: Path) -> Crops:
    """Return the samples of a shard file that `write_crop_shards` made.

    Raises:
        InvalidInputError: If it is damaged.
    """
    with opened_shard(path) as stored:
        return _unpacked(stored)


class PackedCrops:
    """Samples of several shards as their files hold them: less than half the memory of `Crops`.

    Attributes:
        category: (S,) int16.
        T_camera_object: (S, 4, 4) float64.
        up: (S, 3) float64.
    """

    def __init__(self, shards: Sequence[Path]) -> None:
        """Read at least one shard.

        Raises:
            ConfigurationError: If they have different numbers of points.
            InvalidInputError: If one is damaged.
        """
        parts = [_arrays(path) for path in shards]
        points = common_point_count([part['nocs'].shape[1] for part in parts])
        if any('color' in part for part in parts):
            for part in parts:
                part.setdefault('color', _no_color(len(part['nocs']), points))
                part.setdefault('colored', np.zeros(len(part['nocs']), dtype=np.bool_))
        first = np.cumsum([0, *(len(part['model_name']) for part in parts[:-1])])
        for part, start in zip(parts, first, strict=True):
            part['model'] = part['model'] + start
        # Part by part, so that only one kind of array is ever there twice.
        self._arrays = {name: np.concatenate([part.pop(name) for part in parts])
                        for name in list(parts[0])}
        self.category: NDArray[np.int16] = self._arrays['category']
        self.T_camera_object: NDArray[np.float64] = self._arrays['T_camera_object']
        self.up: NDArray[np.float64] = self._arrays['up']

    def __len__(self) -> int:
        """Return the number of samples."""
        return len(self.category)

    def take(self, index: NDArray[np.intp]) -> Crops:
        """Return the chosen samples."""
        return _unpacked({name: values if name in _OF_MODELS else values[index]
                          for name, values in self._arrays.items()})


def common_point_count(counts: Sequence[int]) -> int:
    """Return the number of points per object of several sets of samples.

    Raises:
        ConfigurationError: If it is not the same of all.
    """
    found = sorted(set(counts))
    if len(found) > 1:
        raise ConfigurationError(f'crops with {" and ".join(map(str, found))} points per object '
                                 'cannot be mixed; make all with the same --points')
    return found[0]


def _arrays(path: Path) -> dict[str, NDArray[Any]]:
    with opened_shard(path) as stored:
        return dict(stored)


def _unpacked(stored: Mapping[str, NDArray[Any]]) -> Crops:
    """Return the samples whose arrays `pack_crops` gave."""
    offset, model = stored['offset'].astype(np.float32), stored['model']
    return Crops(
        offset + stored['center'][:, None],
        stored['nocs'].astype(np.float32) * np.float32(_NOCS_STEP),
        np.unpackbits(stored['member'], axis=1, count=offset.shape[1]).astype(np.bool_),
        stored['category'].astype(np.int64), stored['T_camera_object'], stored['size'],
        stored['model_points'][model], stored['visibility'], stored['handle_visibility'],
        stored['model_name'][model], stored['up'],
        *((stored['color'], stored['colored']) if 'color' in stored else
          (_no_color(*offset.shape[:2]), np.zeros(len(offset), dtype=np.bool_))))
