"""Running a node as a process that ends cleanly on SIGINT and SIGTERM."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Callable
from queue import SimpleQueue
from typing import NoReturn, Protocol, cast

import rclpy
from rclpy.exceptions import InvalidParameterTypeException, InvalidParameterValueException
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.signals import SignalHandlerOptions
from rclpy.utilities import try_shutdown

from pose_estimation_ros.core.errors import PoseEstimationError

_SHUTDOWN_SECONDS = 0.5


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

    The exit code is 0 after a signal, and 2 if the node cannot start or a callback raises one of
    our errors; the reason is printed.

    Args:
        create: Makes the node.

    Raises:
        Exception: Whatever else a callback of the node raises.
    """
    # Not rclpy's handlers: they shut ROS down under the feet of threads that still publish.
    rclpy.init(signal_handler_options=SignalHandlerOptions.NO)
    # Entered in C: Python's own handlers interrupt each other when signals follow quickly, and an
    # Event's lock would wait for itself. `put` takes the number; the frame it takes for `block`,
    # which it has no use for.
    endings: SimpleQueue[int] = SimpleQueue()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, endings.put)
    try:
        node = create()
    except (PoseEstimationError, InvalidParameterValueException,
            InvalidParameterTypeException) as error:
        sys.stderr.write(f'cannot start: {error}\n')
        try_shutdown()
        sys.exit(2)
    executor = SingleThreadedExecutor()
    executor.add_node(cast(Node, node))
    faults: list[BaseException] = []
    is_stopping = False

    def spin() -> None:
        try:
            executor.spin()
        except BaseException as error:
            # One that is told to end destroys what its own thread may still be using.
            if not is_stopping:
                faults.append(error)
        endings.put(0)

    spinner = threading.Thread(target=spin, name='executor', daemon=True)
    node.start()
    spinner.start()
    endings.get()
    is_stopping = True
    # First the executor: rclpy fails when entities that it waits on are destroyed meanwhile.
    executor.shutdown(timeout_sec=_SHUTDOWN_SECONDS)
    spinner.join(_SHUTDOWN_SECONDS)
    node.close()
    cast(Node, node).destroy_node()
    # Not rclpy.try_shutdown: to uninstall handlers it sets the default ones for a moment, also
    # where it has installed none.
    try_shutdown()
    if faults and not isinstance(faults[0], PoseEstimationError):
        raise faults[0]
    if faults:
        sys.stderr.write(f'cannot go on: {faults[0]}\n')
    _end_process(2 if faults else 0)


def _end_process(code: int) -> NoReturn:
    """End with an exit code, also while threads are at work.

    A network that runs or a model that loads cannot be interrupted, and Python would wait for it
    or end in a crash. Otherwise the middleware takes back what it holds in shared memory.
    """
    # Python gives signals back their default while it ends: a second Ctrl-C, or that of a launch
    # beside that of the terminal, would kill what has ended well.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    sys.stdout.flush()
    sys.stderr.flush()
    if threading.active_count() > 1:
        os._exit(code)
    sys.exit(code)
