import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pose_estimation_ros.core.categories import category_named
from pose_estimation_ros.core.errors import ConfigurationError
from pose_estimation_ros.core.object_pose import ObjectPose
from pose_estimation_ros.core.rotation import angle_between, axis_rotation, random_rotation
from pose_estimation_ros.core.se3 import make_transform, transform_points
from pose_estimation_ros.tracking.identity import IdentityTracker, TrackerOptions, TrackKey

SECOND = 1_000_000_000
SIZE = np.array([0.08, 0.1, 0.08])


def pose(label, position, R=None, size=SIZE, points=None):
    T = make_transform(np.eye(3) if R is None else R, position)
    return ObjectPose(label, 0.9, T, np.asarray(size, float), category_named(label).symmetry,
                      'test', points=points)


def ids(tracked):
    return [p.track_id for p in tracked.poses]


def test_ids_follow_the_objects_when_their_order_changes():
    tracker = IdentityTracker()
    first = tracker.update(0, [pose('mug', [0, 0, 1]), pose('mug', [0.3, 0, 1])])
    second = tracker.update(1, [pose('mug', [0.32, 0, 1]), pose('mug', [0.02, 0, 1])])
    assert ids(first) == [1, 2]
    assert ids(second) == [2, 1]


def test_all_objects_together_decide_who_is_who():
    # Greedily, the pose at 0.10 would take the track at 0.12 and leave 0.22 without one.
    tracker = IdentityTracker(TrackerOptions(max_distance=0.11))
    tracker.update(0, [pose('can', [0.0, 0, 1]), pose('can', [0.12, 0, 1])])
    after = tracker.update(1, [pose('can', [0.10, 0, 1]), pose('can', [0.22, 0, 1])])
    assert ids(after) == [1, 2]


@pytest.mark.parametrize(('label', 'position', 'size'), [
    ('bowl', [0, 0, 1], SIZE),
    ('mug', [0.16, 0, 1], SIZE),
    ('mug', [0, 0, 1], 2.1 * SIZE),
])
def test_another_label_place_or_size_is_another_object(label, position, size):
    tracker = IdentityTracker()
    tracker.update(0, [pose('mug', [0, 0, 1])])
    assert ids(tracker.update(1, [pose(label, position, size=size)])) == [2]


def test_an_object_comes_back_within_the_time_it_may_be_missed_and_is_lost_after_it():
    tracker = IdentityTracker(TrackerOptions(max_missed_seconds=1.0))
    tracker.update(0, [pose('mug', [0, 0, 1])])
    assert tracker.update(SECOND // 2, []).lost == ()
    assert ids(tracker.update(SECOND, [pose('mug', [0, 0, 1])])) == [1]
    assert tracker.update(2 * SECOND, []).lost == ()
    gone = tracker.update(2 * SECOND + 1, [pose('mug', [0, 0, 1])])
    assert gone.lost == (TrackKey('mug', 1),)
    assert ids(gone) == [2]


def test_a_jump_back_in_time_ends_every_track_and_no_number_is_used_again():
    tracker = IdentityTracker()
    tracker.update(5 * SECOND, [pose('mug', [0, 0, 1]), pose('can', [0.3, 0, 1])])
    after = tracker.update(SECOND, [pose('mug', [0, 0, 1])])
    assert set(after.lost) == {TrackKey('mug', 1), TrackKey('can', 2)}
    assert ids(after) == [3]


@given(st.integers(0, 10_000))
def test_a_symmetric_object_does_not_spin(seed):
    generator = np.random.default_rng(seed)
    tracker = IdentityTracker()
    R = random_rotation(generator)
    last = tracker.update(0, [pose('can', [0, 0, 1], R)]).poses[0]
    for stamp in range(1, 4):
        tilt = axis_rotation(generator.standard_normal(3), 0.02)
        spin = axis_rotation((0, 1, 0), generator.uniform(-np.pi, np.pi))
        R = tilt @ R
        now = tracker.update(stamp, [pose('can', [0, 0, 1], R @ spin)]).poses[0]
        assert angle_between(now.T_camera_object[:3, :3],
                             last.T_camera_object[:3, :3]) < 0.021
        np.testing.assert_allclose(now.T_camera_object[:3, 1], R[:, 1], atol=1e-9)
        last = now


def test_points_stay_where_they_are_when_the_rotation_is_exchanged():
    points = np.random.default_rng(0).standard_normal((20, 3)).astype(np.float32)
    tracker = IdentityTracker()
    tracker.update(0, [pose('can', [0, 0, 1])])
    spun = pose('can', [0, 0, 1], axis_rotation((0, 1, 0), 2.0), points=points)
    now = tracker.update(1, [spun]).poses[0]
    np.testing.assert_allclose(now.T_camera_object[:3, :3], np.eye(3), atol=1e-9)
    np.testing.assert_allclose(transform_points(now.T_camera_object, now.points),
                               transform_points(spun.T_camera_object, points), atol=1e-6)


def test_an_object_without_symmetry_keeps_its_rotation():
    R = axis_rotation((0, 1, 0), 2.0)
    tracker = IdentityTracker()
    tracker.update(0, [pose('mug', [0, 0, 1])])
    now = tracker.update(1, [pose('mug', [0, 0, 1], R)]).poses[0]
    np.testing.assert_allclose(now.T_camera_object[:3, :3], R)


@pytest.mark.parametrize('limits', [{'max_distance': 0.0}, {'max_size_ratio': 1.0},
                                    {'max_missed_seconds': -1.0}])
def test_limits_that_cannot_work_are_refused(limits):
    with pytest.raises(ConfigurationError):
        TrackerOptions(**limits)
