"""`pose-estimation demo`: the real nodes in processes of their own, looked at from outside."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
import zlib
from itertools import islice
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING

import typer

from pose_estimation_ros.cli.backend_option import BACKEND_HELP, complete_backend
from pose_estimation_ros.core.errors import PoseEstimationError

if TYPE_CHECKING:
    from pose_estimation_ros.cli.demo_output import DemoOutput

# Domains above 101 collide with ports that Linux gives away; low ones are in everyday use.
_DOMAINS = range(20, 100)
_CAMERA_RATE = 10.0
_SCENES = 8
_VIEWS_PER_SCENE = 3
# Results are held in memory until the recording is written.
_MOST_RECORDED = 100
# As sync.slop of the nodes.
_SLOP_NS = 20_000_000
_SECONDS_FOR_RATE = 8.0
# Without any progress for so long, something is wrong; libraries and models may take longer to
# load on a slow or busy machine.
_PATIENCE_SECONDS, _LOADING_SECONDS = 60.0, 900.0
_STOP_SECONDS = 20.0
_LOG_LINES = 15


def demo(
        source: Path = typer.Option(None, help='Folder of recorded RGB-D frames, or bag; default: '
                                    'simulated scenes with objects never seen in training.'),
        frames: int = typer.Option(_SCENES * _VIEWS_PER_SCENE, min=1,
                                   help='Number of simulated pictures.'),
        output: Path = typer.Option(Path('demo_output'), help='Folder of the results.'),
        rate: float = typer.Option(_CAMERA_RATE, min=0.1, help='Frames per second shown.'),
        seed: int = typer.Option(0, min=0, help='First simulated scene.'),
        domain: str = typer.Option('primary', help='primary, or the differently made second.'),
        backend: str = typer.Option('spd', help=BACKEND_HELP, autocompletion=complete_backend),
        model: str = typer.Option('', help="Its model; empty = the method's default."),
        segmentation: str = typer.Option('mask_rcnn', help='Method that finds the objects.'),
        device: str = typer.Option('auto', help='auto, cpu, cuda or tensorrt.'),
) -> None:
    """Run camera and estimator as ROS 2 nodes and compare what arrives with the truth."""
    # The other commands must start without ROS.
    from pose_estimation_ros.cli.demo_output import DemoOutput
    from pose_estimation_ros.datasets import open_frames
    from pose_estimation_ros.datasets.bag import is_bag

    estimator = {'backend': backend, 'model': model, 'device': device,
                 'segmentation.method': segmentation}
    names: dict[int, str] = {}
    if source is None:
        views = min(_VIEWS_PER_SCENE, frames)
        camera_node = 'simulated_camera'
        camera = {'rate': str(rate), 'scenes': str(-(-frames // views)), 'seed': str(seed),
                  'views_per_scene': str(views), 'domain': domain}
        pictures = -(-frames // views) * views
    elif is_bag(source):
        names = _pictures_of_bag(source)
        camera_node, pictures = 'replay_camera', len(names)
        camera = {'pace': 'results', 'source': str(source.resolve())}
    else:
        recorded = open_frames(source)
        names = {zlib.crc32(recorded.load(index).rgb): recorded.name(index)
                 for index in range(min(len(recorded), _MOST_RECORDED))}
        camera_node, pictures = 'replay_camera', len(names)
        camera = {'rate': str(min(rate, _CAMERA_RATE)), 'source': str(source.resolve())}
    domain_id = _DOMAINS[os.getpid() % len(_DOMAINS)]
    output.mkdir(parents=True, exist_ok=True)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with (NodeProcess(camera_node, camera, domain_id, output) as camera_process,
          NodeProcess('pose_estimator', estimator, domain_id, output) as estimator_process,
          DemoOutput(output, domain_id, names, with_truth=source is None) as results):
        _wait_for_pictures(results, pictures, (camera_process, estimator_process))
        print(results.finish())


def _pictures_of_bag(source: Path) -> dict[int, str]:
    """Return the time of each different picture of a bag by the checksum of its pixels."""
    from pose_estimation_ros.datasets.bag import open_bag
    from pose_estimation_ros.datasets.bag_camera import COMPRESSED, CameraTopics, choose_camera
    from pose_estimation_ros.nodes.bag_frames import frames_of
    from pose_estimation_ros.nodes.bag_messages import read_message

    bag = open_bag(source)
    topics = choose_camera(bag, CameraTopics())
    if bag.topics[topics.color].message_type == COMPRESSED:
        raise PoseEstimationError(f'{source} has compressed images, which the demo does not show; '
                                  'pose-estimation report takes them')
    colors = [frame.color for frame in islice(frames_of(bag, topics, _SLOP_NS), _MOST_RECORDED)]
    return {zlib.crc32(read_message(color).data): f'{color.stamp_ns / 1e9:.3f}'
            for color in colors}


def _wait_for_pictures(results: DemoOutput, pictures: int,
                       processes: tuple[NodeProcess, NodeProcess]) -> None:
    """Receive until every picture has its result, and long enough to measure the rate."""
    print(f'{pictures} pictures; logs and results go to {results.folder}')
    shown = ''
    progressed = time.monotonic()
    was_active = False
    while not (results.answered >= pictures and results.measured_seconds > _SECONDS_FOR_RATE):
        results.receive(seconds=1.0)
        progress = (f'{results.answered} of {pictures} pictures have a result'
                    if results.answered else processes[0].last_line())
        if progress != shown:
            print(f'  {progress}', flush=True)
            shown = progress
            progressed = time.monotonic()
        if results.is_active != was_active:
            was_active = results.is_active
            progressed = time.monotonic()
        for process in processes:
            process.check()
        if results.model_fault is not None:
            raise PoseEstimationError(f'the estimator cannot start: {results.model_fault}')
        patience = _PATIENCE_SECONDS if was_active else _LOADING_SECONDS
        if time.monotonic() > progressed + patience:
            if results.answered:
                print(f'  no result for {pictures - results.answered} pictures')
                return
            raise PoseEstimationError(
                f'no result arrived; the estimator says: {results.complaint}\n'
                f'{processes[1].tail()}')


class NodeProcess:
    """One of our nodes in its own process; its log goes to a file."""

    def __init__(self, node: str, parameters: dict[str, str], domain_id: int,
                 folder: Path) -> None:
        """Start it.

        Args:
            node: Name of its module in `nodes`.
            parameters: ROS parameters; those with an empty value keep their default.
            domain_id: ROS domain.
            folder: For the log.
        """
        from pose_estimation_ros.nodes.ros_compat import fastdds_environment

        self.node = node
        self._log = folder / f'{node}.log'
        environment = {**os.environ, 'ROS_DOMAIN_ID': str(domain_id),
                       'ROS_AUTOMATIC_DISCOVERY_RANGE': 'LOCALHOST', 'PYTHONUNBUFFERED': '1',
                       'RCUTILS_COLORIZED_OUTPUT': '0', **fastdds_environment()}
        arguments = [part for name, value in parameters.items() if value
                     for part in ('-p', f'{name}:={value}')]
        with self._log.open('w', encoding='utf-8') as stream:
            self._process = subprocess.Popen(
                [sys.executable, '-m', f'pose_estimation_ros.nodes.{node}', '--ros-args',
                 *arguments], env=environment, stdout=stream, stderr=subprocess.STDOUT)

    @property
    def pid(self) -> int:
        """Number of the process."""
        return self._process.pid

    def check(self) -> None:
        """Raise if the process has ended.

        Raises:
            PoseEstimationError: With the end of its log.
        """
        code = self._process.poll()
        if code is not None:
            raise PoseEstimationError(f'{self.node} ended with code {code}:\n{self.tail()}')

    def last_line(self) -> str:
        """Return what it said last, without the logger's prefix."""
        lines = self._log.read_text(encoding='utf-8').splitlines()
        return f'{self.node}: {lines[-1].rpartition("]: ")[2]}' if lines else f'{self.node} starts'

    def tail(self) -> str:
        """Return the end of its log."""
        return '\n'.join(self._log.read_text(encoding='utf-8').splitlines()[-_LOG_LINES:])

    def __enter__(self) -> NodeProcess:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None,
                 trace: TracebackType | None) -> None:
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGINT)
        try:
            self._process.wait(timeout=_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
