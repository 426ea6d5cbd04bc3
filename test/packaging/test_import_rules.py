"""DESIGN.md section 2: who may import whom."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from source_tree import PACKAGE, ROOT, imports_of, modules, part_of, reachable_imports

# A part may always import itself. evaluation and cli sit on top and may import everything.
ALLOWED = {
    'core': set(),
    'runtime': {'core'},
    'distribution': {'core'},
    'rendering': {'core'},
    'datasets': {'core'},
    'segmentation': {'core', 'runtime', 'rendering'},
    'backends': {'core', 'runtime', 'rendering'},
    'tracking': {'core'},
    'grasping': {'core'},
    'drawing': {'core'},
    'synthetic': {'core', 'rendering', 'datasets', 'distribution'},
    'pipeline_values': {'core', 'segmentation', 'backends', 'tracking', 'grasping'},
    'pipeline_checks': {'core', 'segmentation', 'backends'},
    'pipeline': {'pipeline_checks', 'pipeline_values', 'core', 'runtime', 'segmentation',
                 'backends', 'tracking', 'grasping'},
    'nodes': {'pipeline', 'core', 'drawing'},
    'networks': {'core'},
}
ON_TOP = {'training', 'evaluation', 'viewing', 'cli'}
CAMERAS = {f'{PACKAGE}.nodes.{name}'
           for name in ('simulated_camera', 'replay_camera', 'bag_frames', 'bag_player',
                        'bag_messages', 'bag_topics')}
ROS = {'rclpy', 'tf2_ros', 'cv_bridge', 'message_filters', 'launch', 'launch_ros'}
MESSAGES = {'builtin_interfaces', 'diagnostic_msgs', 'geometry_msgs', 'lifecycle_msgs',
            'rcl_interfaces', 'rosgraph_msgs', 'sensor_msgs', 'std_msgs', 'std_srvs', 'tf2_msgs',
            'vision_msgs', 'visualization_msgs'}

MODULES = tuple(modules())


def offenders(is_wrong):
    """Return {module: imports} for which is_wrong(module, import) is true."""
    found = {}
    for name in MODULES:
        wrong = {item.name for item in imports_of(name) if is_wrong(name, item)}
        if wrong:
            found[name] = wrong
    return found


def test_every_part_has_a_rule():
    parts = {part_of(name) for name in MODULES} - {None}
    assert parts <= set(ALLOWED) | ON_TOP


def test_a_module_imports_only_the_parts_below_it():
    def is_too_high(name, item):
        part = part_of(name)
        if part is None or part in ON_TOP or item.top != PACKAGE:
            return False
        for_cameras = {'synthetic', 'datasets'} if name in CAMERAS else set()
        return item.part not in ALLOWED[part] | {part, None} | for_cameras

    assert offenders(is_too_high) == {}


def test_the_design_page_names_the_nodes_that_may_see_data():
    rule = next(line for line in (ROOT / 'docs' / 'design.md').read_text('utf-8').splitlines()
                if line.startswith('- ') and '`synthetic` and `datasets`' in line)
    nodes = {name.rpartition('.')[2] for name in MODULES if name.startswith(f'{PACKAGE}.nodes.')}
    assert set(re.findall(r'`(\w+)`', rule)) & nodes == {
        name.rpartition('.')[2] for name in CAMERAS}


def test_only_networks_and_training_import_torch_at_module_level():
    def is_torch(name, item):
        return (part_of(name) not in {'networks', 'training'} and item.at_module_level
                and item.top in {'torch', 'torchvision'})

    assert offenders(is_torch) == {}


def test_only_nodes_import_ros():
    assert offenders(lambda name, item: part_of(name) != 'nodes' and item.top in ROS) == {}


def test_only_nodes_and_what_is_on_top_import_messages():
    def is_message(name, item):
        return part_of(name) not in {'nodes', *ON_TOP} and item.top in MESSAGES

    assert offenders(is_message) == {}


def test_core_needs_numpy_and_nothing_else():
    known = sys.stdlib_module_names | {'numpy', PACKAGE}
    assert offenders(lambda name, item: part_of(name) == 'core' and item.top not in known) == {}


@pytest.mark.parametrize('node', ['pose_estimator', 'replay_camera'])
def test_nothing_that_a_node_can_load_imports_torch(node):
    importers = reachable_imports(f'{PACKAGE}.nodes.{node}', at_module_level_only=False)
    assert not {'torch', 'torchvision'} & {name.split('.')[0] for name in importers}


def test_of_what_the_estimator_can_load_only_the_view_renderers_import_open3d_and_warp():
    """They are for backends of known CAD objects, which load them when they are chosen."""
    importers = reachable_imports(f'{PACKAGE}.nodes.pose_estimator', at_module_level_only=False)
    rendering = {importer for name, importer in importers.items()
                 if name.split('.')[0] in {'open3d', 'warp'}}
    assert {part_of(importer) for importer in rendering} <= {'rendering'}
    users = {name for name in MODULES if part_of(name) == 'backends'
             and f'{PACKAGE}.rendering.view_renderer' in {item.name for item in imports_of(name)}}
    assert users == {f'{PACKAGE}.backends.mrc_model'}


def test_the_replay_camera_needs_no_open3d():
    importers = reachable_imports(f'{PACKAGE}.nodes.replay_camera', at_module_level_only=False)
    assert 'open3d' not in {name.split('.')[0] for name in importers}


def test_the_simulated_camera_needs_no_torch():
    importers = reachable_imports(f'{PACKAGE}.nodes.simulated_camera', at_module_level_only=False)
    assert 'torch' not in {name.split('.')[0] for name in importers}


def test_the_command_line_starts_without_ros_networks_and_images():
    code = (f'import sys, {PACKAGE}.cli.main\n'
            "heavy = {'torch', 'rclpy', 'rosbags', 'cv2', 'onnxruntime', 'open3d'}\n"
            'tops = {name.partition(".")[0] for name in sys.modules}\n'
            "print(sorted(name for name in tops if name in heavy or name.endswith('_msgs')))")
    result = subprocess.run([sys.executable, '-c', code], cwd=ROOT, capture_output=True,
                            text=True, check=False)
    assert result.returncode == 0, result.stderr
    assert result.stdout.strip() == '[]'


def test_the_estimator_runs_without_torch_and_open3d_loaded():
    code = (f'import sys, {PACKAGE}.nodes.pose_estimator\n'
            f'import {PACKAGE}.backends.prior_deformation, {PACKAGE}.segmentation.mask_rcnn\n'
            "print(sorted({'torch', 'torchvision', 'open3d'} & set(sys.modules)))")
    result = subprocess.run([sys.executable, '-c', code], cwd=ROOT, capture_output=True,
                            text=True, check=False)
    assert result.returncode == 0, result.stderr
    assert result.stdout.strip() == '[]'
