import json
import subprocess
import sys

import cv2
import numpy as np
import pytest
from typer.testing import CliRunner

from pose_estimation_ros import __version__
from pose_estimation_ros.cli.demo_output import without_nan
from pose_estimation_ros.cli.main import app
from pose_estimation_ros.core.errors import InvalidInputError


def run(*arguments):
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def test_the_version_is_printed():
    assert run('version').stdout.strip() == __version__


def test_every_command_explains_itself():
    for command in ('demo', 'estimate', 'models', 'import', 'parameters'):
        answer = run(command, '--help')
        assert answer.exit_code == 0
        assert command in run('--help').stdout


@pytest.mark.parametrize('layout', ['table', 'yaml'])
@pytest.mark.parametrize('node', ['pose_estimator', 'simulated_camera', 'replay_camera'])
def test_the_parameters_of_every_node_are_printed(node, layout):
    answer = run('parameters', node, '--layout', layout)
    assert answer.exit_code == 0
    assert {'pose_estimator': 'segmentation.min_score', 'simulated_camera': 'views_per_scene',
            'replay_camera': 'source'}[node] in answer.stdout


class OneCan:
    """A pipeline's stages at once: there is a can in the middle of every picture."""

    name = 'one_can'
    needs = frozenset({'depth', 'detections'})
    categories = ('can',)
    providers = ('none',)

    def detect(self, frame):
        from pose_estimation_ros.core.detection import Detection
        return [Detection('can', 0.9, np.array([4, 4, 8, 8]), np.ones((4, 4), bool), (4, 4))]

    def estimate(self, frame, detections):
        from pose_estimation_ros.core.object_pose import ObjectPose
        from pose_estimation_ros.core.se3 import make_transform
        from pose_estimation_ros.core.symmetry import Y_AXIS_SYMMETRY
        return [ObjectPose('can', 0.8, make_transform(np.eye(3), [0, 0, 0.5]),
                           np.array([0.1, 0.2, 0.1]), Y_AXIS_SYMMETRY, 'one_can')]

    def close(self):
        pass


def test_estimate_writes_poses_as_json_and_a_picture(tmp_path, monkeypatch):
    from pose_estimation_ros.pipeline import Pipeline
    monkeypatch.setattr('pose_estimation_ros.pipeline.create_pipeline',
                        lambda options: Pipeline(OneCan(), OneCan(), None))
    cv2.imwrite(str(tmp_path / 'rgb.png'), np.full((48, 64, 3), 50, np.uint8))
    cv2.imwrite(str(tmp_path / 'depth.png'), np.full((48, 64), 500, np.uint16))
    (tmp_path / 'camera.json').write_text('{"fx": 60, "fy": 60, "cx": 31.5, "cy": 23.5}')
    arguments = ['estimate', '--color', tmp_path / 'rgb.png', '--depth', tmp_path / 'depth.png',
                 '--camera', tmp_path / 'camera.json']
    (entry,) = json.loads(run(*arguments).stdout)['objects']
    assert entry == {'label': 'can', 'score': 0.8, 'position': [0.0, 0.0, 0.5],
                     'orientation_xyzw': [0.0, 0.0, 0.0, 1.0], 'size': [0.1, 0.2, 0.1]}
    answer = run(*arguments, '--output', tmp_path / 'poses.json', '--overlay',
                 tmp_path / 'overlay.png')
    assert answer.exit_code == 0
    assert json.loads((tmp_path / 'poses.json').read_text())['objects'] == [entry]
    assert np.ptp(cv2.imread(str(tmp_path / 'overlay.png'))) > 100


def test_a_missing_picture_is_one_clear_error(tmp_path):
    (tmp_path / 'camera.json').write_text('{"fx": 60, "fy": 60, "cx": 31.5, "cy": 23.5}')
    answer = run('estimate', '--color', tmp_path / 'none.png', '--depth', tmp_path / 'none.png',
                 '--camera', tmp_path / 'camera.json')
    assert isinstance(answer.exception, InvalidInputError)
    assert 'none.png is missing' in str(answer.exception)


def test_json_has_null_where_a_number_is_unknown():
    nan = float('nan')
    assert without_nan({'a': [1.0, nan], 'b': {'c': nan}, 'd': 'nan'}) == {
        'a': [1.0, None], 'b': {'c': None}, 'd': 'nan'}


def test_a_fault_is_one_line_and_exit_code_2():
    result = subprocess.run(
        [sys.executable, '-m', 'pose_estimation_ros.cli.main', 'models', 'info', 'no_such_model'],
        capture_output=True, text=True, check=False)
    assert result.returncode == 2
    assert result.stderr.startswith('pose-estimation: ')
    assert 'no_such_model' in result.stderr
    assert 'Traceback' not in result.stderr
