"""Harmonics of rotations are the published ones, or smooth ones that tell rotations apart."""

from pathlib import Path

import numpy as np
import pytest

from pose_estimation_ros.core.errors import ConfigurationError
from pose_estimation_ros.core.hyperspherical_harmonics import (
    encode_rotations,
    encoding_size,
    published_harmonics,
    quaternion_harmonics,
)
from pose_estimation_ros.core.rotation import angle_between, axis_rotation, random_rotation

FIXTURE = Path(__file__).parents[1] / 'data' / 'disp6d' / 'harmonics.npz'


def _rotations(count: int) -> np.ndarray:
    generator = np.random.default_rng(0)
    return np.stack([random_rotation(generator) for _ in range(count)])


def test_published_harmonics_agree_to_1e_14() -> None:
    with np.load(FIXTURE) as file:
        np.testing.assert_allclose(published_harmonics(file['R']), file['harmonics'],
                                   rtol=0, atol=1e-14)
        np.testing.assert_allclose(published_harmonics(file['R'], turn=0.0),
                                   file['without_turn'], rtol=0, atol=1e-14)


def test_published_harmonics_lose_the_first_turn_of_an_axis_that_stays() -> None:
    tilted = axis_rotation((1, 0, 0), 1e-3)
    turned = tilted @ axis_rotation((0, 0, 1), [0.0, 3.0])
    assert angle_between(turned[0], turned[1]) == pytest.approx(3.0)
    apart = np.diff(published_harmonics(turned), axis=0)
    assert np.linalg.norm(apart) < 2e-3
    # Ours do not.
    assert np.linalg.norm(np.diff(quaternion_harmonics(turned), axis=0)) > 1.0


def test_ours_depend_in_their_products_on_the_angle_alone() -> None:
    R = _rotations(50)
    harmonics = quaternion_harmonics(R)
    length = np.linalg.norm(harmonics, axis=1)
    np.testing.assert_allclose(length, length[0], rtol=1e-12)
    turn = axis_rotation((0.6, 0.0, 0.8), 0.4)
    alike = np.einsum('nk,nk->n', harmonics, quaternion_harmonics(R @ turn)) / length ** 2
    np.testing.assert_allclose(alike, alike[0], rtol=1e-10)
    assert 0.3 < alike[0] < 0.9


def test_ours_are_independent_functions() -> None:
    harmonics = quaternion_harmonics(_rotations(3000))
    assert np.linalg.matrix_rank(harmonics) == 164
    spread = harmonics.T @ harmonics / len(harmonics)
    np.testing.assert_allclose(spread, spread[0, 0] * np.eye(164), atol=0.12 * spread[0, 0])


@pytest.mark.parametrize(('encoding', 'size'), [('published', 128), ('quaternion', 164)])
def test_rotations_of_any_arrangement_are_encoded(encoding: str, size: int) -> None:
    R = _rotations(6).reshape(2, 3, 3, 3)
    encoded = encode_rotations(R, encoding)
    assert encoding_size(encoding) == size
    assert encoded.shape == (2, 3, size)
    np.testing.assert_allclose(encoded[1, 2], encode_rotations(R[1, 2], encoding), atol=1e-14)


def test_an_unknown_encoding_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="no encoding 'euler' .* quaternion, published"):
        encode_rotations(np.eye(3), 'euler')
