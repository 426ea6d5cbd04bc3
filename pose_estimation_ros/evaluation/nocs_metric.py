"""The figures of the NOCS protocol, 'nocs-compat': to stand beside published ones only.

Its "IoU" is not a volume's, and its pose figures leave out what is missed or found wrongly.
Figures are computed as published, of whatever predictions are given. Those of published
evaluations have the detector's score alone and an identity pose for a failed estimate; those of
`runner` have the score of the pose and leave failed estimates out. Honest figures are in
`pose_recall`.

Source: specs/spd_crnet_acr.md, section 5 (NOCS, CVPR 2019; the evaluation of SPD, ECCV 2020, that
CR-Net and ACR-Pose use gives the same tables).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from pose_estimation_ros.core.categories import CATEGORY_NAMES
from pose_estimation_ros.datasets.annotated_frame import ObjectAnnotation
from pose_estimation_ros.evaluation.category_pool import CategoryPool
from pose_estimation_ros.evaluation.nocs_iou import nocs_overlaps
from pose_estimation_ros.evaluation.pose_accuracy import effective_symmetry
from pose_estimation_ros.evaluation.precision_curves import (
    PairErrors,
    PrecisionCurves,
    precision_curves,
)

FloatArray = NDArray[np.float64]

NAME = 'nocs-compat'
# Quoted wherever it is printed, since it is no intersection over union.
OVERLAP_NAME = 'NOCS "IoU"'
# Pose figures are of what matches at this overlap.
POSE_GATE = 0.1


def nocs_pose_errors(T_predicted: FloatArray, T_true: FloatArray, is_round: NDArray[np.bool_]
                     ) -> tuple[FloatArray, FloatArray]:
    """Return the published errors of N pairs of poses.

    Args:
        T_predicted: (N, 4, 4) rigid poses, metres.
        T_true: (N, 4, 4) rigid poses, metres.
        is_round: (N,) whether only the direction of the y axis counts.

    Returns:
        (N,) degrees and (N,) centimetres.
    """
    R_predicted, R_true = T_predicted[:, :3, :3], T_true[:, :3, :3]
    y_predicted, y_true = R_predicted[:, :, 1], R_true[:, :, 1]
    along_y = np.einsum('ni,ni->n', y_predicted, y_true) / (
        np.linalg.norm(y_predicted, axis=1) * np.linalg.norm(y_true, axis=1))
    trace = np.einsum('nij,nij->n', R_predicted, R_true)
    cosine = np.where(is_round, along_y, (trace - 1) / 2)
    degrees = np.degrees(np.arccos(np.clip(cosine, -1.0, 1.0)))
    return degrees, 100 * np.linalg.norm(T_predicted[:, :3, 3] - T_true[:, :3, 3], axis=1)


def nocs_errors(pooled: CategoryPool) -> PairErrors:
    """Return the published overlaps and errors of the pairs of a category.

    Objects of any rotational symmetry count as round about y, which is what the protocol knows.
    """
    is_round = np.array([_is_round(entry) for entry in pooled.objects],
                        dtype=np.bool_)[pooled.pair_objects]
    T_predicted, size_predicted, T_true, size_true = pooled.of_pairs()
    return PairErrors(
        nocs_overlaps(T_predicted, size_predicted, T_true, size_true, is_round),
        *nocs_pose_errors(T_predicted, T_true, is_round))


def _is_round(annotation: ObjectAnnotation) -> bool:
    """Return whether the protocol takes an object for round: of the six, the name decides."""
    symmetry = annotation.symmetry
    if annotation.label in CATEGORY_NAMES:
        symmetry = effective_symmetry(annotation.label, float(annotation.handle_visible))
    return symmetry.axis is not None


def nocs_curves(pools: Sequence[CategoryPool], gate: float | None = POSE_GATE) -> PrecisionCurves:
    """Return the figures of the published protocol; without the gate misses count."""
    return precision_curves(pools, [nocs_errors(pooled) for pooled in pools], gate)
