"""Launch files run by the real `ros2 launch`, wherever that is installed."""

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

pytest.importorskip(
    'launch.actions', reason='launch is not installed (PyPI has none; it comes with ROS): the '
    'launch files are checked by their text only')
pytest.importorskip('ros2launch', reason='ros2launch is not installed')

sys.path.insert(0, str(Path(__file__).parents[1] / 'support'))

from ros_harness import PATIENCE, RED, ROOT, Client, Frame, K, NodeProcess, center, environment
from sensor_msgs.msg import Image

from pose_estimation_ros.nodes.conversions import stamp_to_ns

PACKAGE = 'pose_estimation_ros'
PATCH = (60, 40, 100, 80)
DEPTH = 0.5
COLOR = '/camera/camera/color/image_raw'


def launch_environment():
    """Return the test graph's environment, with this Python's prefix as an ament prefix."""
    prefixes = [sys.prefix, *os.environ.get('AMENT_PREFIX_PATH', '').split(os.pathsep)]
    variables = environment()
    # The launch file sets it: see whether it does.
    variables.pop('FASTDDS_DEFAULT_PROFILES_FILE')
    variables['AMENT_PREFIX_PATH'] = os.pathsep.join(filter(None, prefixes))
    variables['PATH'] = f'{Path(sys.executable).parent}{os.pathsep}{variables["PATH"]}'
    return variables


def ros2_launch(*arguments):
    return [shutil.which('ros2', path=launch_environment()['PATH']), 'launch', PACKAGE, *arguments]


