from __future__ import annotations

import numpy as np
import pytest

from pose_estimation_ros.core.rotation import axis_rotation
from pose_estimation_ros.core.se3 import make_transform
from pose_estimation_ros.core.symmetry import NO_SYMMETRY, Y_AXIS_SYMMETRY, Symmetry
from pose_estimation_ros.datasets.annotated_frame import ObjectAnnotation
from pose_estimation_ros.evaluation.category_pool import pool
from pose_estimation_ros.evaluation.pose_accuracy import pose_error
from pose_estimation_ros.evaluation.pose_recall import (
    RECALL_COLUMNS,
    VISIBILITY_COLUMNS,
    answers,
    oriented_box_curves,
    recall_rows,
    true_errors,
    visibility_rows,
)
from pose_estimation_ros.evaluation.predictions import FramePredictions, FrameTruth, Prediction
from test.evaluation.nocs_fixture import fixture_frames

SIZE = np.array([0.1, 0.12, 0.08])
POSE = make_transform(axis_rotation((1, 2, 3), 0.5), (0.1, 0.0, 0.8))


def true(label: str, x: float, visibility: float = 1.0, symmetry: Symmetry = NO_SYMMETRY,
         handle: str = 'seen') -> ObjectAnnotation:
    return ObjectAnnotation(1, label, '', at(x), SIZE, symmetry, visibility,
                            handle_visible=handle == 'seen')


def at(x: float, turn: float = 0.0, axis: tuple[float, float, float] = (0, 1, 0)) -> np.ndarray:
    """Return a pose `x` metres to the side, turned by degrees about an axis of the object."""
    return make_transform(np.eye(3), (x, 0, 0)) @ POSE @ make_transform(
        axis_rotation(axis, np.radians(turn)), np.zeros(3))


def found(label: str, T: np.ndarray, score: float = 0.5) -> Prediction:
    return Prediction(label, score, T, SIZE)


def rows_of(objects: list[ObjectAnnotation], predictions: list[Prediction], label: str
            ) -> tuple[dict[str, object], list[dict[str, object]]]:
    """Return the category's row of recall and its rows by visibility, by column."""
    pooled = pool([(FrameTruth('a', tuple(objects)), FramePredictions('a', tuple(predictions)))],
                  label)
    answered = [answers(pooled, true_errors(pooled))]
    return (dict(zip(RECALL_COLUMNS, recall_rows(answered)[0], strict=True)),
            [dict(zip(VISIBILITY_COLUMNS, row, strict=True)) for row in visibility_rows(answered)])


def test_a_missed_object_counts_as_wrong_and_a_false_one_costs_precision() -> None:
    objects = [true('camera', x) for x in (0.0, 1.0, 2.0, 3.0)]
    row, _ = rows_of(objects, [found('camera', at(0.0)), found('camera', at(1.0, 8.0)),
                               found('camera', at(9.0)), found('mug', at(3.0))], 'camera')

    assert (row['objects'], row['predictions']) == (4, 3)
    assert row['recall 5°2cm, %'] == 25.0
    assert row['recall 10°5cm, %'] == 50.0
    assert row['precision 5°2cm, %'] == pytest.approx(100 / 3)
    assert row['precision 10°5cm, %'] == pytest.approx(200 / 3)
    assert row['located (box IoU > 0.1), %'] == 50.0
    assert row['median rotation, °'] == pytest.approx(8.0)
    assert row['rotation within 10°, %'] == row['rotation within 30°, %'] == 50.0


def test_a_rotation_counts_alone_wherever_its_box_overlaps_the_object() -> None:
    row, _ = rows_of([true('camera', x) for x in (0.0, 1.0)],
                     [found('camera', at(0.06, 15.0)), found('camera', at(1.0, 25.0))], 'camera')
    assert [row[f'rotation within {limit}°, %'] for limit in (10, 20, 30)] == [0.0, 50.0, 100.0]
    assert row['recall 10°5cm, %'] == 0.0


def test_an_object_found_twice_is_found_once() -> None:
    row, _ = rows_of([true('camera', 0.0)], [found('camera', at(0.0), score)
                                             for score in (0.9, 0.8)], 'camera')

    assert row['recall 5°2cm, %'] == 100.0
    assert row['precision 5°2cm, %'] == 50.0
    assert row['precision box IoU > 0.5, %'] == 50.0


def test_mostly_missed_objects_have_an_infinite_median_error() -> None:
    row, _ = rows_of([true('camera', x) for x in (0.0, 1.0, 2.0)], [found('camera', at(0.0))],
                     'camera')

    assert row['median rotation, °'] == np.inf
    assert row['median translation, cm'] == np.inf


@pytest.mark.parametrize(('label', 'handle', 'symmetry', 'recall'), [
    ('can', 'seen', NO_SYMMETRY, 0.0), ('can', 'seen', Y_AXIS_SYMMETRY, 100.0),
    ('mug', 'hidden', NO_SYMMETRY, 100.0),
    ('mug', 'seen', NO_SYMMETRY, 0.0), ('drill', 'hidden', NO_SYMMETRY, 0.0),
    ('drill', 'seen', Symmetry(axis=(0, 1, 0)), 100.0)])
def test_a_spin_costs_what_the_symmetry_as_seen_says(label: str, handle: str, symmetry: Symmetry,
                                                     recall: float) -> None:
    row, _ = rows_of([true(label, 0.0, 1.0, symmetry, handle)], [found(label, at(0.0, 50.0))],
                     label)

    assert row['recall 5°2cm, %'] == recall


def test_recall_is_told_by_visibility_with_unknown_ones_apart() -> None:
    objects = [true('camera', 0.0, 1.0), true('camera', 1.0, 0.5), true('camera', 2.0, 0.0),
               true('camera', 3.0, float('nan'))]
    _, rows = rows_of(objects, [found('camera', at(x)) for x in (0.0, 3.0)], 'camera')

    of_camera = {row['visibility']: row['recall 5°5cm, %'] for row in rows
                 if row['category'] == 'camera'}
    assert of_camera == {'0% to 25%': 0.0, '25% to 50%': 0.0, '75% to 100%': 100.0,
                         'unknown': 100.0}
    assert [row['objects'] for row in rows if row['category'] == 'all'] == [1, 1, 1, 1]


def test_errors_of_pairs_are_those_of_single_poses() -> None:
    pooled = pool(fixture_frames(), 'can')
    errors = true_errors(pooled)

    for pair in range(0, len(errors.overlap), 9):
        annotation = pooled.objects[pooled.pair_objects[pair]]
        prediction = pooled.pair_predictions[pair]
        alone = pose_error('can', annotation.symmetry, pooled.T_predicted[prediction],
                           pooled.size_predicted[prediction], annotation.T_camera_object,
                           annotation.size)
        assert errors.overlap[pair] == pytest.approx(alone.iou, abs=1e-9)
        assert errors.degrees[pair] == pytest.approx(alone.rotation, abs=1e-9)
        assert errors.centimetres[pair] == pytest.approx(alone.translation, abs=1e-9)


def test_average_precision_falls_with_false_objects_of_high_score() -> None:
    objects = (true('camera', 0.0),)
    for score, expected in ((0.1, 1.0), (0.9, 0.5)):
        pooled = pool([(FrameTruth('a', objects), FramePredictions(
            'a', (found('camera', at(0.0)), found('camera', at(5.0), score))))], 'camera')

        curves = oriented_box_curves([pooled], [true_errors(pooled)])

        assert curves.overlap_precision[0, 50] == pytest.approx(expected)
        assert curves.pose_precision[0, 5, 4] == pytest.approx(expected)
