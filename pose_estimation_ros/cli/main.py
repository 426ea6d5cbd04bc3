"""`pose-estimation`: one command line over everything the package can do."""

from __future__ import annotations

import sys
from importlib import import_module
from importlib.util import find_spec

import typer

from pose_estimation_ros import __version__
from pose_estimation_ros.cli.teaching import examples
from pose_estimation_ros.core.errors import PoseEstimationError

PROGRAM = 'pose-estimation'

# Name of each command, in the order of `--help`: module of this folder, and the function or
# Typer in it that carries it out.
_COMMANDS = {
    'demo': ('demo', 'demo'),
    'estimate': ('estimate', 'estimate'),
    'dataset': ('dataset', 'dataset'),
    'train': ('train', 'train'),
    'evaluate': ('evaluate', 'evaluate'),
    'export': ('export', 'export'),
    'import': ('imports', 'imports'),
    'models': ('models', 'models'),
    'benchmark': ('benchmark', 'benchmark'),
    'parameters': ('parameters', 'parameters'),
}
# A group of commands brings the examples of its own; these are of single commands.
_EXAMPLES = {
    'demo': examples('demo', 'demo --source recorded/frames --output demo_output',
                     docs='README.md'),
    'estimate': examples(
        'estimate --color rgb.png --depth depth.png --camera camera.json',
        'estimate --color rgb.png --depth depth.png --fx 615 --fy 615 --cx 320 --cy 240 '
        '--output poses.json --overlay overlay.png', docs='README.md'),
    'parameters': examples('parameters', 'parameters pose_estimator --layout yaml',
                           docs='README.md'),
}

app = typer.Typer(no_args_is_help=True, pretty_exceptions_enable=False,
                  help='Category-level object pose and size from RGB-D cameras, for ROS 2.',
                  epilog=examples('demo', 'models list', 'estimate --help', docs='README.md'))


def _register() -> None:
    for name, (module, attribute) in _COMMANDS.items():
        path = f'pose_estimation_ros.cli.{module}'
        if find_spec(path) is None:
            continue
        carried_out_by = getattr(import_module(path), attribute)
        if isinstance(carried_out_by, typer.Typer):
            app.add_typer(carried_out_by, name=name)
        else:
            app.command(name, epilog=_EXAMPLES.get(name))(carried_out_by)


_register()


@app.command(epilog=examples('version', docs='CHANGELOG.rst'))
def version() -> None:
    """Print the version."""
    print(__version__)


def main() -> None:
    """Run a command; our own errors are one line and exit code 2, without a traceback."""
    try:
        app(prog_name=PROGRAM)
    except PoseEstimationError as error:
        sys.stderr.write(f'{PROGRAM}: {error}\n')
        sys.exit(2)


if __name__ == '__main__':
    main()
