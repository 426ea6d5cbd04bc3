"""The recorder as a process beside a real estimator."""

import json
import signal

import pytest
from rclpy.serialization import deserialize_message
from ros_bags import contents, counts, notes
from ros_harness import STAND_IN, Client, Frame, NodeProcess
from sensor_msgs.msg import Image
from vision_msgs.msg import Detection3DArray

from pose_estimation_ros.nodes.conversions import stamp_to_ns

RECORDED = {'/color/image_raw', '/color/camera_info', '/depth/image_raw', '/object_detections',
            '/object_poses', '/segmentation/detections', '/tf', '/diagnostics'}


@pytest.fixture
def recorder(client: Client, tmp_path):
    started = []

    def start(**parameters):
        parameters = {'output': tmp_path / 'bag', 'min_free': 0} | parameters
        started.append(NodeProcess('recorder', tmp_path / 'recorder_log', parameters))
        return started[-1]

    yield start
    for process in started:
        process.stop()
    client.forget()


def listens(client, topic):
    """Return whether estimator and recorder both listen to a topic of the camera."""
    return client.node.count_subscribers(topic) >= 2


@pytest.mark.parametrize('number', [signal.SIGINT, signal.SIGTERM])
def test_inputs_outputs_and_parameters_are_recorded(client: Client, estimator, recorder,
                                                    tmp_path, number):
    process = recorder()
    def recorded():
        facts = client.facts('recording')
        return all(int(facts.get(topic, '0')) > 0 for topic in RECORDED)

    client.wait_for(recorded, 'messages of every topic',
                    meanwhile=lambda: client.result_of(Frame()))
    assert process.stop(number) == 0
    found = contents(tmp_path / 'bag')
    assert set(counts(tmp_path / 'bag')) >= RECORDED
    assert not {'/overlay/image', '/object_markers', '/object_points', '/rosout'} & {
        topic for topic, *_ in found}
    images = {stamp_to_ns(deserialize_message(data, Image).header.stamp)
              for topic, _, _, data in found if topic == '/color/image_raw'}
    results = {stamp_to_ns(m.header.stamp): m for m in (
        deserialize_message(data, Detection3DArray) for topic, _, _, data in found
        if topic == '/object_detections')}
    result = results[max(images & set(results))]
    assert result.detections[0].results[0].hypothesis.class_id == 'can'
    parameters = json.loads(notes(tmp_path / 'bag')['pose_estimator.parameters'])
    assert parameters['backend'] == STAND_IN['backend']
    assert parameters['seed'] == 0
    assert 'messages' in process.log


def test_the_bag_has_the_parameters_as_they_were_changed(client: Client, estimator, recorder,
                                                         tmp_path):
    process = recorder()
    client.wait_for(lambda: 'has the parameters' in process.log, 'the first parameters')
    assert client.set_parameter('min_score', 0.125).successful
    try:
        client.wait_for(lambda: 'changed min_score from 0.0 to 0.125' in process.log,
                        'the change in the log')
        assert process.stop() == 0
    finally:
        assert client.set_parameter('min_score', 0.0).successful
    parameters = json.loads(notes(tmp_path / 'bag')['pose_estimator.parameters'])
    assert parameters['min_score'] == 0.125


def test_a_full_disk_is_told_and_the_recorder_lives_on(client: Client, estimator, recorder,
                                                       tmp_path):
    process = recorder(min_free=10_000_000)
    client.wait_for(lambda: listens(client, 'color/image_raw'), 'a recorder')
    client.result_of(Frame())
    sentence = client.wait_for_sentence('recording', 'min_free')
    assert 'what was recorded is whole' in sentence
    assert process.process.poll() is None
    assert contents(tmp_path / 'bag') == []
    assert process.stop() == 0


def test_a_recorder_without_estimator_says_whom_it_looks_for(client: Client, recorder):
    recorder(estimator='nobody')
    assert 'there is no node nobody' in client.wait_for_sentence('recording', 'no node')


def test_a_recorder_does_not_write_over_a_bag(recorder, tmp_path):
    (tmp_path / 'bag').mkdir()
    process = recorder()
    assert process.process.wait(timeout=60) == 2
    assert 'exists already' in process.log
    assert 'Traceback' not in process.log
