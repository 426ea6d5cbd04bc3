"""Which results are wanted, and a sentence for each that is not."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

from pose_estimation_ros.core.detection import Detection
from pose_estimation_ros.core.object_pose import ObjectPose, Rejection

_Found = TypeVar('_Found', Detection, ObjectPose)


@dataclass(frozen=True)
class Selection:
    """Which of the results are wanted.

    Attributes:
        labels: Wanted labels; empty = all.
        min_pose_score: Poses below are dropped, 0 to 1.
        max_objects: Most objects of a frame, the best ones.
        min_agreement: Poses of whose surface a smaller share agrees with the depth image are
            dropped, 0 to 1; those that cannot be compared are not.
    """

    labels: tuple[str, ...] = ()
    min_pose_score: float = 0.0
    max_objects: int = 32
    min_agreement: float = 0.0


def select(found: Sequence[_Found], labels: tuple[str, ...],
           max_objects: int) -> tuple[tuple[_Found, ...], tuple[str, ...]]:
    """Return the wanted ones, highest score first, and a sentence for each other."""
    best_first = sorted(found, key=lambda entry: -entry.score)
    dropped = [f'{entry.label}: not among the wanted labels '
               f'{", ".join(labels) or "(none so far)"}'
               for entry in best_first if entry.label not in labels]
    wanted = [entry for entry in best_first if entry.label in labels]
    dropped += [f'{entry.label}: {len(wanted)} objects are more than max_objects {max_objects}'
                for entry in wanted[max_objects:]]
    return tuple(wanted[:max_objects]), tuple(dropped)


def split_answers(answers: Sequence[ObjectPose | Rejection],
                  selection: Selection) -> tuple[tuple[ObjectPose, ...], tuple[str, ...]]:
    """Return the poses that are good enough, and a sentence for each other answer."""
    poses: list[ObjectPose] = []
    dropped: list[str] = []
    for answer in answers:
        if isinstance(answer, Rejection):
            dropped.append(f'{answer.detection.label}: {answer.reason}')
        elif answer.score < selection.min_pose_score:
            dropped.append(f'{answer.label}: pose score {answer.score:.2f} is under '
                           f'{selection.min_pose_score:.2f}')
        elif answer.agreement < selection.min_agreement:
            dropped.append(
                f'{answer.label}: only {answer.agreement:.0%} of its surface agrees with the '
                f'depth image, under check.min_agreement {selection.min_agreement:.0%}')
        else:
            poses.append(answer)
    return tuple(poses), tuple(dropped)
