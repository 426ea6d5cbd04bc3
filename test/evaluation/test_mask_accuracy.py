from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from pose_estimation_ros.core.camera import CameraIntrinsics
from pose_estimation_ros.core.detection import Detection
from pose_estimation_ros.core.frame import RGBDFrame
from pose_estimation_ros.core.object_pose import ObjectPose, Rejection
from pose_estimation_ros.core.se3 import make_transform
from pose_estimation_ros.core.symmetry import NO_SYMMETRY
from pose_estimation_ros.evaluation.mask_accuracy import asked_for, frame_errors
from pose_estimation_ros.synthetic.synthetic_frame import Instance, SyntheticFrame

SIZE = np.array([0.1, 0.1, 0.1])


def instance(number: int, category: str, visibility: float, in_image: float = 1.0) -> Instance:
    box = (0.0 + 40 * number, 0.0, 30.0 + 40 * number, 30.0)
    return Instance(id=number, category=category, name=f'{category}_{number}',
                    T_camera_object=make_transform(np.eye(3), (0.1 * number, 0.0, 1.0)),
                    size=SIZE, visibility=visibility,
                    part_visibility={}, box=np.array(box), in_image=in_image)


def frame() -> SyntheticFrame:
    instances = (instance(1, 'camera', 1.0), instance(2, 'laptop', 0.9),
                 instance(3, 'can', 0.1), instance(4, 'mug', 1.0, in_image=0.2))
    instance_map = np.zeros((48, 240), np.int16)
    for entry in instances:
        x0, y0, x1, y1 = (int(value) for value in entry.box)
        instance_map[y0:y1, x0:x1] = entry.id
    camera = CameraIntrinsics.pinhole(240, 48, 200.0, 200.0, 120.0, 24.0)
    depth = np.ones((48, 240), np.float32)
    return SyntheticFrame(
        frame=RGBDFrame(0, 'camera', np.zeros((48, 240, 3), np.uint8), depth, camera),
        clean_depth=depth, instance_map=instance_map, instances=instances)


class HalfRight:
    """Gives the first object its true pose and refuses the rest."""

    def estimate(self, frame: RGBDFrame,
                 detections: Sequence[Detection]) -> list[ObjectPose | Rejection]:
        answers: list[ObjectPose | Rejection] = [Rejection(d, 'no') for d in detections]
        answers[0] = ObjectPose(detections[0].label, 1.0,
                                make_transform(np.eye(3), (0.1, 0.0, 1.0)), SIZE, NO_SYMMETRY,
                                'half')
        return answers


def test_hidden_and_cut_off_objects_are_not_asked_for() -> None:
    assert [entry.category for entry in asked_for(frame(), 0.4)] == ['camera', 'laptop']


def test_a_refused_pose_counts_as_missing_and_a_true_one_has_no_error() -> None:
    errors = frame_errors(HalfRight(), frame(), 0.4, np.random.default_rng(0))

    assert [error.category for error in errors] == ['camera', 'laptop']
    assert errors[0].rotation < 1e-6
    assert errors[0].iou > 0.999
    assert errors[1].rotation == float('inf')
