import sys
from pathlib import Path

from pose_estimation_ros.evaluation.bop_vsd import MissingDepth, VsdSettings
from pose_estimation_ros.evaluation.tless import (
    Found,
    Task,
    TlessSettings,
    found_objects,
    recall_table,
)

sys.path.insert(0, str(Path(__file__).parent))

from known_objects import annotation, at, frame, model, prediction, predictions

MODELS = {'obj_000001': model(), 'obj_000002': model()}
EVERY_INSTANCE = TlessSettings(Task.EVERY_INSTANCE)


def test_one_instance_is_enough_where_one_is_asked_for():
    truth = frame(annotation(at(-0.1)), annotation(at(0.1)))
    found = found_objects(truth, predictions(prediction(at(0.1))), MODELS)
    assert found == [Found('obj_000001', targets=1, correct=1)]


def test_only_the_best_estimate_answers_where_one_is_asked_for():
    truth = frame(annotation(at(0.1)))
    estimates = predictions(prediction(at(0.1), 0.5), prediction(at(0.0), 0.6))
    assert found_objects(truth, estimates, MODELS) == [Found('obj_000001', 1, 0)]


def test_every_instance_is_asked_for_where_boxes_are_given():
    truth = frame(annotation(at(-0.1)), annotation(at(0.1)), annotation(at(0.0), visibility=0.05))
    found = found_objects(truth, predictions(prediction(at(0.1), 0.5), prediction(at(-0.1), 0.6)),
                          MODELS, EVERY_INSTANCE)
    assert found == [Found('obj_000001', targets=2, correct=2)]


def test_a_surface_20_mm_off_is_wrong_and_one_15_mm_off_is_right():
    truth = frame(annotation(at(0.0)))
    assert found_objects(truth, predictions(prediction(at(0.0, 0.62))), MODELS)[0].correct == 0
    assert found_objects(truth, predictions(prediction(at(0.0, 0.615))), MODELS)[0].correct == 1


def test_the_rule_of_2018_hides_what_the_sensor_did_not_see():
    truth = frame(annotation(at(0.0)))
    settings = TlessSettings(vsd=VsdSettings(missing_depth=MissingDepth.HIDDEN))
    found = found_objects(truth, predictions(prediction(at(0.0))), MODELS, settings)
    assert found == [Found('obj_000001', 1, 0)]


def test_the_table_states_pooled_and_mean_recall():
    report = recall_table([Found('obj_000001', 1, 1), Found('obj_000001', 2, 2),
                           Found('obj_000002', 1, 0)], 'tless', {})
    assert report.rows == [('all', 4, 75.0), ('mean', 4, 50.0), ('obj_000001', 3, 100.0),
                           ('obj_000002', 1, 0.0)]
