import math
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parent))

from fake_data import SIZE, KnowsMugs, annotated_frame, true_pose

from pose_estimation_ros.core.rotation import axis_rotation
from pose_estimation_ros.core.se3 import make_transform
from pose_estimation_ros.evaluation.detection_sources import TrueMasks
from pose_estimation_ros.evaluation.mask_accuracy import object_errors


def with_mug(frame, **changes):
    mug, *others = frame.objects
    return replace(frame, objects=(replace(mug, **changes), *others))


def test_a_refused_pose_counts_as_missing_and_a_true_one_has_no_error():
    mug, can = object_errors(KnowsMugs(), annotated_frame(4), TrueMasks(), 0.4)
    assert (mug.category, can.category) == ('mug', 'can')
    assert mug.rotation < 1e-6
    assert mug.translation < 1e-6
    assert mug.iou > 0.999
    assert (can.rotation, can.iou) == (math.inf, 0.0)


@pytest.mark.parametrize(('visibility', 'asked_for'), [(0.39, 1), (0.41, 2), (math.nan, 2)])
def test_hidden_objects_are_not_asked_for(visibility, asked_for):
    frame = with_mug(annotated_frame(4), visibility=visibility)
    assert len(object_errors(KnowsMugs(), frame, TrueMasks(), 0.4)) == asked_for


def test_a_mug_is_round_if_its_handle_cannot_be_seen():
    turned = make_transform(axis_rotation((0, 1, 0), 1.0), true_pose(0.04)[:3, 3])
    for seen, expected in ((True, math.degrees(1.0)), (False, 0.0)):
        frame = with_mug(annotated_frame(4), T_camera_object=turned, handle_visible=seen)
        error = object_errors(KnowsMugs(), frame, TrueMasks(), 0.4)[0]
        assert error.rotation == pytest.approx(expected, abs=1e-4)


def test_the_box_overlap_is_that_of_the_sizes():
    frame = with_mug(annotated_frame(4), size=np.array([2.0, 1.0, 1.0]) * SIZE)
    assert object_errors(KnowsMugs(), frame, TrueMasks(), 0.4)[0].iou == pytest.approx(0.5)
