from __future__ import annotations

import numpy as np
import pytest

from pose_estimation_ros.evaluation.average_precision import average_precision


def area(right: list[bool], truths: int) -> float:
    """Return the average precision of predictions in order of score."""
    scores = np.linspace(1.0, 0.1, len(right))
    return float(average_precision(np.array(right)[:, None], scores, truths)[0])


@pytest.mark.parametrize(('right', 'truths', 'expected'), [
    ([True, True], 2, 1.0),
    ([True, False], 2, 0.5),
    ([False, True], 1, 0.5),
    # The envelope: at recall 1/2 the best precision to come is 2/3.
    ([False, True, True], 2, 2 / 3),
    ([True, False, True, False, True], 4, (1 + 2 / 3 + 3 / 5) / 4),
    ([False, False], 3, 0.0),
])
def test_it_is_the_area_under_the_envelope_of_precision(right: list[bool], truths: int,
                                                        expected: float) -> None:
    assert area(right, truths) == pytest.approx(expected, abs=1e-7)


def test_the_order_is_that_of_the_scores_and_thresholds_are_independent() -> None:
    matched = np.array([[True, False], [False, True], [False, True]])
    scores = np.array([0.2, 0.9, 0.5])

    first, second = average_precision(matched, scores, 2)

    assert first == pytest.approx(1 / 6, abs=1e-7)
    assert second == pytest.approx(1.0)


def test_more_thresholds_than_fit_at_once_are_all_computed() -> None:
    matched = np.arange(150)[None, :] >= 75

    areas = average_precision(matched, np.array([0.5]), 1)

    np.testing.assert_array_equal(areas, (np.arange(150) >= 75).astype(float))


def test_nothing_predicted_is_zero_and_nothing_to_find_is_not_a_number() -> None:
    assert average_precision(np.zeros((0, 1), dtype=bool), np.zeros(0), 3)[0] == 0.0
    assert np.isnan(average_precision(np.zeros((2, 1), dtype=bool), np.ones(2), 0)[0])
