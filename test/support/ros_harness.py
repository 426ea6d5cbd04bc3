"""Real node processes and a client that speaks to them over ROS."""

import fcntl
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import ClassVar

import numpy as np
import rclpy
from diagnostic_msgs.msg import DiagnosticArray
from geometry_msgs.msg import PoseStamped
from lifecycle_msgs.srv import ChangeState, GetState
from rcl_interfaces.srv import SetParameters
from rclpy.context import Context
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.parameter import Parameter
from rclpy.qos import QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import CameraInfo, Image, PointCloud2
from std_msgs.msg import Header
from std_srvs.srv import Trigger
from tf2_msgs.msg import TFMessage
from vision_msgs.msg import Detection2DArray, Detection3DArray
from visualization_msgs.msg import MarkerArray

from pose_estimation_ros.nodes.conversions import image_message, ns_to_stamp, stamp_to_ns

ROOT = Path(__file__).resolve().parents[2]
PLUGIN = ROOT / 'test' / 'nodes' / 'plugin'
# Seconds; a machine that does much else needs more.
PATIENCE = float(os.environ.get('POSE_TEST_PATIENCE', '60'))
_DISCOVERY_SECONDS = 0.1
# Fast DDS announces a process every three seconds; who misses the first time is found then.
DISCOVERED_SECONDS = 4.0
# Whose logs a test shows that waited in vain.
_LAST_PROCESSES = 4
# Frames that follow each other show other scenes: what is somewhere else is not to be doubted.
STAND_IN = {'backend': 'stand_in', 'segmentation.method': 'stand_in', 'diagnostics.period': 0.1,
            'sync.timeout': 0.5, 'max_age': 0.0, 'tracking.smoothing_seconds': 0.0,
            'tracking.return_distance': 0.001}


def _free_domain():
    """Return a ROS domain of this test run alone, and the lock that keeps it so."""
    # Above the ports of everyday graphs, below those that Linux lends to clients.
    for domain in range(40, 100):
        lock = (Path(tempfile.gettempdir()) / f'pose_estimation_test_domain_{domain}').open('a')
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.close()
        else:
            return domain, lock
    raise RuntimeError('all ROS domains from 40 to 99 are in use by other test runs')


def _remove_ports(domain):
    """Remove what killed processes of a domain in which nobody lives left in shared memory.

    Fast DDS still sends there, and whoever gets such a port next is found late.
    """
    # Each domain has 250 ports from here (DDSI-RTPS 9.6.2.3).
    first = 7400 + 250 * domain
    for path in Path('/dev/shm').glob('*fastdds_port?????*'):
        if first <= int(re.search(r'port(\d+)', path.name)[1]) < first + 250:
            path.unlink(missing_ok=True)


DOMAIN_ID, _DOMAIN_LOCK = _free_domain()
_remove_ports(DOMAIN_ID)

WIDTH, HEIGHT = 160, 120
K = np.array([[140.0, 0.0, 79.5], [0.0, 140.0, 59.5], [0.0, 0.0, 1.0]])
RED, GREEN, BLUE = (255, 0, 0), (0, 255, 0), (0, 0, 255)
LABELS = {RED: 'can', GREEN: 'bowl', BLUE: 'mug'}


def environment(python_path=()):
    """Return the environment of every process of the test graph."""
    return {**os.environ, 'ROS_DOMAIN_ID': str(DOMAIN_ID),
            'ROS_AUTOMATIC_DISCOVERY_RANGE': 'LOCALHOST', 'PYTHONUNBUFFERED': '1',
            'FASTDDS_DEFAULT_PROFILES_FILE': str(ROOT / 'config' / 'fastdds.xml'),
            'PYTHONPATH': os.pathsep.join([str(ROOT), str(PLUGIN), *map(str, python_path)])}


def yaml_value(value):
    """Return a parameter value as the ROS command line reads it."""
    if isinstance(value, bool):
        return str(value).lower()
    return f"'{value}'" if value == '' else str(value)


