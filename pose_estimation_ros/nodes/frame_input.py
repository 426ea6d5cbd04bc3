"""The inputs of the estimator: topics in, raw RGB-D frames out."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

from rclpy.clock import Clock
from rclpy.node import Node
from rclpy.qos import QoSProfile, ReliabilityPolicy, qos_policy_name_from_kind
from rclpy.qos_overriding_options import QoSOverridingOptions
from rclpy.subscription import Subscription
from sensor_msgs.msg import CameraInfo, CompressedImage, Image

from pose_estimation_ros.core.frame import RGBDFrame
from pose_estimation_ros.nodes.conversions import (
    camera_intrinsics,
    check_aligned,
    color_image,
    depth_image,
    stamp_to_ns,
)
from pose_estimation_ros.nodes.diagnostics import InputFacts, Monitor
from pose_estimation_ros.nodes.ros_compat import SubscriptionEventCallbacks
from pose_estimation_ros.nodes.synchronizer import StampSynchronizer
from pose_estimation_ros.pipeline import DepthUse

COLOR_TOPIC = 'color/image_raw'
COLOR_INFO_TOPIC = 'color/camera_info'
DEPTH_TOPIC = 'depth/image_raw'
DEPTH_INFO_TOPIC = 'depth/camera_info'
# What image_transport adds to a topic's name for each way of sending its images.
COLOR_TRANSPORTS = {'raw': '', 'compressed': '/compressed'}
DEPTH_TRANSPORTS = {'raw': '', 'compressedDepth': '/compressedDepth'}
_QUEUE = 5
_INFOS_KEPT = 30

_AnyImage: TypeAlias = Image | CompressedImage


@dataclass(frozen=True)
class InputOptions:
    """How the inputs are subscribed and read.

    Attributes:
        color_transport: One of `COLOR_TRANSPORTS`.
        depth_transport: One of `DEPTH_TRANSPORTS`.
        reliable: Ask for reliable transport; False receives from every publisher.
        rectified: Images are rectified: the camera is P without distortion.
        slop_ns: Largest difference of the stamps of colour and depth, nanoseconds.
        depth: Whether depth is subscribed: 'none', 'needed', or 'if_any' = colour waits for it
            only while it arrives.
        patience_ns: Silence of depth after which colour no longer waits for it, nanoseconds.
    """

    color_transport: str
    depth_transport: str
    reliable: bool
    rectified: bool
    slop_ns: int
    depth: DepthUse
    patience_ns: int


@dataclass(frozen=True)
class RawFrame:
    """Messages that belong together, not yet looked into.

    Attributes:
        color: Colour image.
        depth: Depth image with the nearest stamp, None where colour is used alone.
        color_info: Of the colour camera, with the image's stamp or else the newest.
        depth_info: The same of the depth camera, None if nobody publishes it.
    """

    color: _AnyImage
    depth: _AnyImage | None
    color_info: CameraInfo
    depth_info: CameraInfo | None

    def read(self, *, rectified: bool) -> RGBDFrame:
        """Return the frame as a plain value.

        Raises:
            InvalidInputError: If anything in the messages cannot be used.
        """
        rgb = color_image(self.color)
        intrinsics = camera_intrinsics(self.color_info, rectified=rectified)
        if self.depth is not None and self.depth_info is not None:
            check_aligned(self.color_info, self.depth_info)
        depth = None if self.depth is None else depth_image(self.depth)
        header = self.color.header
        return RGBDFrame(stamp_to_ns(header.stamp), header.frame_id, rgb, depth, intrinsics)


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
        self._pairs: StampSynchronizer[_AnyImage, _AnyImage] = StampSynchronizer(options.slop_ns)
        self._color_infos = _Infos()
        self._depth_infos = _Infos()
        self._infos_follow = True
        self._last_depth_ns: int | None = None
        self._waiting: tuple[_AnyImage, _AnyImage | None] | None = None
        self._subscriptions: dict[str, Subscription] = {}
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
        """Return what the graph shows of each input that must be there."""
        cures = {
            'colour': 'start the camera or remap color/image_raw to its topic',
            'camera_info': 'start the camera or remap color/camera_info to its topic',
            'depth': 'switch depth on (RealSense: align_depth.enable:=true) or remap '
                     'depth/image_raw to its topic',
        }
        return [InputFacts(name, self._subscriptions[name].topic_name,
                           self._node.count_publishers(self._subscriptions[name].topic_name),
                           cure)
                for name, cure in cures.items() if name in self._subscriptions
                and not (name == 'depth' and self._options.depth == 'if_any')]

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

        def receive(message: _AnyImage | CameraInfo) -> None:
            self._monitor.received(name, self._clock.now().nanoseconds)
            callback(message)

        self._subscriptions[name] = self._node.create_subscription(
            message_type, topic, receive, QoSProfile(depth=_QUEUE, reliability=reliability),
            qos_overriding_options=QoSOverridingOptions.with_default_policies(),
            event_callbacks=SubscriptionEventCallbacks(
                incompatible_qos=lambda event: self._monitor.incompatible(
                    name, qos_policy_name_from_kind(event.last_policy_kind).lower())))

    def _receive_color(self, message: _AnyImage) -> None:
        if not self._waits_for_depth():
            self._complete(message, None)
            return
        pair = self._pairs.add_color(stamp_to_ns(message.header.stamp), message)
        gap = self._pairs.lasting_gap()
        if pair is not None:
            self._complete(*pair)
        elif gap is not None:
            self._on_fault(
                f'colour and depth stamps are {gap:.3g} s apart, more than sync.slop '
                f'{self._options.slop_ns / 1e9:g} s; switch synchronisation on in the camera '
                '(RealSense: enable_sync:=true) or raise sync.slop')

    def _waits_for_depth(self) -> bool:
        if self._options.depth != 'if_any':
            return self._options.depth == 'needed'
        if self._last_depth_ns is None:
            return False
        silence = abs(self._clock.now().nanoseconds - self._last_depth_ns)
        return silence <= self._options.patience_ns

    def _receive_depth(self, message: _AnyImage) -> None:
        self._last_depth_ns = self._clock.now().nanoseconds
        pair = self._pairs.add_depth(stamp_to_ns(message.header.stamp), message)
        if pair is not None:
            self._complete(*pair)

    def _receive_color_info(self, message: CameraInfo) -> None:
        self._color_infos.add(message)
        if self._waiting is not None and self._color_infos.has_that_of(self._waiting[0]):
            self._hand_on(*self._waiting)

    def _complete(self, color: _AnyImage, depth: _AnyImage | None) -> None:
        """Hand a pair on, but wait for the info of its own stamp where the camera sends one."""
        if self._waiting is not None:
            # No info has come for the pair before: this camera sends infos at another pace.
            self._infos_follow = False
            self._hand_on(*self._waiting)
        if self._infos_follow and not self._color_infos.has_that_of(color):
            self._waiting = (color, depth)
        else:
            self._hand_on(color, depth)

    def _hand_on(self, color: _AnyImage, depth: _AnyImage | None) -> None:
        self._waiting = None
        color_info = self._color_infos.belonging_to(color)
        if color_info is None:
            topic = self._subscriptions['camera_info'].topic_name
            self._on_fault(f'images arrive but no camera_info on {topic}; start its publisher or '
                           'remap color/camera_info to the topic of the colour camera')
            return
        self._infos_follow = self._infos_follow or self._color_infos.has_that_of(color)
        depth_info = None if depth is None else self._depth_infos.belonging_to(depth)
        self._on_frame(RawFrame(color, depth, color_info, depth_info))


class _Infos:
    """The last infos of one camera; a camera may change, so the stamp decides which is meant."""

    def __init__(self) -> None:
        self._infos: deque[CameraInfo] = deque(maxlen=_INFOS_KEPT)

    def add(self, info: CameraInfo) -> None:
        self._infos.append(info)

    def has_that_of(self, image: _AnyImage) -> bool:
        """Return whether there is an info with the image's stamp."""
        return any(info.header.stamp == image.header.stamp for info in self._infos)

    def belonging_to(self, image: _AnyImage) -> CameraInfo | None:
        """Return the info with the image's stamp, else the newest, None if there is none."""
        same = (info for info in self._infos if info.header.stamp == image.header.stamp)
        return next(same, self._infos[-1] if self._infos else None)
