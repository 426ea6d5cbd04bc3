"""The points of a detection and of its surroundings, as the point classifier takes them.

Training and run time share this file, so the network sees the same in both.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pose_estimation_ros.core.detection import Detection
from pose_estimation_ros.core.frame import RGBDFrame
from pose_estimation_ros.core.up_direction import guessed_up, view_rotation

INSIDE, AROUND = 256, 128
CONDITIONS = 4
_LEAST_POINTS = 24
# What surrounds the object is looked at up to this share of the box's longer side.
_MARGIN = 0.2
# Anything farther in front of or behind the object says nothing about it, metres.
_REACH = 0.3
# Coordinates are given in this unit, metres: absolute size tells a can from a keg.
_UNIT = 0.1
_FARTHEST = 4.0


@dataclass(frozen=True)
class ObjectCloud:
    """Points of one detection: `INSIDE` under its mask, then `AROUND` beside it.

    Attributes:
        points: (N, 3) float32 metres, camera optical frame; NaN where there are too few beside
            the mask.
        colors: (N, 3) uint8 RGB.
    """

    points: NDArray[np.float32]
    colors: NDArray[np.uint8]


@dataclass(frozen=True)
class ClassifierInput:
    """What the network takes for B detections.

    Attributes:
        points: (B, N, 7) float32: coordinates in the view frame (+y up) about the object's
            median in units of 10 cm, 1 under the mask and 0 beside it, RGB from -0.5 to 0.5.
        condition: (B, 4 + categories) float32: sine of the angle from which it is looked down
            upon, whether up is known, logarithms of distance and extent, the detector's scores.
    """

    points: NDArray[np.float32]
    condition: NDArray[np.float32]


def object_cloud(frame: RGBDFrame, detection: Detection,
                 generator: np.random.Generator) -> ObjectCloud | None:
    """Return the points of a detection, or None if too few have a depth.

    Args:
        frame: With depth.
        detection: Its mask.
        generator: Chooses among the points.
    """
    if frame.depth is None:
        return None
    height, width = frame.depth.shape
    box = np.asarray(detection.box)
    margin = _MARGIN * float(max(box[2] - box[0], box[3] - box[1]))
    x0, y0 = np.maximum(np.floor(box[:2] - margin), 0).astype(int)
    x1, y1 = np.minimum(np.ceil(box[2:] + margin), (width, height)).astype(int)
    inside = np.zeros((height, width), dtype=np.bool_)
    rows, columns = detection.pixels()
    kept = (rows >= 0) & (rows < height) & (columns >= 0) & (columns < width)
    inside[rows[kept], columns[kept]] = True
    depth, inside = frame.depth[y0:y1, x0:x1], inside[y0:y1, x0:x1]
    known = np.isfinite(depth) & (depth > 0)
    own = np.flatnonzero(known & inside)
    if own.size < _LEAST_POINTS:
        return None
    middle = float(np.median(depth.ravel()[own]))
    with np.errstate(invalid='ignore'):
        beside = np.flatnonzero(known & ~inside & (np.abs(depth - middle) < _REACH))
    own = _choose(own, INSIDE, generator)
    points = np.full((INSIDE + AROUND, 3), np.nan, dtype=np.float32)
    colors = np.zeros((INSIDE + AROUND, 3), dtype=np.uint8)
    groups = [(slice(0, INSIDE), own)]
    if beside.size:
        groups.append((slice(INSIDE, None), _choose(beside, AROUND, generator)))
    for place, flat in groups:
        v, u = np.divmod(flat, x1 - x0)
        pixels = np.stack([u + x0, v + y0], axis=1)
        points[place] = frame.intrinsics.back_project(pixels.astype(np.float64),
                                                      depth.ravel()[flat])
        colors[place] = frame.rgb[pixels[:, 1], pixels[:, 0]]
    return ObjectCloud(points, colors)


def classifier_input(points: NDArray[np.floating], colors: NDArray[np.uint8],
                     up: NDArray[np.float64], scores: NDArray[np.floating]) -> ClassifierInput:
    """Return the network's input.

    Args:
        points: (B, N, 3) metres, camera optical frame, `INSIDE` under the mask first.
        colors: (B, N, 3) uint8 RGB.
        up: (B, 3) unit directions away from the ground, camera optical frame; NaN = unknown.
        scores: (B, C) the detector's score for each category, 0 where it gave none.
    """
    camera = np.asarray(points, dtype=np.float64)
    own = camera[:, :INSIDE]
    center = np.median(own, axis=1)
    distance = np.linalg.norm(center, axis=1, keepdims=True)
    ray = center / distance
    known = np.isfinite(up).all(axis=1)
    up = np.where(known[:, None], up, guessed_up(ray))
    local = np.einsum('bij,bnj->bni', view_rotation(ray, up), camera - center[:, None]) / _UNIT
    length = np.linalg.norm(local, axis=2, keepdims=True)
    local *= np.minimum(1.0, _FARTHEST / np.maximum(length, 1e-12))
    present = np.isfinite(local[..., :1])
    extent = 2.0 * np.median(np.linalg.norm(own - center[:, None], axis=2), axis=1)
    under_mask = np.zeros((*camera.shape[:2], 1))
    under_mask[:, :INSIDE] = 1.0
    features = np.concatenate([np.nan_to_num(local), under_mask,
                               np.where(present, colors / 255.0 - 0.5, 0.0)], axis=2)
    condition = np.concatenate([
        np.stack([-(up * ray).sum(axis=1), known, np.log(distance[:, 0]),
                  np.log(np.maximum(extent, 1e-3) / _UNIT)], axis=1), scores], axis=1)
    return ClassifierInput(features.astype(np.float32), condition.astype(np.float32))


def label_scores(detections: Sequence[Detection], categories: Sequence[str],
                 evidence: Sequence[dict[str, float]]) -> NDArray[np.float32]:
    """Return (B, C) the detector's best score for each category of each detection."""
    scores = np.zeros((len(detections), len(categories)), dtype=np.float32)
    for row, (detection, others) in enumerate(zip(detections, evidence, strict=True)):
        for label, score in {**others, detection.label: detection.score}.items():
            if label in categories:
                scores[row, categories.index(label)] = score
    return scores


def _choose(flat: NDArray[np.intp], number: int,
            generator: np.random.Generator) -> NDArray[np.intp]:
    """Return `number` of the indices: a random subset, or all of them again and again."""
    if flat.size >= number:
        return generator.choice(flat, number, replace=False)
    return np.resize(flat, number)
