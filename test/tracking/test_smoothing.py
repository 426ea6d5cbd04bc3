import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

sys.path.insert(0, str(Path(__file__).parent))

from sightings import SECOND, ids, pose

from pose_estimation_ros.core.pose_covariance import UNKNOWN_ANGLE, turned, with_unknown_spin
from pose_estimation_ros.core.rotation import (
    angle_between,
    axis_angle_to_matrix,
    axis_rotation,
    random_rotation,
)
from pose_estimation_ros.core.se3 import inverse, make_transform
from pose_estimation_ros.core.symmetry import NO_SYMMETRY, Y_AXIS_SYMMETRY, Symmetry
from pose_estimation_ros.tracking.identity import IdentityTracker, TrackerOptions

FEW = settings(max_examples=15, deadline=None)
SEEDS = st.integers(0, 10_000)
STEP = SECOND // 10
QUARTERS = Symmetry(discrete=tuple(tuple(axis_rotation((0, 1, 0), n * np.pi / 2).ravel())
                                   for n in (1, 2, 3)))
SYMMETRIES = (NO_SYMMETRY, Y_AXIS_SYMMETRY, QUARTERS)
NOISE, TURN_NOISE = 0.004, 0.05
SMOOTH = TrackerOptions(smoothing_seconds=0.3)


def sequence(generator, count=12, velocity=(0.0, 0.0, 0.0)):
    """Return noisy sightings of three objects side by side, by frame."""
    rotations = [random_rotation(generator) for _ in SYMMETRIES]
    frames = []
    for number in range(count):
        frame = []
        for index, symmetry in enumerate(SYMMETRIES):
            R = axis_angle_to_matrix(TURN_NOISE * generator.standard_normal(3)) @ rotations[index]
            t = np.array([0.3 * index, 0.0, 1.0]) + 0.1 * number * np.array(velocity)
            covariance = np.diag([NOISE ** 2] * 3 + [TURN_NOISE ** 2] * 3)
            frame.append(pose('thing', t + NOISE * generator.standard_normal(3), R,
                              symmetry=symmetry, covariance=covariance))
        frames.append(frame)
    return frames


def followed(frames, options=SMOOTH, T_fixed_cameras=None):
    """Return the published poses by frame."""
    tracker = IdentityTracker(options)
    cameras = T_fixed_cameras or [None] * len(frames)
    return [tracker.update(number * STEP, frame, None, camera).poses
            for number, (frame, camera) in enumerate(zip(frames, cameras, strict=True))]


def moved(entry, T):
    """Return a pose seen by a camera that stands elsewhere."""
    return replace(entry, T_camera_object=T @ entry.T_camera_object,
                   covariance=turned(entry.covariance, T[:3, :3]))


def moved_inside(entry, R):
    return replace(entry, T_camera_object=entry.T_camera_object @ make_transform(R, np.zeros(3)))


def some_equal(symmetry, generator):
    chosen = symmetry.rotations[generator.integers(len(symmetry.rotations))]
    if symmetry.axis is None:
        return chosen
    return chosen @ axis_rotation(symmetry.axis, generator.uniform(-np.pi, np.pi))


def same(a, b, tolerance=1e-7):
    assert ids_of(a) == ids_of(b)
    for frame_a, frame_b in zip(a, b, strict=True):
        for one, other in zip(frame_a, frame_b, strict=True):
            np.testing.assert_allclose(one.T_camera_object, other.T_camera_object, atol=tolerance)
            np.testing.assert_allclose(one.size, other.size, rtol=1e-9)


def ids_of(frames):
    return [[entry.track_id for entry in frame] for frame in frames]


@FEW
@given(SEEDS)
def test_another_camera_frame_changes_nothing_but_the_frame(seed):
    generator = np.random.default_rng(seed)
    frames = sequence(generator, velocity=(0.1, 0.0, 0.05))
    T = make_transform(random_rotation(generator), generator.standard_normal(3))
    direct = followed(frames)
    there = followed([[moved(entry, T) for entry in frame] for frame in frames])
    back = [[moved(entry, inverse(T)) for entry in frame] for frame in there]
    same(direct, back)
    for mine, other in zip(direct[-1], back[-1], strict=True):
        np.testing.assert_allclose(mine.covariance, other.covariance, atol=1e-9)


@FEW
@given(SEEDS)
def test_the_order_of_detections_changes_nothing_but_the_order(seed):
    generator = np.random.default_rng(seed)
    frames = sequence(generator)
    orders = [np.arange(3), *(generator.permutation(3) for _ in frames[1:])]
    shuffled = followed([[frame[i] for i in order]
                         for frame, order in zip(frames, orders, strict=True)])
    sorted_back = [tuple(frame[i] for i in np.argsort(order))
                   for frame, order in zip(shuffled, orders, strict=True)]
    same(followed(frames), sorted_back)


