import pytest

from pose_estimation_ros.nodes.diagnostics import ERROR, OK, WARN, InputFacts, Monitor

SECOND = 1_000_000_000


def colour(publishers):
    return InputFacts('colour', '/camera/color', publishers, 'start the camera')


def test_a_topic_without_publisher_is_named_with_the_cure():
    problem = Monitor().input_problem([colour(0)], 0, SECOND)
    assert problem == 'no colour: nobody publishes /camera/color; start the camera'


@pytest.mark.parametrize(('distribution', 'variable'), [
    ('humble', 'FASTRTPS_DEFAULT_PROFILES_FILE'), ('jazzy', 'FASTRTPS_DEFAULT_PROFILES_FILE'),
    ('kilted', 'FASTDDS_DEFAULT_PROFILES_FILE')])
def test_a_published_topic_that_does_not_arrive_points_to_shared_memory(
        monkeypatch, distribution, variable):
    monkeypatch.setenv('ROS_DISTRO', distribution)
    problem = Monitor().input_problem([colour(2)], 0, SECOND)
    assert problem.startswith('no colour: 2 publisher(s) on /camera/color but nothing arrives')
    assert f'with {variable}=' in problem


def test_incompatible_quality_of_service_is_named():
    monitor = Monitor()
    monitor.incompatible('colour', 'reliability')
    problem = monitor.input_problem([colour(1)], 0, SECOND)
    assert 'published with incompatible reliability; set input_reliability' in problem
    monitor.incompatible('colour', 'durability')
    problem = monitor.input_problem([colour(1)], 0, SECOND)
    assert 'incompatible durability' in problem
    assert 'input_reliability' not in problem


def test_silence_is_judged_by_the_clock_and_by_a_jump_of_it():
    monitor = Monitor()
    monitor.received('colour', 10 * SECOND)
    assert monitor.input_problem([colour(1)], 11 * SECOND, SECOND) is None
    assert 'no more colour' in monitor.input_problem([colour(1)], 12 * SECOND, SECOND)
    assert 'no more colour' in monitor.input_problem([colour(1)], 2 * SECOND, SECOND)


def test_a_fault_lasts_until_a_frame_succeeds():
    monitor = Monitor()
    assert monitor.processing() == (WARN, 'no frame processed yet')
    monitor.fault('depth is upside down')
    assert monitor.processing() == (ERROR, 'depth is upside down')
    monitor.finished(0, 2, (), {})
    assert monitor.processing() == (OK, '2 objects in the last frame')


def test_many_frames_without_object_are_a_warning_with_the_reason():
    monitor = Monitor()
    for _ in range(10):
        monitor.finished(0, 0, ('mug: only 3 points',), {})
    assert monitor.processing() == (WARN, 'no object in the last 10 frames (mug: only 3 points)')


def test_rates_times_and_drops_are_in_the_table():
    monitor = Monitor()
    for k in range(11):
        monitor.received('depth', k * SECOND // 20)
        monitor.finished(k * SECOND // 10, 1, (), {'pose': 0.02 + 0.001 * k})
    monitor.dropped('newer frame came')
    monitor.dropped('newer frame came')
    values = monitor.values()
    assert values['depth.rate_hz'] == '20.00'
    assert values['frames.rate_hz'] == '10.00'
    assert values['milliseconds.pose'] == '25.0'
    assert values['frames.dropped.newer_frame_came'] == '2'
    assert values['frames.processed'] == '11'
