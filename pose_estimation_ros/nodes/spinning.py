"""Running a node as a process that ends cleanly on SIGINT and SIGTERM."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Protocol, cast

import rclpy
from rclpy.exceptions import InvalidParameterTypeException, InvalidParameterValueException
from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor
from rclpy.node import Node

from pose_estimation_ros.core.errors import PoseEstimationError


class Startable(Protocol):
    """A node with work beyond its callbacks."""

    def start(self) -> None:
        """Begin, once an executor holds the node."""
        ...

    def close(self) -> None:
        """End threads and free everything."""
        ...


def run_node(create: Callable[[], Startable]) -> None:
    """Create a node and spin it until a signal or a fault at the start ends it.

    The exit code is 0 after a signal and 2 if the node cannot start; the reason is printed.
    """
    # rclpy's own handlers of SIGINT and SIGTERM shut the context down, which ends the spin.
    rclpy.init()
    try:
        node = create()
    except (PoseEstimationError, InvalidParameterValueException,
            InvalidParameterTypeException) as error:
        sys.stderr.write(f'cannot start: {error}\n')
        rclpy.try_shutdown()
        sys.exit(2)
    executor = SingleThreadedExecutor()
    executor.add_node(cast(Node, node))
    try:
        node.start()
        executor.spin()
    except (KeyboardInterrupt, ExternalShutdownException):
        pass
    finally:
        node.close()
        cast(Node, node).destroy_node()
        rclpy.try_shutdown()
