"""The inputs of the estimator: topics in, raw RGB-D frames out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rclpy.clock import Clock
from rclpy.node import Node
from rclpy.qos import QoSPolicyKind, QoSProfile, ReliabilityPolicy
from rclpy.qos_overriding_options import QoSOverridingOptions
from rclpy.subscription import Subscription
from sensor_msgs.msg import CameraInfo, CompressedImage, Image

from pose_estimation_ros.core.camera import CameraIntrinsics
from pose_estimation_ros.core.errors import InvalidInputError
from pose_estimation_ros.core.frame import RGBDFrame
from pose_estimation_ros.nodes.camera_infos import AnyImage, CameraInfos
from pose_estimation_ros.nodes.conversions import (
    camera_intrinsics,
    color_image,
    depth_image,
    depth_intrinsics,
    misalignment,
    stamp_to_ns,
)
from pose_estimation_ros.nodes.depth_registrar import DepthRegistrar, refuse
from pose_estimation_ros.nodes.diagnostics import Monitor
from pose_estimation_ros.nodes.input_health import InputFacts
from pose_estimation_ros.nodes.ros_compat import subscription_events, with_message_info
from pose_estimation_ros.nodes.stream_guards import FrameOrder, SenderWatch
from pose_estimation_ros.nodes.synchronizer import StampSynchronizer
from pose_estimation_ros.pipeline import DepthUse

COLOR_TOPIC = 'color/image_raw'
COLOR_INFO_TOPIC = 'color/camera_info'
DEPTH_TOPIC = 'depth/image_raw'
DEPTH_INFO_TOPIC = 'depth/camera_info'
# What image_transport adds to a topic's name for each way of sending its images.
COLOR_TRANSPORTS = {'raw': '', 'compressed': '/compressed'}
DEPTH_TRANSPORTS = {'raw': '', 'compressedDepth': '/compressedDepth'}
# The parameter that chooses it, by the input's name.
_TRANSPORTS = {'colour': ('color.transport', COLOR_TRANSPORTS),
               'depth': ('depth.transport', DEPTH_TRANSPORTS)}
CURES_OF_SILENCE = {
    'colour': 'start the camera or remap color/image_raw to its topic',
    'camera_info': 'start the camera or remap color/camera_info to its topic',
    'depth': 'switch depth on (RealSense: align_depth.enable:=true) or remap depth/image_raw to '
             'its topic',
    'depth camera_info': 'remap depth/camera_info to its topic, so that alignment can be checked',
}
_QUEUE = 5
# Reliability has a parameter of its own, which an override, kept from the first activation on,
# would beat.
_OVERRIDABLE = QoSOverridingOptions((QoSPolicyKind.HISTORY, QoSPolicyKind.DEPTH))
# So many images in a row without an info of their stamp: the camera sends infos at another pace.
_INFOS_MISSED = 3
_REPEATS_WORTH_A_WORD = 5


@dataclass(frozen=True)
class InputOptions:
    """How the inputs are subscribed and read.

    Attributes:
        color_transport: One of `COLOR_TRANSPORTS`.
        depth_transport: One of `DEPTH_TRANSPORTS`.
        reliable: Ask for reliable transport; False receives from every publisher.
        rectified: Images are rectified: the camera is P without distortion.
        quarters: Quarters of a turn clockwise that make the images upright.
        slop_ns: Largest difference of the stamps of colour and depth, nanoseconds.
        register: Depth that is not aligned to colour is projected into the colour image.
        depth: Whether depth is subscribed: 'none', 'needed', 'if_any' = colour waits for it
            only while it arrives, or 'preferred' = colour waits for it at the start too.
        patience_ns: Silence of depth after which colour no longer waits for it, nanoseconds.
    """

    color_transport: str
    depth_transport: str
    reliable: bool
    rectified: bool
    quarters: int
    register: bool
    slop_ns: int
    depth: DepthUse
    patience_ns: int


@dataclass(frozen=True)
class RawFrame:
    """Messages that belong together, not yet looked into.

    Attributes:
        color: Colour image.
        depth: Depth image with the nearest stamp, None where colour is used alone.
        color_info: Of the colour camera, with the image's stamp or else the last before it.
        depth_info: The same of the depth camera, None if nobody publishes it.
    """

    color: AnyImage
    depth: AnyImage | None
    color_info: CameraInfo
    depth_info: CameraInfo | None

    def read(self, *, rectified: bool, quarters: int = 0,
             registrar: DepthRegistrar | None = None) -> RGBDFrame:
        """Return the frame as a plain value.

        Args:
            rectified: Images are rectified: the camera is P without distortion.
            quarters: Quarters of a turn clockwise by which the images are turned; the frame is
                then that of `core.camera.turned_camera`, though its name stays.
            registrar: Projects depth that is not aligned to colour; None = it is refused.

        Raises:
            InvalidInputError: If anything in the messages cannot be used.
        """
        rgb = color_image(self.color)
        intrinsics = camera_intrinsics(self.color_info, rectified=rectified)
        header = self.color.header
        stamp_ns = stamp_to_ns(header.stamp)
        depth = None
        if self.depth is not None:
            depth = self._aligned_depth(self.depth, intrinsics, registrar, rectified=rectified)
        if quarters:
            rgb, intrinsics = _turned(rgb, quarters), intrinsics.turned(quarters)
            depth = None if depth is None else _turned(depth, quarters)
        return RGBDFrame(stamp_ns, header.frame_id, rgb, depth, intrinsics)

    def read_usable(self, *, rectified: bool, quarters: int = 0,
                    registrar: DepthRegistrar | None = None) -> tuple[RGBDFrame, str]:
        """Return the frame, and why it is without its depth; '' if nothing is wrong with that.

        Arguments are those of `read`.

        Raises:
            InvalidInputError: If colour or its calibration cannot be used.
        """
        try:
            return self.read(rectified=rectified, quarters=quarters, registrar=registrar), ''
        except InvalidInputError as error:
            if self.depth is None:
                raise
            frame = replace(self, depth=None).read(rectified=rectified, quarters=quarters)
            return frame, str(error)

    def _aligned_depth(self, message: AnyImage, color: CameraIntrinsics,
                       registrar: DepthRegistrar | None, *,
                       rectified: bool) -> NDArray[np.float32]:
        """Return (H, W) depth of the colour image: alignment is checked, not assumed."""
        frames = self.color.header.frame_id, message.header.frame_id
        fault = None if frames[0] == frames[1] else (
            f'depth is in frame {frames[1]!r} but colour in {frames[0]!r}: depth is not aligned')
        camera = None
        if self.depth_info is not None:
            camera = depth_intrinsics(self.depth_info, rectified=rectified)
            fault = fault or misalignment(color, camera)
        if fault is None:
            return depth_image(message)
        if registrar is None:
            raise refuse(fault)
        if camera is None:
            raise InvalidInputError(f'{fault}, and to project it its camera_info is missing; '
                                    'remap depth/camera_info to its topic')
        return registrar.register(depth_image(message), (color, camera), frames,
                                  stamp_to_ns(self.color.header.stamp))


class FrameInput:
    """Subscribes, pairs by stamp, and hands on the newest complete frame."""

    def __init__(self, node: Node, options: InputOptions, monitor: Monitor,
                 on_frame: Callable[[RawFrame], None], on_fault: Callable[[str], None]) -> None:
        """Subscribe to the inputs.

        Args:
            node: Owner of the subscriptions.
            options: How to subscribe.
            monitor: Is told about every message.
            on_frame: Gets each complete frame, in the executor's thread.
            on_fault: Gets a sentence for each colour image that cannot become a frame.
        """
        self._node = node
        self._clock: Clock = node.get_clock()
        self._options = options
        self._monitor = monitor
        self._on_frame = on_frame
        self._on_fault = on_fault
        self._pairs: StampSynchronizer[AnyImage, AnyImage] = StampSynchronizer(options.slop_ns)
        self._order = FrameOrder()
        self._senders = SenderWatch()
        self._color_infos = CameraInfos()
        self._depth_infos = CameraInfos()
        self._missed_infos = 0
        self._infos_followed = False
        self._last_depth_ns: int | None = None
        self._first_color_ns: int | None = None
        self._waiting: tuple[AnyImage, AnyImage | None] | None = None
        self._subscriptions: dict[str, Subscription] = {}
        try:
            self._subscribe_to_all(options)
        except Exception:
            # As for a wrong qos_overrides parameter: those before it must not go on.
            self.destroy()
            raise

    def _subscribe_to_all(self, options: InputOptions) -> None:
        # Infos first: what is ready at the same time is taken in this order.
        self._subscribe('camera_info', CameraInfo, COLOR_INFO_TOPIC, self._receive_color_info)
        if options.depth != 'none':
            self._subscribe('depth camera_info', CameraInfo, DEPTH_INFO_TOPIC,
                            self._depth_infos.add)
        self._subscribe_images('colour', COLOR_TOPIC, COLOR_TRANSPORTS[options.color_transport],
                               self._receive_color)
        if options.depth != 'none':
            self._subscribe_images('depth', DEPTH_TOPIC, DEPTH_TRANSPORTS[options.depth_transport],
                                   self._receive_depth)

    def facts(self) -> list[InputFacts]:
        """Return what the graph shows of each input."""
        return [self._facts_of(name, cure) for name, cure in CURES_OF_SILENCE.items()
                if name in self._subscriptions]

    def _facts_of(self, name: str, cure: str) -> InputFacts:
        subscription = self._subscriptions[name]
        wanted = subscription.msg_type
        # 'sensor_msgs/msg/Image' of sensor_msgs.msg._image.Image
        wanted_name = f'{wanted.__module__.partition(".")[0]}/msg/{wanted.__name__}'
        types = {info.topic_type for info in
                 self._node.get_publishers_info_by_topic(subscription.topic_name)}
        needed = name in {'colour', 'camera_info'} or (
            name == 'depth' and self._options.depth == 'needed')
        publishers = self._node.count_publishers(subscription.topic_name)
        if not publishers:
            cure = self._other_transport(name, subscription.topic_name) or cure
        missed = (self._options.depth == 'preferred' if name == 'depth' else
                  name == 'depth camera_info' and not publishers
                  and self._last_depth_ns is not None)
        return InputFacts(name, subscription.topic_name, publishers, cure, needed,
                          '' if wanted_name in types else ', '.join(sorted(types)), missed)

    def _other_transport(self, name: str, topic: str) -> str:
        """Return what to do if an image is sent in another way; '' if it is not."""
        parameter, suffixes = _TRANSPORTS.get(name, ('', {}))
        own = max((suffix for suffix in suffixes.values() if topic.endswith(suffix)), key=len,
                  default='')
        for transport, suffix in suffixes.items():
            twin = topic.removesuffix(own) + suffix
            if suffix != own and self._node.count_publishers(twin):
                return f'but {twin} is published: set the parameter {parameter} to {transport}'
        return ''

    def retune(self, slop_ns: int, patience_ns: int) -> None:
        """Follow other limits of time from the next message on; see `InputOptions`."""
        self._options = replace(self._options, slop_ns=slop_ns, patience_ns=patience_ns)
        self._pairs.slop_ns = slop_ns

    def destroy(self) -> None:
        """Unsubscribe from everything."""
        for subscription in self._subscriptions.values():
            self._node.destroy_subscription(subscription)
        self._subscriptions.clear()

    def _subscribe_images(self, name: str, topic: str, suffix: str,
                          callback: Callable[..., None]) -> None:
        self._subscribe(name, CompressedImage if suffix else Image, topic + suffix, callback)

    def _subscribe(self, name: str, message_type: type, topic: str,
                   callback: Callable[..., None]) -> None:
        reliability = (ReliabilityPolicy.RELIABLE if self._options.reliable
                       else ReliabilityPolicy.BEST_EFFORT)

        def receive(message: AnyImage | CameraInfo, info: dict[str, Any]) -> None:
            self._monitor.received(name, self._clock.now().nanoseconds)
            self._senders.heard(name, info)
            if not self._is_mixed(name):
                callback(message)

        self._subscriptions[name] = self._node.create_subscription(
            message_type, topic, with_message_info(receive),
            QoSProfile(depth=_QUEUE, reliability=reliability),
            qos_overriding_options=_OVERRIDABLE,
            event_callbacks=subscription_events(
                incompatible_qos=lambda policy: self._monitor.incompatible(name, policy),
                message_lost=lambda count: self._monitor.lost(name, count)))

    def _is_mixed(self, name: str) -> bool:
        """Return whether two cameras send at once; then nothing tells which parts fit."""
        mixed = self._senders.mixed_topic()
        if mixed is None:
            return False
        self._pairs.clear()
        self._waiting = None
        if name == 'colour':
            topic, count = mixed
            self._on_fault(
                f'{count} publishers send on {self._subscriptions[topic].topic_name} at once and '
                'would be mixed up; stop all but one, or give each camera and its estimator a '
                'namespace')
        return True

    def _receive_color(self, message: AnyImage) -> None:
        if not self._waits_for_depth():
            self._complete(message, None)
            return
        pair = self._pairs.add_color(stamp_to_ns(message.header.stamp), message)
        if pair is not None:
            self._complete(*pair)
        elif (fault := self._pairs.fault()) is not None:
            self._on_fault(fault)

    def _waits_for_depth(self) -> bool:
        if self._options.depth in {'none', 'needed'}:
            return self._options.depth == 'needed'
        now_ns = self._clock.now().nanoseconds
        if self._first_color_ns is None:
            self._first_color_ns = now_ns
        last_ns = self._last_depth_ns
        if last_ns is None and self._options.depth == 'preferred':
            last_ns = self._first_color_ns
        return last_ns is not None and abs(now_ns - last_ns) <= self._options.patience_ns

    def _receive_depth(self, message: AnyImage) -> None:
        self._last_depth_ns = self._clock.now().nanoseconds
        pair = self._pairs.add_depth(stamp_to_ns(message.header.stamp), message)
        if pair is not None:
            self._complete(*pair)

    def _receive_color_info(self, message: CameraInfo) -> None:
        self._color_infos.add(message)
        if self._waiting is not None and self._color_infos.has_that_of(self._waiting[0]):
            self._hand_on(*self._waiting)

    def _complete(self, color: AnyImage, depth: AnyImage | None) -> None:
        """Hand a pair on, but wait for the info of its own stamp where the camera sends one."""
        if self._waiting is not None:
            self._hand_on(*self._waiting)
        if self._missed_infos < _INFOS_MISSED and not self._color_infos.has_that_of(color):
            self._waiting = (color, depth)
        else:
            self._hand_on(color, depth)

    def _hand_on(self, color: AnyImage, depth: AnyImage | None) -> None:
        self._waiting = None
        if self._color_infos.has_that_of(color):
            self._missed_infos, self._infos_followed = 0, True
        elif self._is_info_lost(color):
            self._monitor.dropped('camera_info lost')
            return
        # Before the order: an image that is of no use must not use its stamp up.
        color_info = self._color_infos.belonging_to(color)
        if color_info is None:
            topic = self._subscriptions['camera_info'].topic_name
            self._on_fault(f'images arrive but no camera_info on {topic}; start its publisher or '
                           'remap color/camera_info to the topic of the colour camera')
            return
        problem = self._order.problem(stamp_to_ns(color.header.stamp))
        if problem is not None:
            self._monitor.dropped(problem)
            if self._order.repeats >= _REPEATS_WORTH_A_WORD:
                self._on_fault(f'{self._order.repeats + 1} images in a row have the same stamp; '
                               'the camera must stamp each image with its own time')
            return
        depth_info = None if depth is None else self._depth_infos.belonging_to(depth)
        self._on_frame(RawFrame(color, depth, color_info, depth_info))

    def _is_info_lost(self, color: AnyImage) -> bool:
        """Return whether an image's own info got lost and the others do not tell its camera."""
        self._missed_infos += 1
        return (self._infos_followed and self._missed_infos <= _INFOS_MISSED
                and not self._color_infos.tell_without_own(color))


def _turned(image: NDArray[Any], quarters: int) -> NDArray[Any]:
    """Return an image turned clockwise."""
    return np.ascontiguousarray(np.rot90(image, -quarters))
