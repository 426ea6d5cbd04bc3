"""Accuracy of a pose backend alone: every visible object is given to it with a mask.

No detection has to be matched with an object here, so that each error is the backend's own.
"""

from __future__ import annotations

from pose_estimation_ros.backends.base import PoseBackend
from pose_estimation_ros.core.object_pose import ObjectPose
from pose_estimation_ros.datasets.annotated_frame import AnnotatedFrame, ObjectAnnotation
from pose_estimation_ros.evaluation.detection_sources import MaskSource
from pose_estimation_ros.evaluation.pose_accuracy import (
    PoseError,
    missing,
    pose_error,
    symmetry_as_seen,
)


def object_errors(backend: PoseBackend, frame: AnnotatedFrame, masks: MaskSource,
                  least_visibility: float) -> list[PoseError]:
    """Return the error of every visible object of a frame, a refused pose counted as missing.

    Args:
        backend: What is measured.
        frame: The frame with its truth and masks.
        masks: Makes the mask that the backend is given of an object.
        least_visibility: Objects of which a smaller share can be seen are left out; an unknown
            share counts as visible.
    """
    visible = [(annotation, detection) for annotation, detection in masks.pairs(frame)
               if not annotation.visibility < least_visibility]
    answers = backend.estimate(frame.frame, [detection for _, detection in visible])
    return [_error(annotation, answer) if isinstance(answer, ObjectPose)
            else missing(annotation.label)
            for (annotation, _), answer in zip(visible, answers, strict=True)]


def _error(annotation: ObjectAnnotation, pose: ObjectPose) -> PoseError:
    return pose_error(annotation.label, symmetry_as_seen(annotation), pose.T_camera_object,
                      pose.size, annotation.T_camera_object, annotation.size)
