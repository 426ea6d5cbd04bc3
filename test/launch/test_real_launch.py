"""Launch files run by the real `ros2 launch`, wherever that is installed."""

import json
import os
import shutil
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import cv2
import numpy as np
import pytest
import yaml

pytest.importorskip(
    'launch.actions', reason='launch is not installed (PyPI has none; it comes with ROS): the '
    'launch files are checked by their text only')
pytest.importorskip('ros2launch', reason='ros2launch is not installed')

sys.path.insert(0, str(Path(__file__).parents[1] / 'support'))

from rcl_interfaces.srv import GetParameters
from rclpy.parameter import parameter_value_to_python
from ros_harness import PATIENCE, RED, ROOT, Client, Frame, K, NodeProcess, center, environment
from sensor_msgs.msg import Image

from pose_estimation_ros.nodes.conversions import stamp_to_ns

PACKAGE = 'pose_estimation_ros'
PATCH = (60, 40, 100, 80)
DEPTH = 0.5


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

    @property
    def has_ended(self):
        return self.process.poll() is not None

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


def stamps_of(client, topic):
    return {stamp_to_ns(message.header.stamp) for message in client.received[topic]}


@pytest.fixture
def client():
    client = Client()
    yield client
    client.close()


@pytest.mark.parametrize('name', sorted(
    path.name.removesuffix('.launch.py') for path in (ROOT / 'launch').glob('*.launch.py')))
