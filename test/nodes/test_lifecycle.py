"""The life of the node: states, changes of parameters, requests, signals."""

import re
import signal
import time
from importlib.util import find_spec
from itertools import count
from pathlib import Path

import cv2
import pytest
from geometry_msgs.msg import PoseStamped
from lifecycle_msgs.msg import Transition
from lifecycle_msgs.srv import ChangeState
from rclpy.impl.implementation_singleton import rclpy_implementation
from rclpy.lifecycle import LifecycleNode
from rclpy.qos import QoSProfile, ReliabilityPolicy
from ros_harness import RED, Client, Frame, center, position
from sensor_msgs.msg import CompressedImage, Image
from std_msgs.msg import Header

from pose_estimation_ros.nodes.conversions import ns_to_stamp
from pose_estimation_ros.nodes.transitions import PreparedTransitions

SMALL_TF = Path(__file__).parent / 'small_tf'

BOX = (60, 40, 100, 80)


def test_without_autostart_it_waits_for_its_manager(client: Client, node):
    node(autostart=False)
    client.wait_for_sentence('processing', 'not active: configure and activate')
    assert client.state() == 'unconfigured'
    assert client.transition('configure')
    assert client.state() == 'inactive'
    assert client.color.get_subscription_count() == 0
    assert client.transition('activate')
    client.wait_until_active()
    _, detections = client.result_of(Frame())
    assert [d.results[0].hypothesis.class_id for d in detections.detections] == ['can']


@pytest.mark.parametrize('number', [Transition.TRANSITION_CONFIGURE,
                                    Transition.TRANSITION_UNCONFIGURED_SHUTDOWN,
                                    Transition.TRANSITION_INACTIVE_SHUTDOWN])
def test_a_transition_of_another_state_is_refused_and_ends_nothing(client: Client, node, number):
    node()
    client.wait_until_active()
    request = ChangeState.Request()
    request.transition.id = number
    assert not client.call(ChangeState, 'pose_estimator/change_state', request).success
    assert client.state() == 'active'
    assert len(client.result_of(Frame())[1].detections) == 1


def test_where_rclpy_raises_at_a_transition_of_another_state_it_is_refused(client: Client):
    lifecycle_node = LifecycleNode('refusing', context=client.context)
    transitions = PreparedTransitions(lifecycle_node, lambda name: None)

    def change():
        raise rclpy_implementation.RCLError('not registered')

    client.executor.add_node(lifecycle_node)
    answers = [client.executor.create_task(transitions.run('configure', how, 'refused'))
               for how in (change, lambda: 'done')]
    client.wait_for(lambda: all(answer.done() for answer in answers), 'answers')
    client.executor.remove_node(lifecycle_node)
    lifecycle_node.destroy_node()
    assert [answer.result() for answer in answers] == ['refused', 'done']


def test_settings_change_between_deactivation_and_activation(client: Client, node):
    node(seed=1)
    client.wait_until_active()
    client.result_of(Frame())
    refused = client.set_parameter('seed', 2)
    assert not refused.successful
    assert 'deactivate it' in refused.reason
    assert client.transition('deactivate')
    client.wait_for_sentence('model', 'not active: activate the lifecycle node')
    unknown = client.set_parameter('backend', 'bogus')
    assert not unknown.successful
    assert unknown.reason == ("backend is 'bogus'; choose one of "
                              'acr, crnet, disp6d, mrc, neural_mesh, spd, stand_in, '
                              'stand_in_color')
    assert 'choose one of auto, cpu, cuda, tensorrt' in client.set_parameter(
        'device', 'gpu').reason
    assert client.set_parameter('labels', 'mug').successful
    assert client.transition('activate')
    client.wait_until_active()
    client.forget()
    _, detections = client.result_of(Frame())
    assert detections.detections == []


def test_thresholds_filters_and_mode_change_while_it_is_active(client: Client, node):
    process = node()
    client.wait_until_active()
    _, detections = client.result_of(Frame())
    assert len(detections.detections) == 1

    def objects_after(**changes):
        for name, value in changes.items():
            answer = client.set_parameter(name, value)
            assert answer.successful, answer.reason
        client.forget()
        return len(client.result_of(Frame())[1].detections)

    assert objects_after(labels='mug, bowl') == 0
    assert objects_after(labels='') == 1
    assert objects_after(min_score=0.85) == 0  # The stand-in is sure to 0.8.
    assert objects_after(min_score=0.5) == 1
    assert client.set_parameter('tracking.enabled', value=False).successful
    client.forget()
    assert client.result_of(Frame())[1].detections[0].id == 'can_0'
    assert client.set_parameter('mode', 'on_demand').successful
    assert client.estimate(meanwhile=lambda: client.send(Frame())).success
    assert process.log.count('loaded in') == 1