class Launch:
    """A running `ros2 launch`."""

    def __init__(self, log, *arguments):
        self._log = Path(log)
        with self._log.open('w') as stream:
            self.process = subprocess.Popen(ros2_launch(*arguments), env=launch_environment(),
                                            stdout=stream, stderr=subprocess.STDOUT)

    @property
    def log(self):
        return self._log.read_text()

    def children(self):
        """Return {executable name: process id} of the nodes that were started."""
        listing = Path(f'/proc/{self.process.pid}/task/{self.process.pid}/children').read_text()
        commands = {int(pid): Path(f'/proc/{pid}/cmdline').read_text().split('\0')
                    for pid in listing.split()}
        return {Path(part).name: pid for pid, command in commands.items()
                for part in command[:2] if f'/lib/{PACKAGE}/' in part}

    def stop(self):
        """Interrupt as Ctrl-C does; return the exit code."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
        try:
            return self.process.wait(timeout=PATIENCE)
        except subprocess.TimeoutExpired:
            self.process.kill()
            raise


@pytest.fixture(scope='module')
def recording(tmp_path_factory):
    """A folder with one RGB-D frame: a red square on a wall half a metre away."""
    folder = tmp_path_factory.mktemp('recording')
    frame = Frame([(PATCH, RED)], DEPTH)
    cv2.imwrite(str(folder / 'rgb.png'), frame.rgb[..., ::-1])
    cv2.imwrite(str(folder / 'depth.png'), frame.depth)
    height, width = frame.depth.shape
    (folder / 'camera.json').write_text(json.dumps(
        {'width': width, 'height': height, 'K': K.tolist(), 'depth_unit_m': 0.001}))
    return folder


@pytest.fixture(scope='module')
def params_file(tmp_path_factory):
    path = tmp_path_factory.mktemp('config') / 'stand_in.yaml'
    path.write_text('/**/pose_estimator:\n  ros__parameters:\n'
                    '    backend: nothing_of_that_name\n    segmentation.method: stand_in\n')
    return path


@pytest.fixture
def client():
    client = Client()
    yield client
    client.close()


@pytest.mark.parametrize('name', ['pose_estimation', 'realsense', 'demo', 'replay'])
def test_show_args_lists_the_arguments_of_the_file_and_of_the_core(name):
    result = subprocess.run(ros2_launch(f'{name}.launch.py', '--show-args'), check=False,
                            env=launch_environment(), capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    for argument in ('backend', 'model', 'device', 'output_frame', 'rviz', 'use_sim_time',
                     'params_file', 'namespace', 'color_image', 'depth_image'):
        assert f"'{argument}':" in result.stdout
    assert 'no description given' not in result.stdout


def test_a_wrong_choice_is_refused_with_the_choices():
    result = subprocess.run(ros2_launch('pose_estimation.launch.py', 'device:=abacus'),
                            env=launch_environment(), capture_output=True, text=True, check=False)
    assert result.returncode != 0
    assert 'tensorrt' in result.stderr + result.stdout


def test_realsense_without_its_driver_estimates_on_the_topics_of_the_realsense(
        client, recording, params_file, tmp_path):
    client.listen(Image, COLOR)
    launch = Launch(tmp_path / 'launch.log', 'realsense.launch.py', 'start_camera:=false',
                    'backend:=stand_in', f'params_file:={params_file}')
    camera = NodeProcess(
        'replay_camera', tmp_path / 'camera.log', {'source': recording, 'rate': 10.0},
        [f'color/image_raw:={COLOR}',
         'color/camera_info:=/camera/camera/color/camera_info',
         'depth/image_raw:=/camera/camera/aligned_depth_to_color/image_raw',
         'depth/camera_info:=/camera/camera/aligned_depth_to_color/camera_info'])
    try:
        client.wait_for(lambda: client.received['object_poses'], 'object_poses', 3 * PATIENCE)
    except AssertionError as fault:
        raise AssertionError(f'{fault}\n{launch.log}\n{camera.log}') from fault
    finally:
        camera_code = camera.stop()
        launch_code = launch.stop()
    pose = client.received['object_poses'][0]
    assert pose.header.frame_id == 'camera_color_optical_frame'
    # The estimator keeps the stamps of the camera's images.
    assert stamp_to_ns(pose.header.stamp) in {
        stamp_to_ns(image.header.stamp) for image in client.received[COLOR]}
    found = [getattr(pose.pose.position, axis) for axis in 'xyz']
    np.testing.assert_allclose(found, center(PATCH, DEPTH), atol=1e-3)
    assert (camera_code, launch_code) == (0, 0)


def test_replay_runs_in_a_namespace_with_room_for_images_and_leaves_no_process(
        recording, params_file, tmp_path):
    client = Client(namespace='robot')
    launch = Launch(tmp_path / 'launch.log', 'replay.launch.py', f'source:={recording}',
                    'namespace:=robot', 'backend:=stand_in', f'params_file:={params_file}')
    try:
        client.wait_for(lambda: client.received['object_poses'], '/robot/object_poses',
                        3 * PATIENCE)
        children = launch.children()
        profiles = {name: Path(f'/proc/{pid}/environ').read_text()
                    for name, pid in children.items()}
    except AssertionError as fault:
        raise AssertionError(f'{fault}\n{launch.log}') from fault
    finally:
        code = launch.stop()
        client.close()
    assert set(children) == {'pose_estimator', 'replay_camera'}
    assert all(f'{PACKAGE}/config/fastdds.xml' in text for text in profiles.values())
    assert code == 0
    assert not [pid for pid in children.values() if Path(f'/proc/{pid}').exists()]


def test_the_estimator_waits_for_its_manager_without_autostart(client, params_file, tmp_path):
    launch = Launch(tmp_path / 'launch.log', 'pose_estimation.launch.py', 'autostart:=false',
                    'backend:=stand_in', f'params_file:={params_file}')
    try:
        assert client.state() == 'unconfigured'
        assert client.transition('configure')
        assert client.transition('activate')
        assert client.state() == 'active'
    finally:
        code = launch.stop()
    assert code == 0


def test_the_installed_launch_files_are_those_of_the_source():
    from ament_index_python.packages import get_package_share_directory
    os.environ['AMENT_PREFIX_PATH'] = launch_environment()['AMENT_PREFIX_PATH']
    share = Path(get_package_share_directory(PACKAGE)) / 'launch'
    for path in (ROOT / 'launch').glob('*.launch.py'):
        assert (share / path.name).read_text() == path.read_text()
