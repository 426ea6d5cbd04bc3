"""Areas under the curve and reliabilities whose values are known."""

import numpy as np
import pytest

from pose_estimation_ros.core.rotation import axis_rotation
from pose_estimation_ros.core.se3 import make_transform
from pose_estimation_ros.core.symmetry import Y_AXIS_SYMMETRY
from pose_estimation_ros.datasets.annotated_frame import ObjectAnnotation
from pose_estimation_ros.evaluation.confidence_accuracy import (
    area_under_curve,
    confidence_reports,
    reliability_rows,
)
from pose_estimation_ros.evaluation.predictions import FramePredictions, FrameTruth, Prediction

SIZE = np.array([0.1, 0.1, 0.1])


def _area(right: list[float], wrong: list[float]) -> float:
    return area_under_curve(np.array(right + wrong),
                            np.array([True] * len(right) + [False] * len(wrong)))


@pytest.mark.parametrize(('right', 'wrong', 'area'), [
    ([0.9, 0.8], [0.1, 0.2, 0.3], 1.0),
    ([0.1], [0.5, 0.9], 0.0),
    ([0.5, 0.5], [0.5], 0.5),
    # Of the four comparisons two are won, one is drawn.
    ([0.9, 0.5], [0.5, 0.7], 0.625)])
def test_the_area_is_the_share_of_comparisons_won_with_draws_as_halves(
        right: list[float], wrong: list[float], area: float) -> None:
    assert _area(right, wrong) == pytest.approx(area)


def test_the_area_is_that_of_counting_all_pairs() -> None:
    generator = np.random.default_rng(0)
    scores, right = generator.integers(0, 20, 300) / 20, generator.random(300) < 0.4
    difference = scores[right][:, None] - scores[~right]
    assert area_under_curve(scores, right) == pytest.approx(
        (difference > 0).mean() + 0.5 * (difference == 0).mean())


def test_without_right_or_without_wrong_estimates_there_is_no_area() -> None:
    assert np.isnan(_area([0.5], []))
    assert np.isnan(_area([], [0.5, 0.7]))


def test_reliability_compares_scores_with_shares_in_fifths() -> None:
    scores = np.array([0.1, 0.15, 0.9, 0.95, 1.0, 0.5])
    right = np.array([False, True, True, True, False, True])
    rows = reliability_rows(scores, right)
    assert [row[0] for row in rows] == ['0.0 to 0.2', '0.4 to 0.6', '0.8 to 1.0']
    assert [row[1] for row in rows] == [2, 1, 3]
    assert rows[0][2:] == pytest.approx((12.5, 50.0))
    assert rows[2][2:] == pytest.approx((95.0, 200 / 3))


def test_a_higher_least_score_keeps_fewer_and_surer_estimates() -> None:
    objects = [ObjectAnnotation(1, 'camera', '', _pose(x), SIZE) for x in (0.0, 1.0, 2.0, 3.0)]
    estimates = [Prediction('camera', 0.6, _pose(0.0), SIZE),
                 Prediction('camera', 0.1, _pose(1.0), SIZE),
                 # A second estimate of an object, one turned too far, one that is no object's.
                 Prediction('camera', 0.09, _pose(1.0), SIZE),
                 Prediction('camera', 0.25, _pose(2.0, 40.0), SIZE),
                 Prediction('camera', 0.0, _pose(9.0), SIZE)]
    *_, table = confidence_reports([FrameTruth('a', tuple(objects))],
                                   [FramePredictions('a', tuple(estimates))], {})
    assert table.columns == ('least score', 'estimates', 'right', 'wrong',
                             'right of estimates, %', 'objects with a right estimate, %')
    assert table.rows == [(0.0, 5, 2, 3, 40.0, 50.0), (0.02, 4, 2, 2, 50.0, 50.0),
                          (0.05, 4, 2, 2, 50.0, 50.0),
                          (0.1, 3, 2, 1, pytest.approx(200 / 3), 50.0),
                          (0.2, 2, 1, 1, 50.0, 25.0), (0.3, 1, 1, 0, 100.0, 25.0),
                          (0.5, 1, 1, 0, 100.0, 25.0)]


def _pose(x: float, angle: float = 0.0) -> np.ndarray:
    return make_transform(axis_rotation((0, 1, 0), np.radians(angle)), (x, 0.0, 1.0))


def _rows(objects: list[ObjectAnnotation], estimates: list[Prediction]) -> dict[object, tuple]:
    table, *_ = confidence_reports([FrameTruth('a', tuple(objects))],
                                  [FramePredictions('a', tuple(estimates))], {})
    return {row[0]: row for row in table.rows}


def test_estimates_are_right_within_ten_degrees_and_two_centimetres() -> None:
    objects = [ObjectAnnotation(1, 'camera', '', _pose(x), SIZE) for x in (0.0, 1.0, 2.0, 3.0)]
    estimates = [Prediction('camera', 0.9, _pose(0.0, 9.9), SIZE),
                 Prediction('camera', 0.8, _pose(1.019), SIZE),
                 Prediction('camera', 0.3, _pose(2.0, 10.1), SIZE),
                 Prediction('camera', 0.2, _pose(3.021), SIZE),
                 # Belongs to no object.
                 Prediction('camera', 0.85, _pose(7.0), SIZE)]
    rows = _rows(objects, estimates)
    assert rows['camera'][1:3] == (2, 3)
    assert rows['camera'][4] == pytest.approx(5 / 6)
    assert rows['all'] == ('all', *rows['camera'][1:])


def test_turns_about_a_symmetry_axis_are_no_errors() -> None:
    can = ObjectAnnotation(1, 'can', '', _pose(0.0), SIZE, symmetry=Y_AXIS_SYMMETRY)
    assert _rows([can], [Prediction('can', 0.9, _pose(0.0, 120.0), SIZE)])['can'][1:3] == (1, 0)


def test_a_second_estimate_of_an_object_is_wrong() -> None:
    camera = ObjectAnnotation(1, 'camera', '', _pose(0.0), SIZE)
    twice = [Prediction('camera', score, _pose(0.0), SIZE) for score in (0.9, 0.4)]
    assert _rows([camera], twice)['camera'][1:3] == (1, 1)


def test_the_categories_are_joined_in_one_row() -> None:
    objects = [ObjectAnnotation(1, 'camera', '', _pose(0.0), SIZE),
               ObjectAnnotation(2, 'laptop', '', _pose(1.0), SIZE)]
    rows = _rows(objects, [Prediction('camera', 0.9, _pose(0.0), SIZE),
                           Prediction('laptop', 0.2, _pose(1.0, 90.0), SIZE)])
    assert np.isnan(rows['camera'][4]) and np.isnan(rows['laptop'][4])
    assert rows['all'][1:] == (1, 1, 50.0, 1.0)
