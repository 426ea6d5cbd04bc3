"""All outputs of the estimator: one result in, messages out."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np
from geometry_msgs.msg import (
    PoseArray,
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
from std_msgs.msg import Header
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

from pose_estimation_ros.core.detection import Detection
from pose_estimation_ros.core.pose_covariance import turned
from pose_estimation_ros.core.rotation import matrix_to_quaternion
from pose_estimation_ros.core.se3 import transform_points
from pose_estimation_ros.drawing import OverlayStyle, draw_overlay
from pose_estimation_ros.drawing.overlay import label_color
from pose_estimation_ros.nodes.conversions import (
    cloud_message,
    image_message,
    ns_to_stamp,
    pose_message,
)
from pose_estimation_ros.nodes.grasp_messages import grasp_candidates, grasp_poses
from pose_estimation_ros.nodes.markers import MarkerMaker
from pose_estimation_ros.nodes.naming import object_name, ros_name
from pose_estimation_ros.nodes.parameters import MOST_OBJECTS
from pose_estimation_ros.nodes.placed_object import PlacedObject
from pose_estimation_ros.pipeline import Gripper, PipelineResult

_QUEUE = 10
_POSES_PER_OBJECT = 4


@dataclass(frozen=True)
class OutputOptions:
    """What is published and how.

    Attributes:
        per_label: Publish `object_poses/<label>` for these labels as well; empty = none.
        publish_tf: Broadcast one frame per object.
        tf_prefix: Begins the name of those frames.
        mask_opacity: Of the overlay, 0 to 1.
        marker_lifetime: Seconds.
        gripper: Whose outline the markers of grasps show.
        plan_grasps: Grasps are wanted by whoever subscribes to them.
    """

    per_label: tuple[str, ...]
    publish_tf: bool
    tf_prefix: str
    mask_opacity: float
    marker_lifetime: float
    gripper: Gripper = field(default_factory=Gripper)
    plan_grasps: bool = True


class ResultPublisher:
    """Publishes results; keeps the signs of the quaternions continuous along each track."""

    def __init__(self, node: Node, options: OutputOptions) -> None:
        self._node = node
        self._options = options
        self._created: list[Publisher] = []
        self._quaternions: dict[str, NDArray[np.float64]] = {}
        self._marker_maker = MarkerMaker()
        self._style = OverlayStyle(mask_opacity=options.mask_opacity)
        # PoseStamped carries no identity: a reader needs all poses of a frame, so none may drop,
        # also not when max_objects is raised. The middleware takes memory for what it holds only.
        self._poses_qos = QoSProfile(depth=_POSES_PER_OBJECT * MOST_OBJECTS)
        self._label_poses: dict[str, Publisher] = {}
        self._label_grasps: dict[str, Publisher] = {}
        try:
            self._create_all(options.per_label)
        except Exception:
            # As for a wrong qos_overrides parameter: those before it must not stay.
            self.destroy()
            raise

    def _create_all(self, labels: Iterable[str]) -> None:
        self._poses = self._create(PoseStamped, 'object_poses', self._poses_qos)
        self.offer_labels(labels)
        self._detections = self._create(Detection3DArray, 'object_detections')
        self._detections_2d = self._create(Detection2DArray, 'segmentation/detections')
        self._markers = self._create(MarkerArray, 'object_markers')
        self._points = self._create(PointCloud2, 'object_points')
        self._overlay = self._create(
            Image, 'overlay/image',
            QoSProfile(depth=1, reliability=ReliabilityPolicy.BEST_EFFORT))
        self._grasp_poses = self._create(PoseArray, 'grasp_poses', self._poses_qos)
        self._grasp_candidates = self._create(Detection3DArray, 'grasp_candidates')
        self._tf = self._create(TFMessage, '/tf', QoSProfile(depth=100))

    def offer_labels(self, labels: Iterable[str]) -> None:
        """Make the topics `object_poses/<label>` and `grasp_poses/<label>` that lack yet.

        Called in the executor's thread: rclpy's entities may not be made beside it.
        """
        for label in self.without_topics(labels):
            poses = self._create(PoseStamped, f'object_poses/{ros_name(label)}', self._poses_qos)
            grasps = self._create(PoseArray, f'grasp_poses/{ros_name(label)}', self._poses_qos)
            # New ones, for another thread may be reading the old.
            self._label_poses = {**self._label_poses, label: poses}
            self._label_grasps = {**self._label_grasps, label: grasps}

    def without_topics(self, labels: Iterable[str]) -> list[str]:
        """Return those of some labels that have no topics of their own yet."""
        return [label for label in dict.fromkeys(labels) if label not in self._label_poses]

    @property
    def wants_grasps(self) -> bool:
        """Whether somebody would see grasps."""
        topics = (self._grasp_poses, self._grasp_candidates, self._markers,
                  *self._label_grasps.values())
        return self._options.plan_grasps and any(
            topic.get_subscription_count() > 0 for topic in topics)

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
        placed = [self._place(result, index, T_output_camera)
                  for index in range(len(result.poses))]
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
            self._markers.publish(self._marker_maker.markers(
                result, placed, T_output_camera, self._options.gripper, header,
                self._options.marker_lifetime))
        self._publish_grasps(placed, T_output_camera, header)
        if self._points.get_subscription_count() > 0:
            self._points.publish(_cloud(placed, header))
        if self._overlay.get_subscription_count() > 0:
            overlay = draw_overlay(result.frame.rgb, result.frame.intrinsics, result.poses,
                                   result.detections, self._style)
            self._overlay.publish(image_message(overlay, 'rgb8', camera_header))

    def retune(self, options: OutputOptions) -> None:
        """Follow other settings of overlay and markers from the next result on."""
        self._options = options
        self._style = OverlayStyle(mask_opacity=options.mask_opacity)

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

    def _publish_grasps(self, placed: Sequence[PlacedObject],
                        T_output_camera: NDArray[np.float64], header: Header) -> None:
        """Publish grasps in the order of the objects, if they were planned."""
        if all(item.plan is None for item in placed) and placed:
            return
        for item in placed:
            message = grasp_poses(item, T_output_camera, header)
            self._grasp_poses.publish(message)
            if item.pose.label in self._label_grasps:
                self._label_grasps[item.pose.label].publish(message)
        if self._grasp_candidates.get_subscription_count() > 0:
            self._grasp_candidates.publish(grasp_candidates(
                placed, T_output_camera, self._options.gripper, header))

    def _place(self, result: PipelineResult, index: int,
               T_output_camera: NDArray[np.float64]) -> PlacedObject:
        pose = result.poses[index]
        name = object_name(pose, index)
        T = T_output_camera @ pose.T_camera_object
        quaternion = matrix_to_quaternion(T[:3, :3])
        if pose.track_id >= 0:
            last = self._quaternions.get(name)
            if last is not None and float(last @ quaternion) < 0:
                quaternion = -quaternion
            self._quaternions[name] = quaternion
        return PlacedObject(
            name, pose.track_id if pose.track_id >= 0 else index, pose, T, quaternion,
            turned_covariance(pose.covariance, T_output_camera[:3, :3]),
            result.grasps[index] if result.grasps else None)

    def _transform(self, item: PlacedObject, header: Header) -> TransformStamped:
        pose = pose_message(item.T, item.quaternion)
        translation = Vector3(x=pose.position.x, y=pose.position.y, z=pose.position.z)
        return TransformStamped(header=header, child_frame_id=self._options.tf_prefix + item.name,
                                transform=Transform(translation=translation,
                                                    rotation=pose.orientation))


def turned_covariance(covariance: NDArray[np.float64] | None,
                      R_output_camera: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return a (6, 6) covariance in the output frame; all zero = unknown, as is usual in ROS."""
    if covariance is None:
        return np.zeros((6, 6))
    return turned(covariance, R_output_camera)


def _detection_3d(item: PlacedObject, header: Header) -> Detection3D:
    pose = pose_message(item.T, item.quaternion)
    T_box, size = item.pose.placed_box(item.T)
    hypothesis = ObjectHypothesisWithPose(
        hypothesis=ObjectHypothesis(class_id=item.pose.label, score=float(item.pose.score)),
        pose=PoseWithCovariance(pose=pose, covariance=item.covariance.reshape(-1)))
    box = BoundingBox3D(center=pose_message(T_box, item.quaternion),
                        size=Vector3(**dict(zip('xyz', size.tolist(), strict=True))))
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


def _cloud(placed: Sequence[PlacedObject], header: Header) -> PointCloud2:
    shapes = [item for item in placed if item.pose.points is not None]
    if not shapes:
        return cloud_message(np.zeros((0, 3), np.float32), np.zeros((0, 3), np.uint8), header)
    points = [transform_points(item.T, item.pose.points).astype(np.float32) for item in shapes]
    colors = [np.tile(np.array(label_color(item.pose.label), np.uint8), (len(part), 1))
              for item, part in zip(shapes, points, strict=True)]
    return cloud_message(np.concatenate(points), np.concatenate(colors), header)
