"""Covariances of fitted poses against the errors that fits really make."""

import math

import numpy as np
import pytest

from pose_estimation_ros.core.alignment import Similarity, umeyama
from pose_estimation_ros.core.pose_covariance import (
    UNKNOWN_ANGLE,
    at_other_point,
    fit_covariance,
    turned,
    with_bounded_angles,
    with_unknown_spin,
)
from pose_estimation_ros.core.rotation import (
    axis_angle_to_matrix,
    axis_rotation,
    random_rotation,
)
from pose_estimation_ros.core.symmetry import NO_SYMMETRY, Y_AXIS_SYMMETRY, Symmetry

SCALE = 0.2


def _trials(number: int, points: int, sigma: float, seed: int = 0):
    """Return fits to noisy correspondences, and the true rotation and translation."""
    generator = np.random.default_rng(seed)
    # Off the origin and flat, so that every block of the matrix counts.
    source = generator.uniform(-0.4, 0.4, (points, 3)) * (1.0, 0.6, 0.3) + (0.1, 0.2, 0.0)
    R, t = random_rotation(generator), np.array([0.1, -0.2, 0.8])
    exact = SCALE * source @ R.T + t
    target = exact + sigma * generator.standard_normal((number, points, 3))
    sources = np.repeat(source[None], number, axis=0)
    fit = umeyama(sources, target, np.ones((number, points)))
    return fit, sources, target, R, t


def _errors(fit: Similarity, R: np.ndarray, t: np.ndarray) -> np.ndarray:
    """Return (B, 6) small errors: translations, then rotations about the camera's axes."""
    turn = fit.R @ R.T
    skew = np.stack([turn[:, 2, 1] - turn[:, 1, 2], turn[:, 0, 2] - turn[:, 2, 0],
                     turn[:, 1, 0] - turn[:, 0, 1]], axis=1) / 2.0
    return np.concatenate([fit.t - t, skew], axis=1)


def _normalised_squares(errors: np.ndarray, covariance: np.ndarray) -> np.ndarray:
    return np.einsum('bi,bij,bj->b', errors, np.linalg.inv(covariance), errors)


def _all(target: np.ndarray) -> np.ndarray:
    return np.ones(target.shape[:2], dtype=np.bool_)


@pytest.mark.parametrize('points', [40, 300])
def test_normalised_squared_errors_average_to_the_six_degrees_of_freedom(points: int) -> None:
    fit, source, target, R, t = _trials(1500, points, 0.003)
    covariance = fit_covariance(fit, source, target, _all(target))
    squares = _normalised_squares(_errors(fit, R, t), covariance)
    # The mean of 1500 values of variance 12 or a little more scatters by 0.09.
    assert squares.mean() == pytest.approx(6.0, abs=0.5)


def test_about_a_symmetry_axis_five_degrees_of_freedom_are_left() -> None:
    fit, source, target, R, t = _trials(1500, 200, 0.003)
    covariance = fit_covariance(fit, source, target, _all(target))
    covariance = np.stack([with_unknown_spin(one, rotation, Y_AXIS_SYMMETRY)
                           for one, rotation in zip(covariance, fit.R, strict=True)])
    nearest = Y_AXIS_SYMMETRY.nearest_rotations(fit.R, np.repeat(R[None], len(fit.R), axis=0))
    errors = _errors(Similarity(fit.scale, nearest, fit.t), R, t)
    assert _normalised_squares(errors, covariance).mean() == pytest.approx(5.0, abs=0.45)


def test_the_covariance_is_that_of_the_errors_element_by_element() -> None:
    fit, source, target, R, t = _trials(4000, 60, 0.002)
    stated = fit_covariance(fit, source, target, _all(target)).mean(axis=0)
    measured = np.cov(_errors(fit, R, t).T)
    deviation = np.sqrt(np.diag(measured))
    np.testing.assert_allclose(stated / np.outer(deviation, deviation),
                               measured / np.outer(deviation, deviation), atol=0.08)


def test_it_grows_with_the_square_of_the_noise_and_falls_with_the_number_of_points() -> None:
    quiet, loud, many = (_trials(200, points, sigma) for points, sigma in
                         ((100, 0.002), (100, 0.004), (1600, 0.002)))
    traces = [np.median(np.trace(fit_covariance(fit, source, target, _all(target))[:, :3, :3],
                                 axis1=1, axis2=2))
              for fit, source, target, _, _ in (quiet, loud, many)]
    assert traces[1] / traces[0] == pytest.approx(4.0, rel=0.1)
    assert traces[0] / traces[2] == pytest.approx(16.0, rel=0.3)


def test_correlated_observations_count_as_fewer() -> None:
    fit, source, target, _, _ = _trials(1, 400, 0.003)
    alone = fit_covariance(fit, source, target, _all(target))
    np.testing.assert_allclose(fit_covariance(fit, source, target, _all(target), 10.0),
                               40.0 * alone, rtol=0.02)
    np.testing.assert_array_equal(fit_covariance(fit, source, target, _all(target), 1e4), alone)


