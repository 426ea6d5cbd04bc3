"""All outputs of the estimator: one result in, messages out."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from builtin_interfaces.msg import Duration
from geometry_msgs.msg import (
    Point,
    PoseStamped,
    PoseWithCovariance,
    Transform,
    TransformStamped,
    Vector3,
)
from numpy.typing import NDArray
from rclpy.node import Node
from rclpy.publisher import Publisher
from rclpy.qos import QoSProfile, ReliabilityPolicy
from rclpy.qos_overriding_options import QoSOverridingOptions
from sensor_msgs.msg import Image, PointCloud2
from std_msgs.msg import ColorRGBA, Header
from tf2_msgs.msg import TFMessage
from vision_msgs.msg import (
    BoundingBox2D,
    BoundingBox3D,
    Detection2D,
    Detection2DArray,
    Detection3D,
    Detection3DArray,
    ObjectHypothesis,
    ObjectHypothesisWithPose,
)
from visualization_msgs.msg import Marker, MarkerArray

from pose_estimation_ros.core.boxes import BOX_EDGES, box_corners
from pose_estimation_ros.core.detection import Detection
from pose_estimation_ros.core.object_pose import ObjectPose
from pose_estimation_ros.core.rotation import matrix_to_quaternion
from pose_estimation_ros.core.se3 import transform_points
from pose_estimation_ros.drawing import OverlayStyle, draw_overlay
from pose_estimation_ros.drawing.overlay import label_color
from pose_estimation_ros.drawing.shapes import AXIS_COLORS
from pose_estimation_ros.nodes.conversions import (
    cloud_message,
    image_message,
    ns_to_stamp,
    pose_message,
)
from pose_estimation_ros.nodes.naming import object_name, ros_name
from pose_estimation_ros.pipeline import PipelineResult

_QUEUE = 10
_POSES_PER_OBJECT = 4
_LINE_WIDTH = 0.003
_TEXT_HEIGHT = 0.025
_SHAPE_POINTS = 200
_MESH_OPACITY = 0.6


@dataclass(frozen=True)
class OutputOptions:
    """What is published and how.

    Attributes:
        max_objects: Most objects in a frame; sizes the queue of `object_poses`.
        per_label: Publish `object_poses/<label>` for these labels as well; empty = none.
        publish_tf: Broadcast one frame per object.
        tf_prefix: Begins the name of those frames.
        mask_opacity: Of the overlay, 0 to 1.
        marker_lifetime: Seconds.
    """

    max_objects: int
    per_label: tuple[str, ...]
    publish_tf: bool
    tf_prefix: str
    mask_opacity: float
    marker_lifetime: float


@dataclass(frozen=True)
class _Placed:
    """One object in the output frame."""

    name: str
    pose: ObjectPose
    T: NDArray[np.float64]
    quaternion: NDArray[np.float64]
    covariance: NDArray[np.float64]


class ResultPublisher:
    """Publishes results; keeps the signs of the quaternions continuous along each track."""

    def __init__(self, node: Node, options: OutputOptions) -> None:
        self._node = node
        self._options = options
        self._created: list[Publisher] = []
        self._shows_untracked = False
        self._quaternions: dict[str, NDArray[np.float64]] = {}
        self._corners = _CornerCache()
        self._style = OverlayStyle(mask_opacity=options.mask_opacity)
        debug = QoSProfile(depth=1, reliability=ReliabilityPolicy.BEST_EFFORT)
        # PoseStamped carries no identity: a reader needs all poses of a frame, so none may drop.
        self._poses_qos = QoSProfile(depth=max(_QUEUE, _POSES_PER_OBJECT * options.max_objects))
        self._poses = self._create(PoseStamped, 'object_poses', self._poses_qos)
        self._label_poses: dict[str, Publisher] = {}
        self.offer_labels(options.per_label)
        self._detections = self._create(Detection3DArray, 'object_detections')
        self._detections_2d = self._create(Detection2DArray, 'segmentation/detections')
        self._markers = self._create(MarkerArray, 'object_markers')
        self._points = self._create(PointCloud2, 'object_points')
        self._overlay = self._create(Image, 'overlay/image', debug)
        self._tf = self._create(TFMessage, '/tf', QoSProfile(depth=100))

    def offer_labels(self, labels: Iterable[str]) -> None:
        """Make the topics `object_poses/<label>` of labels that have none yet."""
        for label in labels:
            if label not in self._label_poses:
                self._label_poses[label] = self._create(
                    PoseStamped, f'object_poses/{ros_name(label)}', self._poses_qos)

    def publish(self, result: PipelineResult, frame_id: str,
                T_output_camera: NDArray[np.float64]) -> None:
        """Publish one result.

        Args:
            result: Of the pipeline.
            frame_id: Frame of the poses.
            T_output_camera: (4, 4) from the camera's optical frame into that frame.
        """
        stamp = ns_to_stamp(result.frame.stamp_ns)
        header = Header(stamp=stamp, frame_id=frame_id)
        camera_header = Header(stamp=stamp, frame_id=result.frame.frame_id)
        for key in result.lost:
            self._quaternions.pop(f'{ros_name(key.label)}_{key.track_id}', None)
        placed = [self._place(index, pose, T_output_camera)
                  for index, pose in enumerate(result.poses)]
        self._detections.publish(Detection3DArray(
            header=header, detections=[_detection_3d(item, header) for item in placed]))
        for item in placed:
            message = PoseStamped(header=header, pose=pose_message(item.T, item.quaternion))
            self._poses.publish(message)
            if item.pose.label in self._label_poses:
                self._label_poses[item.pose.label].publish(message)
        self._detections_2d.publish(_detections_2d(result.detections, camera_header))
        if self._options.publish_tf and placed:
            self._tf.publish(TFMessage(transforms=[
                self._transform(item, header) for item in placed]))
        if self._markers.get_subscription_count() > 0:
            self._markers.publish(self._marker_array(result, placed, header))
        if self._points.get_subscription_count() > 0:
            self._points.publish(_cloud(placed, header))
        if self._overlay.get_subscription_count() > 0:
            overlay = draw_overlay(result.frame.rgb, result.frame.intrinsics, result.poses,
                                   result.detections, self._style)
            self._overlay.publish(image_message(overlay, 'rgb8', camera_header))

    def delete_markers(self) -> None:
        """Remove every marker from RViz."""
        self._markers.publish(MarkerArray(markers=[Marker(action=Marker.DELETEALL)]))

    def destroy(self) -> None:
        """Destroy all publishers."""
        for publisher in self._created:
            self._node.destroy_publisher(publisher)
        self._created.clear()

    def _create(self, message_type: type, topic: str, qos: QoSProfile | None = None) -> Publisher:
        publisher = self._node.create_publisher(
            message_type, topic, qos or QoSProfile(depth=_QUEUE),
            qos_overriding_options=QoSOverridingOptions.with_default_policies())
        self._created.append(publisher)
        return publisher

    def _place(self, index: int, pose: ObjectPose,
               T_output_camera: NDArray[np.float64]) -> _Placed:
        name = object_name(pose, index)
        T = T_output_camera @ pose.T_camera_object
        quaternion = matrix_to_quaternion(T[:3, :3])
        if pose.track_id >= 0:
            last = self._quaternions.get(name)
            if last is not None and float(last @ quaternion) < 0:
                quaternion = -quaternion
            self._quaternions[name] = quaternion
        return _Placed(name, pose, T, quaternion,
                       turned_covariance(pose.covariance, T_output_camera[:3, :3]))

    def _transform(self, item: _Placed, header: Header) -> TransformStamped:
        pose = pose_message(item.T, item.quaternion)
        translation = Vector3(x=pose.position.x, y=pose.position.y, z=pose.position.z)
        return TransformStamped(header=header, child_frame_id=self._options.tf_prefix + item.name,
                                transform=Transform(translation=translation,
                                                    rotation=pose.orientation))

    def _marker_array(self, result: PipelineResult, placed: Sequence[_Placed],
                      header: Header) -> MarkerArray:
        seconds = self._options.marker_lifetime
        lifetime = Duration(sec=int(seconds), nanosec=int(seconds % 1 * 1e9))
        markers = [Marker(header=header, ns=f'{key.label}/{kind}', id=key.track_id,
                          action=Marker.DELETE)
                   for key in result.lost for kind in ('box', 'axes', 'label', 'shape')]
        # Without tracks nobody says which markers of the last frame are over: all of them are.
        untracked = any(item.pose.track_id < 0 for item in placed)
        if untracked or self._shows_untracked:
            markers.insert(0, Marker(header=header, action=Marker.DELETEALL))
        self._shows_untracked = untracked
        for index, item in enumerate(placed):
            number = item.pose.track_id if item.pose.track_id >= 0 else index
            for marker in [*_markers(item), *self._shape(item)]:
                marker.header, marker.lifetime, marker.id = header, lifetime, number
                markers.append(marker)
        return MarkerArray(markers=markers)

    def _shape(self, item: _Placed) -> list[Marker]:
        points, faces = item.pose.points, item.pose.faces
        if points is None:
            return []
        if faces is None:
            return [_points_marker(item, points)]
        return [_mesh_marker(item, self._corners.of(item.pose.label, points, faces))]


class _CornerCache:
    """The corners of known meshes as messages, which cost more to make than to send."""

    def __init__(self) -> None:
        self._known: dict[str, tuple[NDArray[np.int32], list[Point]]] = {}

    def of(self, label: str, points: NDArray[np.float32],
           faces: NDArray[np.int32]) -> list[Point]:
        """Return the corners of an object's triangles one after another, object frame."""
        known = self._known.get(label)
        # A backend hands out the same arrays with every pose.
        if known is None or known[0] is not faces:
            corners = points[faces.reshape(-1)].astype(np.float64)
            known = faces, [Point(x=x, y=y, z=z) for x, y, z in corners.tolist()]
            self._known[label] = known
        return known[1]


