"""Objects of a planning scene as moveit_msgs/CollisionObject, which not every machine has."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from geometry_msgs.msg import Point, Pose
from std_msgs.msg import Header

from pose_estimation_ros.core.errors import ConfigurationError
from pose_estimation_ros.core.rotation import matrix_to_quaternion
from pose_estimation_ros.nodes.conversions import pose_message
from pose_estimation_ros.nodes.message_types import message_type
from pose_estimation_ros.nodes.scene_objects import Operation, SceneChange, padded

# Of shape_msgs/SolidPrimitive.
_BOX = 1


class CollisionTypes(NamedTuple):
    """The message classes that a collision object is made of."""

    CollisionObject: Any
    ObjectType: Any
    SolidPrimitive: Any
    Mesh: Any
    MeshTriangle: Any


def installed_types() -> CollisionTypes:
    """Return the installed classes.

    Raises:
        ConfigurationError: If MoveIt's messages are not installed.
    """
    try:
        return CollisionTypes(
            message_type('moveit_msgs/msg/CollisionObject'),
            message_type('object_recognition_msgs/msg/ObjectType'),
            *(message_type(f'shape_msgs/msg/{name}')
              for name in ('SolidPrimitive', 'Mesh', 'MeshTriangle')))
    except ConfigurationError as error:
        raise ConfigurationError(f'the planning scene needs MoveIt: {error} (apt: '
                                 'ros-$ROS_DISTRO-moveit-msgs)') from error


def collision_object(change: SceneChange, header: Header, padding: float,
                     types: CollisionTypes) -> Any:
    """Return the message of a change.

    A moved object is told without shapes, as MoveIt wants it.

    Args:
        change: What has to be told.
        header: Stamp and frame of the scene.
        padding: Free space around a box, metres; hulls stay as they are.
        types: Classes of the messages.
    """
    item = change.object
    message = types.CollisionObject()
    message.header = header
    message.id = item.name
    message.type = types.ObjectType(key=item.label)
    # A byte is bytes in Python.
    message.operation = bytes([change.operation])
    message.pose = pose_message(item.T, matrix_to_quaternion(item.T[:3, :3]).tolist())
    if change.operation is not Operation.ADD:
        return message
    upright = Pose()
    upright.orientation.w = 1.0
    if item.hull is None:
        message.primitives = [types.SolidPrimitive(
            type=_BOX, dimensions=padded(item.size, padding).tolist())]
        message.primitive_poses = [upright]
    else:
        message.meshes = [types.Mesh(
            triangles=[types.MeshTriangle(vertex_indices=np.asarray(face, np.uint32))
                       for face in item.hull.faces],
            vertices=[Point(x=x, y=y, z=z) for x, y, z in item.hull.vertices.tolist()])]
        message.mesh_poses = [upright]
    return message