def test_a_change_that_cannot_be_is_refused_with_the_reason(client: Client, node):
    node()
    client.wait_until_active()
    for name, value, reason in (
            ('labels', 'spoon', "unknown label 'spoon'; the backend stand_in knows can, bowl"),
            ('segmentation.min_score', 0.3, 'the segmenter stand_in cannot change its limits'),
            ('min_score', 2.0, 'Parameter min_score out of range'),
            ('min_score', 'high', 'Wrong parameter type'),
            ('max_age', float('nan'), 'Parameter max_age out of range'),
            ('mode', 'sometimes', "mode is 'sometimes'; choose one of continuous, on_demand"),
            ('tf.prefix', 'seen/', 'tf.prefix cannot change while the node is active')):
        answer = client.set_parameter(name, value)
        assert not answer.successful
        assert answer.reason.startswith(reason), answer.reason
    assert len(client.result_of(Frame())[1].detections) == 1


def test_models_are_freed_while_it_is_inactive_unless_they_are_to_be_kept(client: Client, node):
    process = node()
    client.wait_until_active()
    for keep, times_loaded in ((False, 2), (True, 2), (False, 3)):
        assert client.set_parameter('keep_models', keep).successful
        assert client.transition('deactivate')
        client.wait_for_sentence('model', 'models are loaded' if keep else 'not active')
        assert client.transition('activate')
        client.result_of(Frame())
        assert process.log.count('loaded in') == times_loaded


@pytest.mark.fault('a signal while models load')
def test_while_models_load_it_says_so_and_answers(client: Client, node, monkeypatch):
    monkeypatch.setenv('STAND_IN_LOAD_SECONDS', '1000')
    process = node()
    told = client.wait_for_sentence('model', 'loading models for')
    assert told.endswith('s (backend stand_in, segmentation stand_in)')
    client.wait_for_sentence('input', 'not active yet: loading models')
    assert client.state() == 'unconfigured'
    assert client.set_parameter('min_score', 0.1).successful
    assert 'loading models' in client.estimate().message
    assert process.stop(signal.SIGINT) == 0
    assert 'Traceback' not in process.log


def test_it_goes_up_and_down_many_times(client: Client, node):
    node()
    client.wait_until_active()
    for _ in range(10):
        assert client.transition('deactivate')
        assert client.transition('cleanup')
        assert client.transition('configure')
        assert client.transition('activate')
    client.wait_until_active()
    client.forget()
    _, detections = client.result_of(Frame())
    assert len(detections.detections) == 1


def test_on_demand_it_answers_one_frame_per_request(client: Client, node):
    node(mode='on_demand')
    client.wait_until_active()
    silent = client.estimate()
    assert not silent.success
    assert 'no frame came' in silent.message
    answer = client.estimate(meanwhile=lambda: client.send(Frame()))
    assert answer.success
    assert answer.message == '1 objects: can_1'
    client.wait_for(lambda: client.received['object_detections'], 'the result')
    client.send(Frame())
    client.wait_for_sentence('processing', '1 objects', lambda: client.send(Frame()))
    assert len(client.received['object_detections']) == 1


def test_a_bad_frame_is_the_answer_to_a_request(client: Client, node):
    node(mode='on_demand', sync__timeout=10.0)  # A busy machine may take long to send it.
    client.wait_until_active()
    frame = Frame()
    frame.depth[:] = 0
    answer = client.estimate(meanwhile=lambda: client.send(frame))
    assert not answer.success
    assert 'all zero' in answer.message


