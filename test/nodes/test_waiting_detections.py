from std_msgs.msg import Header
from vision_msgs.msg import Detection3DArray

from pose_estimation_ros.nodes.conversions import ns_to_stamp
from pose_estimation_ros.nodes.waiting_detections import WaitingDetections


def frame(number):
    return Detection3DArray(header=Header(stamp=ns_to_stamp(number * 100_000_000)))


def stamp(number):
    return frame(number).header.stamp


def test_shapes_that_come_after_the_next_detections_find_their_own():
    waiting = WaitingDetections(0.5, clock=lambda: 0.0)
    waiting.add(frame(0))
    for number in range(1, 5):
        waiting.add(frame(number))
        assert waiting.up_to(stamp(number - 1)) == [frame(number - 1)]


def test_detections_whose_shapes_got_lost_come_before_those_of_later_shapes():
    waiting = WaitingDetections(0.5, clock=lambda: 0.0)
    for number in range(4):
        waiting.add(frame(number))
    assert waiting.up_to(stamp(2)) == [frame(0), frame(1), frame(2)]
    # Shapes of detections that do not wait say nothing about the others.
    assert waiting.up_to(stamp(1)) == []
    assert waiting.all() == [frame(3)]


def test_shapes_are_waited_for_no_longer_than_patience_lasts():
    now = [0.0]
    waiting = WaitingDetections(0.5, clock=lambda: now[0])
    waiting.add(frame(0))
    now[0] = 0.3
    waiting.add(frame(1))
    assert waiting.overdue() == []
    now[0] = 0.6
    assert waiting.overdue() == [frame(0)]
    assert waiting.overdue() == []
