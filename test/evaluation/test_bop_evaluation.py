import sys
from dataclasses import replace
from pathlib import Path

import pytest

from pose_estimation_ros.core.errors import InvalidInputError
from pose_estimation_ros.evaluation.bop_evaluation import (
    BopSettings,
    BopSplit,
    bop_figures,
    bop_tables,
)
from pose_estimation_ros.evaluation.bop_results import (
    ResultName,
    as_predictions,
    as_results,
    read_results,
    write_results,
)
from pose_estimation_ros.evaluation.predictions import FramePredictions, Prediction
from pose_estimation_ros.evaluation.tless import Task, TlessSettings

sys.path.insert(0, str(Path(__file__).parent))

from known_objects import write_data_set

TARGETS = 'test_targets_bop19.json'


@pytest.fixture(scope='module')
def split(tmp_path_factory) -> BopSplit:
    root = tmp_path_factory.mktemp('bop')
    write_data_set(root)
    return BopSplit(root, 'test', TARGETS)


def predictions(split: BopSplit, objects: int) -> list[FramePredictions]:
    """Return the true poses of the first objects of each frame."""
    return [FramePredictions(truth.name, tuple(
        Prediction(o.label, 0.5, o.T_camera_object, o.size) for o in truth.objects[:objects]), 0.1)
        for truth in split.open()]


def rows(tables) -> dict[str, dict]:
    return {report.name: {row[0]: dict(zip(report.columns, row, strict=True))
                          for row in report.rows} for report in tables.reports}


def test_true_poses_of_two_of_three_objects_give_two_thirds(split: BopSplit):
    tables = rows(bop_tables(bop_figures(split, predictions(split, 2)), {}))
    assert tables['bop-average-recall']['all']['AR, %'] == pytest.approx(200 / 3)
    assert tables['bop-average-recall']['all']['targets'] == 6
    assert tables['bop-average-recall']['tin']['AR_VSD, %'] == pytest.approx(50.0)
    assert tables['bop-average-distance']['all']['ADD(-S) AUC, %'] == pytest.approx(
        200 / 3, abs=1e-3)
    assert 'tless-recall' not in tables


def test_the_tless_recall_is_counted_when_asked_for(split: BopSplit):
    settings = BopSettings(tless=TlessSettings(Task.EVERY_INSTANCE))
    tables = rows(bop_tables(bop_figures(split, predictions(split, 2), settings), {}))
    assert tables['tless-recall']['all']['targets'] == 6
    assert tables['tless-recall']['tin']['recall e_VSD < 0.3, %'] == pytest.approx(50.0)


def test_visible_objects_are_targets_where_none_are_listed(split: BopSplit):
    tables = rows(bop_tables(bop_figures(replace(split, targets=''), predictions(split, 3)), {}))
    assert tables['bop-average-recall']['all']['targets'] == 6
    assert tables['bop-average-recall']['all']['AR, %'] == pytest.approx(100.0)


def test_frames_without_predictions_are_misses(split: BopSplit):
    tables = rows(bop_tables(bop_figures(split, predictions(split, 3)[:1]), {'method': 'x'}))
    assert tables['bop-average-recall']['all']['AR, %'] == pytest.approx(50.0)


def test_a_result_file_gives_the_same_figures(split: BopSplit, tmp_path: Path):
    dataset = split.open()
    path = write_results(tmp_path, ResultName('true', 'boxes', 'test'),
                         as_results(predictions(split, 2), dataset))
    read = as_predictions(read_results(path), dataset)
    tables = rows(bop_tables(bop_figures(split, read), {}))
    assert tables['bop-average-recall']['all']['AR, %'] == pytest.approx(200 / 3)
    assert read[0].seconds == pytest.approx(0.1)


def test_curves_come_with_the_tables(split: BopSplit):
    tables = bop_tables(bop_figures(split, predictions(split, 3)), {})
    assert [panel.title for panel in tables.panels['bop-average-recall']] == ['VSD', 'MSSD',
                                                                              'MSPD']
    assert tables.panels['bop-average-distance'][0].curves['ADD'][-1] == 100.0


def test_predictions_for_other_frames_are_refused(split: BopSplit):
    with pytest.raises(InvalidInputError, match="'000009/000000'"):
        bop_figures(split, [FramePredictions('000009/000000', ())])
