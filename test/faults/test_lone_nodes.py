"""Faults that need a node of their own: those of its clock, and its violent end."""

import signal
from itertools import count

import pytest
from ros_harness import STAND_IN, Client, Frame, NodeProcess
from rosgraph_msgs.msg import Clock

from pose_estimation_ros.nodes.conversions import ns_to_stamp, stamp_to_ns

SECOND = 1_000_000_000


@pytest.fixture
def clock(client: Client):
    """Return a way to set the simulated time, nanoseconds."""
    publisher = client.node.create_publisher(Clock, '/clock', 10)
    yield lambda now_ns: publisher.publish(Clock(clock=ns_to_stamp(now_ns)))
    client.node.destroy_publisher(publisher)


def results_at(client, clock, now_ns):
    """Let time go on from a point, with frames, until there is a result; return its stamp."""
    now = [now_ns]

    def go_on():
        now[0] += SECOND // 10
        clock(now[0])
        client.send(Frame(), now[0])

    client.forget()
    message = client.wait_for(lambda: next(
        (m for m in client.received['object_detections']
         if now_ns < stamp_to_ns(m.header.stamp) <= now[0]), None), 'a result', meanwhile=go_on)
    assert len(message.detections) == 1
    return now[0]


@pytest.mark.fault('simulated clock jumping back')
def test_a_simulated_clock_may_jump_back_and_stale_frames_are_refused(
        client: Client, node, clock):
    process = node(use_sim_time=True, max_age=2.0)
    client.wait_until_active()
    later = results_at(client, clock, 1000 * SECOND)
    results_at(client, clock, 500 * SECOND)
    client.wait_for_sentence('processing', '1 objects in the last frame')
    # Frames of the time before the jump are now of the future.
    stale = Frame()
    stale.is_usable = False
    stamps = count(later + 1)  # The same one again would be another fault.
    told = client.wait_for_sentence('processing', "ahead of the node's clock",
                                    lambda: client.send(stale, next(stamps)))
    assert 'max_age' in told
    results_at(client, clock, 510 * SECOND)
    assert 'Traceback' not in process.log


@pytest.mark.fault('node killed in inference and started again')
def test_a_node_may_be_killed_in_inference_and_started_again(client: Client, tmp_path):
    slow = Frame()
    slow.rgb[0, 0] = (0, 200, 0)
    first = NodeProcess('pose_estimator', tmp_path / 'first', STAND_IN)
    try:
        client.wait_until_active()
        client.result_of(Frame())
        begun = client.send(slow)
        client.wait_for_sentence('processing', '1 objects')
    finally:
        assert first.stop(signal.SIGKILL) == -signal.SIGKILL
    client.forget()
    second = NodeProcess('pose_estimator', tmp_path / 'second', STAND_IN)
    try:
        stamp, found = client.result_of(Frame())
        assert stamp > begun
        assert len(found.detections) == 1
        client.wait_for_sentence('processing', '1 objects in the last frame',
                                 lambda: client.send(Frame()))
        assert begun not in {stamp_to_ns(m.header.stamp)
                             for m in client.received['object_detections']}
    finally:
        assert second.stop() == 0