def turned_covariance(covariance: NDArray[np.float64] | None,
                      R_output_camera: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return a (6, 6) covariance in the output frame; all zero = unknown, as is usual in ROS."""
    if covariance is None:
        return np.zeros((6, 6))
    turn = np.zeros((6, 6))
    turn[:3, :3] = turn[3:, 3:] = R_output_camera
    return np.asarray(turn @ covariance @ turn.T)


def _detection_3d(item: _Placed, header: Header) -> Detection3D:
    pose = pose_message(item.T, item.quaternion)
    width, height, depth = item.pose.size.tolist()
    hypothesis = ObjectHypothesisWithPose(
        hypothesis=ObjectHypothesis(class_id=item.pose.label, score=float(item.pose.score)),
        pose=PoseWithCovariance(pose=pose, covariance=item.covariance.reshape(-1)))
    box = BoundingBox3D(center=pose, size=Vector3(x=width, y=height, z=depth))
    return Detection3D(header=header, results=[hypothesis], bbox=box, id=item.name)


def _detections_2d(detections: Sequence[Detection], header: Header) -> Detection2DArray:
    message = Detection2DArray(header=header)
    for detection in detections:
        x_min, y_min, x_max, y_max = detection.box.tolist()
        box = BoundingBox2D(size_x=x_max - x_min, size_y=y_max - y_min)
        box.center.position.x, box.center.position.y = (x_min + x_max) / 2, (y_min + y_max) / 2
        hypothesis = ObjectHypothesisWithPose(
            hypothesis=ObjectHypothesis(class_id=detection.label, score=float(detection.score)))
        message.detections.append(Detection2D(header=header, results=[hypothesis], bbox=box))
    return message


def _cloud(placed: Sequence[_Placed], header: Header) -> PointCloud2:
    shapes = [item for item in placed if item.pose.points is not None]
    if not shapes:
        return cloud_message(np.zeros((0, 3), np.float32), np.zeros((0, 3), np.uint8), header)
    points = [transform_points(item.T, item.pose.points).astype(np.float32) for item in shapes]
    colors = [np.tile(np.array(label_color(item.pose.label), np.uint8), (len(part), 1))
              for item, part in zip(shapes, points, strict=True)]
    return cloud_message(np.concatenate(points), np.concatenate(colors), header)


def _markers(item: _Placed) -> list[Marker]:
    label, size = item.pose.label, item.pose.size
    corners = box_corners(item.T, size)
    box = _lines(f'{label}/box', corners[np.array(BOX_EDGES)].reshape(-1, 3))
    box.color = _color(label_color(label))
    length = 0.5 * float(np.linalg.norm(size))
    ends = [point for axis in range(3)
            for point in (item.T[:3, 3], item.T[:3, 3] + length * item.T[:3, axis])]
    axes = _lines(f'{label}/axes', np.array(ends))
    axes.colors = [_color(color) for color in AXIS_COLORS for _ in range(2)]
    text = Marker(ns=f'{label}/label', type=Marker.TEXT_VIEW_FACING, action=Marker.ADD,
                  text=f'{item.name} {item.pose.score:.2f}', color=_color(label_color(label)))
    text.scale.z = _TEXT_HEIGHT
    text.pose = pose_message(item.T, (0.0, 0.0, 0.0, 1.0))
    return [box, axes, text]


def _mesh_marker(item: _Placed, corners: list[Point]) -> Marker:
    """Return the mesh of a known object, so that the image behind it can be compared."""
    color = _color(label_color(item.pose.label))
    color.a = _MESH_OPACITY
    marker = Marker(ns=f'{item.pose.label}/shape', type=Marker.TRIANGLE_LIST, action=Marker.ADD,
                    pose=pose_message(item.T, item.quaternion), points=corners, color=color)
    marker.scale.x = marker.scale.y = marker.scale.z = 1.0
    return marker


def _points_marker(item: _Placed, shape: NDArray[np.float32]) -> Marker:
    """Return some points of the reconstructed shape; all of them are in `object_points`."""
    stride = max(1, len(shape) // _SHAPE_POINTS)
    points = transform_points(item.T, shape[::stride])
    marker = Marker(ns=f'{item.pose.label}/shape', type=Marker.POINTS, action=Marker.ADD,
                    points=[Point(x=x, y=y, z=z) for x, y, z in points.tolist()],
                    color=_color(label_color(item.pose.label)))
    marker.scale.x = marker.scale.y = _LINE_WIDTH
    marker.pose.orientation.w = 1.0
    return marker


def _lines(namespace: str, points: NDArray[np.float64]) -> Marker:
    marker = Marker(ns=namespace, type=Marker.LINE_LIST, action=Marker.ADD,
                    points=[Point(x=x, y=y, z=z) for x, y, z in points.tolist()])
    marker.scale.x = _LINE_WIDTH
    marker.pose.orientation.w = 1.0
    marker.color.a = 1.0
    return marker


def _color(rgb: tuple[int, int, int]) -> ColorRGBA:
    red, green, blue = (channel / 255.0 for channel in rgb)
    return ColorRGBA(r=red, g=green, b=blue, a=1.0)
