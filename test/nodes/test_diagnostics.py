import pytest

from pose_estimation_ros.nodes.diagnostics import (
    ERROR,
    OK,
    WARN,
    FrameOutcome,
    Monitor,
    NewsFilter,
)
from pose_estimation_ros.nodes.input_health import InputFacts, Problem

SECOND = 1_000_000_000


def colour(publishers, wrong_type=''):
    return InputFacts('colour', '/camera/color', publishers, 'start the camera',
                      wrong_type=wrong_type)


def problem_of(monitor, fact, now_ns=0):
    found = monitor.input_problems([fact], now_ns, SECOND)
    return found[0].sentence if found else None


def test_a_topic_without_publisher_is_named_with_the_cure():
    assert Monitor().input_problems([colour(0)], 0, SECOND) == [Problem(
        'no colour: nobody publishes /camera/color; start the camera', stops_frames=True)]


@pytest.mark.parametrize(('distribution', 'variable'), [
    ('humble', 'FASTRTPS_DEFAULT_PROFILES_FILE'), ('jazzy', 'FASTRTPS_DEFAULT_PROFILES_FILE'),
    ('kilted', 'FASTDDS_DEFAULT_PROFILES_FILE')])
def test_a_published_topic_that_does_not_arrive_points_to_shared_memory(
        monkeypatch, distribution, variable):
    monkeypatch.setenv('ROS_DISTRO', distribution)
    problem = problem_of(Monitor(), colour(2))
    assert problem.startswith('no colour: 2 publisher(s) on /camera/color but nothing arrives')
    assert f'with {variable}=' in problem


def test_incompatible_quality_of_service_is_named():
    monitor = Monitor()
    monitor.incompatible('colour', 'reliability')
    problem = problem_of(monitor, colour(1))
    assert 'published with incompatible reliability; set input_reliability' in problem
    monitor.incompatible('colour', 'durability')
    problem = problem_of(monitor, colour(1))
    assert 'incompatible durability' in problem
    assert 'input_reliability' not in problem


def test_a_topic_of_another_type_is_named_with_the_parameter():
    problem = problem_of(Monitor(), colour(1, 'sensor_msgs/msg/CompressedImage'))
    assert problem.startswith('no colour: /camera/color is published as '
                              'sensor_msgs/msg/CompressedImage; set color.transport')


def test_silence_is_judged_by_the_clock_and_by_a_jump_of_it():
    monitor = Monitor()
    monitor.received('colour', 10 * SECOND)
    assert problem_of(monitor, colour(1), 11 * SECOND) is None
    assert 'no more colour' in problem_of(monitor, colour(1), 12 * SECOND)
    assert 'no more colour' in problem_of(monitor, colour(1), 2 * SECOND)


