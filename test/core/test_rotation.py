from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from pose_estimation_ros.core import rotation
from test.core.strategies import rotations


@given(rotations())
def test_quaternions_agree_with_scipy_and_are_canonical(R: np.ndarray) -> None:
    expected = Rotation.from_matrix(R).as_quat(canonical=True)

    quaternion = rotation.matrix_to_quaternion(R)

    assert quaternion[3] >= 0
    assert min(np.abs(quaternion - expected).max(), np.abs(quaternion + expected).max()) < 1e-9
    np.testing.assert_allclose(rotation.quaternion_to_matrix(quaternion), R, atol=1e-9)


@given(rotations())
def test_axis_angle_vectors_give_the_rotation(R: np.ndarray) -> None:
    vector = Rotation.from_matrix(R).as_rotvec()

    np.testing.assert_allclose(rotation.axis_angle_to_matrix(vector), R, atol=1e-9)


@given(rotations(), st.floats(0.0, np.pi))
def test_the_angle_between_rotations_is_the_angle_turned(R: np.ndarray, angle: float) -> None:
    turned = R @ rotation.axis_rotation((0.3, -0.5, 0.8), angle)

    assert float(rotation.angle_between(R, turned)) == pytest.approx(angle, abs=1e-7)


def test_an_axis_angle_vector_survives_the_matrix() -> None:
    vectors = np.array([[0.0, 0.0, 0.0], [1e-9, 0.0, 0.0], [0.3, -0.2, 0.9], [0.0, -3.1, 0.0]])
    matrices = rotation.axis_angle_to_matrix(vectors)
    np.testing.assert_allclose(rotation.matrix_to_axis_angle(matrices), vectors, atol=1e-12)


@given(st.floats(-1, 1), rotations())
def test_six_numbers_give_a_rotation_that_keeps_their_plane(along: float, R: np.ndarray
                                                            ) -> None:
    first, second = 2.5 * R[:, 0], 0.7 * R[:, 1] + along * R[:, 0]

    np.testing.assert_allclose(rotation.rotation_from_6d([*first, *second]), R, atol=1e-9)


def test_many_quaternions_give_the_rotations_of_each() -> None:
    quaternions = np.random.default_rng(0).standard_normal((4, 3, 4))
    together = rotation.quaternion_to_matrix(quaternions)

    assert together.shape == (4, 3, 3, 3)
    np.testing.assert_array_equal(together[2, 1], rotation.quaternion_to_matrix(quaternions[2, 1]))


@given(rotations(), st.floats(np.pi - 1e-6, np.pi))
def test_the_axis_is_known_of_turns_up_to_a_half(R: np.ndarray, angle: float) -> None:
    turned = rotation.axis_rotation(R[:, 0], angle)
    vector = rotation.matrix_to_axis_angle(turned)
    assert np.linalg.norm(vector) == pytest.approx(angle, abs=1e-9)
    np.testing.assert_allclose(rotation.axis_angle_to_matrix(vector), turned, atol=1e-9)


def test_half_turns_about_all_axes_come_together() -> None:
    halves = rotation.axis_rotation((0.0, 0.6, -0.8), np.array([np.pi, 0.0, -np.pi]))
    vectors = np.abs(rotation.matrix_to_axis_angle(halves))
    np.testing.assert_allclose(vectors / np.pi, [[0, 0.6, 0.8], [0, 0, 0], [0, 0.6, 0.8]],
                               atol=1e-9)


@given(rotations(), st.integers(0, 10_000))
def test_a_rotation_of_few_digits_becomes_one_beside_it(R: np.ndarray, seed: int) -> None:
    printed = R + np.random.default_rng(seed).uniform(-5e-4, 5e-4, (2, 3, 3))
    found = rotation.nearest_rotation(printed)
    np.testing.assert_allclose(found @ np.swapaxes(found, 1, 2), [np.eye(3)] * 2, atol=1e-12)
    np.testing.assert_allclose(np.linalg.det(found), 1.0)
    np.testing.assert_allclose(found, printed, atol=2e-3)


def test_what_mirrors_becomes_a_rotation_too() -> None:
    found = rotation.nearest_rotation(np.diag([1.0, 1.0, -1.0]))
    assert np.linalg.det(found) == pytest.approx(1.0)
