"""Pickles of NOCS about one frame: published ground truth, detections and results."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pose_estimation_ros.core.categories import CATEGORIES, Category
from pose_estimation_ros.core.detection import Detection
from pose_estimation_ros.core.errors import InvalidInputError
from pose_estimation_ros.datasets.nocs_pickles import entry, read_pickle, write_pickle

FloatArray = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class NocsTruth:
    """What NOCS published as the truth about a frame.

    Attributes:
        sRT: (N, 4, 4) float64 object to camera, metres, the scale inside the rotation block.
        class_ids: (N,) int64 from 1; None in the files of REAL test.
        boxes: (N, 4) int64 (y1, x1, y2, x2), pixels, upper bounds exclusive; None likewise.
        sizes: (N, 3) float64 box extents in NOCS units; None likewise.
        handle_visible: (N,) bool; None where the file does not tell.
    """

    sRT: FloatArray
    class_ids: NDArray[np.int64] | None = None
    boxes: NDArray[np.int64] | None = None
    sizes: FloatArray | None = None
    handle_visible: NDArray[np.bool_] | None = None


@dataclass(frozen=True, eq=False)
class NocsResult:
    """The truth and the estimates of a frame, as the published evaluations store them.

    Attributes:
        truth: The truth.
        class_ids: (P,) int64 estimated classes.
        boxes: (P, 4) int64 (y1, x1, y2, x2), pixels.
        scores: (P,) float64.
        sRT: (P, 4, 4) float64, metres, the scale inside the rotation block.
        sizes: (P, 3) float64 box extents in NOCS units.
    """

    truth: NocsTruth
    class_ids: NDArray[np.int64]
    boxes: NDArray[np.int64]
    scores: FloatArray = field(repr=False)
    sRT: FloatArray = field(repr=False)
    sizes: FloatArray = field(repr=False)


def read_truth(path: Path) -> NocsTruth:
    """Read the truth from a `gts/` pickle or a result pickle; their keys differ.

    Raises:
        InvalidInputError: If the file is missing or damaged, or numbers are wrong.
    """
    content = read_pickle(path)
    sRT = entry(content, 'gt_RTs', (None, 4, 4), path)
    count = len(sRT)

    def optional(shape: tuple[int, ...], *keys: str) -> FloatArray | None:
        key = next((key for key in keys if key in content), None)
        return None if key is None else entry(content, key, (count, *shape), path)

    class_ids = optional((), 'gt_class_ids')
    boxes = optional((4,), 'gt_bboxes')
    visible = optional((), 'gt_handle_visibility', 'handle_visibility')
    return NocsTruth(
        sRT,
        None if class_ids is None else class_ids.astype(np.int64),
        None if boxes is None else boxes.astype(np.int64),
        optional((3,), 'gt_scales'),
        None if visible is None else visible > 0,
    )


def read_result(path: Path) -> NocsResult:
    """Read an evaluation's result of a frame.

    Raises:
        InvalidInputError: If the file is missing or damaged, or numbers are wrong.
    """
    truth = read_truth(path)
    content = read_pickle(path)
    scores = entry(content, 'pred_scores', (None,), path)
    count = len(scores)
    return NocsResult(
        truth,
        entry(content, 'pred_class_ids', (count,), path).astype(np.int64),
        entry(content, 'pred_bboxes', (count, 4), path).astype(np.int64),
        scores,
        entry(content, 'pred_RTs', (count, 4, 4), path),
        entry(content, 'pred_scales', (count, 3), path),
    )


def write_result(path: Path, result: NocsResult) -> None:
    """Write an evaluation's result of a frame, for the published evaluation code.

    Raises:
        InvalidInputError: If the truth lacks classes, boxes, sizes or handles.
    """
    truth = result.truth
    if (truth.class_ids is None or truth.boxes is None or truth.sizes is None
            or truth.handle_visible is None):
        raise InvalidInputError(f'{path} cannot be written: a result needs the classes, boxes, '
                                'sizes and visible handles of the truth')
    write_pickle(path, {
        'gt_class_ids': truth.class_ids, 'gt_bboxes': truth.boxes.astype(np.int32),
        'gt_RTs': truth.sRT, 'gt_scales': truth.sizes,
        'gt_handle_visibility': truth.handle_visible.astype(np.int64),
        'pred_class_ids': result.class_ids, 'pred_bboxes': result.boxes.astype(np.int32),
        'pred_scores': result.scores, 'pred_RTs': result.sRT, 'pred_scales': result.sizes,
    })


def read_detections(path: Path,
                    categories: Sequence[Category] = CATEGORIES) -> tuple[Detection, ...]:
    """Read what a published detector found in a frame.

    Args:
        path: Such as `results/mrcnn_results/real_test/results_test_scene_1_0000.pkl`.
        categories: By class id, from 1.

    Returns:
        The detections in the file's order, masks of the whole image.

    Raises:
        InvalidInputError: If the file is missing or damaged, or a class id is out of range.
    """
    content = read_pickle(path)
    scores = entry(content, 'scores', (None,), path)
    count = len(scores)
    boxes = entry(content, 'rois', (count, 4), path)
    class_ids = entry(content, 'class_ids', (count,), path).astype(np.int64)
    masks = np.asarray(content.get('masks'))
    if count and (masks.ndim != 3 or masks.shape[2] != count):
        raise InvalidInputError(f'{path}: masks must be (H, W, {count}), it is {masks.shape}')
    wrong = class_ids[(class_ids < 1) | (class_ids > len(categories))]
    if wrong.size:
        raise InvalidInputError(f'{path} holds class {wrong[0]}; classes are 1 to '
                                f'{len(categories)}: give the categories of the detector')
    return tuple(
        Detection(categories[class_id - 1].name, float(score), np.array([x1, y1, x2, y2]),
                  masks[..., index] > 0)
        for index, (class_id, score, (y1, x1, y2, x2))
        in enumerate(zip(class_ids, scores, boxes, strict=True)))
