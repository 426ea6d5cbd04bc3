import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

sys.path.insert(0, str(Path(__file__).parent))

from sightings import SECOND, SIZE, ids, pose

from pose_estimation_ros.core.errors import ConfigurationError
from pose_estimation_ros.core.pose_covariance import at_other_point
from pose_estimation_ros.core.rotation import angle_between, axis_rotation, random_rotation
from pose_estimation_ros.core.se3 import make_transform, transform_points
from pose_estimation_ros.core.symmetry import Symmetry
from pose_estimation_ros.tracking.identity import IdentityTracker, TrackerOptions, TrackKey


def test_ids_follow_the_objects_when_their_order_changes():
    tracker = IdentityTracker()
    first = tracker.update(0, [pose('mug', [0, 0, 1]), pose('mug', [0.3, 0, 1])])
    second = tracker.update(1, [pose('mug', [0.32, 0, 1]), pose('mug', [0.02, 0, 1])])
    assert ids(first) == [1, 2]
    assert ids(second) == [2, 1]


def test_all_objects_together_decide_who_is_who():
    # Greedily, the pose at 0.07 would take the track at 0.12 and leave 0.19 without one.
    tracker = IdentityTracker()
    tracker.update(0, [pose('can', [0.0, 0, 1]), pose('can', [0.12, 0, 1])])
    after = tracker.update(1, [pose('can', [0.07, 0, 1]), pose('can', [0.19, 0, 1])])
    assert ids(after) == [1, 2]


@pytest.mark.parametrize('another', [
    pose('bowl', [0, 0, 1]), pose('mug', [0.31, 0, 1])])
def test_another_label_or_a_far_place_is_another_object(another):
    tracker = IdentityTracker()
    tracker.update(0, [pose('mug', [0, 0, 1])])
    assert ids(tracker.update(1, [another])) == [2]


@pytest.mark.parametrize('odd', [
    pose('mug', [0.16, 0, 1]), pose('mug', [0, 0, 1], size=2.1 * SIZE)])
def test_what_takes_the_place_of_a_missing_object_has_to_last_before_it_is_another_one(odd):
    tracker = IdentityTracker()
    usual = pose('mug', [0, 0, 1])
    for stamp in range(-2, 1):
        tracker.update(stamp, [usual])
    wrong = tracker.update(1, [odd])
    assert wrong.poses == ()
    (reason,) = wrong.withheld
    assert reason == ('mug: tentative, seen 1 of 3 times (an object of its kind is missing '
                      'nearby)')
    assert ids(tracker.update(2, [usual])) == [1]
    assert [ids(tracker.update(stamp, [odd])) for stamp in (3, 4, 5)] == [[], [], [2]]


def test_of_two_places_that_were_seen_once_each_none_is_doubted():
    tracker = IdentityTracker()
    tracker.update(0, [pose('mug', [0, 0, 1])])
    assert ids(tracker.update(1, [pose('mug', [0.16, 0, 1])])) == [2]


def test_a_second_object_beside_one_that_is_seen_is_published_at_once():
    tracker = IdentityTracker()
    tracker.update(0, [pose('mug', [0, 0, 1])])
    assert ids(tracker.update(1, [pose('mug', [0, 0, 1]), pose('mug', [0.2, 0, 1])])) == [1, 2]


def test_an_object_comes_back_within_the_time_it_may_be_missed_and_is_lost_after_it():
    tracker = IdentityTracker(TrackerOptions(max_missed_seconds=1.0, remember_seconds=0.0))
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
    tracker = IdentityTracker(TrackerOptions(smoothing_seconds=0.0))
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


