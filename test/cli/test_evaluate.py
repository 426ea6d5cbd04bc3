import json
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import typer
from typer.testing import CliRunner

sys.path.insert(0, str(Path(__file__).parents[1] / 'evaluation'))
sys.path.insert(0, str(Path(__file__).parents[1] / 'datasets'))

from fake_data import FakeDataset, annotated_frame, true_pose, use_fakes
from known_objects import at, write_data_set
from pascal3d_files import write_pascal3d

from pose_estimation_ros.cli.evaluate import evaluate
from pose_estimation_ros.core.errors import ConfigurationError, InvalidInputError
from pose_estimation_ros.core.rotation import axis_rotation
from pose_estimation_ros.core.se3 import make_transform
from pose_estimation_ros.datasets.bop_dataset import BopDataset
from pose_estimation_ros.evaluation.bop_results import ResultName, as_results, write_results
from pose_estimation_ros.evaluation.data_folders import Data
from pose_estimation_ros.evaluation.detection_files import FrameDetections, write_detections
from pose_estimation_ros.evaluation.judged_objects import Judged
from pose_estimation_ros.evaluation.predictions import (
    FramePredictions,
    FrameTruth,
    Prediction,
    write_predictions,
)
from pose_estimation_ros.evaluation.protocols import published_tables
from pose_estimation_ros.evaluation.published_results import write_published_results
from pose_estimation_ros.evaluation.runner import read_truth


def run(*arguments):
    app = typer.Typer()
    app.command()(evaluate)
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def fault(*arguments):
    error = run(*arguments).exception
    assert isinstance(error, (InvalidInputError, ConfigurationError)), error
    return str(error)


def rows(path):
    return json.loads(path.read_text())['rows']


@pytest.fixture
def fakes(tmp_path, monkeypatch):
    use_fakes(monkeypatch, tmp_path / 'data', FakeDataset(20))
    return tmp_path / 'data'


def test_poses_are_measured_with_misses_counted(fakes, tmp_path):
    out = tmp_path / 'out'
    answer = run(fakes, '--out', out, '--masks', 'truth')
    assert answer.exit_code == 0, answer.exception
    found = {row['category']: row for row in rows(out / 'found-objects.json')}
    assert (found['mug']['found, %'], found['can']['found, %']) == (100.0, 0.0)
    assert found['all']['found, %'] == 50.0
    recall = {row['category']: row for row in rows(out / 'pose-recall.json')}
    assert recall['mug']['recall 5°2cm, %'] == 100.0
    assert recall['can']['recall 5°2cm, %'] == 0.0
    facts = json.loads((out / 'pose-recall.json').read_text())
    assert facts['models'] == {'knowledge': 'unknown'}
    assert facts['settings']['masks'] == 'truth'
    assert {'recall-by-category.png', 'oriented-box.png', 'predictions.jsonl'} <= {
        path.name for path in out.iterdir()}
    assert '# found-objects' in answer.stdout


def test_answers_are_given_in_the_frame_of_the_truth(tmp_path):
    excerpt = Path(__file__).parents[1] / 'data/spd/nocs'
    answer = run(excerpt, '--split', 'real_train', '--convention', 'spd', '--masks', 'truth',
                 '--out', tmp_path)
    assert answer.exit_code == 0, answer.exception
    facts = json.loads((tmp_path / 'pose-recall.json').read_text())
    assert facts['settings']['object frame'] == 'spd'
    assert json.loads((tmp_path / 'run.json').read_text())['method']['object_frame'] == 'spd'


def test_stored_predictions_give_the_same_tables_without_a_model(fakes, tmp_path):
    run(fakes, '--out', tmp_path / 'first', '--masks', 'truth')
    stored = tmp_path / 'first' / 'predictions.jsonl'
    answer = run(fakes, '--out', tmp_path / 'second', '--predictions', stored)
    assert answer.exit_code == 0, answer.exception
    assert rows(tmp_path / 'second' / 'pose-recall.json') == rows(
        tmp_path / 'first' / 'pose-recall.json')
    assert not (tmp_path / 'second' / 'shards').exists()


def test_predictions_of_another_data_set_are_refused(fakes, tmp_path):
    stored = tmp_path / 'predictions.jsonl'
    write_predictions(stored, [FramePredictions('elsewhere/0', (
        Prediction('mug', 1.0, true_pose(0.0), np.ones(3)),))])
    message = fault(fakes, '--out', tmp_path / 'out', '--predictions', stored)
    assert "frames with predictions have no truth, the first is 'elsewhere/0'" in message
    assert 'evaluate on the data set that the predictions were made on' in message


def test_a_model_that_knows_none_of_the_labels_is_refused(fakes, tmp_path, monkeypatch):
    monkeypatch.setattr('fake_data.KnowsMugs.categories', ('bowl',))
    assert 'model knowledge knows bowl, but the data hold only can, mug' in fault(
        fakes, '--out', tmp_path / 'out', '--masks', 'truth')


