"""`evaluate` and `estimate` with a method that needs colour alone."""

import json
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
from typer.testing import CliRunner

sys.path.insert(0, str(Path(__file__).parents[1] / 'evaluation'))
sys.path.insert(0, str(Path(__file__).parents[1] / 'support'))
pytest.importorskip('onnx', reason='models are written with onnx, which a node does not need')
pytest.importorskip('open3d', reason='objects are rendered with Open3D, which is optional')

from known_objects import SIZE, write_data_set
from mrc_models import KnownObject, make_mrc_model

from pose_estimation_ros.cli.main import app
from pose_estimation_ros.core.detection import Detection
from pose_estimation_ros.core.errors import ConfigurationError
from pose_estimation_ros.rendering.primitives import box

NAMES = ('obj_000003', 'obj_000007')


class FindsCarton:
    """A detector of colour images that always finds a carton."""

    needs_depth = False
    categories = NAMES
    providers = ('none',)

    def detect(self, frame):
        return [Detection(NAMES[0], 0.8, np.array([40.0, 30.0, 80.0, 70.0]),
                          np.ones((40, 40), bool), (40, 30))]

    def close(self):
        pass


@pytest.fixture(scope='module')
def model(tmp_path_factory):
    return make_mrc_model(tmp_path_factory.mktemp('models') / 'known',
                          [KnownObject(name, box(SIZE)) for name in NAMES])


@pytest.fixture
def data(tmp_path):
    write_data_set(tmp_path / 'data', *NAMES)
    return tmp_path / 'data'


def run(*arguments):
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def table(path):
    return {row['object']: row for row in json.loads(path.read_text())['rows']}


def test_known_objects_are_evaluated_with_their_true_boxes(data, model, tmp_path):
    out = tmp_path / 'out'
    answer = run('evaluate', data, '--out', out, '--protocol', 'bop', '--masks', 'truth',
                 '--backend', 'mrc', '--model', model, '--mrc-rotated-copies', 'four')

    assert answer.exit_code == 0, answer.exception
    found = table(out / 'bop-average-recall.json')
    assert {'AR_MSSD, %', 'AR_MSPD, %'} <= set(found['all'])
    lines = (out / 'predictions.jsonl').read_text().splitlines()
    assert [len(json.loads(line)['predictions']) for line in lines] == [3, 3]
    method = json.loads((out / 'run.json').read_text())['method']
    assert method['mrc'] == {'rotated_copies': 'four', 'copy_choice': 'joint',
                             'auxiliary': 'trained', 'hypotheses': 'auto',
                             'refinement': 'auto'}
    assert '# bop-average-recall' in answer.stdout


def test_known_objects_are_evaluated_with_a_detector(data, model, tmp_path, monkeypatch):
    monkeypatch.setattr('pose_estimation_ros.pipeline.create_segmenter',
                        lambda name, options: FindsCarton())
    monkeypatch.setattr('pose_estimation_ros.evaluation.methods.models_of',
                        lambda method, task: {})
    out = tmp_path / 'out'
    answer = run('evaluate', data, '--out', out, '--protocol', 'bop', '--backend', 'mrc',
                 '--model', model)
    assert answer.exit_code == 0, answer.exception
    lines = (out / 'predictions.jsonl').read_text().splitlines()
    assert [len(json.loads(line)['predictions']) for line in lines] == [1, 1]


def test_unknown_choices_are_told_before_anything_runs(data, model, tmp_path):
    answer = run('evaluate', data, '--out', tmp_path / 'out', '--masks', 'truth', '--backend',
                 'mrc', '--model', model, '--mrc-copy-choice', 'both')
    assert isinstance(answer.exception, ConfigurationError)
    assert "mrc.copy_choice is 'both'; choose one of joint, separate" in str(answer.exception)


def test_a_frame_without_depth_is_estimated(model, tmp_path, monkeypatch):
    monkeypatch.setattr('pose_estimation_ros.pipeline.create_segmenter',
                        lambda name, options: FindsCarton())
    cv2.imwrite(str(tmp_path / 'rgb.png'), np.full((120, 160, 3), 90, np.uint8))

    answer = run('estimate', '--color', tmp_path / 'rgb.png', '--fx', 150, '--fy', 150, '--cx', 80,
                 '--cy', 60, '--backend', 'mrc', '--model', model)

    assert answer.exit_code == 0, answer.exception
    result = json.loads(answer.stdout)
    (found,) = result['objects']
    assert (found['label'], found['inlier_ratio']) == (NAMES[0], None)
    np.testing.assert_allclose(found['size'], SIZE, rtol=1e-5)
    assert result['pipeline']['pose.rotated copies'] == '1'