def test_messages_that_get_lost_on_their_way_are_told_with_their_share():
    monitor = Monitor()
    for k in range(20):
        monitor.received('colour', k * SECOND // 10)
        monitor.lost('colour', 1)
    (problem,) = monitor.input_problems([colour(1)], 2 * SECOND, SECOND)
    assert not problem.stops_frames
    assert problem.sentence.startswith('50% of the messages on /camera/color are lost on their')
    assert monitor.input_values([colour(1)], 2 * SECOND)['colour.lost'] == '20'


def test_two_publishers_of_one_topic_are_a_warning():
    monitor = Monitor()
    monitor.received('colour', 0)
    (problem,) = monitor.input_problems([colour(2)], 0, SECOND)
    assert not problem.stops_frames
    assert problem.sentence.startswith('2 nodes publish /camera/color')


def test_what_is_not_needed_may_be_silent_unless_it_is_offered_and_does_not_fit():
    fact = InputFacts('depth camera_info', '/info', 0, 'remap it', needed=False)
    monitor = Monitor()
    assert monitor.input_problems([fact], 0, SECOND) == []
    monitor.incompatible('depth camera_info', 'reliability')
    (problem,) = monitor.input_problems([fact], 0, SECOND)
    assert not problem.stops_frames


def test_what_stops_all_frames_is_told_first():
    monitor = Monitor()
    monitor.received('colour', 0)
    silent = InputFacts('depth', '/depth', 0, 'switch it on')
    assert [problem.stops_frames for problem in monitor.input_problems(
        [colour(2), silent], 0, SECOND)] == [True, False]


def test_a_sentence_is_news_once_whatever_comes_between():
    news = NewsFilter()
    assert [news.is_news(sentence) for sentence in (
        'depth is 3 s late', 'no colour', 'depth is 4.5 s late', 'no colour')] == [
            True, True, False, False]


def test_a_fault_lasts_until_a_frame_succeeds():
    monitor = Monitor()
    assert monitor.processing() == (WARN, 'no frame processed yet')
    monitor.fault('depth is upside down')
    assert monitor.processing() == (ERROR, 'depth is upside down')
    monitor.finished(0, FrameOutcome(2), {})
    assert monitor.processing() == (OK, '2 objects in the last frame')


def test_poses_of_the_fallback_are_a_warning_with_the_reason_until_the_next_frame():
    monitor = Monitor()
    monitor.finished(0, FrameOutcome(2, fallback='no depth: poses come from colour alone'), {})
    assert monitor.processing() == (
        WARN, '2 objects in the last frame; no depth: poses come from colour alone')
    assert monitor.values(0)['fallback'] == 'no depth: poses come from colour alone'
    monitor.finished(0, FrameOutcome(2), {})
    assert monitor.processing() == (OK, '2 objects in the last frame')
    assert 'fallback' not in monitor.values(0)


def test_the_agreement_of_each_pose_with_depth_is_in_the_table_if_it_is_known():
    monitor = Monitor()
    monitor.finished(
        0, FrameOutcome(2, agreements={'mug_0': 0.8312, 'can_4': float('nan')}), {})
    assert {key: value for key, value in monitor.values(0).items()
            if key.startswith('agreement.')} == {'agreement.mug_0': '0.83'}


def test_depth_that_only_the_fallback_does_without_is_told_though_frames_come():
    fact = InputFacts('depth', '/depth', 0, 'switch it on', needed=False, missed=True)
    assert Monitor().input_problems([fact], 0, SECOND) == [Problem(
        'no depth: nobody publishes /depth; switch it on', stops_frames=False)]


def test_many_frames_without_object_are_a_warning_with_the_reason():
    monitor = Monitor()
    for _ in range(10):
        monitor.finished(0, FrameOutcome(0, ('mug: only 3 points',)), {})
    assert monitor.processing() == (WARN, 'no object in the last 10 frames (mug: only 3 points)')


def test_rates_times_and_drops_are_in_the_table():
    monitor = Monitor()
    for k in range(11):
        monitor.received('depth', k * SECOND // 20)
        monitor.finished(k * SECOND // 10, FrameOutcome(1, tracks={'tracked': 1, 'lost': 2}),
                         {'pose': 0.02 + 0.001 * k})
    monitor.dropped('newer frame came')
    monitor.dropped('newer frame came')
    depth = InputFacts('depth', '/depth', 1, 'switch it on')
    assert monitor.input_values([depth], SECOND)['depth.rate_hz'] == '20.00'
    assert monitor.input_values([depth], 6 * SECOND)['depth.rate_hz'] == '2.00'
    values = monitor.values(2 * SECOND)
    assert values['frames.rate_hz'] == '10.00'
    assert values['tracks.tracked'] == '1'
    assert values['tracks.lost'] == '2'
    assert values['milliseconds.pose'] == '25.0'
    assert values['milliseconds.pose.p99'] == '29.9'
    assert values['frames.dropped.newer_frame_came'] == '2'
    assert values['frames.processed'] == '11'
    assert monitor.values(11 * SECOND)['frames.rate_hz'] == '1.00'


def test_the_rate_is_known_again_at_once_when_the_clock_is_set_back():
    monitor = Monitor()
    for start in (100, 90):
        for k in range(11):
            monitor.finished(start * SECOND + k * SECOND // 10, FrameOutcome(1), {})
        assert monitor.values((start + 1) * SECOND)['frames.rate_hz'] == '10.00'
