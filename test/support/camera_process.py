"""A second camera of the test graph, to be killed: the same frame again and again.

python camera_process.py <left edge of the object, pixels> <distance, metres>
"""

import os
import sys
import time

from ros_harness import RED, Client, Frame


def frame_of(left, distance):
    """Return what the camera shows."""
    return Frame((((left, 40, left + 30, 70), RED),), depth=distance)


if __name__ == '__main__':
    client = Client(domain_id=int(os.environ['ROS_DOMAIN_ID']))
    frame = frame_of(int(sys.argv[1]), float(sys.argv[2]))
    parent = os.getppid()
    while os.getppid() == parent:
        frame.publish(client, client.now())
        time.sleep(0.03)
