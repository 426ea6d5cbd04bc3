"""Which true objects a figure is of; what belongs to the others is neither right nor wrong."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from pose_estimation_ros.core.errors import InvalidInputError
from pose_estimation_ros.datasets.annotated_frame import ObjectAnnotation
from pose_estimation_ros.evaluation.category_pool import CategoryPool, match, pool
from pose_estimation_ros.evaluation.predictions import FramePredictions, FrameTruth, paired

_REACH = 0.5  # diagonals


@dataclass(frozen=True)
class Judged:
    """A choice of objects; what is not known of an object leaves it in.

    Attributes:
        least_visibility: Share of an object that must be seen.
        standing: Only what stands, as everything does in the published benchmarks of categories.
    """

    least_visibility: float = 0.0
    standing: bool = False

    def counts(self, entry: ObjectAnnotation) -> bool:
        """Return whether an object is one of them."""
        return (not entry.visibility < self.least_visibility
                and not (self.standing and entry.stands is False))

    def settings(self) -> dict[str, object]:
        """Return what a table says of the choice; nothing if all objects count."""
        return {**({'least visibility': self.least_visibility} if self.least_visibility else {}),
                **({'objects': 'those that stand'} if self.standing else {})}


EVERY_OBJECT = Judged()
# What docs/accuracy.md states besides: objects that are little hidden, and those that also stand.
VISIBLE = Judged(least_visibility=0.4)
VISIBLE_STANDING = Judged(least_visibility=0.4, standing=True)


def leave_out(truth: Sequence[FrameTruth], predictions: Sequence[FramePredictions],
              judged: Judged) -> tuple[list[FrameTruth], list[FramePredictions]]:
    """Leave out objects that do not count, and the estimates that belong to them.

    Raises:
        InvalidInputError: If the predictions belong to other frames, or nothing tells what
            stands.
    """
    if judged.standing and all(entry.stands is None for frame in truth for entry in frame.objects):
        raise InvalidInputError('no depth of these frames shows where up is, so nothing tells '
                                'which objects stand; leave --standing out')
    cleared = [_cleared(frame, own, judged) for frame, own in paired(truth, predictions)]
    return [frame for frame, _ in cleared], [own for _, own in cleared]


def _cleared(truth: FrameTruth, predictions: FramePredictions, judged: Judged
             ) -> tuple[FrameTruth, FramePredictions]:
    counted = tuple(entry for entry in truth.objects if judged.counts(entry))
    if len(counted) == len(truth.objects):
        return truth, predictions
    others = set()
    for category in {entry.label for entry in truth.objects}:
        pooled = pool([(truth, predictions)], category)
        for entry, pair in zip(pooled.objects, nearest_pairs(pooled), strict=True):
            if pair >= 0 and not judged.counts(entry):
                answer = pooled.T_predicted[pooled.pair_predictions[pair]]
                others.add((category, answer.tobytes()))
    kept = tuple(entry for entry in predictions.predictions
                 if (entry.label, entry.T_camera_object.tobytes()) not in others)
    return replace(truth, objects=counted), replace(predictions, predictions=kept)


def nearest_pairs(pooled: CategoryPool) -> NDArray[np.int32]:
    """Return (M,) the pair that each object belongs to, -1 = not found.

    An estimate belongs to the object whose centre is nearest, at most half of its diagonal away;
    each object gets at most one, the estimate of the highest score first.
    """
    T_predicted, _, T_true, size_true = pooled.of_pairs()
    distance = np.linalg.norm(T_predicted[:, :3, 3] - T_true[:, :3, 3], axis=1)
    near = distance <= _REACH * np.linalg.norm(size_true, axis=1)
    return match(pooled, -distance, lambda pair: near[pair, None], 1).pairs[:, 0]
