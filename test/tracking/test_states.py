import sys
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parent))

from sightings import SECOND, SIZE, ids, pose

from pose_estimation_ros.core.detection import Detection
from pose_estimation_ros.core.errors import InvalidInputError
from pose_estimation_ros.core.rotation import axis_rotation
from pose_estimation_ros.tracking.identity import (
    IdentityTracker,
    TrackerOptions,
    TrackKey,
    TrackState,
)

RED, BLUE = (200, 30, 30), (30, 30, 200)


def picture(*colors):
    """Return an image of patches in a row, and the detections of them."""
    rgb = np.zeros((20, 20 * len(colors), 3), np.uint8)
    detections = []
    for place, color in enumerate(colors):
        rgb[:, 20 * place:20 * place + 20] = color
        box = np.array([20.0 * place, 0, 20 * place + 20, 20])
        detections.append(Detection('can', 0.9, box, np.ones((20, 20), bool), (20 * place, 0)))
    return rgb, detections


def states(tracked):
    return [(status.key.track_id, status.state) for status in tracked.statuses]


def test_an_object_is_tracked_lost_and_registered_again():
    tracker = IdentityTracker(TrackerOptions(max_missed_seconds=1.0, remember_seconds=5.0))
    assert states(tracker.update(0, [pose('can', [0, 0, 1])])) == [(1, TrackState.TRACKED)]
    missed = tracker.update(SECOND, [])
    assert (states(missed), missed.lost) == ([(1, TrackState.TRACKED)], ())
    lost = tracker.update(2 * SECOND, [])
    assert (states(lost), lost.lost) == ([(1, TrackState.LOST)], (TrackKey('can', 1),))
    back = tracker.update(3 * SECOND, [pose('can', [0.2, 0, 1])])
    assert (states(back), back.lost) == ([(1, TrackState.REREGISTERED)], ())
    assert ids(back) == [1]
    again = tracker.update(3 * SECOND + 1, [pose('can', [0.2, 0, 1])])
    assert states(again) == [(1, TrackState.TRACKED)]
    # It is published where it is seen, not between there and where it was.
    np.testing.assert_allclose(again.poses[0].T_camera_object[:3, 3], [0.2, 0, 1], atol=1e-9)


@pytest.mark.parametrize(('seconds', 'position', 'size'), [
    (5.1, [0, 0, 1], SIZE), (3.0, [0.31, 0, 1], SIZE), (3.0, [0, 0, 1], 1.35 * SIZE)])
def test_a_late_far_or_other_object_is_a_new_one(seconds, position, size):
    tracker = IdentityTracker(TrackerOptions(max_missed_seconds=1.0, remember_seconds=5.0))
    tracker.update(0, [pose('can', [0, 0, 1])])
    tracker.update(2 * SECOND, [])
    back = tracker.update(round(seconds * SECOND), [pose('can', position, size=size)])
    assert ids(back) == [2]


def test_a_lost_object_is_known_again_by_its_colours():
    tracker = IdentityTracker()
    rgb, (red, blue) = picture(RED, BLUE)
    tracker.update(0, [pose('can', [0, 0, 1], detection=red),
                       pose('can', [0.12, 0, 1], detection=blue)], rgb)
    tracker.update(3 * SECOND, [])
    # Both come back, each nearer to where the other one was.
    back = tracker.update(4 * SECOND, [pose('can', [0.1, 0, 1], detection=red),
                                       pose('can', [0.02, 0, 1], detection=blue)], rgb)
    assert ids(back) == [1, 2]


