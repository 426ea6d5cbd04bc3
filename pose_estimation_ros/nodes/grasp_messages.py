"""Grasps as messages: poses alone, and candidates with kind, score and width."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from geometry_msgs.msg import Point, Pose, PoseArray, PoseWithCovariance, Vector3
from numpy.typing import NDArray
from std_msgs.msg import ColorRGBA, Header
from vision_msgs.msg import (
    BoundingBox3D,
    Detection3D,
    Detection3DArray,
    ObjectHypothesis,
    ObjectHypothesisWithPose,
)
from visualization_msgs.msg import Marker

from pose_estimation_ros.core.rotation import matrix_to_quaternion
from pose_estimation_ros.core.se3 import make_transform, transform_points
from pose_estimation_ros.nodes.conversions import pose_message
from pose_estimation_ros.nodes.placed_object import PlacedObject
from pose_estimation_ros.pipeline import Grasp, Gripper

# Scores 0, one half and 1; colours of the map viridis, which rise in brightness.
_SCORE_COLORS = np.array([[68.0, 1.0, 84.0], [33.0, 145.0, 140.0], [253.0, 231.0, 37.0]]) / 255.0
# All grasps of a round object hide it.
_SHOWN = 5
_LINE_WIDTH = 0.004


def grasp_poses(item: PlacedObject, T_output_camera: NDArray[np.float64],
                header: Header) -> PoseArray:
    """Return the poses of an object's grasps, the best first."""
    return PoseArray(header=header, poses=[_pose(T_output_camera @ grasp.T_camera_grasp)
                                           for grasp in _grasps(item)])


def grasp_candidates(placed: Sequence[PlacedObject], T_output_camera: NDArray[np.float64],
                     gripper: Gripper, header: Header) -> Detection3DArray:
    """Return all grasps of all objects with what a planner of motions wants to know of each.

    The id is that of the object, and a number from the best on: 'mug_3/0'. The first result has
    the kind as its class; it is followed by 'pregrasp' and 'retreat', where the gripper is before
    and after. The box is the space between the open fingers: its size along y is how far the
    gripper has to be open on its way.
    """
    middle = make_transform(np.eye(3), [0.0, 0.0, -0.5 * gripper.finger_depth])
    detections = []
    for item in placed:
        for number, grasp in enumerate(_grasps(item)):
            places = ((grasp.kind, grasp.T_camera_grasp), ('pregrasp', grasp.T_camera_pregrasp),
                      ('retreat', grasp.T_camera_retreat))
            results = [ObjectHypothesisWithPose(
                hypothesis=ObjectHypothesis(class_id=name, score=grasp.score),
                pose=PoseWithCovariance(pose=_pose(T_output_camera @ T),
                                        covariance=item.covariance.reshape(-1)))
                for name, T in places]
            box = BoundingBox3D(
                center=_pose(T_output_camera @ grasp.T_camera_grasp @ middle),
                size=Vector3(x=gripper.finger_width, y=grasp.opening, z=gripper.finger_depth))
            detections.append(Detection3D(header=header, results=results, bbox=box,
                                          id=f'{item.name}/{number}'))
    return Detection3DArray(header=header, detections=detections)


def grasps_marker(item: PlacedObject, T_output_camera: NDArray[np.float64],
                  gripper: Gripper) -> Marker:
    """Return outlines of the gripper at an object's best grasps, coloured by their scores."""
    grasps = _grasps(item)[:_SHOWN]
    marker = Marker(ns=f'{item.pose.label}/grasps', type=Marker.LINE_LIST,
                    action=Marker.ADD if grasps else Marker.DELETE)
    marker.scale.x = _LINE_WIDTH
    marker.pose.orientation.w = 1.0
    for grasp in grasps:
        points = gripper.outline(grasp.width).reshape(-1, 3)
        placed = transform_points(T_output_camera @ grasp.T_camera_grasp, points)
        marker.points += [_point(point) for point in placed]
        marker.colors += [_score_color(grasp.score)] * len(points)
    return marker


def _grasps(item: PlacedObject) -> tuple[Grasp, ...]:
    return () if item.plan is None else item.plan.grasps


def _pose(T: NDArray[np.float64]) -> Pose:
    return pose_message(T, matrix_to_quaternion(T[:3, :3]))


def _point(position: NDArray[np.float64]) -> Point:
    x, y, z = position.tolist()
    return Point(x=x, y=y, z=z)


def _score_color(score: float) -> ColorRGBA:
    red, green, blue = (float(np.interp(score, (0.0, 0.5, 1.0), channel))
                        for channel in _SCORE_COLORS.T)
    return ColorRGBA(r=red, g=green, b=blue, a=1.0)