class NodeProcess:
    """One node in its own process, its log in a file."""

    _started: ClassVar[list['NodeProcess']] = []

    def __init__(self, module, log, parameters, remappings=(), python_path=()):
        arguments = [f'{name}:={yaml_value(value)}' for name, value in parameters.items()]
        command = [sys.executable, '-m', f'pose_estimation_ros.nodes.{module}', '--ros-args',
                   *(part for argument in arguments for part in ('-p', argument)),
                   *(part for remapping in remappings for part in ('-r', remapping))]
        self._log = Path(log)
        with self._log.open('w') as stream:
            self.process = subprocess.Popen(command, env=environment(python_path), stdout=stream,
                                            stderr=subprocess.STDOUT, cwd=ROOT)
        self._started.append(self)

    @property
    def log(self):
        return self._log.read_text()

    @classmethod
    def last_words(cls):
        """Return the ends of the logs of the processes that were started last."""
        return '\n'.join(f'{node._log} (exit code {node.process.poll()}):\n{node.log[-2000:]}'
                         for node in cls._started[-_LAST_PROCESSES:] if node._log.exists())

    def stop(self, number=signal.SIGINT):
        """Send a signal and return the exit code."""
        if self.process.poll() is None:
            self.process.send_signal(number)
        try:
            return self.process.wait(timeout=PATIENCE)
        except subprocess.TimeoutExpired:
            self.process.kill()
            raise


