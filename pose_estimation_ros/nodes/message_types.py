"""Message types by the names that the graph and bags use: 'sensor_msgs/msg/Image'."""

from __future__ import annotations

from functools import cache
from importlib import import_module
from typing import Any

from pose_estimation_ros.core.errors import ConfigurationError


@cache
def message_type(name: str) -> Any:
    """Return the class of a message type.

    Args:
        name: Such as 'sensor_msgs/msg/Image'.

    Raises:
        ConfigurationError: If it is not installed.
    """
    package, folder, short = name.split('/')
    try:
        return getattr(import_module(f'{package}.{folder}'), short)
    except (ImportError, AttributeError) as error:
        raise ConfigurationError(f'message type {name} is not installed; install {package} and '
                                 'source its setup file') from error


def type_name(message_class: type) -> str:
    """Return the name of a message class."""
    package, folder = message_class.__module__.split('.')[:2]
    return f'{package}/{folder}/{message_class.__name__}'
