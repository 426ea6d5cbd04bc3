"""TF as geometry2 has it: still, moving, late, and of a bag that starts over."""

from contextlib import suppress
from itertools import count

import numpy as np
import pytest
from geometry_msgs.msg import TransformStamped
from rclpy.node import Node
from ros_harness import Client, Frame, center, position
from sensor_msgs.msg import CameraInfo
from std_msgs.msg import Header

from pose_estimation_ros.core.errors import InvalidInputError
from pose_estimation_ros.core.rotation import (
    axis_rotation,
    matrix_to_quaternion,
    quaternion_to_matrix,
)
from pose_estimation_ros.core.se3 import make_transform
from pose_estimation_ros.nodes.conversions import image_message, ns_to_stamp, stamp_to_ns
from pose_estimation_ros.nodes.ros_compat import TransformLookup

_NEEDS = 'needs the real tf2_ros: install ros-<distro>-tf2-ros-py, or build geometry2'
# The stand-in in small_tf has none of it.
pytest.importorskip('tf2_py', reason=_NEEDS)
tf2_ros = pytest.importorskip('tf2_ros', reason=_NEEDS)

BOX = (60, 40, 100, 80)
CAMERA = 'camera_color_optical_frame'
DEPTH_CAMERA = 'camera_depth_optical_frame'
Z = np.array([0.0, 0.0, 1.0])
SECOND = 1_000_000_000
# Looks ahead: z of the optical frame is x of the link.
T_LINK_CAMERA = make_transform(
    np.array([[0.0, 0.0, 1.0], [-1.0, 0.0, 0.0], [0.0, -1.0, 0.0]]), np.array([0.0, 0.1, 0.2]))
# Behind the colour camera and beside it.
T_CAMERA_DEPTH = make_transform(np.eye(3), np.array([0.05, 0.0, -0.1]))


class Robot:
    """Broadcasts where the camera is, with the broadcasters of tf2_ros."""

    def __init__(self, client: Client):
        self.node = Node('robot', context=client.context)
        self.moving = tf2_ros.TransformBroadcaster(self.node)
        self.still = tf2_ros.StaticTransformBroadcaster(self.node)

    def stand(self, *transforms):
        """Publish (parent, child, T_parent_child) once for all who ever come."""
        self.still.sendTransform([_message(*transform, 0) for transform in transforms])

    def move(self, stamp_ns):
        """Publish where the link of the camera is at a time."""
        self.moving.sendTransform(_message('base_link', 'camera_link', self.place(stamp_ns),
                                           stamp_ns))

    def move_from_now_on(self):
        """Publish it 50 times a second."""
        self.node.create_timer(0.02, lambda: self.move(self.node.get_clock().now().nanoseconds))

    def after(self, seconds, action):
        """Call a function once."""
        def act():
            self.node.destroy_timer(timer)
            action()

        timer = self.node.create_timer(seconds, act)

    @staticmethod
    def place(stamp_ns):
        """Return T_base_link: a metre and a radian per second, so that TF interpolates exactly."""
        seconds = stamp_ns % (1000 * SECOND) / SECOND
        return make_transform(axis_rotation(Z, seconds), np.array([seconds, -0.5 * seconds, 1.0]))


def _message(parent, child, transform, stamp_ns):
    message = TransformStamped(header=Header(stamp=ns_to_stamp(stamp_ns), frame_id=parent),
                               child_frame_id=child)
    translation, rotation = message.transform.translation, message.transform.rotation
    translation.x, translation.y, translation.z = transform[:3, 3].tolist()
    rotation.x, rotation.y, rotation.z, rotation.w = matrix_to_quaternion(
        transform[:3, :3]).tolist()
    return message


@pytest.fixture
def robot(client: Client):
    robot = Robot(client)
    client.executor.add_node(robot.node)
    yield robot
    client.executor.remove_node(robot.node)
    robot.node.destroy_node()
    # The next robot must not be told from this one's transforms.
    client.wait_for(lambda: client.node.count_publishers('/tf_static') == 0, 'the end of it')


