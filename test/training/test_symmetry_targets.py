"""The representative of a symmetric object's rotation and the NOCS targets that go with it."""

import numpy as np
from scipy.spatial.transform import Rotation

from pose_estimation_ros.training.symmetry_targets import (
    canonical_turn,
    symmetric_targets,
)


def _batch(count: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    generator = np.random.default_rng(seed)
    rotation = Rotation.random(count, random_state=seed).as_matrix()
    return rotation, generator.uniform(-0.5, 0.5, (count, 20, 3))


def test_every_turn_of_a_symmetric_object_has_the_same_targets() -> None:
    rotation, nocs = _batch(1)
    symmetric = np.array([True])
    expected_rotation, expected_nocs = symmetric_targets(rotation, nocs, symmetric)
    for angle in (0.3, 2.0, -3.0):
        turn = Rotation.from_euler('y', angle).as_matrix()
        turned = symmetric_targets(rotation @ turn, nocs @ turn, symmetric)
        np.testing.assert_allclose(turned[0], expected_rotation, atol=1e-12)
        np.testing.assert_allclose(turned[1], expected_nocs, atol=1e-12)


def test_the_observed_points_stay_where_they_are() -> None:
    rotation, nocs = _batch(8)
    new_rotation, new_nocs = symmetric_targets(rotation, nocs, np.arange(8) % 2 == 0)
    before = nocs @ rotation.transpose(0, 2, 1)
    np.testing.assert_allclose(new_nocs @ new_rotation.transpose(0, 2, 1), before, atol=1e-12)


def test_only_symmetric_objects_are_turned_to_the_representative() -> None:
    rotation, nocs = _batch(8)
    symmetric = np.arange(8) < 4
    new_rotation, new_nocs = symmetric_targets(rotation, nocs, symmetric)
    np.testing.assert_array_equal(new_rotation[4:], rotation[4:])
    np.testing.assert_array_equal(new_nocs[4:], nocs[4:])
    np.testing.assert_allclose(new_rotation[:4, 0, 2], new_rotation[:4, 2, 0], atol=1e-12)
    assert (new_rotation[:4, 0, 0] + new_rotation[:4, 2, 2] > 0).all()


def test_an_undetermined_turn_leaves_the_object_alone() -> None:
    upside_down = np.diag([1.0, -1.0, -1.0])
    np.testing.assert_array_equal(canonical_turn(upside_down), np.eye(3))
