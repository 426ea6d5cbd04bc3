"""Launch files by their text: these checks need no ROS installation."""

import ast
import re
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
LAUNCH_FILES = sorted((ROOT / 'launch').glob('*.launch.py'))
CORE = ROOT / 'launch' / 'pose_estimation.launch.py'
# Each camera's launch file, and the preset that it uses.
PRESETS = {'azure_kinect': 'azure_kinect', 'oak': 'oak', 'orbbec': 'orbbec',
           'realsense': 'realsense', 'rgbd': 'generic', 'zed': 'zed'}


def tree_of(path):
    return ast.parse(path.read_text(), str(path))


def constant(path, name):
    """Return a literal assigned at the top of a file."""
    for node in tree_of(path).body:
        if isinstance(node, ast.Assign) and node.targets[0].id == name:
            return ast.literal_eval(node.value)
    raise AssertionError(f'{path.name} has no {name}')


def argument_rows():
    """Return the (name, description) of every argument of the core launch file."""
    rows = next(node.value.elts for node in tree_of(CORE).body
                if isinstance(node, ast.Assign) and node.targets[0].id == 'ARGUMENTS')
    return [(row.elts[0].value, ast.literal_eval(row.elts[2])) for row in rows]


def declared_arguments(path):
    """Return name and keywords of each DeclareLaunchArgument with a literal name."""
    return {call.args[0].value: {keyword.arg for keyword in call.keywords}
            for call in ast.walk(tree_of(path))
            if isinstance(call, ast.Call) and getattr(call.func, 'id', '') == (
                'DeclareLaunchArgument') and isinstance(call.args[0], ast.Constant)}


def string_constants(path):
    return {node.value for node in ast.walk(tree_of(path))
            if isinstance(node, ast.Constant) and isinstance(node.value, str)}


def test_the_launch_files_are_those_of_the_readme():
    readme = (ROOT / 'README.md').read_text()
    assert {path.name for path in LAUNCH_FILES} == {
        'pose_estimation.launch.py', 'demo.launch.py', 'replay.launch.py',
        *(f'{camera}.launch.py' for camera in PRESETS)}
    assert all(f'`{path.name}`' in readme for path in LAUNCH_FILES)


@pytest.mark.parametrize('path', LAUNCH_FILES, ids=lambda path: path.name)
def test_a_launch_file_compiles_and_describes_a_launch(path):
    compile(path.read_text(), str(path), 'exec')
    functions = {node.name: node for node in tree_of(path).body
                 if isinstance(node, ast.FunctionDef)}
    assert functions['generate_launch_description'].args.args == []


@pytest.mark.parametrize('path', LAUNCH_FILES, ids=lambda path: path.name)
def test_a_launch_file_needs_launch_and_nothing_heavy(path):
    imported = {name.split('.')[0] for node in ast.walk(tree_of(path))
                for name in ([alias.name for alias in node.names]
                             if isinstance(node, ast.Import)
                             else [node.module] if isinstance(node, ast.ImportFrom) else [])}
    assert imported <= {'launch', 'launch_ros', 'os', 'pathlib', 'pose_estimation_ros', 'yaml'}


@pytest.mark.parametrize('path', LAUNCH_FILES, ids=lambda path: path.name)
def test_a_launch_file_holds_no_absolute_path(path):
    assert not [text for text in string_constants(path)
                if re.match(r'/(home|opt|usr|root|tmp|work|ros)', text)]


@pytest.mark.parametrize('path', LAUNCH_FILES, ids=lambda path: path.name)
def test_every_argument_is_described(path):
    undescribed = {name for name, keywords in declared_arguments(path).items()
                   if 'description' not in keywords}
    undescribed |= {name for name, description in argument_rows() if not description}
    assert not undescribed


def test_the_readme_names_every_common_argument():
    readme = (ROOT / 'README.md').read_text()
    missing = {name for name, _ in argument_rows() if f'`{name}`' not in readme}
    assert not missing


def test_every_launch_file_includes_the_core():
    for path in LAUNCH_FILES:
        assert path == CORE or CORE.name in string_constants(path)


def test_arguments_set_parameters_that_the_estimator_declares():
    from pose_estimation_ros.nodes.parameters import ESTIMATOR_PARAMETERS
    declared = {spec.name for spec in ESTIMATOR_PARAMETERS} | {'use_sim_time'}
    parameters = constant(CORE, 'PARAMETERS')
    assert set(parameters.values()) <= declared
    assert set(parameters) <= {name for name, _ in argument_rows()}


def test_the_backends_described_are_those_of_this_package():
    from pose_estimation_ros.backends.registry import BUILT_IN
    described = dict(argument_rows())['backend']
    assert [name for name in BUILT_IN if name not in described] == []