class Client:
    """A camera and a reader of all outputs in one node."""

    def __init__(self, namespace='', domain_id=DOMAIN_ID):
        os.environ['ROS_AUTOMATIC_DISCOVERY_RANGE'] = 'LOCALHOST'
        os.environ['FASTDDS_DEFAULT_PROFILES_FILE'] = str(ROOT / 'config' / 'fastdds.xml')
        self.context = Context()
        rclpy.init(context=self.context, domain_id=domain_id)
        self.node = Node('client', context=self.context, namespace=namespace)
        self.executor = SingleThreadedExecutor(context=self.context)
        self.executor.add_node(self.node)
        self.color = self.node.create_publisher(Image, 'color/image_raw', 5)
        self.depth = self.node.create_publisher(Image, 'depth/image_raw', 5)
        self.color_info = self.node.create_publisher(CameraInfo, 'color/camera_info', 5)
        self.depth_info = self.node.create_publisher(CameraInfo, 'depth/camera_info', 5)
        self.received, self._subscriptions = {}, {}
        self.witness = Witness(self.node)
        best_effort = QoSProfile(depth=10, reliability=ReliabilityPolicy.BEST_EFFORT)
        for message_type, topic, qos in (
                (PoseStamped, 'object_poses', 200), (Detection3DArray, 'object_detections', 50),
                (Detection2DArray, 'segmentation/detections', 50),
                (MarkerArray, 'object_markers', 50), (PointCloud2, 'object_points', 50),
                (Image, 'overlay/image', best_effort), (TFMessage, '/tf', 50),
                (DiagnosticArray, '/diagnostics', 50),
                (Detection3DArray, 'ground_truth_poses', 50)):
            self.listen(message_type, topic, qos)

    def listen(self, message_type, topic, qos=50):
        self.received[topic] = []
        self._subscriptions[topic] = self.node.create_subscription(
            message_type, topic, self.received[topic].append, qos)

    def forget(self):
        """Read what is still under way, then forget everything."""
        until = time.monotonic() + 0.1
        while time.monotonic() < until:
            self.executor.spin_once(timeout_sec=0.01)
        for messages in self.received.values():
            messages.clear()

    def wait_for(self, condition, what, patience=PATIENCE, meanwhile=None):
        """Spin until a condition holds and return its value; `meanwhile` runs now and then."""
        deadline = time.monotonic() + patience
        while time.monotonic() < deadline:
            value = condition()
            if value:
                return value
            if meanwhile is not None:
                meanwhile()
            # Long enough that `meanwhile` is called at the pace of a camera.
            until = time.monotonic() + 0.1
            while time.monotonic() < until and not condition():
                self.executor.spin_once(timeout_sec=0.02)
        raise AssertionError(f'waited {patience:g} s in vain for {what}; diagnostics say '
                             f'{self.sentences()}\n{NodeProcess.last_words()}')

    def wait_until_active(self, *, with_depth=True):
        """Wait until the estimator has subscribed to us and we to it."""
        self.wait_for(lambda: self.color.get_subscription_count()
                      and bool(self.depth.get_subscription_count()) == with_depth
                      and self.color_info.get_subscription_count()
                      and self.node.count_publishers('object_detections')
                      and self._hears_what_is_published(), 'an active estimator')

    def _hears_what_is_published(self):
        """Return whether every topic that is listened to and published is connected."""
        return all(subscription.get_publisher_count() or not self.node.count_publishers(topic)
                   for topic, subscription in self._subscriptions.items())

    def send(self, frame, stamp_ns=None):
        """Publish a frame; return its stamp in nanoseconds."""
        stamp_ns = self.now() if stamp_ns is None else stamp_ns
        self.witness.shown(frame, stamp_ns)
        frame.publish(self, stamp_ns)
        return stamp_ns

    def result_of(self, frame, stamp_ns=None, patience=PATIENCE):
        """Publish a frame until its detections come; return stamp and detections."""
        sent = []

        def resend():
            sent.append(self.send(frame, stamp_ns))

        def found():
            return next((message for message in self.received['object_detections']
                         if stamp_to_ns(message.header.stamp) in sent), None)

        resend()
        message = self.wait_for(found, 'object_detections', patience, resend)
        return stamp_to_ns(message.header.stamp), message

    def with_stamp(self, topic, stamp_ns, count):
        """Wait for `count` messages of one stamp on a topic and return them."""
        def matching():
            return [message for message in self.received[topic]
                    if stamp_to_ns(message.header.stamp) == stamp_ns]

        self.wait_for(lambda: len(matching()) >= count, f'{count} messages on {topic}')
        return matching()

    def sentences(self):
        """Return the newest diagnostics: sentence by part."""
        messages = self.received['/diagnostics']
        if not messages:
            return {}
        return {status.name.split(': ')[1]: status.message for status in messages[-1].status}

    def facts(self, part):
        """Return the values of the newest diagnostics of a part; empty before the first."""
        messages = self.received['/diagnostics']
        return {entry.key: entry.value for message in messages[-1:] for status in message.status
                if status.name.endswith(f': {part}') for entry in status.values}

    def wait_for_sentence(self, part, text, meanwhile=None):
        """Wait until a diagnostics entry contains a text; return the whole sentence."""
        self.wait_for(lambda: text in self.sentences().get(part, ''),
                      f'{text!r} in diagnostics {part!r}', meanwhile=meanwhile)
        return self.sentences()[part]

    def now(self):
        return self.node.get_clock().now().nanoseconds

    def call(self, service_type, name, request, meanwhile=None, tries=1):
        """Return the answer of a service; one that may be asked again is, if no answer comes."""
        client = self.node.create_client(service_type, name)
        self.wait_for(client.service_is_ready, f'service {name}')
        # A server that does not know its client's reader yet sends the answer to nobody, and no
        # client is told that it does.
        time.sleep(_DISCOVERY_SECONDS)
        futures = []

        def answered():
            return next((future for future in futures if future.done()), None)

        for last in [False] * (tries - 1) + [True]:
            futures.append(client.call_async(request))
            try:
                answer = self.wait_for(answered, f'an answer of {name}', PATIENCE / tries,
                                       meanwhile)
                break
            except AssertionError:
                if last:
                    raise
        self.node.destroy_client(client)
        return answer.result()

    def state(self):
        return self.call(GetState, 'pose_estimator/get_state', GetState.Request(),
                         tries=3).current_state.label

    def transition(self, label):
        request = ChangeState.Request()
        request.transition.label = label
        return self.call(ChangeState, 'pose_estimator/change_state', request).success

    def set_parameter(self, name, value):
        request = SetParameters.Request(
            parameters=[Parameter(name, value=value).to_parameter_msg()])
        return self.call(SetParameters, 'pose_estimator/set_parameters', request).results[0]

    def estimate(self, meanwhile=None):
        return self.call(Trigger, 'pose_estimator/estimate', Trigger.Request(), meanwhile,
                         tries=3)

    def close(self):
        self.executor.shutdown()
        self.node.destroy_node()
        rclpy.try_shutdown(context=self.context)


