"""Logistic regression with a quadratic penalty, fitted by Newton's method."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]

_MOST_STEPS = 50
_SMALLEST_STEP = 1e-9
# The first column is the intercept. It is hardly held back: a share of right answers is no fault.
_INTERCEPT_PENALTY = 1e-6


def fit_logistic(design: FloatArray, outcome: NDArray[np.bool_], penalty: float) -> FloatArray:
    """Return the weights whose sigmoid of `design @ weights` is the probability of the outcome.

    Args:
        design: (S, T), the first column ones.
        outcome: (S,).
        penalty: Half of it times the sum of the squared weights is added to the negative
            logarithm of the likelihood; positive.

    Returns:
        (T,) float64, the minimum: the problem is strictly convex.

    Source: T. Hastie, R. Tibshirani and J. Friedman, The Elements of Statistical Learning,
    section 4.4.1; steps are halved while they lead upwards.
    """
    penalties = np.full(design.shape[1], penalty)
    penalties[0] = _INTERCEPT_PENALTY
    weights = np.zeros(design.shape[1])
    loss = _loss(weights, design, outcome, penalties)
    for _ in range(_MOST_STEPS):
        likely = 1.0 / (1.0 + np.exp(-(design @ weights)))
        gradient = design.T @ (likely - outcome) + penalties * weights
        curvature = (design.T * (likely * (1.0 - likely))) @ design + np.diag(penalties)
        step = np.linalg.solve(curvature, gradient)
        while (tried := _loss(weights - step, design, outcome, penalties)) > loss:
            step /= 2.0
            if np.abs(step).max() < _SMALLEST_STEP:
                return weights
        weights, loss = weights - step, tried
        if np.abs(step).max() < _SMALLEST_STEP:
            break
    return weights


def _loss(weights: FloatArray, design: FloatArray, outcome: NDArray[np.bool_],
          penalties: FloatArray) -> float:
    odds = design @ weights
    return float((np.logaddexp(0.0, odds) - odds * outcome).sum()
                 + 0.5 * (penalties * weights ** 2).sum())
