"""Names of objects in ROS, the same in every output."""

from __future__ import annotations

import re

from pose_estimation_ros.core.object_pose import ObjectPose

_NOT_ALLOWED = re.compile('[^A-Za-z0-9]+')


def ros_name(label: str) -> str:
    """Return a label as part of a topic or TF name: 'coffee mug' becomes 'coffee_mug'."""
    name = _NOT_ALLOWED.sub('_', label).strip('_')
    return name if name[:1].isalpha() else f'object_{name}'.rstrip('_')


def object_name(pose: ObjectPose, index: int) -> str:
    """Return '<label>_<id>'.

    Args:
        pose: The object.
        index: Its place in the frame, which stands in for the id of an object without track.
    """
    return f'{ros_name(pose.label)}_{pose.track_id if pose.track_id >= 0 else index}'
