from __future__ import annotations

import numpy as np
import pytest

from pose_estimation_ros.core.errors import InvalidInputError
from pose_estimation_ros.evaluation.nocs_tables import nocs_tables
from pose_estimation_ros.evaluation.report import Report
from test.evaluation.nocs_fixture import fixture_frames, published_tables

TRUTH, PREDICTIONS = (list(frames) for frames in zip(*fixture_frames(), strict=True))
TABLES = nocs_tables(TRUTH, PREDICTIONS, {'data': 'fixture'}, {'spd': 'ab12'})
BY_NAME = {report.name: report for report in TABLES.reports}


def value(report: Report, category: str, column: str) -> object:
    row = next(row for row in report.rows if row[0] == category)
    return row[report.columns.index(column)]


def test_the_published_table_holds_the_published_figures() -> None:
    expected = published_tables()
    report = BY_NAME['nocs-compat']

    for number, name in enumerate(('bottle', 'bowl', 'camera', 'can', 'laptop', 'mug', 'mean'), 1):
        of_boxes, of_poses = (expected[f'spd_{kind}_aps'][number] for kind in ('iou', 'pose'))
        for column, figure in (('NOCS "IoU" > 0.25, %', of_boxes[25]),
                               ('NOCS "IoU" > 0.75, %', of_boxes[75]),
                               ('5°2cm, %', of_poses[5, 4]), ('10°5cm, %', of_poses[10, 10])):
            assert value(report, name, column) == pytest.approx(100 * figure, abs=1e-9)
    assert value(BY_NAME['nocs-compat-accuracy'], 'can',
                 'NOCS "IoU" > 0.5, %') == 93.75


def test_both_protocols_are_told_apart_in_every_table_and_rows_fit_columns() -> None:
    for name, report in BY_NAME.items():
        protocol = 'nocs-compat' if name.startswith('nocs-compat') else 'oriented-box'
        assert report.settings['protocol'] == protocol
        assert report.settings['data'] == 'fixture'
        assert report.models == {'spd': 'ab12'}
        assert all(len(row) == len(report.columns) for row in report.rows)


def test_published_tables_tell_where_our_predictions_differ_from_published_ones() -> None:
    for name, report in BY_NAME.items():
        told = str(report.settings.get('scores and failures', ''))
        assert ('identity pose' in told) == name.startswith('nocs-compat')


def test_honest_figures_of_the_same_predictions_are_lower() -> None:
    for honest, published in (('box IoU > 0.75, %', 'NOCS "IoU" > 0.75, %'),
                              ('5°5cm, %', '5°5cm, %'), ('10°5cm, %', '10°5cm, %')):
        assert (value(BY_NAME['oriented-box'], 'mean', honest)
                < value(BY_NAME['nocs-compat'], 'mean', published) - 3)


def test_poses_without_the_gate_are_those_of_the_published_evaluation_without_it() -> None:
    expected = published_tables()['spd_nomatch_pose_aps'][7, 5, 10]

    assert value(BY_NAME['oriented-box'], 'mean', '5°5cm, %') == pytest.approx(100 * expected)


def test_curves_cover_boxes_rotation_and_translation_of_each_category() -> None:
    assert list(TABLES.panels) == ['nocs-compat', 'oriented-box']
    for panels in TABLES.panels.values():
        assert [len(panel.x) for panel in panels] == [101, 61, 21]
        assert all(len(panel.curves) == 7 for panel in panels)
    rotation = TABLES.panels['nocs-compat'][1].curves['mean']
    np.testing.assert_allclose(rotation, 100 * published_tables()['spd_pose_aps'][7, :-1, -1])


def test_a_frame_without_predictions_counts_as_missed() -> None:
    fewer = nocs_tables(TRUTH, PREDICTIONS[10:])

    recall = next(report for report in fewer.reports if report.name == 'pose-recall')
    assert recall.settings['frames without predictions'] == 10
    assert (value(recall, 'mean', 'recall 10°5cm, %')
            < value(BY_NAME['pose-recall'], 'mean', 'recall 10°5cm, %'))
    assert value(recall, 'mean', 'objects') == value(BY_NAME['pose-recall'], 'mean', 'objects')


def test_predictions_of_another_data_set_are_refused() -> None:
    with pytest.raises(InvalidInputError, match='have no truth'):
        nocs_tables(TRUTH[1:], PREDICTIONS)
