import numpy as np
import pytest

from pose_estimation_ros.core.object_pose import ObjectPose
from pose_estimation_ros.core.rotation import axis_rotation
from pose_estimation_ros.core.se3 import make_transform
from pose_estimation_ros.core.symmetry import Y_AXIS_SYMMETRY
from pose_estimation_ros.evaluation.track_continuity import SequenceFrame, TrueObject, measured

SIZE = np.array([0.06, 0.12, 0.06])


def true_can(x=0.0):
    T = make_transform(np.eye(3), [x, 0, 1])
    return TrueObject('can', 'can', T, float(np.linalg.norm(SIZE)), Y_AXIS_SYMMETRY)


def frame(seconds, name='can_1', x=0.0, error=0.0, R=None, label='can'):
    T = make_transform(np.eye(3) if R is None else R, [x + error, 0, 1])
    pose = ObjectPose(label, 0.9, T, SIZE, Y_AXIS_SYMMETRY, 'test')
    return SequenceFrame(seconds, [true_can(x)], [pose], [name])


def test_another_name_is_a_switch_and_an_equal_rotation_a_flip():
    spun, fallen = axis_rotation((0, 1, 0), 2.0), axis_rotation((1, 0, 0), 1.0)
    found = measured([[frame(0.0), frame(0.1, 'can_2'), frame(0.2, 'can_2', R=spun),
                       frame(0.3, 'can_2', R=fallen)]])
    assert (found.frames, found.sightings) == (4, 4)
    assert (found.switches, found.flips, found.turns) == (1, 1, 1)
    assert found.per_thousand(found.switches) == pytest.approx(250.0)
    assert found.angles[-1] == pytest.approx(1.0)


def test_an_object_that_was_away_returns_under_its_name_or_another():
    found = measured([[frame(0.0), frame(3.0), frame(6.0, 'can_2')]])
    assert (found.returns, found.returns_known, found.switches) == (2, 1, 0)


def test_what_lies_behind_a_moving_object_lags():
    found = measured([[frame(0.1 * n, x=0.05 * n, error=-0.5 * 0.03) for n in range(5)]])
    assert found.lag == pytest.approx(0.03)
    assert found.distance_steps == pytest.approx([0.0] * 4, abs=1e-12)


def test_other_labels_and_far_poses_are_no_sightings():
    assert measured([[frame(0.0, label='mug'), frame(0.1, error=0.1)]]).sightings == 0
