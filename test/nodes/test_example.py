"""The example that users copy finds an object in a running graph."""

import importlib.util
import subprocess
import sys
from collections import defaultdict

from builtin_interfaces.msg import Time
from geometry_msgs.msg import PoseStamped
from ros_harness import BLUE, RED, ROOT, Client, Frame, center, environment
from std_msgs.msg import Header
from vision_msgs.msg import (
    Detection3D,
    Detection3DArray,
    ObjectHypothesis,
    ObjectHypothesisWithPose,
)

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


def test_the_example_takes_a_stamp_that_comes_again_for_a_new_frame():
    spec = importlib.util.spec_from_file_location(
        'example', ROOT / 'examples' / 'subscribe_object_poses.py')
    example = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(example)
    listener = example.ObjectListener.__new__(example.ObjectListener)
    listener.label, listener.min_score, listener.target = 'mug', 0.5, None
    listener._detections, listener._poses = {}, defaultdict(list)

    def show(stamp_s, name):
        header = Header(stamp=Time(sec=stamp_s))
        hypothesis = ObjectHypothesisWithPose(
            hypothesis=ObjectHypothesis(class_id='mug', score=0.9))
        pose = PoseStamped(header=header)
        listener.on_pose(pose)
        listener.on_detections(Detection3DArray(header=header, detections=[
            Detection3D(id=name, results=[hypothesis])]))
        assert listener.target[0].id == name
        assert listener.target[1] is pose

    for stamp_s in [*range(100, 120), *range(100, 120), 100]:
        show(stamp_s, f'mug_{stamp_s}')
        assert not listener._detections
        assert not listener._poses
    for stamp_s in range(200, 300):
        listener.on_pose(PoseStamped(header=Header(stamp=Time(sec=stamp_s))))
    assert len(listener._poses) <= example.FRAMES_KEPT + 1
    show(1, 'mug_1')
