"""What package.xml, setup.py and the source say about the package, and that they agree."""

import ast
import configparser
import json
import shutil
import subprocess
import sys
import xml.etree.ElementTree as ET
import zipfile
from importlib.util import find_spec
from pathlib import Path

import pytest

import pose_estimation_ros

sys.path.insert(0, str(Path(__file__).parent))

from source_tree import PACKAGE, ROOT, modules, reachable_imports

PACKAGE_XML = ET.parse(ROOT / 'package.xml').getroot()
ENTRY_POINTS = {
    'pose_estimator': f'{PACKAGE}.nodes.pose_estimator:main',
    'simulated_camera': f'{PACKAGE}.nodes.simulated_camera:main',
    'replay_camera': f'{PACKAGE}.nodes.replay_camera:main',
    'recorder': f'{PACKAGE}.nodes.recorder:main',
    'planning_scene_bridge': f'{PACKAGE}.nodes.planning_scene_bridge:main',
    'pose-estimation': f'{PACKAGE}.cli.main:main',
}
# Python modules of the estimator and the command line, by the rosdep key that brings them.
KEYS = {
    'numpy': 'python3-numpy', 'cv2': 'python3-opencv', 'scipy': 'python3-scipy',
    'yaml': 'python3-yaml', 'onnxruntime': 'python3-onnxruntime-pip', 'typer': 'python3-typer',
    'rclpy': 'rclpy', 'sensor_msgs': 'sensor_msgs',
    'geometry_msgs': 'geometry_msgs', 'std_msgs': 'std_msgs', 'std_srvs': 'std_srvs',
    'vision_msgs': 'vision_msgs', 'visualization_msgs': 'visualization_msgs',
    'diagnostic_msgs': 'diagnostic_msgs', 'lifecycle_msgs': 'lifecycle_msgs',
    'tf2_msgs': 'tf2_msgs', 'tf2_ros': 'tf2_ros_py', 'rcl_interfaces': 'rcl_interfaces',
    'rosgraph_msgs': 'rosgraph_msgs',
    'ament_index_python': 'ament_index_python', 'builtin_interfaces': 'builtin_interfaces',
}
# What some commands and the simulated camera need, by the extra of setup.py that brings it.
EXTRAS = {'open3d': 'simulation', 'rosbags': 'demo', 'torch': 'training',
          'torchvision': 'training', 'onnx': 'training', 'tensorboard': 'training',
          'tqdm': 'simulation', 'distributed': 'training', 'google_crc32c': 'training',
          'matplotlib': 'evaluation', 'pycocotools': 'evaluation', 'warp': 'gpu',
          'jinja2': 'viewing', 'rerun': 'viewing', 'small_gicp': 'disp6d'}
# Distributions that are not called as their module.
DISTRIBUTIONS = {'warp': 'warp-lang', 'google_crc32c': 'google-crc32c',
                 'rerun': 'rerun-sdk'}