class Witness:
    """Knows what was shown at which stamp, and judges every pose that the stand-in publishes."""

    def __init__(self, node):
        self._truth = {}
        self._always = []
        self.seen = []
        node.create_subscription(Detection3DArray, 'object_detections', self.seen.append, 200)

    def shown(self, frame, stamp_ns):
        """Note that a frame is published with a stamp; the same stamp may show several."""
        self.allow(frame.truth(), stamp_ns)

    def allow(self, places, stamp_ns):
        """Note which (label, place) may be published with a stamp."""
        self._truth.setdefault(stamp_ns, []).append(places)

    def allow_always(self, places):
        """Note which (label, place) may be published whenever, as another camera shows them."""
        self._always += places

    def wrong_poses(self):
        """Return a sentence for each published pose that no frame of its stamp shows."""
        wrong = []
        for message in self.seen:
            stamp_ns = stamp_to_ns(message.header.stamp)
            shown = [entry for frame in self._truth.get(stamp_ns, ()) for entry in frame]
            wrong += [f'{label} at {place} with stamp {stamp_ns}; shown: {shown}'
                      for label, place in _poses_in(message)
                      if not any(label == known and np.allclose(place, true, atol=1e-3)
                                 for known, true in shown + self._always)]
        return wrong


def _poses_in(message):
    return [(d.results[0].hypothesis.class_id, position(d.bbox.center))
            for d in message.detections]


class Frame:
    """A plain wall at one depth with coloured rectangles; every part can be spoilt."""

    def __init__(self, patches=(((60, 40, 100, 80), RED),), depth=0.5, size=(WIDTH, HEIGHT)):
        width, height = size
        self.rgb = np.full((height, width, 3), 128, np.uint8)
        for (x_min, y_min, x_max, y_max), color in patches:
            self.rgb[y_min:y_max, x_min:x_max] = color
        self.depth = np.full((height, width), round(depth * 1000), np.uint16)
        self.patches = patches
        self.distance = round(depth * 1000) / 1000
        self.focal_length = K[0, 0]
        self.is_usable = True
        self.frame_id = 'camera_color_optical_frame'
        self.depth_delay_ns = 0
        self.with_info = True
        self.with_depth = True

    def color_message(self, header):
        return image_message(self.rgb, 'rgb8', header)

    def depth_message(self, header):
        return image_message(self.depth, '16UC1', header)

    def info_message(self, header):
        camera = self.camera_matrix()
        return CameraInfo(header=header, width=self.rgb.shape[1], height=self.rgb.shape[0],
                          k=camera.reshape(-1), distortion_model='plumb_bob',
                          r=np.eye(3).reshape(-1),
                          p=np.hstack([camera, np.zeros((3, 1))]).reshape(-1))

    def camera_matrix(self):
        """Return K with this frame's focal length."""
        camera = K.copy()
        camera[0, 0] = camera[1, 1] = self.focal_length
        return camera

    def truth(self):
        """Return (label, place) of every object whose pose may be published of this frame."""
        return [(LABELS[color], center(box, self.distance, self.camera_matrix()))
                for box, color in self.patches] if self.is_usable else []

    def publish(self, client, stamp_ns):
        header = Header(stamp=ns_to_stamp(stamp_ns), frame_id=self.frame_id)
        if self.with_info:
            client.color_info.publish(self.info_message(header))
        client.color.publish(self.color_message(header))
        if self.with_depth:
            late = Header(stamp=ns_to_stamp(stamp_ns + self.depth_delay_ns),
                          frame_id=self.frame_id)
            client.depth.publish(self.depth_message(late))


def center(box, depth, camera=K):
    """Return the (3,) centroid of a rectangle's pixels on a wall at one depth."""
    x_min, y_min, x_max, y_max = box
    u, v = (x_min + x_max - 1) / 2, (y_min + y_max - 1) / 2
    return np.array([(u - camera[0, 2]) / camera[0, 0], (v - camera[1, 2]) / camera[1, 1],
                     1.0]) * depth


def position(pose):
    """Return the (3,) position of a pose message."""
    return np.array([pose.position.x, pose.position.y, pose.position.z])
