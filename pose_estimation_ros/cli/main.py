"""`pose-estimation`: one command line over everything the package can do."""

from __future__ import annotations

import sys

import typer

from pose_estimation_ros import __version__
from pose_estimation_ros.cli.dataset import dataset
from pose_estimation_ros.cli.demo import demo
from pose_estimation_ros.cli.estimate import estimate
from pose_estimation_ros.cli.imports import imports
from pose_estimation_ros.cli.models import models
from pose_estimation_ros.cli.parameters import parameters
from pose_estimation_ros.core.errors import PoseEstimationError

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False,
                  help='Category-level object pose and size from RGB-D cameras, for ROS 2.')
app.command()(demo)
app.command()(estimate)
app.command()(parameters)
app.add_typer(dataset, name='dataset')
app.add_typer(models, name='models')
app.add_typer(imports, name='import')


@app.command()
def version() -> None:
    """Print the version."""
    print(__version__)


def main() -> None:
    """Run a command; our own errors are one line and exit code 2, without a traceback."""
    try:
        app()
    except PoseEstimationError as error:
        sys.stderr.write(f'pose-estimation: {error}\n')
        sys.exit(2)


if __name__ == '__main__':
    main()
