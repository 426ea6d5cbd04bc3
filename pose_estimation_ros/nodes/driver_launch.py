"""The driver of a camera beside the estimator, for launch files."""

from __future__ import annotations

from collections.abc import Sequence

from launch import LaunchContext
from launch.actions import (
    GroupAction,
    IncludeLaunchDescription,
    OpaqueFunction,
    UnsetLaunchConfiguration,
)
from launch.conditions import IfCondition
from launch.substitutions import LaunchConfiguration
from launch_ros.substitutions import FindPackageShare

_SWITCH = 'start_camera'


def driver_installed(package: str) -> OpaqueFunction:
    """Return what ends the launch if a driver is to be started whose package is missing.

    To be placed before the estimator: launch leaves behind what it has started when a later
    action fails.
    """
    def find(context: LaunchContext) -> None:
        FindPackageShare(package).perform(context)

    return OpaqueFunction(function=find, condition=IfCondition(LaunchConfiguration(_SWITCH)))


def driver_group(core: IncludeLaunchDescription, driver: IncludeLaunchDescription,
                 keep: Sequence[str] = ()) -> GroupAction:
    """Return what starts a driver, if `start_camera` says so.

    The driver sees none of the estimator's arguments: drivers have arguments of the same names
    that mean something else (`namespace`, `tf_prefix`, `params_file`), or warn of each that they
    do not know. All others are passed on, and what the driver sets stays in the group.

    Args:
        core: The estimator, whose arguments are kept from the driver.
        driver: The driver's launch file and what it is told.
        keep: Arguments of the estimator that `driver` refers to.
    """
    def hide_arguments(context: LaunchContext) -> list[UnsetLaunchConfiguration]:
        source = core.launch_description_source.get_launch_description(context)
        names = {argument.name for argument in source.get_launch_arguments()} | {_SWITCH}
        return [UnsetLaunchConfiguration(name) for name in sorted(names.difference(keep))]

    return GroupAction([OpaqueFunction(function=hide_arguments), driver],
                       condition=IfCondition(LaunchConfiguration(_SWITCH)))