def assert_seen_from(client: Client, T_base_camera, stamp_ns, frame='base_link'):
    """Check the pose of a stamp against where the camera was then."""
    (pose,) = client.with_stamp('object_poses', stamp_ns, 1)
    assert pose.header.frame_id == frame
    expected = T_base_camera[:3, :3] @ center(BOX, 0.5) + T_base_camera[:3, 3]
    assert position(pose.pose) == pytest.approx(expected, abs=1e-5)
    q = pose.pose.orientation
    np.testing.assert_allclose(quaternion_to_matrix((q.x, q.y, q.z, q.w)),
                               T_base_camera[:3, :3], atol=1e-5)


def result_of_bag(client: Client, frame, second):
    """Play a bag that begins at a second until detections come; return their stamp."""
    stamps, sent = count(second * SECOND, SECOND // 10), set()

    def found():
        return next((stamp for message in client.received['object_detections']
                     if (stamp := stamp_to_ns(message.header.stamp)) in sent), None)

    return client.wait_for(found, f'detections from {second} s on',
                           meanwhile=lambda: sent.add(client.send(frame, next(stamps))))


class Announced(Frame):
    """A frame whose transform is published with it, or some time after it."""

    def __init__(self, robot, late=0.0):
        super().__init__()
        self._robot = robot
        self._late = late

    def publish(self, client, stamp_ns):
        if self._late:
            self._robot.after(self._late, lambda: self._robot.move(stamp_ns))
        else:
            self._robot.move(stamp_ns)
        super().publish(client, stamp_ns)


def test_a_camera_that_stands_still_has_its_place_at_any_time(client: Client, node, robot):
    T_base_link = make_transform(axis_rotation(Z, 0.5), np.array([1.0, 2.0, 0.3]))
    robot.stand(('base_link', 'camera_link', T_base_link),
                ('camera_link', CAMERA, T_LINK_CAMERA))
    node(output_frame='base_link')
    client.wait_until_active()
    # A bag that starts over: what stands still stays known.
    for second in (5000, 1000):
        stamp_ns = result_of_bag(client, Frame(), second)
        assert_seen_from(client, T_base_link @ T_LINK_CAMERA, stamp_ns)


def test_a_camera_that_moves_has_the_place_of_the_images_stamp(client: Client, node, robot):
    robot.stand(('camera_link', CAMERA, T_LINK_CAMERA))
    robot.move_from_now_on()
    # What it sees moves with the camera: a track would doubt that.
    node(output_frame='base_link', tf__timeout=5.0, tracking__enabled=False)
    client.wait_until_active()
    stamps = set()
    while len(stamps) < 5:
        stamp_ns, _ = client.result_of(Frame())
        assert_seen_from(client, robot.place(stamp_ns) @ T_LINK_CAMERA, stamp_ns)
        stamps.add(stamp_ns)
    long_ago = client.now() - 60 * SECOND
    told = client.wait_for_sentence('processing', 'extrapolation into the past',
                                    lambda: client.send(Frame(), long_ago))
    assert told.startswith(f'no transform from {CAMERA} to output_frame base_link')
    stamp_ns, _ = client.result_of(Frame())
    assert_seen_from(client, robot.place(stamp_ns) @ T_LINK_CAMERA, stamp_ns)


def test_a_transform_that_comes_late_is_waited_for(client: Client, node, robot):
    robot.stand(('camera_link', CAMERA, T_LINK_CAMERA))
    node(output_frame='base_link', tf__timeout=0.0, tracking__enabled=False)
    client.wait_until_active()
    late = Announced(robot, 0.05)
    told = client.wait_for_sentence('processing', 'extrapolation into the future',
                                    lambda: client.send(late))
    assert 'raise tf.timeout if it comes late' in told
    assert client.set_parameter('tf.timeout', 5.0).successful
    client.forget()
    stamp_ns, _ = client.result_of(late)
    assert_seen_from(client, robot.place(stamp_ns) @ T_LINK_CAMERA, stamp_ns)


def test_a_bag_that_starts_over_is_followed(client: Client, node, robot):
    robot.stand(('camera_link', CAMERA, T_LINK_CAMERA))
    node(output_frame='base_link', tf__timeout=1.0, tracking__enabled=False)
    client.wait_until_active()
    for second in (5000, 4000, 3000):
        stamp_ns = result_of_bag(client, Announced(robot), second)
        assert_seen_from(client, robot.place(stamp_ns) @ T_LINK_CAMERA, stamp_ns)


def test_an_image_without_a_stamp_gets_no_transform_of_another_time(client: Client, robot):
    def knows(stamp_ns):
        robot.move(stamp_ns)
        with suppress(InvalidInputError):
            return lookup.lookup('base_link', 'camera_link', stamp_ns) is not None

    lookup = TransformLookup(client.node)
    try:
        client.wait_for(lambda: knows(5000 * SECOND), 'a transform')
        with pytest.raises(InvalidInputError, match='no transform from camera_link'):
            lookup.lookup('base_link', 'camera_link', 0)
    finally:
        lookup.destroy()


def test_it_listens_to_tf_only_while_it_is_configured(client: Client, node, robot):
    def wait_for_listeners(count):
        # One of those of /tf is the client.
        client.wait_for(lambda: (client.node.count_subscribers('/tf'),
                                 client.node.count_subscribers('/tf_static'))
                        == (1 + count, count), f'{count} listener(s) of the node')

    robot.stand(('base_link', CAMERA, T_LINK_CAMERA))
    process = node(output_frame='base_link', autostart=False)
    client.wait_for_sentence('model', 'not active')
    wait_for_listeners(0)
    for _ in range(3):
        assert client.transition('configure')
        wait_for_listeners(1)
        assert client.transition('cleanup')
        wait_for_listeners(0)
    assert client.transition('configure')
    assert client.transition('activate')
    wait_for_listeners(1)
    stamp_ns, _ = client.result_of(Frame())
    assert_seen_from(client, T_LINK_CAMERA, stamp_ns)
    assert process.stop() == 0
    assert 'Traceback' not in process.log


class FarDepth(Frame):
    """A frame whose depth comes from a wider camera that stands elsewhere."""

    def __init__(self):
        super().__init__()
        self.depth = np.full((120, 160), 600, np.uint16)
        self.with_depth = False

    def publish(self, client, stamp_ns):
        header = Header(stamp=ns_to_stamp(stamp_ns), frame_id=DEPTH_CAMERA)
        f, cx, cy = 100.0, 79.5, 59.5
        client.depth_info.publish(CameraInfo(
            header=header, width=160, height=120, distortion_model='plumb_bob',
            k=[f, 0.0, cx, 0.0, f, cy, 0.0, 0.0, 1.0], r=np.eye(3).reshape(-1),
            p=[f, 0.0, cx, 0.0, 0.0, f, cy, 0.0, 0.0, 0.0, 1.0, 0.0]))
        client.depth.publish(image_message(self.depth, '16UC1', header))
        super().publish(client, stamp_ns)


def test_depth_of_another_camera_is_projected_with_the_transform_of_tf(
        client: Client, node, robot):
    node(depth__register=True)
    client.wait_until_active()
    client.wait_for_sentence('processing', f'no transform from {DEPTH_CAMERA} to depth.register '
                             f'{CAMERA}', lambda: client.send(FarDepth()))
    robot.stand((CAMERA, DEPTH_CAMERA, T_CAMERA_DEPTH))
    stamp_ns, _ = client.result_of(FarDepth())
    assert_seen_from(client, np.eye(4), stamp_ns, CAMERA)
