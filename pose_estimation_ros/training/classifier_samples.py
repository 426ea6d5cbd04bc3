"""What the detector finds in training frames, and what it really is: data of the classifier."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pose_estimation_ros.core.categories import CATEGORIES, CATEGORY_NAMES
from pose_estimation_ros.core.detection import Detection
from pose_estimation_ros.core.errors import ConfigurationError
from pose_estimation_ros.core.up_direction import estimate_up
from pose_estimation_ros.runtime import ModelStore
from pose_estimation_ros.segmentation.mask_rcnn import MaskRCNNSegmenter
from pose_estimation_ros.segmentation.object_cloud import (
    AROUND,
    INSIDE,
    label_scores,
    object_cloud,
)
from pose_estimation_ros.synthetic.crops import Crops
from pose_estimation_ros.synthetic.frame_cache import read_frames
from pose_estimation_ros.synthetic.object_source import categories_of
from pose_estimation_ros.synthetic.shard_files import (
    ALONE,
    Workers,
    list_shards,
    opened_shard,
    read_description,
    write_shards,
)
from pose_estimation_ros.synthetic.synthetic_frame import SyntheticFrame
from pose_estimation_ros.training.crop_sources import stored_crops

# A candidate is an object from this mask IoU on, and nothing below the other; between the two
# nobody can say.
_SAME, _OTHER = 0.5, 0.3
UNCLEAR = -1
_LEAST_SCORE = 0.08
_EMPTY_ROW: tuple[Any, ...] = (
    np.zeros((INSIDE + AROUND, 3), np.float32), np.zeros((INSIDE + AROUND, 3), np.uint8),
    np.zeros(3), np.zeros(len(CATEGORY_NAMES), np.float32), np.int64(0))


@dataclass(frozen=True)
class Candidates:
    """K candidates; see `ObjectCloud` and `classifier_input`.

    Attributes:
        points: (K, N, 3) float32 metres, camera optical frame, NaN = missing.
        colors: (K, N, 3) uint8.
        up: (K, 3) float64, NaN = unknown.
        scores: (K, C) float32 the detector's scores.
        target: (K,) int64: 0 = none, else 1 + the category's index.
    """

    points: NDArray[np.float32]
    colors: NDArray[np.uint8]
    up: NDArray[np.float64]
    scores: NDArray[np.float32]
    target: NDArray[np.int64]

    def __len__(self) -> int:
        """Return their number."""
        return len(self.target)


def read_candidates(folder: Path) -> Candidates:
    """Read a folder of candidates, or of crops, which become candidates.

    Raises:
        ConfigurationError: If there are none.
        InvalidInputError: If a shard is damaged.
    """
    shards = list_shards(folder)
    if not shards:
        raise ConfigurationError(f'{folder} holds no candidates; make some with: pose-estimation '
                                 f'dataset candidates --out {folder} --frames <folder>')
    if read_description(folder)['kind'] == 'crops':
        return from_crops(stored_crops(folder, CATEGORIES))
    parts = []
    for shard in shards:
        with opened_shard(shard) as stored:
            parts.append(Candidates(*(stored[field.name] for field in fields(Candidates))))
    return join_candidates(parts)


def join_candidates(parts: Sequence[Candidates]) -> Candidates:
    """Return all candidates of several sets."""
    return Candidates(*(np.concatenate([getattr(part, field.name) for part in parts])
                        for field in fields(Candidates)))


def take_candidates(data: Candidates, index: NDArray[np.intp]) -> Candidates:
    """Return the chosen candidates."""
    return Candidates(*(getattr(data, field.name)[index] for field in fields(Candidates)))


def from_crops(crops: Crops) -> Candidates:
    """Return single-object crops as candidates: without colour, surroundings and scores."""
    number = len(crops)
    points = np.full((number, INSIDE + AROUND, 3), np.nan, dtype=np.float32)
    points[:, :INSIDE] = crops.points[:, :INSIDE]
    return Candidates(points, np.full(points.shape, 127, dtype=np.uint8), crops.up,
                      np.zeros((number, len(CATEGORY_NAMES)), dtype=np.float32),
                      1 + crops.category)


def true_category(truth: SyntheticFrame, detection: Detection) -> int:
    """Return 0 for none, 1 + index of the category, or `UNCLEAR`."""
    rows, columns = detection.pixels()
    best, category = 0.0, 0
    ids = truth.instance_map[rows, columns]
    for instance in truth.instances:
        common = int((ids == instance.id).sum())
        union = rows.size + int((truth.instance_map == instance.id).sum()) - common
        if common / max(union, 1) > best:
            best = common / union
            category = 1 + CATEGORY_NAMES.index(instance.category)
    if best >= _SAME:
        return category
    return 0 if best < _OTHER else UNCLEAR


def write_candidates(folder: Path, frames: Path, detector: str,
                     workers: Workers = ALONE) -> int:
    """Write what a detector finds in frames, a shard per shard of frames; resumable.

    Args:
        folder: Where to write.
        frames: Folder of frame shards of the six categories.
        detector: Name or folder of its model.
        workers: Who does it.

    Returns:
        The number of frames' shards.

    Raises:
        ConfigurationError: If there are no frames, they show other categories, or the folder
            holds other data.
        ModelError: If the model is missing or no detector.
    """
    shards = list_shards(frames)
    if not shards:
        raise ConfigurationError(f'{frames} holds no frames; make some with: pose-estimation '
                                 f'dataset frames {frames}')
    categories = categories_of(read_description(frames, 'frames'))
    if categories != CATEGORIES:
        names = ', '.join(category.name for category in categories)
        raise ConfigurationError(f'{frames} shows {names}, but the classifier is for '
                                 f'{", ".join(CATEGORY_NAMES)}; give frames of these')
    model = ModelStore().find(detector, 'segmentation')
    description = {'kind': 'candidates', 'frames': str(frames),
                   'detector': model.manifest.files['network'].sha256}
    make = partial(_shard, [shard.resolve() for shard in shards],
                   model.folder.resolve())
    return len(write_shards(folder, len(shards), description, make, workers))


def _shard(frames: Sequence[Path], detector: Path, number: int) -> dict[str, NDArray[np.generic]]:
    segmenter = MaskRCNNSegmenter.from_model(ModelStore().find(detector), device='cpu',
                                             threads=1)
    generator = np.random.default_rng(number)
    rows: list[tuple[Any, ...]] = []
    for truth in read_frames(frames[number]):
        assert truth.frame.depth is not None
        up = estimate_up(truth.frame.depth, truth.frame.intrinsics)
        candidates = segmenter.candidates(truth.frame, _LEAST_SCORE)
        detections = [candidate.detection for candidate in candidates]
        scores = label_scores(detections, CATEGORY_NAMES,
                              [candidate.evidence for candidate in candidates])
        for detection, score in zip(detections, scores, strict=True):
            target = true_category(truth, detection)
            cloud = object_cloud(truth.frame, detection, generator)
            if cloud is not None and target != UNCLEAR:
                rows.append((cloud.points, cloud.colors,
                             np.full(3, np.nan) if up is None else up, score,
                             np.int64(target)))
    segmenter.close()
    # A shard in which nothing is found has arrays of length 0.
    columns = [np.stack(column) for column in zip(*(rows or [_EMPTY_ROW]), strict=True)]
    return {field.name: column[:len(rows)]
            for field, column in zip(fields(Candidates), columns, strict=True)}
