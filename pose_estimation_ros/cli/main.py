"""`pose-estimation`: one command line over everything the package can do."""

from __future__ import annotations

import errno
import sys

import typer

from pose_estimation_ros import __version__
from pose_estimation_ros.cli.benchmark import benchmark
from pose_estimation_ros.cli.dataset import dataset
from pose_estimation_ros.cli.demo import demo
from pose_estimation_ros.cli.estimate import estimate
from pose_estimation_ros.cli.evaluate import evaluate
from pose_estimation_ros.cli.export import export
from pose_estimation_ros.cli.imports import imports
from pose_estimation_ros.cli.models import models
from pose_estimation_ros.cli.parameters import parameters
from pose_estimation_ros.cli.replay import replay
from pose_estimation_ros.cli.report import report
from pose_estimation_ros.cli.teaching import examples
from pose_estimation_ros.cli.train import train
from pose_estimation_ros.cli.view import view
from pose_estimation_ros.core.errors import PoseEstimationError

PROGRAM = 'pose-estimation'
# Libraries that some commands need and a running node does not; see the extras of setup.py.
_OPTIONAL = ('open3d', 'tqdm', 'rosbags', 'torch', 'torchvision', 'onnx', 'tensorboard',
             'matplotlib', 'pycocotools', 'distributed', 'google_crc32c', 'jinja2', 'rerun')
# Distributions that are not called as their module.
_DISTRIBUTIONS = {'rerun': 'rerun-sdk'}
# What the file system says where a command may not write, or a file is in the way of a folder.
_UNWRITABLE = (errno.EACCES, errno.EPERM, errno.EROFS, errno.EEXIST, errno.ENOTDIR, errno.EISDIR)

_COMMANDS = {
    'demo': demo, 'estimate': estimate, 'replay': replay, 'report': report, 'dataset': dataset,
    'train': train, 'evaluate': evaluate, 'export': export, 'import': imports, 'models': models,
    'view': view, 'benchmark': benchmark, 'parameters': parameters}
# A group of commands brings the examples of its own; these are of single commands.
_EXAMPLES = {
    'demo': examples('demo', 'demo --source recorded/frames --output demo_output',
                     docs='docs/quick_start.md'),
    'estimate': examples(
        'estimate --color rgb.png --depth depth.png --camera camera.json',
        'estimate --color rgb.png --depth depth.png --fx 615 --fy 615 --cx 320 --cy 240 '
        '--output poses.json --overlay overlay.png',
        'estimate --color rgb.png --camera camera.json --backend mrc --model models/parts_mrc '
        '--segmentation-model models/parts_detector', docs='docs/quick_start.md'),
    'replay': examples(
        'replay recording',
        'replay recording --set backend=crnet --translation 20 --rotation 10',
        'replay recording --with recording_of_another_run', docs='docs/recording.md'),
    'report': examples(
        'report recording --output monday.html', 'report demo_output',
        'report recorded/frames --backend crnet', docs='docs/viewing.md'),
    'view': examples('view', 'view recording', 'view recording --save recording.rrd',
                     'view --estimator /robot/pose_estimator --grasps', docs='docs/viewing.md'),
    'train': examples(
        'train spd-lite --data data/crops/train --validation data/crops/val '
        '--priors models/shape_priors/priors.npz --out runs/spd_lite --minutes 60',
        'train maskrcnn --data data/frames/train --data synthetic --ratio 3:1 --out runs/mixed',
        'train spd-full --data data/nocs:camera_train --data data/nocs:real_train --ratio 3:1 '
        '--priors models/shape_priors/priors.npz --out runs/spd_full --device cuda',
        docs='docs/training.md'),
    'export': examples(
        'export spd-lite --checkpoint runs/spd_lite/best.pt --out models/my_spd',
        'export maskrcnn --checkpoint runs/maskrcnn/last.pt --out models/my_detector',
        'export shape-prior --checkpoint runs/shape_prior/last.pt --out priors.npz',
        docs='docs/training.md'),
    'evaluate': examples(
        'evaluate data/frames/test --out results/test',
        'evaluate data/nocs --protocol nocs --split real_test --out results/real_test',
        docs='docs/evaluation.md'),
    'benchmark': examples('benchmark', 'benchmark frame_rate -- --objects 6',
                          docs='docs/benchmarks.md'),
    'parameters': examples('parameters', 'parameters pose_estimator --layout yaml',
                           docs='docs/parameters.md'),
}

app = typer.Typer(no_args_is_help=True, pretty_exceptions_enable=False,
                  help='Category-level object pose and size from RGB-D cameras, for ROS 2.',
                  epilog=examples('demo', 'models list', 'estimate --help',
                                  docs='docs/command_line.md'))

for _name, _command in _COMMANDS.items():
    if isinstance(_command, typer.Typer):
        app.add_typer(_command, name=_name)
    else:
        app.command(_name, epilog=_EXAMPLES[_name])(_command)


@app.command(epilog=examples('version', docs='CHANGELOG.rst'))
def version() -> None:
    """Print the version."""
    print(__version__)


def main() -> None:
    """Run a command; our own errors are one line and exit code 2, without a traceback."""
    try:
        app(prog_name=PROGRAM)
    except PoseEstimationError as error:
        fault = str(error)
    except ModuleNotFoundError as error:
        missing = (error.name or '').partition('.')[0]
        if missing in _OPTIONAL:
            cure = (f'run pip install {_DISTRIBUTIONS.get(missing, missing)}, best in a virtual '
                    'environment')
        elif missing == 'rclpy' or missing.endswith('_msgs'):
            cure = 'source the setup file of ROS 2, or run make setup and use .venv'
        else:
            raise
        fault = f'this command needs {missing}, which is not installed; {cure}'
    except OSError as error:
        if error.filename is None or error.errno not in _UNWRITABLE:
            raise
        fault = (f'{error.filename}: {error.strerror}; choose a folder that you may write to, and '
                 'give files that you may read')
    else:
        return
    sys.stderr.write(f'{PROGRAM}: {fault}\n')
    sys.exit(2)


if __name__ == '__main__':
    main()
