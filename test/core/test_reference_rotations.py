"""Rotations of code books: those that were published, and evenly spread ones of ours."""

from pathlib import Path

import numpy as np
import pytest

from pose_estimation_ros.core.errors import ConfigurationError
from pose_estimation_ros.core.reference_rotations import (
    icosphere_directions,
    published_reference_rotations,
    reference_rotations,
)
from pose_estimation_ros.core.rotation import angle_between, random_rotation
from pose_estimation_ros.core.so3_grid import axis_deviation

PUBLISHED = np.load(Path(__file__).parents[1] / 'data/disp6d/rotations.npz')
# Their azimuths are equal to rounding, and so is their order.
LAST_RING = slice(2546, 2562)


def test_the_published_rotations_come_in_the_published_order() -> None:
    ours = published_reference_rotations()
    assert len(ours) == 92232
    np.testing.assert_allclose(ours.views[:LAST_RING.start],
                               PUBLISHED['view_R'][:LAST_RING.start], atol=1e-12)
    np.testing.assert_allclose(ours.turns, PUBLISHED['inplane'], atol=1e-12)
    np.testing.assert_allclose(ours.matrices()[PUBLISHED['sample_idx']], PUBLISHED['sample_R'],
                               atol=1e-12)


def test_the_last_ring_holds_the_published_rotations_in_any_order() -> None:
    ours, theirs = (np.unique(np.round(views[LAST_RING].reshape(-1, 9) + 0.0, 9), axis=0)
                    for views in (published_reference_rotations().views, PUBLISHED['view_R']))
    np.testing.assert_allclose(ours, theirs)


@pytest.mark.parametrize(('splits', 'count'), [(0, 12), (1, 42), (2, 162), (3, 642)])
def test_directions_are_different_unit_vectors(splits: int, count: int) -> None:
    directions = icosphere_directions(splits)
    assert len(np.unique(np.round(directions, 6), axis=0)) == len(directions) == count
    np.testing.assert_allclose(np.linalg.norm(directions, axis=1), 1.0)


def test_a_rotation_of_a_set_is_found_by_its_two_numbers() -> None:
    rotations = reference_rotations(1, 5)
    np.testing.assert_allclose(rotations.matrices()[7 * 5 + 3], rotations.matrix(7, 3))


def test_rotations_are_as_near_to_any_other_as_their_number_promises() -> None:
    rotations = reference_rotations(2, 24).matrices()
    generator = np.random.default_rng(0)
    nearest = np.array([angle_between(rotations, random_rotation(generator)).min()
                        for _ in range(300)])
    assert nearest.max() < np.radians(12.0)
    about_each_axis = np.sqrt(np.mean(nearest ** 2) / 3)
    np.testing.assert_allclose(about_each_axis, axis_deviation(len(rotations)), rtol=0.05)


def test_rotations_without_a_turn_are_refused() -> None:
    with pytest.raises(ConfigurationError, match='1 or more turns'):
        reference_rotations(3, 0)
