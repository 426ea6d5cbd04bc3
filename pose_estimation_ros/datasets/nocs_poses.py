"""Poses of the objects of a NOCS frame, computed from its raw data as published.

CAMERA has them from aligning coordinates with depth, REAL train from coordinates, pixels and the
model's true size, the test sets from files of NOCS. All poses are in the frames of NOCS.

Source: data preparation of Tian et al., ECCV 2020 (spec section 4.1).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import cv2
import numpy as np
from numpy.typing import NDArray

from pose_estimation_ros.core.alignment import INLIER_THRESHOLD, align_robustly, umeyama
from pose_estimation_ros.core.camera import CameraIntrinsics
from pose_estimation_ros.core.errors import InvalidInputError
from pose_estimation_ros.datasets.nocs_labels import (
    NocsLabel,
    VisibleObject,
    check_rotation,
)
from pose_estimation_ros.datasets.nocs_results import NocsTruth

FloatArray = NDArray[np.float64]

# Hypotheses are judged on this many pixels, the chosen one on all.
_JUDGED_PIXELS = 512
# NOCS and we find the same pixels; their boxes agree but for rounding.
_LARGEST_BOX_DIFFERENCE = 5
# Two objects are further apart than this, two fits of one are not, metres.
_LARGEST_POSE_DIFFERENCE = 0.05


def align_with_depth(objects: Sequence[VisibleObject], nocs_map: NDArray[np.float32],
                     depth: NDArray[np.float32], camera: CameraIntrinsics
                     ) -> tuple[NocsLabel, ...]:
    """Label objects by robust alignment of their NOCS coordinates with the depth (CAMERA).

    Args:
        objects: The objects.
        nocs_map: (H, W, 3) NOCS coordinates.
        depth: (H, W) metres, NaN = unknown.
        camera: The camera.

    Raises:
        InvalidInputError: If coordinates and depth of an object do not fit together.
    """
    labels = []
    for seen in objects:
        source, target = _correspondences(seen, nocs_map, depth, camera)
        judged = np.linspace(0, len(source) - 1, min(len(source), _JUDGED_PIXELS)).astype(int)
        guess = align_robustly(source[None, judged], target[None, judged])
        if not guess.valid[0]:
            raise InvalidInputError(
                f'coordinates and depth of {seen.model} (instance {seen.instance_id}) do not fit: '
                f'{guess.inlier_ratio[0]:.0%} of its pixels agree. Check that depth, coordinates '
                'and camera belong to the same frame')
        similarity = guess.similarity
        tolerance = similarity.scale[0] * INLIER_THRESHOLD * 2.0 * np.linalg.norm(
            source - source.mean(axis=0), axis=1).max()
        error = np.linalg.norm(similarity.apply(source[None])[0] - target, axis=1)
        final = umeyama(source, target, (error < tolerance).astype(np.float64))
        labels.append(_label(seen, float(final.scale), final.R, final.t))
    return tuple(labels)


def fit_all_pixels(objects: Sequence[VisibleObject], nocs_map: NDArray[np.float32],
                   depth: NDArray[np.float32], camera: CameraIntrinsics) -> tuple[NocsLabel, ...]:
    """Label objects by plain least squares over all of their pixels.

    This is what NOCS's own alignment amounts to, and so its published test poses (spec section
    3); arguments as for `align_with_depth`.
    """
    labels = []
    for seen in objects:
        source, target = _correspondences(seen, nocs_map, depth, camera)
        fit = umeyama(source, target, np.ones(len(source)))
        labels.append(_label(seen, float(fit.scale), fit.R, fit.t))
    return tuple(labels)


def solve_perspective(objects: Sequence[VisibleObject], nocs_map: NDArray[np.float32],
                      camera: CameraIntrinsics, scales: Sequence[float]) -> tuple[NocsLabel, ...]:
    """Label objects from pixels and the true scale of their models (REAL train).

    Args:
        objects: The objects.
        nocs_map: (H, W, 3) NOCS coordinates.
        camera: The camera.
        scales: Metres per NOCS unit of each object's model.

    Raises:
        InvalidInputError: If no pose fits.
    """
    labels = []
    for seen, scale in zip(objects, scales, strict=True):
        points = scale * nocs_map[seen.rows, seen.columns].astype(np.float64)
        pixels = np.stack([seen.columns, seen.rows], axis=1).astype(np.float64)
        found, rotation, translation = cv2.solvePnP(
            points[:, None], pixels[:, None], camera.K, camera.D)
        if not found or not np.isfinite(translation).all():
            raise InvalidInputError(f'no pose of {seen.model} (instance {seen.instance_id}) fits '
                                    'its coordinates; check its _coord and _mask image')
        R = np.asarray(cv2.Rodrigues(rotation)[0], dtype=np.float64)
        t = np.asarray(translation, dtype=np.float64).reshape(3)
        labels.append(_label(seen, scale, R, t))
    return tuple(labels)


def match_truth(objects: Sequence[VisibleObject], truth: NocsTruth,
                fitted: Sequence[NocsLabel]) -> tuple[NocsLabel, ...]:
    """Label objects with the published truth (test sets).

    An object is the first one of its class whose box differs by 5 pixels at most, summed over its
    four bounds. Where the file has neither classes nor boxes it is the one with the nearest pose.

    Args:
        objects: The objects.
        truth: The published truth.
        fitted: Poses of the objects by `fit_all_pixels`.

    Raises:
        InvalidInputError: If an object has no counterpart, or shares it.
    """
    if truth.class_ids is not None and truth.boxes is not None:
        indices = [_same_box(seen, truth.class_ids, truth.boxes) for seen in objects]
    else:
        indices = _nearest_poses(fitted, truth.sRT)
    for index, seen in zip(indices, objects, strict=True):
        if index is None or indices.count(index) > 1:
            raise InvalidInputError(
                f'{seen.model} (instance {seen.instance_id}, class {seen.class_id}, box '
                f'{seen.box.tolist()}) {"has no" if index is None else "shares its"} counterpart '
                f'among the {len(truth.sRT)} published poses; check that both are of the same '
                'frame')
    return tuple(_true_label(seen, truth, index)
                 for index, seen in zip(indices, objects, strict=True) if index is not None)


def _same_box(seen: VisibleObject, class_ids: NDArray[np.int64],
              boxes: NDArray[np.int64]) -> int | None:
    difference = np.abs(boxes - seen.box).sum(axis=1)
    same = (class_ids == seen.class_id) & (difference <= _LARGEST_BOX_DIFFERENCE)
    return int(np.argmax(same)) if same.any() else None


def _nearest_poses(fitted: Sequence[NocsLabel], sRT: FloatArray) -> list[int | None]:
    if not len(fitted) or not len(sRT):
        return [None] * len(fitted)
    t = np.array([label.t for label in fitted])
    distance = np.linalg.norm(t[:, None] - sRT[None, :, :3, 3], axis=2)
    return [int(np.argmin(row)) if row.min() < _LARGEST_POSE_DIFFERENCE else None
            for row in distance]


def _true_label(seen: VisibleObject, truth: NocsTruth, index: int) -> NocsLabel:
    M = truth.sRT[index, :3, :3]
    scale = float(np.cbrt(np.linalg.det(M)))
    check_rotation(M / scale if scale > 0 else M, f'the published rotation of {seen.model}')
    label = _label(seen, scale, M / scale, truth.sRT[index, :3, 3])
    if truth.sizes is not None:
        label = replace(label, size=scale * truth.sizes[index])
    if truth.handle_visible is not None:
        label = replace(label, handle_visible=bool(truth.handle_visible[index]))
    return label


def _correspondences(seen: VisibleObject, nocs_map: NDArray[np.float32],
                     depth: NDArray[np.float32], camera: CameraIntrinsics
                     ) -> tuple[FloatArray, FloatArray]:
    """Return the (P, 3) NOCS coordinates and the (P, 3) metres of the pixels with depth.

    Left out are pixels beyond what the camera's lens model covers.
    """
    rows, columns = seen.rows[seen.known], seen.columns[seen.known]
    pixels = np.stack([columns, rows], axis=1).astype(np.float64)
    points = camera.back_project(pixels, depth[rows, columns])
    placed = np.isfinite(points).all(axis=1)
    return nocs_map[rows, columns][placed].astype(np.float64), points[placed]


def _label(seen: VisibleObject, scale: float, R: FloatArray, t: FloatArray) -> NocsLabel:
    return NocsLabel(seen.instance_id, seen.class_id, seen.model, seen.box, scale, R, t)
