from pathlib import Path

import numpy as np
import pytest

from pose_estimation_ros.core.errors import InvalidInputError
from pose_estimation_ros.core.rotation import axis_rotation
from pose_estimation_ros.core.se3 import make_transform
from pose_estimation_ros.evaluation.bag_results import FrameResult
from pose_estimation_ros.evaluation.demo_report import EstimatedObject
from pose_estimation_ros.evaluation.pose_agreement import Tolerance, agreement, results_by_stamp

TOLERANCE = Tolerance(translation=1.0, rotation=1.0)
SIZE = np.array([0.1, 0.2, 0.1])


def pose(name='mug_1', category='mug', x=0.0, axis=(0.0, 1.0, 0.0), degrees=0.0, size=SIZE):
    T = make_transform(axis_rotation(axis, np.radians(degrees)), (x, 0.0, 1.0))
    return EstimatedObject(name, category, T, np.zeros(3), size, 0.9)


def compare(first, second):
    return agreement([FrameResult(7, 'camera', tuple(first))],
                     {7: FrameResult(7, 'camera', tuple(second))}, TOLERANCE)


def test_equal_runs_are_the_same():
    found = compare([pose()], [pose()])
    assert found.is_same
    assert (found.frames, found.objects, found.translation, found.rotation) == (1, 1, 0, 0)


@pytest.mark.parametrize(('other', 'text'), [
    (pose(x=0.002), '2 mm, 0°'), (pose(degrees=3.0), '0 mm, 3°'),
    (pose(size=SIZE + 0.004), 'size 4 mm')])
def test_what_is_further_apart_than_the_tolerance_is_told(other, text):
    found = compare([pose()], [other])
    assert not found.is_same
    assert text in found.differences[0].what


def test_a_turn_about_an_axis_of_symmetry_makes_no_difference():
    found = compare([pose('can_1', 'can')], [pose('can_1', 'can', degrees=77.0)])
    assert found.is_same
    assert found.rotation == pytest.approx(0.0, abs=1e-4)


def test_missing_and_new_objects_are_told():
    found = compare([pose('a', x=0.0)], [pose('b', x=0.5)])
    assert [entry.what for entry in found.differences] == [
        'is missing in the other run', 'is new in the other run']


def test_identities_may_have_other_numbers_but_must_stay():
    first = [FrameResult(stamp, 'camera', (pose('mug_1'),)) for stamp in (1, 2, 3)]
    second = {stamp: FrameResult(stamp, 'camera', (pose(name),))
              for stamp, name in ((1, 'mug_5'), (2, 'mug_5'), (3, 'mug_6'))}
    found = agreement(first, second, TOLERANCE)
    assert [entry.what for entry in found.differences] == ['was mug_5 and is now mug_6']


def test_two_results_of_a_frame_must_be_of_one_estimator():
    again = FrameResult(7, 'camera', (pose(),))
    shown_twice = [FrameResult(7, 'camera', (pose(),)), again, FrameResult(8, 'camera', ())]
    assert list(results_by_stamp(shown_twice, Path('bag'), TOLERANCE)) == [7, 8]
    mixed = [*shown_twice, FrameResult(7, 'camera', (pose(x=0.03),))]
    with pytest.raises(InvalidInputError, match='bag has two different results.*--topics'):
        results_by_stamp(mixed, Path('bag'), TOLERANCE)


def test_frames_without_counterpart_are_not_the_same():
    found = agreement([FrameResult(7, 'camera', ())], {}, TOLERANCE)
    assert not found.is_same
    assert '1 recorded frames have no counterpart' in found.text()