def test_labels_that_the_model_does_not_know_are_told(fakes, tmp_path, monkeypatch):
    monkeypatch.setattr('fake_data.KnowsMugs.categories', ('mug',))
    answer = run(fakes, '--out', tmp_path / 'out', '--masks', 'truth')
    assert 'does not know these labels, whose objects count as missed: can (20)' in answer.stdout


def test_an_empty_folder_is_refused(tmp_path):
    (tmp_path / 'data').mkdir()
    assert 'is no data set of a known layout' in fault(tmp_path / 'data', '--out', tmp_path)
    assert 'is no folder' in fault(tmp_path / 'nothing', '--out', tmp_path)


def test_data_without_truth_are_refused(tmp_path, monkeypatch):
    use_fakes(monkeypatch, tmp_path / 'data', FakeDataset(3, objects=0))
    assert 'annotated object' in fault(tmp_path / 'data', '--out', tmp_path / 'out')
    assert not (tmp_path / 'out').exists()


def test_a_detector_is_measured_alone(fakes, tmp_path):
    pytest.importorskip('pycocotools', reason='the reference, which is optional')
    out = tmp_path / 'out'
    answer = run(fakes, '--out', out, '--protocol', 'detection')
    assert answer.exit_code == 0, answer.exception
    recall = {row['objects']: row for row in rows(out / 'detection-recall.json')}
    assert (recall['mug']['found, %'], recall['can']['found, %']) == (100.0, 0.0)
    again = run(fakes, '--out', tmp_path / 'again', '--protocol', 'detection', '--predictions',
                out / 'detections.jsonl')
    assert again.exit_code == 0, again.exception
    assert rows(tmp_path / 'again' / 'detection-precision.json') == rows(
        out / 'detection-precision.json')


def test_results_of_the_bop_challenge_are_scored(tmp_path):
    write_data_set(tmp_path / 'boxes')
    dataset = BopDataset(tmp_path / 'boxes', 'test')
    estimates = [FramePredictions(dataset.frame_name(index), tuple(
        Prediction(label, 0.9, at(x), np.ones(3))
        for label, x in (('carton', -0.1), ('tin', 0.0), ('tin', 0.1))), 0.5)
        for index in range(2)]
    estimates[1] = FramePredictions(estimates[1].name, ())
    stored = write_results(tmp_path, ResultName('ours', 'boxes', 'test'),
                           as_results(estimates, dataset))
    answer = run(tmp_path / 'boxes', '--protocol', 'bop', '--predictions', stored, '--out',
                 tmp_path / 'out')
    assert answer.exit_code == 0, answer.exception
    scores = {row['object']: row for row in rows(tmp_path / 'out' / 'bop-average-recall.json')}
    assert (scores['all']['targets'], scores['all']['AR_MSSD, %']) == (6, 50.0)
    assert scores['tin']['AR_MSPD, %'] == 50.0
    areas = {row['object']: row for row in rows(tmp_path / 'out' / 'bop-average-distance.json')}
    assert areas['all']['ADD(-S) AUC, %'] == pytest.approx(50.0)
    assert (tmp_path / 'out' / 'bop-objects.png').exists()


@pytest.mark.parametrize(('name', 'delta', 'recall'), [('boxes', 15.0, 100.0),
                                                       ('itodd', 5.0, 0.0)])
def test_what_lies_a_centimetre_behind_the_scene_is_hidden_in_itodd_alone(tmp_path, name, delta,
                                                                         recall):
    write_data_set(tmp_path / name, wall=0.54)
    dataset = BopDataset(tmp_path / name, 'test')
    write_predictions(tmp_path / 'exact.jsonl', [FramePredictions(dataset.frame_name(index), tuple(
        Prediction(label, 0.9, at(x), np.ones(3))
        for label, x in (('carton', -0.1), ('tin', 0.0), ('tin', 0.1)))) for index in range(2)])
    answer = run(tmp_path / name, '--protocol', 'bop', '--predictions', tmp_path / 'exact.jsonl',
                 '--out', tmp_path / 'out')
    assert answer.exit_code == 0, answer.exception
    table = json.loads((tmp_path / 'out' / 'bop-average-recall.json').read_text())
    assert table['settings']["delta of the average recall's VSD, mm"] == delta
    assert {row['object']: row['AR_VSD, %'] for row in table['rows']}['all'] == recall


@pytest.mark.parametrize(('protocol', 'words'), [
    (('bop',), 'is no BOP data set'), (('pascal3d',), 'is no PASCAL3D+ data'),
    (('bop', '--visibility', '0.4'), '--visibility 0.4 is for --protocol poses or nocs')])
def test_what_a_protocol_cannot_score_is_refused_before_anything_runs(protocol, words, fakes,
                                                                      tmp_path):
    assert words in fault(fakes, '--out', tmp_path / 'out', '--protocol', *protocol)
    assert not (tmp_path / 'out').exists()


