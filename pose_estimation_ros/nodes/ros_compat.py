"""The only file that knows whether ROS comes from apt or from PyPI, and which distribution it is.

The PyPI wheels have no tf2_ros. Broadcasting needs none: a broadcaster is one publisher of
TFMessage, and ours (in `publishers.py`) is the same in both worlds. Looking up does.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rclpy.duration import Duration
from rclpy.node import Node
from rclpy.qos import qos_policy_name_from_kind
from rclpy.subscription import Subscription
from rclpy.time import Time

from pose_estimation_ros.core.errors import ConfigurationError, InvalidInputError
from pose_estimation_ros.core.rotation import quaternion_to_matrix
from pose_estimation_ros.core.se3 import make_transform

try:
    from rclpy.event_handler import SubscriptionEventCallbacks
except ImportError:  # Humble
    from rclpy.qos_event import SubscriptionEventCallbacks

__all__ = ['TransformLookup', 'fastdds_environment', 'fastdds_variable', 'share_file',
           'share_folder', 'subscription_events', 'with_message_info']

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
        self.check_installation()
        import tf2_ros
        # Not of the node: its service tf2_frames could not be taken back in a documented way.
        self._buffer = tf2_ros.Buffer()
        self._listener = tf2_ros.TransformListener(self._buffer, node)
        self._error = tf2_ros.TransformException
        self._last_stamp_ns = 0

    @staticmethod
    def check_installation() -> None:
        """Check that tf2_ros is there.

        Raises:
            ConfigurationError: If it is not.
        """
        if find_spec('tf2_ros') is None:
            raise ConfigurationError(
                'output_frame needs tf2_ros, as depth.register does, and it is not installed; '
                'install ROS 2 with apt (ros-<distro>-tf2-ros-py), or leave output_frame empty '
                "to get poses in the camera's frame, and depth.register false")

    def arrived(self, stamp_ns: int) -> None:
        """Note that a frame came; one of long before means that a bag has started over.

        The buffer then holds transforms of the future, and refuses those of the past.
        """
        if stamp_ns < self._last_stamp_ns - _JUMP_BACK_NS:
            self._buffer.clear()
        self._last_stamp_ns = stamp_ns

    def destroy(self) -> None:
        """Listen no more. Called in the executor's thread; a look-up in another one goes on."""
        self._listener.unregister()

    def lookup(self, target_frame: str, source_frame: str, stamp_ns: int,
               timeout: float = 0.0, parameter: str = 'output_frame') -> NDArray[np.float64]:
        """Return the (4, 4) transform T_target_source at a time; never the latest instead.

        Args:
            target_frame: Of the result.
            source_frame: Of the camera.
            stamp_ns: The time.
            timeout: Longest wait for /tf, seconds. In the executor's thread it must be 0.
            parameter: Because of which it is looked up.

        Raises:
            InvalidInputError: If TF cannot tell.
        """
        try:
            # TF reads a time of zero, as of images without a stamp, as the latest there is.
            found = self._buffer.lookup_transform(
                target_frame, source_frame, Time(nanoseconds=stamp_ns or 1),
                timeout=Duration(seconds=timeout))
        except (self._error, ValueError, OverflowError) as error:  # also for stamps below zero
            raise InvalidInputError(
                f'no transform from {source_frame} to {parameter} {target_frame} at the '
                f"image's stamp ({error}); publish it on /tf, raise tf.timeout if it comes late, "
                f'or clear {parameter}') from error
        q, t = found.transform.rotation, found.transform.translation
        return make_transform(quaternion_to_matrix((q.x, q.y, q.z, q.w)), (t.x, t.y, t.z))


def subscription_events(incompatible_qos: Callable[[str], None],
                        message_lost: Callable[[int], None]) -> SubscriptionEventCallbacks:
    """Return callbacks for what the middleware tells about a subscription.

    Args:
        incompatible_qos: Gets the name of the policy, such as 'reliability'.
        message_lost: Gets how many more messages were lost.
    """
    return SubscriptionEventCallbacks(
        incompatible_qos=lambda event: incompatible_qos(
            qos_policy_name_from_kind(event.last_policy_kind).lower()),
        message_lost=lambda event: message_lost(event.total_count_change))


def with_message_info(receive: Callable[[Any, dict[str, Any]], None]) -> Callable[..., None]:
    """Return a subscription's callback of a function of a message and what is known of it.

    Humble's callbacks get the message alone: there nothing is known.
    """
    if hasattr(Subscription, 'CallbackType'):
        return receive

    def receive_alone(message: Any) -> None:
        receive(message, {})

    return receive_alone


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