def setup_keywords():
    """Return what setup.py passes to setup(), read by setuptools itself."""
    code = ('import json; from distutils.core import run_setup\n'
            "d = run_setup('setup.py', stop_after='init')\n"
            'print(json.dumps({"version": d.metadata.version, "name": d.metadata.name,'
            ' "license": d.metadata.license, "data_files": d.data_files,'
            ' "packages": d.packages, "extras": d.extras_require,'
            ' "entry_points": d.entry_points}))')
    result = subprocess.run([sys.executable, '-c', f'import setuptools; {code}'], cwd=ROOT,
                            capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    return json.loads(result.stdout.splitlines()[-1])


@pytest.fixture(scope='module')
def setup():
    return setup_keywords()


def test_versions_agree(setup):
    assert PACKAGE_XML.findtext('version') == setup['version'] == pose_estimation_ros.__version__


def test_the_changelog_has_this_version():
    assert f'\n{pose_estimation_ros.__version__} (' in (ROOT / 'CHANGELOG.rst').read_text()


def test_package_xml_is_format_3_of_an_ament_python_package():
    assert PACKAGE_XML.get('format') == '3'
    assert PACKAGE_XML.findtext('name') == PACKAGE
    assert PACKAGE_XML.findtext('license') == 'Apache-2.0'
    assert PACKAGE_XML.findtext('export/build_type') == 'ament_python'


def test_the_resource_marker_has_the_exact_name_and_is_empty():
    assert (ROOT / 'resource' / PACKAGE).read_bytes() == b''
    assert [path.name for path in (ROOT / 'resource').iterdir()] == [PACKAGE]


def test_what_an_entry_point_imports_is_declared(setup):
    declared = {item.text for item in PACKAGE_XML if item.tag == 'exec_depend'}
    used = {name.split('.')[0]
            for entry_point in ENTRY_POINTS.values()
            for name in reachable_imports(entry_point.split(':')[0], at_module_level_only=False)}
    foreign = used - set(sys.stdlib_module_names) - {PACKAGE}
    assert foreign <= set(KEYS) | set(EXTRAS), 'add the module and its rosdep key to KEYS'
    assert not {name for name in foreign & set(EXTRAS)
                if DISTRIBUTIONS.get(name, name) not in setup['extras'][EXTRAS[name]]}
    missing = {KEYS[name] for name in foreign - set(EXTRAS)} - declared
    # builtin_interfaces comes with every message package.
    assert missing <= {'builtin_interfaces'}


def test_scripts_go_where_ros2_run_looks():
    parser = configparser.ConfigParser()
    parser.read(ROOT / 'setup.cfg')
    assert parser['install']['install_scripts'] == f'$base/lib/{PACKAGE}'
    assert parser['develop']['script_dir'] == f'$base/lib/{PACKAGE}'


def test_entry_points_are_the_nodes_and_the_command_line(setup):
    lines = setup['entry_points']['console_scripts']
    assert dict(line.split(' = ') for line in lines) == ENTRY_POINTS


@pytest.mark.parametrize('entry_point', ENTRY_POINTS.values(), ids=ENTRY_POINTS)
def test_an_entry_point_names_a_function_that_exists(entry_point):
    module, function = entry_point.split(':')
    tree = ast.parse(modules()[module].read_text())
    assert function in {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}


def test_every_package_of_the_source_is_installed(setup):
    folders = {'.'.join(path.parent.relative_to(ROOT).parts)
               for path in (ROOT / PACKAGE).rglob('*.py')}
    assert set(setup['packages']) == folders


def test_launch_config_and_models_are_installed_where_ros_looks(setup):
    installed = {(folder, file) for folder, files in setup['data_files'] for file in files}
    expected = {(f'share/{PACKAGE}/{path.parent.relative_to(ROOT)}', str(path.relative_to(ROOT)))
                for folder in ('launch', 'config', 'models')
                for path in (ROOT / folder).rglob('*')
                if path.is_file() and '__pycache__' not in path.parts}
    assert {('share/ament_index/resource_index/packages', f'resource/{PACKAGE}'),
            (f'share/{PACKAGE}', 'package.xml')} == installed - expected
    assert expected <= installed
    assert (f'share/{PACKAGE}/config', 'config/pose_estimation.yaml') in expected


@pytest.mark.skipif(
    not (find_spec('wheel') or find_spec('setuptools.command.bdist_wheel')),
    reason='setuptools before 70.1, as of Ubuntu 22.04, makes wheels with the package wheel only')
def test_a_wheel_can_be_built_and_carries_launch_files_and_marker(tmp_path):
    source = tmp_path / 'source'
    shutil.copytree(ROOT, source, ignore=shutil.ignore_patterns(
        '.*', 'build', 'runs', 'data', 'test', 'demo_output', '*.onnx', '__pycache__'))
    result = subprocess.run(
        [sys.executable, '-m', 'pip', 'wheel', '-q', '--no-deps', '--no-build-isolation',
         '--no-index', '-w', str(tmp_path), str(source)],
        capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    wheel = next(tmp_path.glob('*.whl'))
    names = set(zipfile.ZipFile(wheel).namelist())
    data = f'{PACKAGE}-{pose_estimation_ros.__version__}.data/data/share'
    assert f'{data}/ament_index/resource_index/packages/{PACKAGE}' in names
    assert f'{data}/{PACKAGE}/launch/realsense.launch.py' in names
    assert f'{data}/{PACKAGE}/config/fastdds.xml' in names
    assert f'{data}/{PACKAGE}/config/rviz/pose_estimation.rviz' in names
    assert f'{PACKAGE}/core/camera.py' in names
