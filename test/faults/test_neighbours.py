"""Faults of the processes beside the node: cameras, parameter clients, the disk."""

import random
import resource
import signal
import subprocess
import sys
from pathlib import Path

import camera_process
import pytest
from rcl_interfaces.srv import SetParameters
from rclpy.parameter import Parameter
from ros_harness import STAND_IN, Client, Frame, NodeProcess, environment

from pose_estimation_ros.nodes.parameters import ESTIMATOR_PARAMETERS

CHANGES = 100

pytestmark = pytest.mark.usefixtures('estimator')


@pytest.fixture
def camera(client: Client):
    """Return a way to start another camera with an object at a place; it ends with the test."""
    started = []

    def start(left, distance):
        client.witness.allow_always(camera_process.frame_of(left, distance).truth())
        process = subprocess.Popen(
            [sys.executable, camera_process.__file__, str(left), str(distance)],
            env=environment([Path(camera_process.__file__).parent]))
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        process.wait()


def wait_for_object(client, distance):
    client.wait_for(lambda: any(
        abs(d.bbox.center.position.z - distance) < 1e-3
        for m in client.received['object_detections'] for d in m.detections),
        f'an object at {distance} m')
    client.forget()


@pytest.mark.fault('camera process killed and started again')
def test_a_camera_may_die_and_return(client: Client, camera):
    first = camera(20, 0.6)
    wait_for_object(client, 0.6)
    first.kill()
    told = client.wait_for_sentence('input', 'no more colour')
    assert '/color/image_raw' in told
    camera(60, 0.7)
    wait_for_object(client, 0.7)
    client.wait_for_sentence('processing', '1 objects in the last frame')


@pytest.mark.fault('two publishers on one topic')
def test_two_cameras_on_one_topic_are_told_and_never_mixed(client: Client, camera):
    other = camera(100, 0.8)
    wait_for_object(client, 0.8)
    told = client.wait_for_sentence('processing', '2 publishers send on',
                                    lambda: client.send(Frame()))
    assert 'at once' in told and 'namespace' in told
    other.terminate()
    other.wait()
    client.forget()
    client.result_of(Frame())
    client.wait_for_sentence('processing', '1 objects', lambda: client.send(Frame()))


def any_value(spec, dice):
    """Return a value of a parameter: good, bad, or of another type."""
    if dice.random() < 0.2:
        return dice.choice([True, -1, 10 ** 9, 1e300, float('nan'), '', 'ünknown', [1, 2]])
    if spec.choices:
        return dice.choice(spec.choices)
    if spec.limits is not None:
        value = dice.uniform(*spec.limits)
        return int(value) if isinstance(spec.default, int) else value
    return dice.choice([True, False]) if isinstance(spec.default, bool) else 'can'


@pytest.mark.fault('storm of parameter changes')
def test_a_storm_of_parameters_changes_no_pose_and_leaves_the_node_usable(
        client: Client, estimator):
    dice = random.Random(0)
    specs = [spec for spec in ESTIMATOR_PARAMETERS
             if spec.name != 'tracking.smoothing_seconds']
    setter = client.node.create_client(SetParameters, 'pose_estimator/set_parameters')
    client.wait_for(setter.service_is_ready, 'the service')
    answers = []
    for _ in range(CHANGES):
        spec = dice.choice(specs)
        parameter = Parameter(spec.name, value=any_value(spec, dice))
        answers.append(setter.call_async(
            SetParameters.Request(parameters=[parameter.to_parameter_msg()])))
        client.send(Frame())
        # More than the queues of a service hold would be lost on the way.
        client.wait_for(lambda: sum(not answer.done() for answer in answers) < 5, 'answers')
    client.wait_for(lambda: all(answer.done() for answer in answers), 'all answers')
    client.node.destroy_client(setter)
    results = [answer.result().results[0] for answer in answers]
    assert all(result.reason for result in results if not result.successful)
    assert CHANGES / 10 < sum(result.successful for result in results) < 0.9 * CHANGES
    for spec in ESTIMATOR_PARAMETERS:
        if not spec.inactive_only and not spec.read_only:
            value = STAND_IN.get(spec.name, spec.default)
            assert client.set_parameter(spec.name, value).successful
    client.forget()
    _, found = client.result_of(Frame())
    assert len(found.detections) == 1
    client.wait_for_sentence('processing', '1 objects', lambda: client.send(Frame()))
    assert 'Traceback' not in estimator.log


@pytest.mark.fault('disk full while recording')
def test_a_full_disk_ends_the_recording_with_a_sentence_and_not_the_node(client: Client, tmp_path):
    recorder = NodeProcess('recorder', tmp_path / 'log', {
        'output': tmp_path / 'bag', 'min_free': 0, 'compression': False})
    try:
        client.wait_for(lambda: int(client.facts('recording').get('/color/image_raw', 0)) > 0,
                        'a recorded image', meanwhile=lambda: client.send(Frame()))
        no_more_than(recorder, sum(f.stat().st_size for f in (tmp_path / 'bag').iterdir()))
        told = client.wait_for_sentence('recording', 'takes no more data',
                                        lambda: client.send(Frame()))
        assert 'Record to another disk' in told
        client.forget()
        _, found = client.result_of(Frame())
        assert len(found.detections) == 1
        assert recorder.stop(signal.SIGINT) == 0
        assert 'Traceback' not in recorder.log
    finally:
        recorder.stop()


@pytest.mark.fault('disk full where the node logs')
def test_a_node_that_cannot_log_goes_on(client: Client, estimator):
    no_more_than(estimator, 0)
    spoilt = Frame()
    spoilt.is_usable = False
    spoilt.depth[:] = 0
    client.wait_for_sentence('processing', 'depth image is all zero or NaN',
                             lambda: client.send(spoilt))
    client.forget()
    _, found = client.result_of(Frame())
    assert len(found.detections) == 1
    no_more_than(estimator, resource.RLIM_INFINITY)


def no_more_than(process, size):
    """Let no file of a process grow beyond a size, bytes, as if its disk were full."""
    hard = resource.prlimit(process.process.pid, resource.RLIMIT_FSIZE)[1]
    resource.prlimit(process.process.pid, resource.RLIMIT_FSIZE, (size, hard))
