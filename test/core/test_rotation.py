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
def test_axis_angle_round_trip(R: np.ndarray) -> None:
    vector = rotation.matrix_to_axis_angle(R)

    np.testing.assert_allclose(rotation.axis_angle_to_matrix(vector), R, atol=1e-9)


@given(rotations(), st.floats(0.0, np.pi))
def test_the_angle_between_rotations_is_the_angle_turned(R: np.ndarray, angle: float) -> None:
    turned = R @ rotation.axis_rotation((0.3, -0.5, 0.8), angle)

    assert float(rotation.angle_between(R, turned)) == pytest.approx(angle, abs=1e-7)


@given(rotations())
def test_rotation_between_turns_one_direction_onto_the_other(R: np.ndarray) -> None:
    source, target = R[0], R[1] + 0.3 * R[0]

    turned = rotation.rotation_between(source, target) @ source

    np.testing.assert_allclose(turned, target / np.linalg.norm(target), atol=1e-9)


def test_rotation_between_opposite_directions_is_a_half_turn() -> None:
    R = rotation.rotation_between((0, 1, 0), (0, -1, 0))

    np.testing.assert_allclose(R @ (0, 1, 0), (0, -1, 0), atol=1e-12)
    assert np.linalg.det(R) == pytest.approx(1.0)
