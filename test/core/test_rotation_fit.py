from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from pose_estimation_ros.core.alignment import sample_similarity, umeyama
from pose_estimation_ros.core.rotation_fit import fitted_rotation


@given(st.integers(0, 10_000), st.integers(3, 8), st.floats(1e-3, 1e3))
def test_rotations_and_traces_are_those_of_the_singular_value_decomposition(
        seed: int, points: int, unit: float) -> None:
    generator = np.random.default_rng(seed)
    source, target = unit * generator.standard_normal((2, 40, points, 3))
    covariance = np.swapaxes(target, 1, 2) @ source

    R, trace = fitted_rotation(covariance)

    U, singular, Vt = np.linalg.svd(covariance)
    sign = np.sign(np.linalg.det(U @ Vt))
    U[:, :, 2] *= sign[:, None]
    singular[:, 2] *= sign
    np.testing.assert_allclose(trace, singular.sum(axis=1), rtol=1e-6)
    # Where two rotations are nearly as good, either may be found.
    clear = singular[:, 1] + singular[:, 2] > 0.05 * singular[:, 0]
    np.testing.assert_allclose(R[clear], (U @ Vt)[clear], atol=1e-5)
    np.testing.assert_allclose(np.linalg.det(R), 1.0, atol=1e-9)


@given(st.integers(0, 10_000))
def test_similarities_of_samples_are_the_least_squares_ones(seed: int) -> None:
    generator = np.random.default_rng(seed)
    source = generator.standard_normal((30, 5, 3))
    target = 0.3 * source[..., [1, 2, 0]] + generator.normal(0.0, 0.02, source.shape) + (0, 0, 1)

    ours, exact = sample_similarity(source, target), umeyama(source, target, np.ones((30, 5)))

    np.testing.assert_allclose(ours.scale, exact.scale, rtol=1e-6)
    np.testing.assert_allclose(ours.R, exact.R, atol=1e-6)
    np.testing.assert_allclose(ours.t, exact.t, atol=1e-6)


def test_nothing_to_go_by_gives_no_rotation() -> None:
    R, trace = fitted_rotation(np.zeros((2, 3, 3)))

    assert np.isnan(R).all()
    np.testing.assert_array_equal(trace, 0.0)


def test_samples_of_one_point_give_no_scale() -> None:
    same = np.ones((1, 5, 3))

    assert not sample_similarity(same, same).scale[0] > 0
