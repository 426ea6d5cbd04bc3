from dataclasses import replace

import numpy as np
import pytest

from pose_estimation_ros.core.errors import InvalidInputError
from pose_estimation_ros.core.rotation import axis_rotation
from pose_estimation_ros.core.se3 import make_transform
from pose_estimation_ros.datasets.annotated_frame import ObjectAnnotation
from pose_estimation_ros.evaluation.found_objects import found_report
from pose_estimation_ros.evaluation.judged_objects import EVERY_OBJECT, Judged, leave_out
from pose_estimation_ros.evaluation.predictions import FramePredictions, FrameTruth, Prediction

SIZE = np.array([0.1, 0.1, 0.1])
REACH = 0.5 * float(np.linalg.norm(SIZE))


def pose(x, angle=0.0):
    return make_transform(axis_rotation((0, 1, 0), angle), (x, 0.0, 1.0))


def mug(x, visibility=1.0, label='camera'):
    return ObjectAnnotation(1, label, '', pose(x), SIZE, visibility=visibility)


def estimate(x, score=0.5, angle=0.0, label='camera'):
    return Prediction(label, score, pose(x, angle), SIZE)


def report(objects, estimates, judged=EVERY_OBJECT):
    table = found_report([FrameTruth('a', tuple(objects))],
                         [FramePredictions('a', tuple(estimates))], judged, {})
    return dict(zip(table.columns, table.rows[-1], strict=True)), table.settings


def test_an_object_is_found_up_to_half_a_diagonal_away():
    near, _ = report([mug(0.0)], [estimate(0.99 * REACH)])
    far, settings = report([mug(0.0)], [estimate(1.01 * REACH)])
    assert (near['found, %'], far['found, %']) == (100.0, 0.0)
    assert settings['estimates without a true object'] == 1


def test_an_estimate_of_another_category_finds_nothing():
    row, settings = report([mug(0.0)], [estimate(0.0, label='can')])
    assert row['found, %'] == 0.0
    assert settings['estimates without a true object'] == 1


def test_each_object_gets_one_estimate_and_the_rest_are_strangers():
    row, settings = report([mug(0.0)], [estimate(0.02, score=0.9), estimate(0.0, score=0.1)])
    assert row['median translation of found, cm'] == pytest.approx(2.0)
    assert settings['estimates without a true object'] == 1


def test_errors_are_of_the_found_objects():
    row, _ = report([mug(0.0), mug(5.0)], [estimate(0.01, angle=np.radians(7.0))])
    assert row['objects'] == 2
    assert row['found, %'] == 50.0
    assert row['median rotation of found, °'] == pytest.approx(7.0)
    assert (row['5°2cm of found, %'], row['10°5cm of found, %']) == (0.0, 100.0)


def test_hidden_objects_need_not_be_found_but_may_be():
    row, settings = report([mug(0.0, visibility=0.2), mug(5.0)],
                           [estimate(0.0), estimate(5.0)], judged=Judged(0.4))
    assert (row['objects'], row['found, %']) == (1, 100.0)
    assert settings['estimates without a true object'] == 0


def test_hidden_objects_take_their_estimates_along():
    truth = [FrameTruth('a', (mug(0.0, visibility=0.2), mug(5.0))), FrameTruth('b', (mug(0.0),))]
    estimates = [FramePredictions('a', (estimate(0.0), estimate(5.0), estimate(9.0))),
                 FramePredictions('b', (estimate(0.0),))]
    kept, answers = leave_out(truth, estimates, Judged(0.4))
    assert [len(frame.objects) for frame in kept] == [1, 1]
    assert [[entry.T_camera_object[0, 3] for entry in frame.predictions]
            for frame in answers] == [[5.0, 9.0], [0.0]]


def test_objects_of_unknown_visibility_count():
    truth = [FrameTruth('a', (replace(mug(0.0), visibility=float('nan')),))]
    kept, _ = leave_out(truth, [], Judged(0.9))
    assert len(kept[0].objects) == 1


def test_objects_that_lie_can_be_left_out():
    lying = replace(mug(0.0), stands=False)
    truth = [FrameTruth('a', (lying, mug(5.0), replace(mug(9.0), stands=True)))]
    estimates = [FramePredictions('a', (estimate(0.0), estimate(5.0)))]
    kept, answers = leave_out(truth, estimates, Judged(standing=True))
    assert [entry.T_camera_object[0, 3] for entry in kept[0].objects] == [5.0, 9.0]
    assert [entry.T_camera_object[0, 3] for entry in answers[0].predictions] == [5.0]
    with pytest.raises(InvalidInputError, match='nothing tells which objects stand; leave'):
        leave_out([FrameTruth('a', (mug(0.0),))], [], Judged(standing=True))
    row, settings = report([lying, mug(5.0)], [estimate(0.0), estimate(5.0)],
                           judged=Judged(standing=True))
    assert (row['objects'], row['found, %']) == (1, 100.0)
    assert settings['objects'] == 'those that stand'