def test_each_label_has_its_own_topic_if_wanted(client: Client, node):
    node(publish_per_label=True, tf__prefix='seen/', tracking__enabled=False)
    client.listen(PoseStamped, 'object_poses/can')
    client.listen(PoseStamped, 'object_poses/mug')
    client.wait_until_active()
    # Each topic is found on a way of its own; what is published before is lost.
    pose, *_ = client.wait_for(lambda: client.received['object_poses/can'], 'the pose of the can',
                               meanwhile=lambda: client.send(Frame()))
    assert position(pose.pose) == pytest.approx(center(BOX, 0.5), abs=1e-5)
    assert client.received['object_poses/mug'] == []
    # Published after the pose, and each topic comes on a way of its own.
    client.wait_for(lambda: client.received['/tf'], 'the transform of the object')
    names = {t.child_frame_id for m in client.received['/tf'] for t in m.transforms}
    assert names == {'seen/can_0'}


# Where it is installed, the sentence about its absence cannot be provoked.
@pytest.mark.skipif(find_spec('tf2_ros') is not None, reason='tf2_ros is installed')
def test_an_output_frame_without_tf2_ros_is_refused_with_the_cure(client: Client, node):
    node(output_frame='base_link')
    client.wait_for_sentence('model', 'output_frame needs tf2_ros')
    assert client.state() == 'unconfigured'


def test_poses_are_given_in_the_output_frame_at_the_stamp_of_the_image(client: Client, node):
    node(output_frame='base_link', python_path=[SMALL_TF])
    client.wait_until_active()
    stamp, detections = client.result_of(Frame())
    (pose,) = client.with_stamp('object_poses', stamp, 1)
    assert pose.header.frame_id == detections.header.frame_id == 'base_link'
    x, y, z = center(BOX, 0.5)
    assert position(pose.pose) == pytest.approx((1 - y, 2 + x, z), abs=1e-5)
    q = pose.pose.orientation
    assert (q.x, q.y, q.z, q.w) == pytest.approx((0, 0, 0.5 ** 0.5, 0.5 ** 0.5))
    long_ago = count(1_000_000_000, 100_000_000)
    told = client.wait_for_sentence('processing', 'no transform from camera_color_optical_frame '
                                    'to output_frame base_link',
                                    lambda: client.send(Frame(), next(long_ago)))
    assert 'extrapolation into the past' in told


def test_it_listens_to_tf_only_while_it_is_configured_to_need_it(client: Client, node):
    def wait_for_listeners(count):
        # One of them is the client.
        client.wait_for(lambda: client.node.count_subscribers('/tf') == 1 + count,
                        f'{count} listener(s) of the node')

    node(output_frame='base_link', python_path=[SMALL_TF], autostart=False)
    client.wait_for_sentence('model', 'not active')
    wait_for_listeners(0)
    for _ in range(2):
        assert client.transition('configure')
        wait_for_listeners(1)
        assert client.transition('cleanup')
        wait_for_listeners(0)
    assert client.transition('configure')
    assert client.set_parameter('output_frame', '').successful
    assert client.transition('activate')
    wait_for_listeners(0)
    stamp, _ = client.result_of(Frame())
    (pose,) = client.with_stamp('object_poses', stamp, 1)
    assert position(pose.pose) == pytest.approx(center(BOX, 0.5), abs=1e-5)


def test_compressed_images_are_taken_if_asked_for(client: Client, node):
    node(color__transport='compressed', depth__transport='compressedDepth')
    color = client.node.create_publisher(CompressedImage, 'color/image_raw/compressed', 5)
    depth = client.node.create_publisher(CompressedImage, 'depth/image_raw/compressedDepth', 5)
    frame = Frame()

    def publish(sender, stamp_ns):
        header = Header(stamp=ns_to_stamp(stamp_ns), frame_id=frame.frame_id)
        color_png, depth_png = (cv2.imencode('.png', image)[1].tobytes()
                                for image in (frame.rgb[..., ::-1], frame.depth))
        sender.color_info.publish(frame.info_message(header))
        depth.publish(CompressedImage(header=header, format='16UC1; compressedDepth png',
                                      data=bytes(12) + depth_png))
        color.publish(CompressedImage(header=header, format='png', data=color_png))

    frame.publish = publish
    for publisher in (color, depth):
        client.wait_for(publisher.get_subscription_count, 'a subscription')
    stamp, _ = client.result_of(frame)
    (pose,) = client.with_stamp('object_poses', stamp, 1)
    assert position(pose.pose) == pytest.approx(center(BOX, 0.5), abs=1e-5)
    for publisher in (color, depth):
        client.node.destroy_publisher(publisher)