def test_a_mesh_stays_what_its_file_has_when_the_rotation_is_exchanged():
    corners = np.float32([[-0.05, 0.0, 0.0], [0.05, 0.1, 0.0], [0.0, 0.1, 0.05],
                          [0.0, 0.0, -0.05]])
    mesh = {'points': corners, 'faces': np.array([[0, 1, 2], [0, 1, 3]], np.int32)}
    tracker = IdentityTracker()
    tracker.update(0, [replace(pose('can', [0, 0, 1]), **mesh)])
    spun = replace(pose('can', [0, 0, 1], axis_rotation((0, 1, 0), 2.0)), **mesh)
    (now,) = tracker.update(1, [spun]).poses
    np.testing.assert_allclose(now.T_camera_object[:3, :3], np.eye(3), atol=1e-9)
    assert now.points is corners


def test_an_object_without_symmetry_keeps_its_rotation():
    R = axis_rotation((0, 1, 0), 2.0)
    tracker = IdentityTracker(TrackerOptions(smoothing_seconds=0.0))
    tracker.update(0, [pose('mug', [0, 0, 1])])
    now = tracker.update(1, [pose('mug', [0, 0, 1], R)]).poses[0]
    np.testing.assert_allclose(now.T_camera_object[:3, :3], R)


@pytest.mark.parametrize('limits', [{'max_distance': 0.0}, {'max_size_ratio': 1.0},
                                    {'max_missed_seconds': -1.0}])
def test_limits_that_cannot_work_are_refused(limits):
    with pytest.raises(ConfigurationError):
        TrackerOptions(**limits)


@pytest.mark.parametrize('origin', [(0.0, 0.0, 0.0), (0.3, -0.2, 0.1)])
def test_a_wrong_rotation_does_not_move_an_object_wherever_its_file_has_the_origin(origin):
    # A mesh of 10 cm whose middle is at `origin` of its file.
    corners = np.float32(origin) + np.float32(0.05) * np.float32([
        [-1, -1, -1], [1, 1, 1], [1, -1, 1], [-1, 1, -1]])
    faces = np.array([[0, 1, 2], [0, 1, 3]], np.int32)
    tracker = IdentityTracker(TrackerOptions(smoothing_seconds=0.3))
    middle = np.array([0.0, 0.1, 0.8])
    for frame in range(12):
        R = axis_rotation((0, 0, 1), np.radians(90.0 if frame == 10 else 0.0))
        seen = replace(pose('drill', middle - R @ origin, R), points=corners, faces=faces,
                       covariance=at_other_point(1e-4 * np.eye(6), -R @ origin))
        (now,) = tracker.update(frame * SECOND // 10, [seen]).poses
        np.testing.assert_allclose(now.T_camera_object[:3, :3], np.eye(3), atol=1e-6)
        np.testing.assert_allclose(now.placed_box(now.T_camera_object)[0][:3, 3], middle,
                                   atol=1e-6)
        assert np.linalg.eigvalsh(now.covariance).min() > 0


@pytest.mark.parametrize('smoothing', [0.0, 0.3])
def test_a_part_of_odd_symmetry_stays_where_it_is(smoothing):
    # A prism over a triangle, whose box's middle is not in the axis.
    angles = np.radians([0.0, 120.0, 240.0])
    ring = 0.05 * np.stack([np.cos(angles), np.zeros(3), np.sin(angles)], axis=1)
    corners = np.float32(np.concatenate([ring - [0, 0.02, 0], ring + [0, 0.02, 0]]))
    faces = np.array([[0, 1, 2], [3, 4, 5]], np.int32)
    thirds = [axis_rotation((0, 1, 0), angle) for angle in angles]
    symmetry = Symmetry(discrete=tuple(tuple(map(float, third.ravel())) for third in thirds[1:]))
    tracker = IdentityTracker(TrackerOptions(smoothing_seconds=smoothing))
    for frame in range(8):
        seen = replace(pose('prism', [0, 0.1, 0.8], thirds[frame % 3]), points=corners,
                       faces=faces, symmetry=symmetry)
        (now,) = tracker.update(frame * SECOND // 10, [seen]).poses
        np.testing.assert_allclose(now.T_camera_object,
                                   make_transform(np.eye(3), [0, 0.1, 0.8]), atol=1e-6)
