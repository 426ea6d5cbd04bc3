"""The node that keeps the objects of MoveIt's planning scene like those that are seen."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rcl_interfaces.msg import SetParametersResult
from rclpy.node import Node
from rclpy.parameter import Parameter
from rclpy.qos import QoSProfile
from sensor_msgs.msg import PointCloud2
from std_msgs.msg import Header
from vision_msgs.msg import Detection3D, Detection3DArray

from pose_estimation_ros.nodes.collision_messages import collision_object, installed_types
from pose_estimation_ros.nodes.conversions import cloud_points, pose_matrix
from pose_estimation_ros.nodes.parameters import check_changes, declare, values_of
from pose_estimation_ros.nodes.planning_scene_parameters import PLANNING_SCENE_PARAMETERS
from pose_estimation_ros.nodes.scene_objects import (
    SceneChange,
    SceneLimits,
    SceneMirror,
    SceneObject,
    with_hulls,
)
from pose_estimation_ros.nodes.spinning import run_node
from pose_estimation_ros.nodes.waiting_detections import WaitingDetections

_QUEUE = 10
# MoveIt must not miss one, and reads them all at its own pace.
_SCENE_QUEUE = 200
_LISTENING_PERIOD = 0.5
# The shapes of a frame come right after its detections, or not at all.
_PATIENCE_FOR_SHAPES = 0.5


class PlanningSceneBridge(Node):
    """Reads `object_detections`, writes `collision_object`."""

    def __init__(self) -> None:
        """Subscribe.

        Raises:
            ConfigurationError: If MoveIt's messages are not installed.
        """
        self._types = installed_types()
        super().__init__('planning_scene_bridge')
        declare(self, PLANNING_SCENE_PARAMETERS)
        self.add_on_set_parameters_callback(self._check)
        self._mirror = SceneMirror()
        self._header = Header()
        self._listeners = 0
        self._waiting = WaitingDetections(_PATIENCE_FOR_SHAPES)
        self._publisher = self.create_publisher(
            self._types.CollisionObject, 'collision_object', QoSProfile(depth=_SCENE_QUEUE))
        self.create_subscription(Detection3DArray, 'object_detections', self._on_detections,
                                 _QUEUE)
        self._with_hulls = self._value('shape') == 'hull'
        if self._with_hulls:
            self.create_subscription(PointCloud2, 'object_points', self._on_points, _QUEUE)
        self.create_timer(_LISTENING_PERIOD, self._listen)

    def start(self) -> None:
        """Do nothing more; everything happens in callbacks."""

    def close(self) -> None:
        """Take all objects out of the scene."""
        self._tell(self._mirror.clear())

    def _on_detections(self, message: Detection3DArray) -> None:
        self._waiting.add(message)
        # Without objects there are no shapes to wait for.
        waits = self._with_hulls and message.detections
        self._update_without_shapes(self._waiting.overdue() if waits else self._waiting.all())

    def _on_points(self, message: PointCloud2) -> None:
        stamp = message.header.stamp
        for waiting in self._waiting.up_to(stamp):
            self._update(waiting, cloud_points(message) if waiting.header.stamp == stamp else None)

    def _update_without_shapes(self, messages: Sequence[Detection3DArray]) -> None:
        """Tell what is there, though its shapes got lost; those told before are kept."""
        for message in messages:
            self._update(message, None)

    def _update(self, message: Detection3DArray, points: NDArray[np.float64] | None) -> None:
        values = values_of(self, PLANNING_SCENE_PARAMETERS)
        self._header = message.header
        self._follow_parameters()
        objects = [_object(detection, values['prefix']) for detection in message.detections
                   if _wanted(detection, _names(values['labels']), values['min_score'])]
        if points is not None:
            objects = with_hulls(objects, points)
        self._tell(self._mirror.update(self._now(), objects))

    def _listen(self) -> None:
        """Tell all to whoever has just come, and judge the silence where no detections come."""
        self._update_without_shapes(self._waiting.overdue())
        listeners = self._publisher.get_subscription_count()
        self._follow_parameters()
        if listeners > self._listeners:
            self._tell(self._mirror.everything())
        self._listeners = listeners
        self._tell(self._mirror.listen(self._now()))

    def _follow_parameters(self) -> None:
        values = values_of(self, PLANNING_SCENE_PARAMETERS)
        self._mirror.limits = SceneLimits(
            values['min_motion'], values['min_rotation'],
            max_missed_seconds=values['max_missed_seconds'],
            max_silent_seconds=values['max_silent_seconds'])
        self._mirror.leave_alone(frozenset(_names(values['held'])))

    def _tell(self, changes: Sequence[SceneChange]) -> None:
        if not self.context.ok():
            return
        padding = float(self._value('padding'))
        for change in changes:
            self._publisher.publish(collision_object(change, self._header, padding, self._types))

    def _now(self) -> int:
        return int(self.get_clock().now().nanoseconds)

    def _value(self, name: str) -> Any:
        return self.get_parameter(name).value

    def _check(self, changes: list[Parameter]) -> SetParametersResult:
        return check_changes(PLANNING_SCENE_PARAMETERS, changes, active=True)


def _names(text: str) -> tuple[str, ...]:
    return tuple(name.strip() for name in text.split(',') if name.strip())


def _wanted(detection: Detection3D, labels: Sequence[str], min_score: float) -> bool:
    if not detection.results:  # Of another publisher: says not what it is.
        return False
    hypothesis = detection.results[0].hypothesis
    return hypothesis.score >= min_score and (not labels or hypothesis.class_id in labels)


def _object(detection: Detection3D, prefix: str) -> SceneObject:
    size = detection.bbox.size
    return SceneObject(prefix + detection.id, detection.results[0].hypothesis.class_id,
                       pose_matrix(detection.bbox.center), np.array([size.x, size.y, size.z]))


def main() -> None:
    """Run the node until a signal ends it."""
    run_node(PlanningSceneBridge)


if __name__ == '__main__':
    main()
