"""The recorder as a process beside a real estimator."""

import json
import signal

import pytest
from geometry_msgs.msg import TransformStamped
from rclpy.node import NodeNameNonExistentError
from rclpy.qos import DurabilityPolicy, QoSProfile
from rclpy.serialization import deserialize_message
from ros_bags import contents, counts, notes
from ros_harness import STAND_IN, Client, Frame, NodeProcess
from rosbags.interfaces import QosDurability
from rosbags.rosbag2 import Reader
from rosgraph_msgs.msg import Clock
from sensor_msgs.msg import Image
from tf2_msgs.msg import TFMessage
from vision_msgs.msg import Detection3DArray

from pose_estimation_ros.nodes.conversions import ns_to_stamp, stamp_to_ns
from pose_estimation_ros.nodes.estimator_topics import estimator_topics

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
        # Topics are found one after the other: of the third message the first two are of frames
        # of which all is in the bag.
        facts = client.facts('recording')
        return all(int(facts.get(topic, '0')) > 2 for topic in RECORDED)

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


def test_with_simulated_time_messages_have_the_times_of_the_clock(client: Client, estimator,
                                                                  recorder, tmp_path):
    """What comes before the first /clock has no time; of that only what is latched is kept."""
    process = recorder(use_sim_time=True, extra_topics='/tf_static')
    client.wait_for(lambda: listens(client, 'color/image_raw'), 'a recorder')
    latched = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
    static = client.node.create_publisher(TFMessage, '/tf_static', latched)
    static.publish(TFMessage(transforms=[TransformStamped(child_frame_id='camera')]))
    client.wait_for(static.get_subscription_count, 'the recorder of transforms')
    client.result_of(Frame())
    clock = client.node.create_publisher(Clock, '/clock', 10)

    def recorded():
        facts = client.facts('recording')
        return all(int(facts.get(topic, '0')) > 0 for topic in RECORDED)

    def go_on():
        clock.publish(Clock(clock=ns_to_stamp(1_000_000_000_000)))
        client.result_of(Frame())

    try:
        client.wait_for(recorded, 'messages of every topic', meanwhile=go_on)
    finally:
        client.node.destroy_publisher(clock)
        client.node.destroy_publisher(static)
    assert process.stop() == 0
    assert counts(tmp_path / 'bag')['/tf_static'] == 1
    assert {time for _, _, time, _ in contents(tmp_path / 'bag')} == {1_000_000_000_000}


def test_transforms_that_were_sent_before_the_recorder_listened_are_recorded(
        client: Client, recorder, tmp_path):
    """Whoever listens to /tf_static may be seen before anybody publishes it."""
    listener = client.node.create_subscription(TFMessage, '/tf_static', lambda _: None, 10)
    process = recorder(extra_topics='/tf_static')
    latched = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
    try:
        client.wait_for(lambda: client.node.count_subscribers('/tf_static') >= 2, 'the recorder')
        publisher = client.node.create_publisher(TFMessage, '/tf_static', latched)
        publisher.publish(TFMessage(transforms=[TransformStamped(child_frame_id='camera')]))
        client.wait_for(lambda: client.facts('recording').get('/tf_static') == '1', 'it')
        client.node.destroy_publisher(publisher)
    finally:
        client.node.destroy_subscription(listener)
    assert process.stop() == 0
    assert counts(tmp_path / 'bag')['/tf_static'] == 1
    # Else `ros2 bag play` offers it in a way that no listener of TF takes.
    with Reader(tmp_path / 'bag') as bag:
        offered = {connection.topic: connection.ext.offered_qos_profiles
                   for connection in bag.connections}
    assert [qos.durability for qos in offered['/tf_static']] == [QosDurability.TRANSIENT_LOCAL]


def test_an_estimator_that_ends_while_it_is_looked_at_has_no_topics():
    class Graph:
        def get_node_names_and_namespaces(self):
            return [('pose_estimator', '/')]

        def get_subscriber_names_and_types_by_node(self, name, namespace):
            raise NodeNameNonExistentError(f'no {name} in {namespace}')

    assert estimator_topics(Graph(), 'pose_estimator', '/') == []