def test_turning_the_camera_turns_the_covariance() -> None:
    fit, source, target, _, _ = _trials(1, 50, 0.003)
    Q = axis_rotation((1.0, 2.0, -0.5), 1.1)
    turned = Similarity(fit.scale, Q @ fit.R, fit.t @ Q.T)
    both = np.kron(np.eye(2), Q)
    np.testing.assert_allclose(
        fit_covariance(turned, source, target @ Q.T, _all(target))[0],
        both @ fit_covariance(fit, source, target, _all(target))[0] @ both.T,
        rtol=1e-6, atol=1e-12)


def test_only_inliers_count() -> None:
    fit, source, target, _, _ = _trials(1, 80, 0.003)
    inliers = _all(target)
    inliers[0, 50:] = False
    spoilt_source, spoilt = source.copy(), target.copy()
    spoilt[0, 50:] += 3.0
    spoilt_source[0, 60:] = np.nan
    expected = fit_covariance(fit, source[:, :50], target[:, :50], inliers[:, :50])
    np.testing.assert_allclose(fit_covariance(fit, spoilt_source, spoilt, inliers), expected,
                               rtol=1e-9)


@pytest.mark.parametrize('spread', [(0.0, 0.0, 0.0), (0.3, 0.0, 0.0), (0.3, 0.2, 0.0)])
def test_points_that_do_not_determine_a_pose_leave_a_large_finite_covariance(
        spread: tuple[float, float, float]) -> None:
    source = np.random.default_rng(0).uniform(-1, 1, (1, 60, 3)) * spread
    fit = Similarity(np.array([SCALE]), np.eye(3)[None], np.array([[0.0, 0.0, 1.0]]))
    target = fit.apply(source)
    covariance = fit_covariance(fit, source, target, _all(target))[0]
    assert np.linalg.eigvalsh(covariance).min() > 0
    if spread[1] == 0:  # A line says nothing of the turn about itself.
        assert covariance[3, 3] == pytest.approx(UNKNOWN_ANGLE, rel=1e-3)
    none = fit_covariance(fit, source, target, ~_all(target))[0]
    assert np.linalg.eigvalsh(none).min() > 0
    assert none[3, 3] == pytest.approx(UNKNOWN_ANGLE)


def test_the_spin_of_a_round_object_is_unknown_in_its_own_direction_only() -> None:
    R = axis_rotation((0.3, 1.0, 0.2), 0.9)
    covariance = 1e-4 * np.eye(6)
    covariance[1, 4] = covariance[4, 1] = 5e-5
    round_ = with_unknown_spin(covariance, R, Y_AXIS_SYMMETRY)
    axis = np.concatenate([np.zeros(3), R[:, 1]])
    assert axis @ round_ @ axis == pytest.approx(math.pi ** 2 / 3)
    across = np.concatenate([np.zeros(3), R[:, 0]])
    assert across @ round_ @ across == pytest.approx(across @ covariance @ across)
    np.testing.assert_allclose(round_[:3, :3], covariance[:3, :3])
    np.testing.assert_allclose(round_[:3] @ axis, 0.0, atol=1e-15)
    assert np.linalg.eigvalsh(round_).min() > 0


def test_symmetries_without_an_axis_change_nothing() -> None:
    covariance = 1e-4 * np.eye(6)
    half_turn = Symmetry(discrete=((-1.0, 0, 0, 0, 1.0, 0, 0, 0, -1.0),))
    for symmetry in (NO_SYMMETRY, half_turn):
        np.testing.assert_array_equal(with_unknown_spin(covariance, np.eye(3), symmetry),
                                      covariance)


def test_another_point_moves_with_the_turns_of_the_object() -> None:
    generator = np.random.default_rng(4)
    root = generator.standard_normal((6, 6)) * 1e-4
    shift = np.array([0.1, -0.05, 0.2])
    errors = generator.standard_normal((40_000, 6)) @ root.T
    moved = errors.copy()
    moved[:, :3] += axis_angle_to_matrix(errors[:, 3:]) @ shift - shift
    expected = moved.T @ moved / len(moved)
    found = at_other_point(root @ root.T, shift)
    np.testing.assert_allclose(found, expected, atol=0.03 * np.abs(expected).max())
    assert np.abs(found - root @ root.T).max() > 0.1 * np.abs(expected).max()


@pytest.mark.parametrize('variance', [1e-4, 1.0, 1e9])
def test_a_bounded_angle_is_never_less_certain_than_any_angle(variance: float) -> None:
    origin = at_other_point(np.diag([1e-4] * 3 + [variance] * 3), np.array([0.1, 0.0, 0.0]))
    bounded = with_bounded_angles(origin)
    assert (np.diag(bounded)[3:] <= UNKNOWN_ANGLE).all()
    # The position that is unsure by the lever of the angle is as sure as that is.
    assert bounded[1, 1] == pytest.approx(1e-4 + 0.1 ** 2 * bounded[5, 5])


def test_what_is_sure_stays_as_it_is_when_angles_are_bounded() -> None:
    sure = at_other_point(1e-4 * np.eye(6), np.array([0.1, 0.0, 0.0]))
    np.testing.assert_allclose(with_bounded_angles(sure), sure, rtol=1e-4, atol=1e-12)


def test_rounding_leaves_a_turned_covariance_symmetric_however_large_it_is() -> None:
    R = random_rotation(np.random.default_rng(0))
    covariance = turned(np.diag([1e-4] * 3 + [1e12, 1e3, 1.0]), R)
    np.testing.assert_array_equal(covariance, covariance.T)