def test_the_devices_offered_are_those_of_the_estimator():
    from pose_estimation_ros.nodes.parameters import ESTIMATOR_PARAMETERS
    choices = next(spec.choices for spec in ESTIMATOR_PARAMETERS if spec.name == 'device')
    offered = next(ast.literal_eval(row.elts[3])
                   for node in tree_of(CORE).body if isinstance(node, ast.Assign)
                   and node.targets[0].id == 'ARGUMENTS'
                   for row in node.value.elts if row.elts[0].value == 'device')
    assert offered == ['', *choices]


def test_the_topics_remapped_are_those_that_the_estimator_listens_to():
    from pose_estimation_ros.nodes import frame_input
    topics = {frame_input.COLOR_INFO_TOPIC, frame_input.DEPTH_INFO_TOPIC,
              *(frame_input.COLOR_TOPIC + suffix
                for suffix in frame_input.COLOR_TRANSPORTS.values()),
              *(frame_input.DEPTH_TOPIC + suffix
                for suffix in frame_input.DEPTH_TRANSPORTS.values())}
    assert topics <= string_constants(CORE)


def driver_arguments(camera):
    """Return the arguments with literal values that a camera's driver is started with."""
    return {key.value: value.value
            for node in ast.walk(tree_of(ROOT / 'launch' / f'{camera}.launch.py'))
            if isinstance(node, ast.Dict)
            for key, value in zip(node.keys, node.values, strict=True)
            if isinstance(key, ast.Constant) and isinstance(value, ast.Constant)}


@pytest.mark.parametrize(('camera', 'arguments'), [
    ('realsense', {'align_depth.enable': 'true', 'enable_sync': 'true'}),
    ('azure_kinect', {'color_enabled': 'true', 'depth_enabled': 'true'}),
    ('oak', {'rectify_rgb': 'true'}),
    ('orbbec', {'depth_registration': 'true', 'enable_frame_sync': 'true'}),
])
def test_the_driver_is_told_to_align_and_to_synchronise(camera, arguments):
    assert arguments.items() <= driver_arguments(camera).items()


@pytest.mark.parametrize(('camera', 'preset'), PRESETS.items())
def test_a_preset_sets_parameters_that_the_estimator_declares_to_values_it_takes(camera, preset):
    from pose_estimation_ros.nodes.parameters import ESTIMATOR_PARAMETERS
    assert f'{preset}.yaml' in string_constants(ROOT / 'launch' / f'{camera}.launch.py')
    content = yaml.safe_load((ROOT / 'config' / 'cameras' / f'{preset}.yaml').read_text())
    assert list(content) == ['/**/pose_estimator']
    specs = {spec.name: spec for spec in ESTIMATOR_PARAMETERS}
    values = content['/**/pose_estimator']['ros__parameters']
    assert {'color.rectified', 'sync.slop'} <= set(values) <= set(specs)
    for name, value in values.items():
        assert type(value) is type(specs[name].default), name
        assert specs[name].problem(value) is None


def test_every_preset_belongs_to_a_launch_file():
    presets = {path.stem for path in (ROOT / 'config' / 'cameras').glob('*.yaml')}
    assert presets == set(PRESETS.values())


def test_rviz_shows_cloud_overlay_boxes_axes_and_tf():
    config = yaml.safe_load((ROOT / 'config' / 'rviz' / 'pose_estimation.rviz').read_text())
    groups = config['Visualization Manager']['Displays']
    displays = {display['Class'].removeprefix('rviz_default_plugins/'): display
                for group in groups for display in group.get('Displays', [group])}
    hidden = {name for name, display in displays.items() if not display['Enabled']}
    assert hidden == {'Grid'}
    assert {'DepthCloud', 'PointCloud2', 'Image', 'MarkerArray', 'Axes', 'TF',
            'Grid'} <= set(displays)
    assert displays['MarkerArray']['Topic']['Value'] == '/object_markers'
    assert displays['Image']['Topic']['Value'] == '/overlay/image'
    assert displays['PointCloud2']['Topic']['Value'] == '/object_points'


def test_launch_files_and_nodes_agree_on_the_name_of_the_fast_dds_variable():
    from pose_estimation_ros.nodes import ros_compat
    sets = [{element.value for element in node.elts}
            for node in ast.walk(tree_of(CORE)) if isinstance(node, ast.Set)]
    assert sets == [set(ros_compat._DISTRIBUTIONS_WITH_FAST_DDS_2)]


def test_an_empty_switch_leaves_the_parameter_file_alone():
    rows = next(node.value.elts for node in tree_of(CORE).body
                if isinstance(node, ast.Assign) and node.targets[0].id == 'ARGUMENTS')
    defaults = {row.elts[0].value: row.elts[1] for row in rows}
    assert {name: defaults[name].value for name in constant(CORE, 'PARAMETERS')} == dict.fromkeys(
        constant(CORE, 'PARAMETERS'), '')
