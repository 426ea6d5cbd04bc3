"""Looking at few rotations first finds the one that looking at all would find."""

import numpy as np

from pose_estimation_ros.backends.disp6d_rotation_search import RotationSearch
from pose_estimation_ros.core.hyperspherical_harmonics import quaternion_harmonics
from pose_estimation_ros.core.reference_rotations import reference_rotations
from pose_estimation_ros.core.rotation import random_rotation

FINE, COARSE = reference_rotations(2, 24).matrices(), reference_rotations(1, 12).matrices()


def test_the_best_rotation_is_among_the_promising_ones() -> None:
    search = RotationSearch(FINE, COARSE)
    generator = np.random.default_rng(0)
    codes, coarse_codes = quaternion_harmonics(FINE), quaternion_harmonics(search.coarse)
    found = 0
    for _ in range(200):
        code = quaternion_harmonics(random_rotation(generator))
        code += 0.1 * np.linalg.norm(code) * generator.normal(size=code.shape) / len(code) ** 0.5
        among = search.promising(lambda code=code: coarse_codes @ code)
        assert len(among) < 0.06 * len(FINE)
        found += int((codes @ code).argmax() in among)
    assert found == 200


def test_every_rotation_can_be_found() -> None:
    search = RotationSearch(FINE, COARSE)
    first = [search.promising(lambda index=index: np.eye(len(search.coarse))[index])
             for index in range(len(search.coarse))]
    assert set(np.concatenate(first)) == set(range(len(FINE)))


def test_fewer_rotations_than_are_looked_at_first_are_enough() -> None:
    search = RotationSearch(FINE[:5], COARSE)
    assert len(search.coarse) <= 5
    assert set(search.promising(lambda: np.arange(len(search.coarse)))) == set(range(5))


def test_without_coarse_rotations_all_are_looked_at() -> None:
    search = RotationSearch(FINE, COARSE[:0])
    np.testing.assert_array_equal(search.promising(lambda: np.zeros(0)), np.arange(len(FINE)))


def test_what_is_preferred_of_fine_rotations_counts_for_the_coarse_one_near_them() -> None:
    search = RotationSearch(FINE, COARSE)
    for wanted in range(0, len(FINE), 97):
        preferred = np.zeros(len(FINE))
        preferred[wanted] = 1.0
        assert wanted in search.promising(lambda values=preferred: search.best_nearby(values))
