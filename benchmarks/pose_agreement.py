"""Does the agreement of poses with depth tell right poses from wrong ones, beside their score?

Estimates the objects of simulated test frames under true masks with a detector's errors.

    python benchmarks/pose_agreement.py --backend spd --frames 60
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from whole_pipeline import publish

from pose_estimation_ros.backends.base import BackendOptions, PoseBackend
from pose_estimation_ros.backends.registry import backend_names, create_backend
from pose_estimation_ros.core.object_pose import ObjectPose
from pose_estimation_ros.core.surface_agreement import AgreementCheck
from pose_estimation_ros.datasets.annotated_frame import AnnotatedFrame
from pose_estimation_ros.evaluation.confidence_accuracy import area_under_curve
from pose_estimation_ros.evaluation.data_folders import Data
from pose_estimation_ros.evaluation.detection_sources import MasksWithErrors
from pose_estimation_ros.evaluation.logistic_regression import fit_logistic
from pose_estimation_ros.evaluation.pose_accuracy import symmetry_as_seen
from pose_estimation_ros.evaluation.report import Report

_ROOT = Path(__file__).resolve().parents[1]
_FOLDS = 5
_PENALTY = 1.0
_LEAST = 1e-4
# Degrees and centimetres up to which a pose is right, and beyond which it is grossly wrong.
_RIGHT, _GROSS = (10.0, 2.0), (30.0, 5.0)
_THRESHOLDS = (0.2, 0.3, 0.4, 0.5, 0.6, 0.7)


@dataclass(frozen=True)
class JudgedPose:
    """One estimate, what is said of it, and how wrong it is."""

    score: float
    agreement: float
    milliseconds: float
    degrees: float
    centimetres: float

    def within(self, limits: tuple[float, float]) -> bool:
        """Return whether both errors are within limits."""
        return self.degrees <= limits[0] and self.centimetres <= limits[1]


def judged_poses(backend: PoseBackend, frame: AnnotatedFrame) -> Iterator[JudgedPose]:
    """Yield what is said of each pose of a frame, and its errors, symmetries considered."""
    pairs = [(annotation, detection) for annotation, detection in MasksWithErrors().pairs(frame)
             if annotation.label in backend.categories]
    answers = backend.estimate(frame.frame, [detection for _, detection in pairs])
    check = AgreementCheck()
    for (annotation, _), pose in zip(pairs, answers, strict=True):
        if not isinstance(pose, ObjectPose):
            continue
        started = time.perf_counter()
        agreement = check.agreement(frame.frame, pose)
        milliseconds = 1e3 * (time.perf_counter() - started)
        T, true = pose.T_camera_object, annotation.T_camera_object
        turn = symmetry_as_seen(annotation).rotation_error(T[:3, :3], true[:3, :3])
        yield JudgedPose(pose.score, agreement, milliseconds, float(np.degrees(turn)),
                         100.0 * float(np.linalg.norm(T[:3, 3] - true[:3, 3])))


def together(columns: NDArray[np.float64], right: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Return (S,) log odds by a regression on (S, F) columns that was not fitted to them."""
    centred = (columns - columns.mean(axis=0)) / np.maximum(columns.std(axis=0), _LEAST)
    design = np.c_[np.ones(len(right)), centred]
    # Stretches of the data, so that the objects of one frame stay together.
    fold = np.arange(len(right)) * _FOLDS // len(right)
    odds = np.zeros(len(right))
    for number in range(_FOLDS):
        weights = fit_logistic(design[fold != number], right[fold != number], _PENALTY)
        odds[fold == number] = design[fold == number] @ weights
    return odds


def main() -> None:
    """Measure and print two tables."""
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--data', type=Path, default=_ROOT / 'data/frames/primary/test',
                        help='frames with truth and masks')
    parser.add_argument('--backend', default='spd', choices=backend_names())
    parser.add_argument('--frames', type=int, default=60)
    parser.add_argument('--out', type=Path, help='write the tables here as JSON and Markdown')
    arguments = parser.parse_args()
    with closing(create_backend(arguments.backend, BackendOptions())) as backend:
        poses = [pose for frame in islice(Data(arguments.data).open(), arguments.frames)
                 for pose in judged_poses(backend, frame)]
    settings = {'backend': arguments.backend, 'data': str(arguments.data),
                'frames': arguments.frames, 'poses': len(poses),
                'median time of the check, ms':
                    round(float(np.median([pose.milliseconds for pose in poses])), 3)}
    publish(Report('pose_agreement', ('evidence', 'AUC, wrong: above 10° or 2 cm',
                                      'AUC, grossly wrong: above 30° or 5 cm'),
                   _areas(poses), settings), arguments.out)
    publish(Report('pose_agreement_thresholds',
                   ('check.min_agreement', 'right poses kept, %', 'wrong poses withheld, %',
                    'grossly wrong poses withheld, %'), _thresholds(poses), settings),
            arguments.out)


def _areas(poses: list[JudgedPose]) -> list[tuple[object, ...]]:
    score = np.array([pose.score for pose in poses])
    # What cannot be compared counts as average.
    agreement = np.array([pose.agreement for pose in poses])
    agreement[np.isnan(agreement)] = np.nanmean(agreement)
    likely = np.clip(score, _LEAST, 1.0 - _LEAST)
    log_odds = np.log(likely / (1.0 - likely))
    rows: list[tuple[object, ...]] = []
    for name, columns in (('score', log_odds[:, None]), ('agreement', agreement[:, None]),
                          ('both', np.c_[log_odds, agreement])):
        areas = []
        for limits in (_RIGHT, _GROSS):
            right = np.array([pose.within(limits) for pose in poses])
            said = together(columns, right) if name == 'both' else columns[:, 0]
            areas.append(area_under_curve(said, right))
        rows.append((name, *areas))
    return rows


def _thresholds(poses: list[JudgedPose]) -> list[tuple[object, ...]]:
    right = np.array([pose.within(_RIGHT) for pose in poses])
    gross = np.array([not pose.within(_GROSS) for pose in poses])
    agreement = np.array([pose.agreement for pose in poses])
    rows: list[tuple[object, ...]] = []
    for threshold in _THRESHOLDS:
        withheld = agreement < threshold
        rows.append((threshold, 100.0 * float((~withheld[right]).mean()),
                     100.0 * float(withheld[~right].mean()),
                     100.0 * float(withheld[gross].mean())))
    return rows


if __name__ == '__main__':
    main()
