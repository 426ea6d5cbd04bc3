"""`pose-estimation parameters`: the nodes' parameters as the README and the YAML show them."""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from pose_estimation_ros.nodes.parameters import ParameterSpec


class Layout(str, Enum):
    """How parameters are printed."""

    TABLE = 'table'
    YAML = 'yaml'


class NodeName(str, Enum):
    """The nodes of this package."""

    POSE_ESTIMATOR = 'pose_estimator'
    SIMULATED_CAMERA = 'simulated_camera'
    REPLAY_CAMERA = 'replay_camera'
    RECORDER = 'recorder'
    PLANNING_SCENE_BRIDGE = 'planning_scene_bridge'


def parameters(
        node: NodeName = typer.Argument(NodeName.POSE_ESTIMATOR, help='Whose parameters.'),
        layout: Layout = typer.Option(Layout.TABLE, help='Markdown table or parameter file.'),
) -> None:
    """Print every parameter of a node with type, default, range and meaning."""
    from pose_estimation_ros.nodes.parameters import markdown_table, yaml_defaults

    specs = specs_of(node)
    if layout is Layout.TABLE:
        print(markdown_table(specs), end='')
    else:
        print(yaml_defaults(node.value, specs), end='')


def specs_of(node: NodeName) -> tuple[ParameterSpec, ...]:
    """Return the declared parameters of a node."""
    # ROS is needed for this command only.
    from pose_estimation_ros.nodes import parameters as declared
    from pose_estimation_ros.nodes import planning_scene_parameters as planning_scene
    from pose_estimation_ros.nodes import recording_parameters as recording

    return {NodeName.POSE_ESTIMATOR: declared.ESTIMATOR_PARAMETERS,
            NodeName.SIMULATED_CAMERA: declared.SIMULATED_CAMERA_PARAMETERS,
            NodeName.REPLAY_CAMERA: recording.REPLAY_CAMERA_PARAMETERS,
            NodeName.RECORDER: recording.RECORDER_PARAMETERS,
            NodeName.PLANNING_SCENE_BRIDGE: planning_scene.PLANNING_SCENE_PARAMETERS}[node]