@FEW
@given(SEEDS)
def test_equal_rotations_never_change_the_smoothed_pose(seed):
    generator = np.random.default_rng(seed)
    frames = sequence(generator)
    turned_frames = [frames[0], *(
        [moved_inside(entry, some_equal(entry.symmetry, generator)) for entry in frame]
        for frame in frames[1:])]
    same(followed(frames), followed(turned_frames))


@FEW
@given(SEEDS)
def test_no_number_is_given_twice(seed):
    generator = np.random.default_rng(seed)
    tracker = IdentityTracker(TrackerOptions(remember_seconds=2.0, max_missed_seconds=0.3))
    known, ended, stamp = set(), set(), 0
    for _ in range(40):
        stamp = 0 if generator.random() < 0.05 else stamp + STEP * int(generator.integers(1, 5))
        places = 0.2 * generator.permutation(5)[:generator.integers(0, 5)]
        answer = tracker.update(stamp, [pose('can', [x, 0, 1]) for x in places])
        now = [status.key.track_id for status in answer.statuses if status.key.track_id >= 0]
        assert len(set(now)) == len(now)
        assert len(set(ids(answer))) == len(ids(answer))
        ended |= known - set(now)
        assert not ended & set(now)
        known = set(now)


@pytest.mark.parametrize('speed', [0.0, 0.3])
def test_smoothing_lessens_noise_and_a_steady_motion_is_followed_without_lag(speed):
    generator = np.random.default_rng(3)
    frames = sequence(generator, 80, (speed, 0.0, 0.0))
    errors, raw = [], []
    for number, (seen, out) in enumerate(zip(frames, followed(frames), strict=True)):
        if number >= 20:
            true = np.array([0.1 * number * speed, 0, 1])
            raw.append(seen[0].T_camera_object[:3, 3] - true)
            errors.append(out[0].T_camera_object[:3, 3] - true)
    assert np.std(errors) < 0.65 * np.std(raw)
    assert abs(np.mean(errors, axis=0)[0] - np.mean(raw, axis=0)[0]) < 0.001


def test_one_wrong_rotation_moves_nothing_and_a_lasting_one_is_followed():
    tracker = IdentityTracker(SMOOTH)
    R, other = np.eye(3), axis_rotation((0, 1, 0), 2.5)
    for number in range(10):
        tracker.update(number * STEP, [pose('laptop', [0, 0, 1], R)])
    held = tracker.update(10 * STEP, [pose('laptop', [0, 0, 1], other)]).poses[0]
    np.testing.assert_allclose(held.T_camera_object[:3, :3], R, atol=1e-6)
    tracker.update(11 * STEP, [pose('laptop', [0, 0, 1], R)])
    turns = []
    for number in range(12, 22):
        now = tracker.update(number * STEP, [pose('laptop', [0, 0, 1], other)]).poses[0]
        turns.append(float(angle_between(now.T_camera_object[:3, :3], other)))
    assert turns[2] > 2.4
    assert turns[-1] < 1e-6
    # It never lies between the two.
    assert all(turn < 1e-6 or turn > 2.4 for turn in turns)


@pytest.mark.parametrize('step', [STEP, SECOND])
def test_a_rotation_that_is_held_back_is_at_worst_as_unsure_as_any_angle(step):
    generator = np.random.default_rng(7)
    T_fixed = make_transform(random_rotation(generator), [0.3, 0.2, 1.0])
    tracker = IdentityTracker(TrackerOptions(change_seconds=60.0))
    sure = 1e-4 * np.eye(6)
    for number in range(60):
        # Seen right ten times, and then otherwise every time.
        R = np.eye(3) if number < 10 else random_rotation(generator)
        seen = pose('laptop', [0, 0, 1], R, covariance=sure)
        (now,) = tracker.update(number * step, [seen], None, T_fixed).poses
        assert now.track_id == 1
        assert np.linalg.eigvalsh(now.covariance)[-1] <= UNKNOWN_ANGLE
        assert np.diag(now.covariance)[:3].max() <= 1.01e-4


def test_a_jump_is_published_where_it_is_seen():
    tracker = IdentityTracker(SMOOTH)
    for number in range(10):
        tracker.update(number * STEP, [pose('can', [0, 0, 1])])
    now = tracker.update(10 * STEP, [pose('can', [0.1, 0, 1])]).poses[0]
    np.testing.assert_allclose(now.T_camera_object[:3, 3], [0.1, 0, 1])
    assert now.track_id == 1
    rest = tracker.update(11 * STEP, [pose('can', [0.1, 0, 1])]).poses[0]
    np.testing.assert_allclose(rest.T_camera_object[:3, 3], [0.1, 0, 1], atol=0.002)


