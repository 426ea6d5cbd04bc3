"""Results that other evaluations published, as truth and predictions of ours, and back.

Source: specs/spd_crnet_acr.md, section 4.1: `results_<subset>_<folder>_<img>.pkl`.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pose_estimation_ros.core.categories import CATEGORIES, CATEGORY_NAMES, Category
from pose_estimation_ros.core.errors import InvalidInputError
from pose_estimation_ros.core.se3 import make_transform
from pose_estimation_ros.datasets.annotated_frame import ObjectAnnotation
from pose_estimation_ros.datasets.nocs_results import (
    NocsResult,
    NocsTruth,
    read_result,
    write_result,
)
from pose_estimation_ros.evaluation.predictions import (
    FramePredictions,
    FrameTruth,
    Prediction,
    paired,
)

FloatArray = NDArray[np.float64]


def read_published_results(folder: Path) -> tuple[list[FrameTruth], list[FramePredictions]]:
    """Read all result pickles of a folder.

    Raises:
        InvalidInputError: If there are none or one of them is damaged.
    """
    paths = sorted(folder.glob('results_*.pkl'))
    if not paths:
        raise InvalidInputError(f'{folder} holds no results_*.pkl; give the folder of an '
                                "evaluation's results, such as results/eval_real_test")
    frames = [from_published(path.stem, read_result(path)) for path in paths]
    return [truth for truth, _ in frames], [predictions for _, predictions in frames]


def write_published_results(folder: Path, truth: Sequence[FrameTruth],
                            predictions: Sequence[FramePredictions]) -> None:
    """Write a result pickle per frame, `results_<name with _ for />.pkl`, as others read them.

    Boxes that are unknown are written as zeros: the published evaluation does not use them.

    Raises:
        InvalidInputError: If a label is none of the six categories or frames do not fit.
    """
    for of_frame, estimated in paired(truth, predictions):
        stem = of_frame.name.replace('/', '_')
        name = stem if stem.startswith('results_') else f'results_{stem}'
        write_result(folder / f'{name}.pkl', to_published(of_frame, estimated))


def from_published(name: str, result: NocsResult) -> tuple[FrameTruth, FramePredictions]:
    """Return a frame's truth and predictions.

    Raises:
        InvalidInputError: If classes or sizes of the truth are missing, a class is out of range,
            or a matrix is no rotation with a scale.
    """
    truth = result.truth
    if truth.class_ids is None or truth.sizes is None:
        raise InvalidInputError(f'{name} has no gt_class_ids or gt_scales; take the results of an '
                                'evaluation, not the files of gts/real_test')
    visible = (np.ones(len(truth.class_ids), dtype=np.bool_) if truth.handle_visible is None
               else truth.handle_visible)
    T_true, size_true = _without_scale(truth.sRT, truth.sizes, name)
    T_predicted, size = _without_scale(result.sRT, result.sizes, name)
    objects = []
    for index, class_id in enumerate(truth.class_ids):
        category = _category(int(class_id), name)
        objects.append(ObjectAnnotation(
            index + 1, category.name, '', T_true[index], size_true[index], category.symmetry,
            # Only a mug has a handle; elsewhere the published evaluation overrules the file.
            handle_visible=bool(visible[index]) or category.name != 'mug'))
    predictions = [
        Prediction(_category(int(class_id), name).name, float(result.scores[index]),
                   T_predicted[index], size[index],
                   result.boxes[index, [1, 0, 3, 2]].astype(np.float64))
        for index, class_id in enumerate(result.class_ids)]
    return FrameTruth(name, tuple(objects)), FramePredictions(name, tuple(predictions))


def to_published(truth: FrameTruth, predictions: FramePredictions) -> NocsResult:
    """Return a frame as the published evaluations store it, sizes in units of the diagonal.

    Raises:
        InvalidInputError: If a label is none of the six categories.
    """
    visible = np.array([entry.handle_visible for entry in truth.objects], dtype=np.bool_)
    sRT_true, size_true = _with_scale(truth.objects)
    sRT, sizes = _with_scale(predictions.predictions)
    boxes = [np.zeros(4) if entry.box is None else entry.box[[1, 0, 3, 2]]
             for entry in predictions.predictions]
    return NocsResult(
        NocsTruth(sRT_true, _class_ids(truth.objects),
                  np.zeros((len(visible), 4), dtype=np.int64), size_true, visible),
        _class_ids(predictions.predictions),
        np.array(boxes).reshape(-1, 4).astype(np.int64),
        np.array([entry.score for entry in predictions.predictions], dtype=np.float64),
        sRT, sizes)


def _category(class_id: int, name: str) -> Category:
    if not 1 <= class_id <= len(CATEGORIES):
        raise InvalidInputError(f'{name} holds class {class_id}; classes are 1 to '
                                f'{len(CATEGORIES)}')
    return CATEGORIES[class_id - 1]


def _class_ids(entries: Sequence[ObjectAnnotation | Prediction]) -> NDArray[np.int64]:
    unknown = next((entry.label for entry in entries if entry.label not in CATEGORY_NAMES), None)
    if unknown is not None:
        raise InvalidInputError(f'{unknown!r} has no class id; published results know '
                                f'{", ".join(CATEGORY_NAMES)}')
    return np.array([CATEGORY_NAMES.index(entry.label) + 1 for entry in entries], dtype=np.int64)


def _without_scale(sRT: FloatArray, sizes: FloatArray, name: str
                   ) -> tuple[FloatArray, FloatArray]:
    """Return rigid poses (N, 4, 4) and sizes (N, 3) in metres."""
    determinant = np.linalg.det(sRT[:, :3, :3])
    if (wrong := np.flatnonzero(determinant <= 0)).size:
        raise InvalidInputError(f'{name}: matrix {wrong[0]} is no rotation with a scale '
                                f'(determinant {determinant[wrong[0]]:.3g}); make the file again')
    scale = np.cbrt(determinant)
    return (make_transform(sRT[:, :3, :3] / scale[:, None, None], sRT[:, :3, 3]),
            scale[:, None] * sizes)


def _with_scale(entries: Sequence[ObjectAnnotation | Prediction]
                ) -> tuple[FloatArray, FloatArray]:
    """Return poses (N, 4, 4) with the diagonal as their scale and sizes (N, 3) in units of it."""
    T = np.array([entry.T_camera_object for entry in entries], dtype=float).reshape(-1, 4, 4)
    size = np.array([entry.size for entry in entries], dtype=float).reshape(-1, 3)
    diagonal = np.linalg.norm(size, axis=1)
    return (make_transform(T[:, :3, :3] * diagonal[:, None, None], T[:, :3, 3]),
            size / diagonal[:, None])
