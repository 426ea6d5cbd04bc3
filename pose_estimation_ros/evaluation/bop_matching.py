"""Which estimate answers for which object: BOP's targets and its greedy matching.

Source: specs/mrc_c2f_disp6d.md, section 4 (bop_toolkit cea62d6).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pose_estimation_ros.core.errors import InvalidInputError
from pose_estimation_ros.datasets.bop_dataset import BopDataset
from pose_estimation_ros.evaluation.predictions import FramePredictions, FrameTruth

FloatArray = NDArray[np.float64]

# Objects of which less can be seen are no targets, unless a list of targets names them.
LEAST_VISIBILITY = 0.1


@dataclass(frozen=True, eq=False)
class Candidates:
    """The estimates that compete for the objects of one label in one frame.

    Attributes:
        frame: Name of the frame.
        label: Name of the object.
        estimates: (E, 4, 4) estimated poses, the best score first.
        truths: (G, 4, 4) true poses of the targets.
    """

    frame: str
    label: str
    estimates: FloatArray
    truths: FloatArray


def visible_targets(truth: FrameTruth, least_visibility: float = LEAST_VISIBILITY
                    ) -> dict[str, int]:
    """Return how many objects of each label are to be found in a frame.

    Objects of unknown visibility count as visible.
    """
    return dict(Counter(annotation.label for annotation in truth.objects
                        if not annotation.visibility < least_visibility))


def listed_targets(dataset: BopDataset) -> dict[str, dict[str, int]]:
    """Return how many objects of each label are to be found, by frame, as the data set lists it.

    Lists in the form of BOP 2024 name no objects: frames of theirs are left out, and
    `visible_targets` answers for them.
    """
    by_frame: dict[str, dict[str, int]] = {}
    for target in dataset.targets:
        if target.obj_id is not None:
            frame = by_frame.setdefault(f'{target.scene_id:06d}/{target.image_id:06d}', {})
            frame[dataset.label(target.obj_id)] = target.instance_count or 1
    return by_frame


def candidates(truth: FrameTruth, predictions: FramePredictions, targets: Mapping[str, int],
               most_estimates: Mapping[str, int] | None = None) -> list[Candidates]:
    """Choose the true objects that are asked for and the estimates that may answer.

    Args:
        truth: Of the frame.
        predictions: For the frame; those of labels that are not asked for are left out.
        targets: How many objects of each label are asked for: the most visible ones.
        most_estimates: How many estimates of each label may answer, those of highest score;
            None = as many as objects are asked for.

    Returns:
        One entry per label of the targets.

    Raises:
        InvalidInputError: If the frame has fewer objects than are asked for.
    """
    limits = targets if most_estimates is None else most_estimates
    return [Candidates(truth.name, label,
                       _best_estimates(predictions, label, limits[label]),
                       _most_visible(truth, label, count))
            for label, count in targets.items()]


def match(errors: FloatArray, thresholds: FloatArray) -> NDArray[np.intp]:
    """Match estimates with objects greedily, for every threshold.

    From the first estimate to the last, each takes the free object where its error is least, if
    that is below the threshold.

    Args:
        errors: (K, E, G) K kinds of errors of E estimates, the best score first, for G objects.
        thresholds: (H,) in the unit of the errors.

    Returns:
        (K, H, G) index of each object's estimate, -1 = missed.
    """
    kinds, _, objects = errors.shape
    matched = np.full((kinds, len(thresholds), objects), -1, dtype=np.intp)
    if objects == 0:
        return matched
    for estimate, own in enumerate(np.moveaxis(errors, 1, 0)):
        free = np.where(matched < 0, own[:, None], np.inf)
        best = free.argmin(axis=-1)
        right = free.min(axis=-1) < thresholds
        kind, threshold = np.nonzero(right)
        matched[kind, threshold, best[right]] = estimate
    return matched


def check_labels(labels: Collection[str], known: Collection[str], frame: str) -> None:
    """Check that there is a CAD model of every label.

    Raises:
        InvalidInputError: If there is not.
    """
    if strange := sorted(set(labels) - set(known)):
        some = ', '.join(map(repr, sorted(known)[:5]))
        raise InvalidInputError(
            f'frame {frame!r} has objects named {", ".join(map(repr, strange))}, of which there '
            f'is no CAD model; the {len(known)} models begin with {some or "none"}: use those of '
            'this data set')


def _best_estimates(predictions: FramePredictions, label: str, most: int) -> FloatArray:
    own = [p for p in predictions.predictions if p.label == label]
    # Python's sort keeps the order of equal scores, as BOP's does.
    best = sorted(own, key=lambda prediction: -prediction.score)[:most]
    return _stacked([prediction.T_camera_object for prediction in best])


def _most_visible(truth: FrameTruth, label: str, count: int) -> FloatArray:
    own = [annotation for annotation in truth.objects if annotation.label == label]
    if len(own) < count:
        raise InvalidInputError(f'{count} objects {label!r} are to be found in frame '
                                f'{truth.name!r}, which has {len(own)}; use the list of targets '
                                'that belongs to this data set')
    visibility = np.nan_to_num([annotation.visibility for annotation in own], nan=1.0)
    chosen = np.argsort(-visibility, kind='stable')[:count]
    return _stacked([own[index].T_camera_object for index in sorted(chosen)])


def _stacked(poses: Sequence[FloatArray]) -> FloatArray:
    return np.stack(poses) if poses else np.zeros((0, 4, 4))
