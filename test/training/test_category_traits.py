"""Symmetries of any category as batches use them."""

import numpy as np
import pytest

from pose_estimation_ros.core.categories import CATEGORIES, CATEGORY_NAMES, Category
from pose_estimation_ros.core.rotation import axis_rotation, random_rotation
from pose_estimation_ros.core.symmetry import Symmetry
from pose_estimation_ros.training.category_traits import category_traits


def turns(axis, *angles):
    return tuple(tuple(axis_rotation(axis, angle).ravel()) for angle in angles)


HALF_TURNS = Category('box', Symmetry(discrete=(
    *turns((0, 1, 0), np.pi), *turns((1, 0, 0), np.pi), *turns((0, 0, 1), np.pi))))
THIRD_TURNS = Category('plug', Symmetry(
    discrete=turns((0, 0, 1), 2 * np.pi / 3, 4 * np.pi / 3)))
ROD = Category('rod', Symmetry((1.0, 0.0, 0.0), turns((0, 1, 0), np.pi)))
CUSTOM = (HALF_TURNS, THIRD_TURNS, ROD)


@pytest.mark.parametrize('index', range(len(CUSTOM)), ids=[c.name for c in CUSTOM])
def test_equivalent_rotations_have_one_representative(index):
    generator = np.random.default_rng(index)
    traits, symmetry = category_traits(CUSTOM), CUSTOM[index].symmetry
    for _ in range(20):
        R = random_rotation(generator)
        spin = (np.eye(3) if symmetry.axis is None
                else axis_rotation(symmetry.axis, generator.uniform(0, 6)))
        other = R @ symmetry.rotations[generator.integers(len(symmetry.rotations))] @ spin
        S = traits.representative_turns(np.array([index, index]), np.stack([R, other]))
        np.testing.assert_allclose(R @ S[0], other @ S[1], atol=1e-6)
        # The turn is one of the category's symmetries.
        assert symmetry.rotation_error(S[0], np.eye(3)) < 1e-6


def test_what_has_no_symmetry_is_not_turned():
    R = np.stack([random_rotation(np.random.default_rng(seed)) for seed in range(4)])
    index = np.full(4, CATEGORY_NAMES.index('mug'))
    np.testing.assert_array_equal(category_traits().representative_turns(index, R),
                                  np.tile(np.eye(3), (4, 1, 1)))


def test_axes_that_a_symmetry_exchanges_are_stretched_alike():
    assert category_traits(CUSTOM).stretched_with.tolist() == [[0, 1, 2], [0, 0, 2], [0, 1, 1]]
    six = dict(zip(CATEGORY_NAMES, category_traits(CATEGORIES).stretched_with.tolist(),
                   strict=True))
    assert six['can'] == [0, 1, 0]
    assert six['mug'] == [0, 1, 2]


def test_a_camera_has_no_mirror_twin_and_unknown_categories_neither():
    mirrors = dict(zip(CATEGORY_NAMES, category_traits().mirrors, strict=True))
    assert not mirrors['camera'] and mirrors['mug']
    assert not category_traits(CUSTOM).mirrors.any()
