"""The only file that knows whether ROS comes from apt or from PyPI, and which distribution it is.

The PyPI wheels have no tf2_ros. Broadcasting needs none: a broadcaster is one publisher of
TFMessage, and ours (in `publishers.py`) is the same in both worlds. Looking up does.
"""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from rclpy.duration import Duration
from rclpy.node import Node
from rclpy.time import Time

from pose_estimation_ros.core.errors import ConfigurationError, InvalidInputError
from pose_estimation_ros.core.rotation import quaternion_to_matrix
from pose_estimation_ros.core.se3 import make_transform

try:
    from rclpy.event_handler import SubscriptionEventCallbacks
except ImportError:  # Humble
    from rclpy.qos_event import SubscriptionEventCallbacks

__all__ = ['SubscriptionEventCallbacks', 'TransformLookup', 'fastdds_environment',
           'fastdds_variable', 'share_file', 'share_folder']

PACKAGE = 'pose_estimation_ros'
# As in launch/pose_estimation.launch.py.
_DISTRIBUTIONS_WITH_FAST_DDS_2 = frozenset({'humble', 'iron', 'jazzy'})
# Frames come in order, up to what a driver's jitter mixes up.
_JUMP_BACK_NS = 1_000_000_000


class TransformLookup:
    """Transforms at a point in time, from tf2_ros."""

    def __init__(self, node: Node) -> None:
        """Listen to /tf and /tf_static.

        Raises:
            ConfigurationError: If tf2_ros is not installed.
        """
        if find_spec('tf2_ros') is None:
            raise ConfigurationError(
                'output_frame needs tf2_ros, which is not installed; install ROS 2 with apt '
                '(ros-<distro>-tf2-ros-py) or leave output_frame empty to get poses in the '
                "camera's frame")
        import tf2_ros
        self._buffer = tf2_ros.Buffer(node=node)
        self._listener = tf2_ros.TransformListener(self._buffer, node)
        self._error = tf2_ros.TransformException
        self._last_stamp_ns = 0

    def lookup(self, target_frame: str, source_frame: str, stamp_ns: int,
               timeout: float) -> NDArray[np.float64]:
        """Return the (4, 4) transform T_target_source at a time; never the latest instead.

        Call it outside the executor's thread: it waits up to `timeout` seconds for /tf.

        Raises:
            InvalidInputError: If TF cannot tell.
        """
        if stamp_ns < self._last_stamp_ns - _JUMP_BACK_NS:
            # A bag starts over: what the buffer holds is of the future, and it refuses the past.
            self._buffer.clear()
        self._last_stamp_ns = stamp_ns
        stamp = Time(nanoseconds=stamp_ns)
        try:
            found = self._buffer.lookup_transform(target_frame, source_frame, stamp,
                                                  timeout=Duration(seconds=timeout))
        except self._error as error:
            raise InvalidInputError(
                f'no transform from {source_frame} to output_frame {target_frame} at the '
                f"image's stamp within {timeout:g} s ({error}); publish it on /tf or clear "
                'output_frame') from error
        q, t = found.transform.rotation, found.transform.translation
        return make_transform(quaternion_to_matrix((q.x, q.y, q.z, q.w)), (t.x, t.y, t.z))


def share_folder(package: str) -> Path:
    """Return the share folder of a ROS package: by the ament index, else in this environment."""
    if find_spec('ament_index_python') is not None:
        from ament_index_python.packages import get_package_share_directory
        # The index is empty where ROS comes from wheels: nothing sets AMENT_PREFIX_PATH.
        with suppress(LookupError, OSError):
            return Path(get_package_share_directory(package))
    return Path(sys.prefix) / 'share' / package


def share_file(relative: str) -> Path:
    """Return a file of the package's share folder (config, launch, rviz), wherever it lies.

    Args:
        relative: For example 'config/fastdds.xml'.

    Raises:
        ConfigurationError: If the file is in none of the usual places.
    """
    places = [Path(__file__).resolve().parents[2], share_folder(PACKAGE)]
    for place in places:
        if (place / relative).is_file():
            return place / relative
    raise ConfigurationError(f'{relative} is in none of {", ".join(map(str, places))}; '
                             'install the package again')


def fastdds_environment() -> dict[str, str]:
    """Return the environment variables that select our Fast DDS profile.

    The default shared memory is smaller than one 640x480 colour image: between processes nearly
    all best-effort images are lost with it. The profile must be set in the publisher's process.
    """
    return {fastdds_variable(): str(share_file('config/fastdds.xml'))}


def fastdds_variable() -> str:
    """Return the name of the environment variable that selects a Fast DDS profile."""
    # Fast DDS before 3.0 knows the older name only, later ones complain about it.
    is_old = os.environ.get('ROS_DISTRO', '') in _DISTRIBUTIONS_WITH_FAST_DDS_2
    return 'FASTRTPS_DEFAULT_PROFILES_FILE' if is_old else 'FASTDDS_DEFAULT_PROFILES_FILE'
