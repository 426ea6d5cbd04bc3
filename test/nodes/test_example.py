"""The example that users copy finds an object in a running graph."""

import subprocess
import sys

from ros_harness import BLUE, RED, ROOT, Client, Frame, center, environment

CAN, MUG = (20, 30, 50, 60), (100, 60, 140, 100)


def test_the_example_prints_where_the_mug_is(client: Client, estimator):
    example = subprocess.Popen(
        [sys.executable, ROOT / 'examples' / 'subscribe_object_poses.py', '--label', 'mug'],
        env=environment(), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    frame = Frame(((CAN, RED), (MUG, BLUE)), depth=0.8)
    try:
        client.wait_for(lambda: example.poll() is not None, 'the end of the example',
                        meanwhile=lambda: client.send(frame))
        printed = example.stdout.read()
    finally:
        example.kill()
        example.wait()
    x, y, z = center(MUG, 0.8)
    assert example.returncode == 0, printed
    assert f'in camera_color_optical_frame: x={x:.3f} y={y:.3f} z={z:.3f} m' in printed
    assert 'score 0.80' in printed
