"""`pose-estimation parameters`: the nodes' parameters as the README and the YAML show them."""

from __future__ import annotations

from enum import Enum

import typer


class Layout(str, Enum):
    """How parameters are printed."""

    TABLE = 'table'
    YAML = 'yaml'


class NodeName(str, Enum):
    """The nodes of this package."""

    POSE_ESTIMATOR = 'pose_estimator'
    SIMULATED_CAMERA = 'simulated_camera'
    REPLAY_CAMERA = 'replay_camera'


def parameters(
        node: NodeName = typer.Argument(NodeName.POSE_ESTIMATOR, help='Whose parameters.'),
        layout: Layout = typer.Option(Layout.TABLE, help='Markdown table or parameter file.'),
) -> None:
    """Print every parameter of a node with type, default, range and meaning."""
    # ROS is needed for this command only.
    from pose_estimation_ros.nodes import parameters as declared

    specs = {NodeName.POSE_ESTIMATOR: declared.ESTIMATOR_PARAMETERS,
             NodeName.SIMULATED_CAMERA: declared.SIMULATED_CAMERA_PARAMETERS,
             NodeName.REPLAY_CAMERA: declared.REPLAY_CAMERA_PARAMETERS}[node]
    if layout is Layout.TABLE:
        print(declared.markdown_table(specs), end='')
    else:
        print(declared.yaml_defaults(node.value, specs), end='')
