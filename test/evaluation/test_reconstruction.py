from __future__ import annotations

import numpy as np
import pytest

from pose_estimation_ros.core.errors import InvalidInputError
from pose_estimation_ros.evaluation.reconstruction import (
    ChamferDistance,
    chamfer_distance,
    chamfer_reports,
)

CUBE = np.array([[x, y, z] for x in (0, 1) for y in (0, 1) for z in (0, 1)], dtype=np.float64)


def test_a_shifted_cloud_has_the_closed_form_in_units_of_the_diagonal() -> None:
    distance = chamfer_distance('can', CUBE + (0.1, 0, 0), CUBE, diagonal=2.0)

    assert distance.squared == pytest.approx(2 * 0.05 ** 2)
    assert distance.root == pytest.approx(2 * 0.05)


def test_both_directions_count_each_with_its_own_mean() -> None:
    distance = chamfer_distance('can', np.zeros((5, 3)), np.array([[0, 0, 0], [3, 4, 0]], float),
                                diagonal=1.0)

    assert distance.squared == pytest.approx(0 + 25 / 2)
    assert distance.root == pytest.approx(0 + 5 / 2)


def test_it_equals_the_full_table_of_distances() -> None:
    generator = np.random.default_rng(0)
    points, true = generator.random((50, 3)), generator.random((70, 3))
    table = np.linalg.norm(points[:, None] - true[None], axis=2)

    distance = chamfer_distance('can', points, true, diagonal=1.0)

    assert distance.root == pytest.approx(table.min(1).mean() + table.min(0).mean())
    assert distance.squared == pytest.approx((table.min(1) ** 2).mean()
                                             + (table.min(0) ** 2).mean())


def test_the_two_definitions_get_tables_of_their_own_that_say_which_is_which() -> None:
    squared, root = chamfer_reports([ChamferDistance('mug', 0.002, 0.06),
                                     ChamferDistance('can', 0.001, 0.03),
                                     ChamferDistance('can', 0.003, 0.05)])

    assert squared.rows == [('can', 2, pytest.approx(2.0)), ('mug', 1, pytest.approx(2.0)),
                            ('mean', 3, pytest.approx(2.0))]
    assert root.rows == [('can', 2, pytest.approx(0.04)), ('mug', 1, pytest.approx(0.06)),
                         ('mean', 3, pytest.approx(0.05))]
    assert 'squared distance' in squared.settings['definition']
    assert 'not comparable with the squared' in root.settings['definition']


@pytest.mark.parametrize(('points', 'diagonal', 'message'), [
    (np.zeros((0, 3)), 1.0, "reconstructed points of a 'mug'"),
    (np.full((2, 3), np.nan), 1.0, 'NaN'), (CUBE, 0.0, 'diagonal')])
def test_points_that_cannot_be_compared_are_refused(points: np.ndarray, diagonal: float,
                                                    message: str) -> None:
    with pytest.raises(InvalidInputError, match=message):
        chamfer_distance('mug', points, CUBE, diagonal)
