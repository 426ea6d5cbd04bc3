"""Likely stances are preferred, as far as the codes leave it open."""

import numpy as np
import pytest

from pose_estimation_ros.backends.disp6d_stance import stance_preference
from pose_estimation_ros.core.rotation import axis_rotation, random_rotation

X, Y = np.array([1.0, 0.0, 0.0]), np.array([0.0, 1.0, 0.0])


def leaning(degrees: float) -> np.ndarray:
    return axis_rotation(X, np.radians(degrees))


def test_objects_stand_rather_than_lie_and_float_least_of_all() -> None:
    standing, lying, upside_down, askew = stance_preference(
        np.stack([leaning(angle) for angle in (0, 90, 180, 45)]), Y)
    assert standing > upside_down > askew
    assert standing > lying > askew


def test_codes_that_differ_clearly_decide_alone() -> None:
    every = stance_preference(np.stack([leaning(angle) for angle in range(181)]), Y)
    assert np.ptp(every) < 0.2


@pytest.mark.parametrize('seed', range(20))
def test_turns_about_the_vertical_and_of_the_camera_change_nothing(seed: int) -> None:
    generator = np.random.default_rng(seed)
    R, camera = random_rotation(generator), random_rotation(generator)
    turned = axis_rotation(Y, 1.0) @ R
    preference = stance_preference(np.stack([R, turned]), Y)
    np.testing.assert_allclose(preference[1], preference[0], atol=1e-9)
    np.testing.assert_allclose(stance_preference((camera @ R)[None], camera @ Y), preference[:1],
                               atol=1e-9)