def test_neighbours_that_are_seen_by_turns_do_not_swap():
    tracker = IdentityTracker()
    rgb, (red, blue) = picture(RED, BLUE)
    first, second = pose('can', [0, 0, 1], detection=red), pose('can', [0.1, 0, 1], detection=blue)
    tracker.update(0, [first, second], rgb)
    for number in range(1, 6):
        seen, expected = ((first, 1), (second, 2))[number % 2]
        assert ids(tracker.update(number * SECOND // 10, [seen], rgb)) == [expected]


def test_an_object_of_another_colour_in_the_same_place_is_another_one():
    tracker = IdentityTracker()
    rgb, (red, blue) = picture(RED, BLUE)
    tracker.update(0, [pose('can', [0, 0, 1], detection=red)], rgb)
    assert ids(tracker.update(1, [pose('can', [0, 0, 1], detection=blue)], rgb)) == [2]
    blind = IdentityTracker(TrackerOptions(use_appearance=False))
    blind.update(0, [pose('can', [0, 0, 1], detection=red)], rgb)
    assert ids(blind.update(1, [pose('can', [0, 0, 1], detection=blue)], rgb)) == [1]


def test_a_tentative_object_is_withheld_until_it_was_seen_often_enough_in_a_row():
    tracker = IdentityTracker(TrackerOptions(min_sightings=3))
    seen = [pose('can', [0, 0, 1])]
    for stamp, published in enumerate([[], [], [1], [1]]):
        answer = tracker.update(stamp, seen)
        assert ids(answer) == published
        assert len(answer.withheld) == 1 - len(published)
    assert tracker.update(4, []).lost == ()
    assert ids(tracker.update(5, seen)) == [1]


def test_a_tentative_object_that_goes_unseen_is_forgotten_and_uses_no_number():
    tracker = IdentityTracker(TrackerOptions(min_sightings=2))
    first = tracker.update(0, [pose('can', [0, 0, 1])])
    assert first.withheld == ('can: tentative, seen 1 of 2 times (tracking.min_sightings)',)
    gone = tracker.update(1, [])
    assert (gone.lost, gone.statuses) == ((), ())
    tracker.update(2, [pose('can', [0, 0, 1])])
    assert ids(tracker.update(3, [pose('can', [0, 0, 1])])) == [1]
    assert tracker.reset() == (TrackKey('can', 1),)


def test_other_options_keep_the_tracks():
    tracker = IdentityTracker()
    tracker.update(0, [pose('can', [0, 0, 1])])
    tracker.retune(TrackerOptions(max_distance=0.05, smoothing_seconds=0.0))
    assert ids(tracker.update(1, [pose('can', [0.04, 0, 1])])) == [1]
    assert ids(tracker.update(2, [pose('can', [0.04, 0, 1]), pose('can', [0.1, 0, 1])])) == [1, 2]


@pytest.mark.parametrize(('smoothing', 'seconds'), [(0.1, 90), (0.01, 8)])
def test_an_object_that_returns_turned_after_a_long_absence_is_known_again(smoothing, seconds):
    tracker = IdentityTracker(TrackerOptions(smoothing_seconds=smoothing, remember_seconds=120.0))
    can = pose('can', [0.5, 0, 1])
    tracker.update(0, [can, pose('laptop', [0, 0, 1])])
    for second in range(1, seconds):
        tracker.update(second * SECOND, [can])
    turned = pose('laptop', [0, 0, 1], R=axis_rotation((0, 1, 0), 1.0))
    back = tracker.update(seconds * SECOND, [can, turned])
    assert ids(back) == [1, 2]
    np.testing.assert_allclose(back.poses[1].T_camera_object, turned.T_camera_object, atol=1e-6)
    assert all(np.isfinite(pose.T_camera_object).all() for pose in back.poses)


def test_frames_may_be_further_apart_than_what_may_be_missed():
    tracker = IdentityTracker(TrackerOptions(max_missed_seconds=1.0, min_sightings=2))
    seen = [tracker.update(round(1.2 * SECOND * frame), [pose('can', [0, 0, 1])])
            for frame in range(4)]
    assert [ids(tracked) for tracked in seen] == [[], [1], [1], [1]]
    assert [tracked.lost for tracked in seen] == [()] * 4


def test_tracks_that_end_with_a_fault_are_told_with_the_next_update():
    tracker = IdentityTracker()
    tracker.update(0, [pose('can', [0, 0, 1])])
    for stamp in (1, 2):
        with pytest.raises(InvalidInputError):
            tracker.update(stamp, [pose('can', [0, 0, 1])], None, np.full((4, 4), np.nan))
    assert TrackKey('can', 1) in tracker.update(3, []).lost
    assert tracker.update(4, []).lost == ()
