from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from pose_estimation_ros.backends.correspondences import solve_poses
from pose_estimation_ros.core.rotation import angle_between
from test.core.strategies import poses


@settings(max_examples=30)
@given(poses(), st.floats(0.05, 0.5), st.integers(0, 1000))
def test_pose_and_size_follow_from_exact_correspondences(T: np.ndarray, diagonal: float,
                                                         seed: int) -> None:
    nocs = np.random.default_rng(seed).uniform(-0.3, 0.3, (1, 256, 3))
    points = diagonal * nocs @ T[:3, :3].T + T[:3, 3]

    result = solve_poses(points, nocs, np.ones((1, 256)), nocs)

    assert result.valid[0]
    np.testing.assert_allclose(result.T_camera_object[0], T, atol=1e-7)
    np.testing.assert_allclose(result.size[0], 2 * diagonal * np.abs(nocs[0]).max(axis=0),
                               rtol=1e-6)


def test_points_the_network_takes_for_background_have_no_say() -> None:
    generator = np.random.default_rng(0)
    nocs = generator.uniform(-0.3, 0.3, (1, 256, 3))
    points = 0.2 * nocs + (0.0, 0.0, 1.0)
    membership = np.ones((1, 256))
    membership[0, :150] = 0.1
    points[0, :150] += (0.3, 0.0, 0.4)

    result = solve_poses(points, nocs, membership, nocs)

    assert float(angle_between(result.T_camera_object[0, :3, :3], np.eye(3))) < 1e-6
    assert result.inlier_ratio[0] == 1.0


def test_correspondences_without_any_agreement_are_refused() -> None:
    generator = np.random.default_rng(0)
    nocs = generator.uniform(-0.3, 0.3, (1, 256, 3))
    points = generator.uniform(-0.3, 0.3, (1, 256, 3)) + (0, 0, 1)

    assert not solve_poses(points, nocs, np.ones((1, 256)), nocs).valid[0]


def test_the_covariance_says_how_far_the_pose_may_be_off() -> None:
    generator = np.random.default_rng(0)
    nocs = np.repeat(generator.uniform(-0.3, 0.3, (1, 256, 3)), 2, axis=0)
    points = 0.2 * nocs + (0.0, 0.0, 1.0)
    points[0] += 0.001 * generator.standard_normal((256, 3))
    points[1] += 0.002 * generator.standard_normal((256, 3))

    covariance = solve_poses(points, nocs, np.ones((2, 256)), nocs).covariance

    # All points of an object err alike, so that their number gains nothing; their centre is
    # nearly the object's origin.
    deviation = np.sqrt(covariance[:, :3, :3].diagonal(axis1=1, axis2=2))
    np.testing.assert_allclose(deviation[0], 0.001, rtol=0.1)
    np.testing.assert_allclose(deviation[1], 0.002, rtol=0.1)


def test_a_pose_that_is_refused_has_an_unknown_rotation() -> None:
    generator = np.random.default_rng(0)
    nocs = generator.uniform(-0.3, 0.3, (1, 64, 3))
    points = generator.uniform(-0.3, 0.3, (1, 64, 3)) + (0, 0, 1)

    covariance = solve_poses(points, np.zeros_like(nocs), np.ones((1, 64)), nocs).covariance[0]

    np.testing.assert_allclose(np.diag(covariance)[3:], np.pi ** 2 / 3, rtol=1e-6)
