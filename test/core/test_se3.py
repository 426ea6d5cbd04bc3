from __future__ import annotations

import numpy as np
from hypothesis import given

from pose_estimation_ros.core import se3
from test.core.strategies import poses


@given(poses())
def test_a_pose_times_its_inverse_is_the_identity(T: np.ndarray) -> None:
    np.testing.assert_allclose(T @ se3.inverse(T), np.eye(4), atol=1e-9)


@given(poses(), poses())
def test_transforms_chain(T_a_b: np.ndarray, T_b_c: np.ndarray) -> None:
    points = np.random.default_rng(0).standard_normal((4, 3))

    chained = se3.transform_points(T_a_b, se3.transform_points(T_b_c, points))

    np.testing.assert_allclose(chained, se3.transform_points(T_a_b @ T_b_c, points), atol=1e-9)


@given(poses())
def test_scaled_mirrored_and_broken_matrices_are_not_rigid(T: np.ndarray) -> None:
    scaled, mirrored, broken = T.copy(), T.copy(), T.copy()
    scaled[:3, :3] *= 1.1
    mirrored[:3, 0] *= -1
    broken[0, 3] = np.nan

    assert se3.is_rigid(T)
    assert not any(se3.is_rigid(bad) for bad in (scaled, mirrored, broken, T[:3]))
