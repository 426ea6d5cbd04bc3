"""The fit against what is known of it."""

import numpy as np
import pytest

from pose_estimation_ros.evaluation.logistic_regression import fit_logistic


def _design(count: int, seed: int) -> np.ndarray:
    values = np.random.default_rng(seed).standard_normal((count, 2))
    return np.concatenate([np.ones((count, 1)), values], axis=1)


def test_the_weights_that_made_the_outcomes_are_found() -> None:
    design, truth = _design(20000, 0), np.array([0.5, 1.5, -2.0])
    likely = 1 / (1 + np.exp(-design @ truth))
    outcome = np.random.default_rng(1).random(20000) < likely
    # The standard errors are about 0.03.
    np.testing.assert_allclose(fit_logistic(design, outcome, 1e-3), truth, atol=0.12)


def test_an_intercept_alone_is_the_log_odds_of_the_share() -> None:
    outcome = np.arange(100) < 80
    (intercept,) = fit_logistic(np.ones((100, 1)), outcome, 5.0)
    assert intercept == pytest.approx(np.log(4.0), abs=1e-6)


def test_outcomes_that_can_be_told_apart_leave_finite_weights_that_the_penalty_sets() -> None:
    design = _design(200, 2)
    outcome = design[:, 1] > 0
    weak, strong = (fit_logistic(design, outcome, penalty) for penalty in (1e-2, 10.0))
    assert np.isfinite(weak).all()
    assert weak[1] > 5 * strong[1] > 0
    # At the minimum the gradient of likelihood and penalty is zero.
    gradient = design.T @ (1 / (1 + np.exp(-design @ strong)) - outcome)
    np.testing.assert_allclose(gradient[1:] + 10.0 * strong[1:], 0.0, atol=1e-6)