def test_a_detector_is_not_judged_on_a_part_of_the_frames(fakes, tmp_path):
    stored = tmp_path / 'detections.jsonl'
    write_detections(stored, [FrameDetections(f'scene/{index:04d}', ()) for index in range(15)])
    assert 'detections of 15 frames for 20 frames' in fault(
        fakes, '--out', tmp_path / 'out', '--protocol', 'detection', '--predictions', stored)


def test_objects_that_share_a_label_are_no_known_objects(tmp_path):
    write_data_set(tmp_path / 'boxes')
    names = tmp_path / 'boxes' / 'object_names.json'
    names.write_text(json.dumps(dict.fromkeys(json.loads(names.read_text()), 'box')))
    assert 'use --protocol poses for categories' in fault(
        tmp_path / 'boxes', '--out', tmp_path / 'out', '--protocol', 'bop')
    assert not (tmp_path / 'out').exists()


def test_bop_needs_bop_data(fakes, tmp_path):
    stored = tmp_path / 'predictions.jsonl'
    write_predictions(stored, [])
    assert 'is no BOP data set, whose CAD models this protocol needs' in fault(
        fakes, '--out', tmp_path / 'out', '--protocol', 'bop', '--predictions', stored)


def test_photographs_are_scored_by_rotation(tmp_path):
    root = write_pascal3d(tmp_path / 'photos')
    truth = read_truth(Data(root))
    turned = truth[1].objects[0].T_camera_object @ make_transform(
        axis_rotation((0, 0, 1), np.radians(20.0)), np.zeros(3))
    stored = tmp_path / 'predictions.jsonl'
    write_predictions(stored, [
        FramePredictions(frame.name, (Prediction('car', 0.9, pose, np.ones(3)),))
        for frame, pose in zip(truth, (truth[0].objects[0].T_camera_object, turned),
                               strict=True)])
    answer = run(root, '--protocol', 'pascal3d', '--predictions', stored, '--out',
                 tmp_path / 'out')
    assert answer.exit_code == 0, answer.exception
    table = {row['category']: row for row in rows(tmp_path / 'out' / 'pascal3d-accuracy.json')}
    assert table['car']['error < pi/6, %'] == 100.0
    assert table['car']['error < pi/18, %'] == 50.0
    assert table['car']['mean ADD of found'] > 0.01
    assert (tmp_path / 'out' / 'pascal3d-accuracy.png').exists()


def test_photographs_need_their_cad_models(fakes, tmp_path):
    stored = tmp_path / 'predictions.jsonl'
    write_predictions(stored, [])
    assert 'is no PASCAL3D+ data' in fault(fakes, '--out', tmp_path / 'out', '--protocol',
                                           'pascal3d', '--predictions', stored)


def test_published_results_are_evaluated_without_images(tmp_path):
    frame = annotated_frame(0, objects=1)
    (mug,) = frame.objects
    write_published_results(tmp_path / 'results', [FrameTruth('scene_1/0000', (mug,))], [
        FramePredictions('scene_1/0000', (Prediction('mug', 0.5, mug.T_camera_object,
                                                     mug.size),))])
    answer = run(tmp_path / 'results', '--protocol', 'nocs', '--out', tmp_path / 'out')
    assert answer.exit_code == 0, answer.exception
    table = {row['category']: row for row in rows(tmp_path / 'out' / 'nocs-compat.json')}
    assert table['mug']['5°2cm, %'] == pytest.approx(100.0)
    assert (tmp_path / 'out' / 'pose-recall.json').exists()
    assert 'not bop' in fault(tmp_path / 'results', '--protocol', 'bop', '--out', tmp_path)
    assert 'leave --split, --frames' in fault(tmp_path / 'results', '--protocol', 'nocs',
                                              '--frames', 1, '--out', tmp_path)


def test_visibility_is_refused_where_the_protocol_has_its_own_rule(fakes, tmp_path):
    assert '--visibility 0.4 is for --protocol poses' in fault(
        fakes, '--out', tmp_path, '--protocol', 'pascal3d', '--visibility', 0.4, '--masks',
        'truth')


def test_published_figures_can_be_of_visible_objects_alone():
    mug = annotated_frame(0).objects[0]
    objects = tuple(replace(mug, instance_id=number, visibility=seen)
                    for number, seen in ((1, 0.9), (2, 0.1)))
    truth = [FrameTruth('a', objects[:1]), FrameTruth('b', objects[1:])]
    found = [FramePredictions('a', (Prediction('mug', 0.5, mug.T_camera_object, mug.size),))]
    shares = []
    for least in (0.0, 0.4):
        tables = published_tables(truth, found, {}, Judged(least))
        report = next(one for one in tables.reports if one.name == 'nocs-compat')
        row = next(row for row in (dict(zip(report.columns, cells, strict=True))
                               for cells in report.rows) if row['category'] == 'mug')
        shares.append((row['objects'], round(row['NOCS "IoU" > 0.5, %'])))
    assert shares == [(2, 50), (1, 100)]
