"""Streams of frames that a test can disturb: each frame shows an object where no other does."""

import time

from ros_harness import RED, Frame
from std_msgs.msg import Header

from pose_estimation_ros.nodes.conversions import ns_to_stamp

RATE = 60
PERIOD_NS = 1_000_000_000 // RATE


class Take:
    """The messages of one frame, to be published one by one."""

    def __init__(self, client, frame, stamp_ns):
        client.witness.shown(frame, stamp_ns)
        header = Header(stamp=ns_to_stamp(stamp_ns), frame_id=frame.frame_id)
        self.stamp_ns = stamp_ns
        self.info = client.color_info, frame.info_message(header)
        self.color = client.color, frame.color_message(header)
        self.depth = client.depth, frame.depth_message(header)

    def messages(self):
        return [self.info, self.color, self.depth]


def moving_frame(step):
    """Return a frame whose object differs from all near steps' in place and in distance.

    So colour of one frame with depth of another gives a pose that no frame shows.
    """
    left = 10 + 7 * (step % 14)
    return Frame((((left, 40, left + 30, 70), RED),), depth=0.5 + 0.01 * (step % 20))


def film(client, count, start_ns=None, make=moving_frame):
    """Return so many takes at the pace of a camera, to be played at once."""
    start_ns = client.now() if start_ns is None else start_ns
    return [Take(client, make(step), start_ns + step * PERIOD_NS) for step in range(count)]


def play(client, groups, rate=RATE):
    """Publish groups of messages, one group in the time of a frame."""
    for group in groups:
        until = time.monotonic() + 1 / rate
        for publisher, message in group:
            publisher.publish(message)
        while time.monotonic() < until:
            client.executor.spin_once(timeout_sec=0.002)