def test_show_args_lists_the_arguments_of_the_file_and_of_the_core(name):
    result = subprocess.run(ros2_launch(f'{name}.launch.py', '--show-args'), check=False,
                            env=launch_environment(), capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    for argument in ('backend', 'model', 'device', 'output_frame', 'rviz', 'use_sim_time',
                     'params_file', 'camera_preset', 'namespace', 'tf_prefix', 'color_image',
                     'depth_image'):
        assert f"'{argument}':" in result.stdout
    assert 'no description given' not in result.stdout


def test_a_wrong_choice_is_refused_with_the_choices():
    result = subprocess.run(ros2_launch('pose_estimation.launch.py', 'device:=abacus'),
                            env=launch_environment(), capture_output=True, text=True, check=False)
    assert result.returncode != 0
    assert 'tensorrt' in result.stderr + result.stdout


DRIVEN_ELSEWHERE = ('start_camera:=false',)


@pytest.mark.parametrize(('launch_file', 'arguments', 'color', 'depth'), [
    ('realsense', DRIVEN_ELSEWHERE, '/camera/camera/color/image_raw',
     '/camera/camera/aligned_depth_to_color/image_raw'),
    # As older drivers name their topics.
    ('realsense', (*DRIVEN_ELSEWHERE, 'camera_namespace:=/'), '/camera/color/image_raw',
     '/camera/aligned_depth_to_color/image_raw'),
    ('azure_kinect', DRIVEN_ELSEWHERE, '/rgb/image_raw', '/depth_to_rgb/image_raw'),
    ('oak', DRIVEN_ELSEWHERE, '/oak/rgb/image_rect', '/oak/stereo/image_raw'),
    ('zed', (*DRIVEN_ELSEWHERE, 'camera_name:=head'), '/head/zed_node/rgb/color/rect/image',
     '/head/zed_node/depth/depth_registered'),
    ('orbbec', DRIVEN_ELSEWHERE, '/camera/color/image_raw', '/camera/depth/image_raw'),
    ('rgbd', ('camera:=/head',), '/head/color/image_raw', '/head/depth/image_raw'),
])
def test_a_camera_without_its_driver_gives_poses_from_its_topics(
        client, recording, params_file, tmp_path, launch_file, arguments, color, depth):
    client.listen(Image, color)
    launch = Launch(tmp_path / 'launch.log', f'{launch_file}.launch.py', *arguments,
                    'backend:=stand_in', f'params_file:={params_file}')
    camera = NodeProcess('replay_camera', tmp_path / 'camera.log',
                         {'source': recording, 'rate': 10.0},
                         [f'color/image_raw:={color}',
                          f'color/camera_info:={Path(color).parent}/camera_info',
                          f'depth/image_raw:={depth}',
                          f'depth/camera_info:={Path(depth).parent}/camera_info'])
    try:
        client.wait_for(lambda: client.received['object_poses'] or launch.has_ended,
                        'object_poses', 3 * PATIENCE)
        assert not launch.has_ended
        pose = client.received['object_poses'][0]
        # The estimator keeps the stamps of the camera's images, of which we may miss the first.
        client.wait_for(lambda: stamps_of(client, 'object_poses') & stamps_of(client, color),
                        'a pose with the stamp of an image')
        preset = yaml.safe_load((ROOT / 'config' / 'cameras' / {
            'rgbd': 'generic.yaml'}.get(launch_file, f'{launch_file}.yaml')).read_text())
        parameters = preset['/**/pose_estimator']['ros__parameters']
        values = client.call(GetParameters, 'pose_estimator/get_parameters',
                             GetParameters.Request(names=list(parameters))).values
    except AssertionError as fault:
        raise AssertionError(f'{fault}\n{launch.log}\n{camera.log}') from fault
    finally:
        camera_code = camera.stop()
        launch_code = launch.stop()
    assert pose.header.frame_id == 'camera_color_optical_frame'
    found = [getattr(pose.pose.position, axis) for axis in 'xyz']
    np.testing.assert_allclose(found, center(PATCH, DEPTH), atol=1e-3)
    assert [parameter_value_to_python(value) for value in values] == list(parameters.values())
    assert (camera_code, launch_code) == (0, 0)


# What stands for a driver: as strict about its arguments as the real one, and soon over.
DRIVER = """
import json
from launch import LaunchDescription
from launch.actions import DeclareLaunchArgument, OpaqueFunction, Shutdown
from launch.substitutions import LaunchConfiguration

ARGUMENTS = {arguments!r}


def tell(context):
    given = {{name: LaunchConfiguration(name).perform(context) for name in ARGUMENTS}}
    given['others'] = sorted(set(context.launch_configurations) - set(ARGUMENTS))
    open({told!r}, 'w').write(json.dumps(given))
    return [Shutdown()]


def generate_launch_description():
    return LaunchDescription([
        *(DeclareLaunchArgument(name, default_value=default, choices=choices)
          for name, (default, choices) in ARGUMENTS.items()), OpaqueFunction(function=tell)])
"""
SWITCH = ['true', 'false']


@pytest.mark.parametrize(('launch_file', 'package', 'driver', 'declared', 'expected'), [
    ('realsense', 'realsense2_camera', 'rs_launch.py',
     {'align_depth.enable': ('false', None), 'enable_sync': ('false', None),
      'log_level': ('info', None), 'serial_no': ("''", None), 'camera_name': ('camera', None),
      'tf_prefix': ('', None)},
     {'align_depth.enable': 'true', 'enable_sync': 'true', 'log_level': 'info',
      'serial_no': '_7', 'camera_name': 'camera', 'tf_prefix': ''}),
    ('azure_kinect', 'azure_kinect_ros_driver', 'driver.launch.py',
     {'color_enabled': ('true', None), 'depth_unit': ('16UC1', None), 'fps': ('5', None)},
     {'color_enabled': 'true', 'depth_unit': '16UC1', 'fps': '15'}),
    ('oak', 'depthai_ros_driver', 'rgbd_pcl.launch.py',
     {'name': ('oak', None), 'namespace': ('', None), 'params_file': ('', None),
      'rectify_rgb': ('True', None)},
     {'name': 'oak', 'namespace': '', 'params_file': '{prefix}/config/rgbd.yaml',
      'rectify_rgb': 'true'}),
    ('zed', 'zed_wrapper', 'zed_camera.launch.py',
     {'camera_model': ('zed', ['zed', 'zed2i']), 'namespace': ('', None),
      'use_sim_time': ('false', SWITCH)},
     {'camera_model': 'zed2i', 'namespace': '', 'use_sim_time': 'false'}),
    ('orbbec', 'orbbec_camera', 'gemini_330_series.launch.py',
     {'depth_registration': ('false', None), 'log_level': ('none', None)},
     {'depth_registration': 'true', 'log_level': 'none'}),
])
def test_the_driver_gets_its_own_arguments_and_not_those_of_the_estimator(
        tmp_path, params_file, launch_file, package, driver, declared, expected):
    share = tmp_path / 'share' / package
    (share / 'launch').mkdir(parents=True)
    index = tmp_path / 'share' / 'ament_index' / 'resource_index' / 'packages'
    index.mkdir(parents=True)
    (index / package).write_text('')
    told = tmp_path / 'told.json'
    (share / 'launch' / driver).write_text(DRIVER.format(arguments=declared, told=str(told)))
    variables = launch_environment()
    variables['AMENT_PREFIX_PATH'] += f'{os.pathsep}{tmp_path}'
    result = subprocess.run(
        ros2_launch(f'{launch_file}.launch.py', 'log_level:=error', 'namespace:=left',
                    'tf_prefix:=left_', 'autostart:=false', f'params_file:={params_file}',
                    'serial_no:=_7'),
        env=variables, capture_output=True, text=True, check=False, timeout=PATIENCE)
    assert told.exists(), result.stdout + result.stderr
    expected = {name: value.format(prefix=share) for name, value in expected.items()}
    given = json.loads(told.read_text())
    others = given.pop('others')
    assert given == expected
    # Drivers warn of what they do not know; the user's own arguments are for them.
    core = subprocess.run(ros2_launch('pose_estimation.launch.py', '--show-args'), check=True,
                          env=variables, capture_output=True, text=True).stdout
    kept = {'use_sim_time'} if launch_file == 'zed' else set()
    assert not {name for name in others if f"'{name}':" in core} - kept
    assert 'start_camera' not in others
    assert 'serial_no' in others or 'serial_no' in given


@pytest.mark.parametrize(('launch_file', 'argument', 'package'), [
    ('realsense', 'rviz:=false', 'realsense2_camera'), ('zed', 'rviz:=false', 'zed_wrapper'),
    ('rgbd', 'rviz:=true', 'rviz2')])
def test_a_missing_package_is_named_and_nothing_is_left_running(
        launch_file, argument, package, params_file):
    from ament_index_python.packages import PackageNotFoundError, get_package_prefix

    # Where it is installed nothing is missing, and a camera's driver or RViz would start.
    with suppress(PackageNotFoundError, OSError):
        pytest.skip(f'{package} is installed in {get_package_prefix(package)}')
    variables = launch_environment()
    variables['A_MISSING_PACKAGE'] = marker = f'{package}-{os.getpid()}'
    result = subprocess.run(
        ros2_launch(f'{launch_file}.launch.py', argument, f'params_file:={params_file}'),
        env=variables, capture_output=True, text=True, check=False, timeout=PATIENCE)
    assert result.returncode == 1
    assert f"'{package}' not found" in result.stdout + result.stderr
    left = []
    for environ in Path('/proc').glob('[0-9]*/environ'):
        with suppress(OSError):
            if marker in environ.read_text(errors='replace'):
                left.append(environ.parent.name)
    assert not left


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


def test_an_argument_counts_over_a_preset_whatever_the_parameter_file_is_called_for(
        client, params_file, tmp_path):
    """As `ros2 param dump` writes it, with the node named in full."""
    (values,) = yaml.safe_load(params_file.read_text()).values()
    values['ros__parameters'] |= {'color.rectified': False, 'sync.slop': 0.5}
    dumped = tmp_path / 'dumped.yaml'
    dumped.write_text(yaml.safe_dump({'/pose_estimator': values}))
    launch = Launch(tmp_path / 'log', 'rgbd.launch.py', f'params_file:={dumped}',
                    'color_rectified:=true', 'autostart:=false')
    names = ['color.rectified', 'sync.slop']
    try:
        answer = client.call(GetParameters, 'pose_estimator/get_parameters',
                             GetParameters.Request(names=names))
    finally:
        launch.stop()
    preset = yaml.safe_load((ROOT / 'config' / 'cameras' / 'generic.yaml').read_text())
    slop = preset['/**/pose_estimator']['ros__parameters']['sync.slop']
    assert [parameter_value_to_python(value) for value in answer.values] == [True, slop]


def test_the_installed_launch_files_are_those_of_the_source():
    from ament_index_python.packages import get_package_share_directory
    os.environ['AMENT_PREFIX_PATH'] = launch_environment()['AMENT_PREFIX_PATH']
    share = Path(get_package_share_directory(PACKAGE)) / 'launch'
    for path in (ROOT / 'launch').glob('*.launch.py'):
        assert (share / path.name).read_text() == path.read_text()