def test_an_incompatible_camera_is_told_with_the_parameter_that_cures_it(client: Client, node):
    node(input_reliability='reliable', remappings=['color/image_raw:=other/image'])
    qos = QoSProfile(depth=1, reliability=ReliabilityPolicy.BEST_EFFORT)
    publisher = client.node.create_publisher(Image, 'other/image', qos)
    told = client.wait_for_sentence('input', 'incompatible reliability')
    assert '/other/image' in told
    assert 'set input_reliability' in told
    client.node.destroy_publisher(publisher)


def test_reliability_of_the_inputs_follows_its_parameter(client: Client, node):
    node(input_reliability='best_effort')
    client.wait_until_active()
    assert client.transition('deactivate')
    assert client.set_parameter('input_reliability', 'reliable').successful
    assert client.transition('activate')
    client.wait_until_active()

    def reliability():
        topic = client.color.topic_name
        return [info.qos_profile.reliability
                for info in client.node.get_subscriptions_info_by_topic(topic)]

    client.wait_for(lambda: reliability() == [ReliabilityPolicy.RELIABLE], 'a new subscription')


def test_a_missing_clock_is_told(client: Client, node):
    node(use_sim_time=True)
    client.wait_for_sentence('input', 'use_sim_time is set but nobody publishes /clock')


@pytest.mark.fault('a signal while a network runs')
@pytest.mark.parametrize('number', [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_it_while_a_network_runs(client: Client, node, number):
    process = node()
    client.wait_until_active()
    client.result_of(Frame())
    slow = Frame()
    slow.rgb[0, 0] = (0, 255, 0)  # The stand-in never ends.
    client.wait_for(lambda: 'at_work.estimate' in client.facts('processing'), 'a network at work',
                    meanwhile=lambda: client.send(slow))
    assert process.stop(number) == 0
    assert 'Traceback' not in process.log


@pytest.mark.fault('a network hangs')
def test_it_can_be_deactivated_and_activated_again_while_a_network_hangs(client: Client, node):
    process = node(keep_models=True)
    client.wait_until_active()
    client.result_of(Frame())
    endless = Frame()
    endless.rgb[0, 0] = (0, 255, 0)  # The stand-in never ends.
    client.wait_for(lambda: float(client.facts('processing').get('at_work.estimate', 0)) > 1,
                    'a network at work', meanwhile=lambda: client.send(endless))
    assert client.transition('deactivate')
    assert client.state() == 'inactive'
    told = client.wait_for_sentence('model', 'a frame was still in work when the node was')
    assert 'too slow for this machine, or hangs' in told
    assert told in process.log
    assert client.transition('activate')
    client.wait_until_active()
    assert len(client.result_of(Frame())[1].detections) == 1
    client.wait_for_sentence('model', 'models are loaded')
    assert process.log.count('loaded in') == 2


@pytest.mark.parametrize('number', [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_it_cleanly_while_frames_come(client: Client, node, number):
    process = node()
    client.wait_until_active()
    client.result_of(Frame([(BOX, RED)]))
    client.send(Frame())
    assert process.stop(number) == 0
    assert 'Traceback' not in process.log


@pytest.mark.parametrize('number', [signal.SIGINT, signal.SIGTERM])
def test_a_signal_that_is_sent_again_and_again_ends_it_as_cleanly(client: Client, node, number):
    process = node()
    client.wait_until_active()
    deadline = time.monotonic() + 20
    while process.process.poll() is None and time.monotonic() < deadline:
        process.process.send_signal(number)
        time.sleep(0.001)
    assert process.process.poll() == 0
    assert 'Traceback' not in process.log


def test_one_that_ends_leaves_no_images_in_shared_memory(client: Client, node):
    memory = Path('/dev/shm')
    before = {path.name for path in memory.iterdir()}
    process = node()
    client.wait_until_active()
    mapped = Path(f'/proc/{process.process.pid}/maps').read_text()
    # Ports are places in the domain, which the next one takes again.
    own = set(re.findall(r'/dev/shm/(fastdds_(?!port)\S+)', mapped)) - before
    assert own
    assert process.stop() == 0
    assert own.isdisjoint(path.name for path in memory.iterdir())


def test_a_start_value_out_of_range_ends_it_with_the_reason(client: Client, node):
    process = node(min_score=7.0)
    assert process.process.wait(timeout=20) == 2
    assert 'min_score' in process.log
    assert 'Traceback' not in process.log