def test_a_sure_sighting_weighs_more_than_an_unsure_one():
    def after(deviation):
        tracker = IdentityTracker(SMOOTH)
        tracker.update(0, [pose('mug', [0, 0, 1], covariance=1e-4 * np.eye(6))])
        seen = pose('mug', [0.01, 0, 1], covariance=deviation ** 2 * np.eye(6))
        return tracker.update(STEP, [seen]).poses[0].T_camera_object[0, 3]

    assert after(0.1) < 0.001 < 0.009 < after(0.001)


def test_covariance_shrinks_with_scatter_and_stays_where_errors_last():
    generator = np.random.default_rng(5)
    frames = sequence(generator, 40)
    scattering = followed(frames)[-1][0].covariance
    assert scattering[0, 0] < 0.6 * NOISE ** 2
    # The same sighting again and again: its error may be the same in all of them.
    lasting = followed([frames[0]] * 40)[-1][0].covariance
    np.testing.assert_allclose(np.diag(lasting)[:3], NOISE ** 2, rtol=0.1)
    assert followed([[pose('mug', [0, 0, 1])]] * 3)[-1][0].covariance is None


def test_the_spin_of_a_round_object_stays_unknown_and_its_tilt_does_not_leak_into_it():
    generator = np.random.default_rng(1)
    R0 = random_rotation(generator)
    tracker = IdentityTracker(SMOOTH)
    first = None
    for number in range(60):
        R = axis_angle_to_matrix(0.1 * generator.standard_normal(3)) @ R0
        covariance = with_unknown_spin(1e-4 * np.eye(6), R, Y_AXIS_SYMMETRY)
        R = R @ axis_rotation((0, 1, 0), generator.uniform(-np.pi, np.pi))
        now = tracker.update(number * STEP, [
            pose('can', [0, 0, 1], R, covariance=covariance)]).poses[0]
        first = now if first is None else first
        assert angle_between(now.T_camera_object[:3, :3], first.T_camera_object[:3, :3]) < 0.5
    axis = now.T_camera_object[:3, 1]
    assert axis @ now.covariance[3:, 3:] @ axis == pytest.approx(UNKNOWN_ANGLE, rel=1e-6)


def test_in_a_fixed_frame_a_moving_camera_moves_nothing():
    generator = np.random.default_rng(2)
    still = sequence(generator, 30)
    cameras = [make_transform(axis_rotation((0, 0, 1), 0.3 * np.sin(number)),
                              [0.2 * np.sin(2.0 * number), 0, 0]) for number in range(30)]
    seen = [[moved(entry, inverse(camera)) for entry in frame]
            for frame, camera in zip(still, cameras, strict=True)]
    there = [[moved(entry, camera) for entry in frame]
             for frame, camera in zip(followed(seen, SMOOTH, cameras), cameras, strict=True)]
    same(followed(still), there)


def test_without_smoothing_poses_are_as_measured():
    frames = sequence(np.random.default_rng(4))
    options = TrackerOptions(smoothing_seconds=0.0)
    for seen, out in zip(frames, followed(frames, options), strict=True):
        np.testing.assert_allclose(out[0].T_camera_object, seen[0].T_camera_object)
        assert out[0].covariance is seen[0].covariance
        assert out[0].size is seen[0].size


@pytest.mark.parametrize('smoothing', [0.0, 0.3])
def test_an_object_that_is_known_as_round_no_more_is_turned_as_it_is_seen(smoothing):
    tracker = IdentityTracker(TrackerOptions(smoothing_seconds=smoothing))
    for number in range(10):
        tracker.update(number * STEP, [pose('part', [0, 0, 1], symmetry=Y_AXIS_SYMMETRY)])
    for number in range(10, 14):
        seen = pose('part', [0, 0, 1], axis_rotation((0, 1, 0), 1.2))
        (now,) = tracker.update(number * STEP, [seen]).poses
        assert now.track_id == 1
        np.testing.assert_allclose(now.T_camera_object, seen.T_camera_object, atol=1e-9)


@FEW
@given(SEEDS, st.booleans(), st.sampled_from([0.1, 0.5]))
def test_no_object_is_published_further_off_than_a_third_of_it(seed, predict, smoothing):
    generator = np.random.default_rng(seed)
    tracker = IdentityTracker(TrackerOptions(predict=predict, smoothing_seconds=smoothing))
    place, velocity = np.array([0.0, 0.0, 0.8]), np.zeros(3)
    sure = np.diag([0.003 ** 2] * 3 + [TURN_NOISE ** 2] * 3)
    for number in range(60):
        if generator.random() < 0.15:
            velocity = generator.choice([0.0, 0.3, 0.6]) * generator.standard_normal(3)
        place = place + velocity * STEP / SECOND + 0.002 * generator.standard_normal(3)
        seen = pose('mug', place, covariance=sure)
        for now in tracker.update(number * STEP, [seen]).poses:
            off = np.linalg.norm(now.T_camera_object[:3, 3] - place)
            assert off <= np.linalg.norm(seen.size) / 3
