from pose_estimation_ros.nodes.stream_guards import FrameOrder, SenderWatch

SECOND = 1_000_000_000


def test_a_stamp_passes_once_and_not_after_a_later_one():
    order = FrameOrder()
    assert order.problem(5 * SECOND) is None
    assert order.problem(5 * SECOND) == 'same stamp'
    assert order.problem(5 * SECOND) == 'same stamp'
    assert order.repeats == 2
    assert order.problem(5 * SECOND - 1) == 'out of order'
    assert order.problem(5 * SECOND + 1) is None
    assert order.repeats == 0


def test_time_that_jumps_back_begins_anew():
    order = FrameOrder()
    assert order.problem(100 * SECOND) is None
    assert order.problem(98 * SECOND) is None
    assert order.problem(98 * SECOND + 1) is None


def sender(name):
    return {'publisher_gid': {'data': name, 'implementation_identifier': 'any'}}


def test_two_senders_on_a_topic_are_noticed_for_as_long_as_both_send():
    now = [0.0]
    watch = SenderWatch(lambda: now[0])
    watch.heard('colour', sender(b'one'))
    watch.heard('depth', sender(b'other'))
    assert watch.mixed_topic() is None
    watch.heard('colour', sender(b'two'))
    assert watch.mixed_topic() == ('colour', 2)
    now[0] = 0.9
    watch.heard('colour', sender(b'two'))
    assert watch.mixed_topic() == ('colour', 2)
    now[0] = 1.1
    assert watch.mixed_topic() is None


def test_a_ros_that_does_not_tell_the_sender_is_believed():
    watch = SenderWatch()
    for _ in range(2):
        watch.heard('colour', {'source_timestamp': 1})
    assert watch.mixed_topic() is None
