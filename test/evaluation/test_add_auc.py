import sys
from pathlib import Path

import numpy as np
import pytest

from pose_estimation_ros.evaluation.add_auc import (
    accuracy_panel,
    area_under_curve,
    distance_errors,
    distance_table,
)
from pose_estimation_ros.evaluation.bop_symmetries import SymmetryTransforms

sys.path.insert(0, str(Path(__file__).parent))

from known_objects import HALF_TURN, annotation, at, frame, model, prediction, predictions

from pose_estimation_ros.evaluation.predictions import FrameTruth

MODELS = {'obj_000001': model(), 'obj_000002': model(SymmetryTransforms.of(HALF_TURN[None], []))}


def errors_of(truth, estimates, label: str = 'obj_000001', count: int = 1):
    return distance_errors(FrameTruth.of(truth), estimates, {label: count}, MODELS)


def test_the_area_is_that_under_the_accuracy_curve():
    errors = np.array([0.0, 0.02, 0.05, 0.2, np.inf])
    thresholds = (np.arange(100_000) + 0.5) / 100_000 * 0.1
    accuracy = (errors[:, None] < thresholds).mean(axis=0)
    assert area_under_curve(errors) == pytest.approx(accuracy.mean(), abs=1e-5)
    assert area_under_curve(errors) == pytest.approx((1.0 + 0.8 + 0.5) / 5)
    assert np.isnan(area_under_curve(np.zeros(0)))


def test_a_moved_object_has_the_distance_of_the_move():
    entry, = errors_of(frame(annotation(at(0.0))), predictions(prediction(at(0.01))))
    np.testing.assert_allclose(entry.add, [0.01])
    np.testing.assert_allclose(entry.adds, [0.01])


def test_an_object_that_is_not_found_is_infinitely_far_off():
    entry, = errors_of(frame(annotation(at(0.0))), predictions())
    assert entry.add.tolist() == entry.adds.tolist() == [np.inf]


def test_symmetric_objects_take_the_nearest_vertices():
    half_turned = predictions(prediction(at(0.0) @ HALF_TURN, label='obj_000002'))
    entry, = errors_of(frame(annotation(at(0.0), label='obj_000002')), half_turned, 'obj_000002')
    # The corners of the box move along the diagonal of its base, 6 by 8 cm.
    np.testing.assert_allclose(entry.add, [0.1])
    np.testing.assert_allclose(entry.adds, [0.0], atol=1e-9)
    assert entry.add_or_adds is entry.adds


def test_of_several_instances_each_gets_its_own_estimate():
    truth = frame(annotation(at(-0.1)), annotation(at(0.1)))
    entry, = errors_of(truth, predictions(prediction(at(0.12), 0.5), prediction(at(-0.07), 0.9)),
                       count=2)
    np.testing.assert_allclose(entry.add, [0.03, 0.02])


def test_the_table_pools_all_objects_first():
    errors = [*errors_of(frame(annotation(at(0.0))), predictions(prediction(at(0.01)))),
              *errors_of(frame(annotation(at(0.0), label='obj_000002')), predictions(),
                         'obj_000002')]
    report = distance_table(errors, 'add', {})
    by_name = {row[0]: dict(zip(report.columns, row, strict=True)) for row in report.rows}
    assert list(by_name) == ['all', 'obj_000001', 'obj_000002']
    assert by_name['all']['targets'] == 2
    assert by_name['all']['ADD(-S) AUC, %'] == pytest.approx(45.0)
    assert by_name['obj_000001']['ADD AUC, %'] == pytest.approx(90.0)
    # A tenth of the diameter is 14 mm.
    assert by_name['obj_000001']['ADD < 0.1 d, %'] == 100.0
    assert by_name['obj_000002']['ADD-S < 0.1 d, %'] == 0.0


def test_the_curve_rises_at_the_error():
    panel = accuracy_panel(errors_of(frame(annotation(at(0.0))),
                                     predictions(prediction(at(0.0201)))))
    add = panel.curves['ADD']
    assert add[panel.x < 2.0].max() == 0.0
    assert add[panel.x > 2.05].min() == 100.0
