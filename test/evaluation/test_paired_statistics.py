"""Figures over the same instances: known values, and how wide their intervals are."""

import numpy as np
import pytest
from scipy.stats import norm

from pose_estimation_ros.core.errors import InvalidInputError
from pose_estimation_ros.evaluation.paired_statistics import (
    Interval,
    median,
    median_difference,
    paired_difference,
    share,
)


def answers(right: float, shape=(2, 1000), seed=0):
    return np.random.default_rng(seed).random(shape) < right


def test_the_difference_is_that_of_the_shares():
    better = np.array([[True, True, True, False], [True, True, False, False]])
    worse = np.array([[True, False, False, False], [True, True, False, False]])
    assert paired_difference(better, worse).value == pytest.approx(25.0)
    assert paired_difference(worse, better).value == pytest.approx(-25.0)
    assert share(better).value == pytest.approx(62.5)


def test_equal_answers_have_no_difference_for_certain():
    hits = answers(0.6)
    assert paired_difference(hits, hits) == Interval(0.0, 0.0, 0.0)
    assert not paired_difference(hits, hits).excludes_zero


def test_the_interval_of_a_share_has_the_width_of_a_binomial_distribution():
    hits = np.tile(answers(0.5, (1, 1000)), (2, 1))
    found = share(hits)
    assert found.high - found.low == pytest.approx(2 * 1.96 * 100 * np.sqrt(0.25 / 1000), rel=0.1)
    assert found.low < found.value < found.high


def test_pairing_leaves_out_how_hard_the_instances_are():
    worse = answers(0.5)
    better = worse.copy()
    better[:, :50] = True
    paired = paired_difference(better, worse)
    # The same number of other instances right, but not the same ones.
    apart = paired_difference(better[:, ::-1], worse)
    assert apart.value == pytest.approx(paired.value)
    assert paired.low > 0.0
    assert not apart.excludes_zero
    assert apart.high - apart.low > 3 * (paired.high - paired.low)


def test_seeds_that_differ_widen_the_interval():
    base = np.zeros((2, 1000), bool)
    alike, unlike = base.copy(), base.copy()
    alike[:, :100] = True
    unlike[0, :200] = True
    assert paired_difference(alike, base).value == paired_difference(unlike, base).value == 10.0
    assert paired_difference(alike, base).excludes_zero
    assert paired_difference(unlike, base).low == 0.0


def test_the_interval_covers_the_truth_about_as_often_as_it_says():
    generator = np.random.default_rng(5)
    covered = 0
    for _ in range(30):
        shared = generator.random((1, 200)) < 0.5
        worse = np.tile(shared, (2, 1))
        better = np.tile(shared ^ (generator.random((1, 200)) < 0.2), (2, 1))
        found = paired_difference(better, worse)
        covered += found.low <= 0.0 <= found.high
    assert 26 <= covered <= 30


@pytest.mark.parametrize('shapes', [((2, 5), (2, 6)), ((5,), (5,)), ((2, 0), (2, 0))])
def test_answers_that_do_not_belong_together_are_refused(shapes):
    with pytest.raises(InvalidInputError, match='cannot be compared'):
        paired_difference(*(np.zeros(shape, bool) for shape in shapes))


def test_shares_of_answers_count_as_shares():
    assert share(np.array([[0.5, 1.0], [0.0, 0.1]])).value == pytest.approx(40.0)


def test_medians_are_over_all_seeds_and_instances():
    errors = np.array([[1.0, 2.0, 30.0], [3.0, 4.0, 5.0]])
    found = median(errors)
    assert found.value == pytest.approx(3.5)
    assert 1.0 <= found.low < found.value < found.high <= 30.0


def test_the_interval_of_a_median_has_the_width_of_its_distribution():
    errors = norm.ppf((np.arange(500) + 0.5) / 500)[None]
    found = median(errors)
    # The standard error of a normal distribution's median is sqrt(pi / 2) that of its mean.
    assert found.high - found.low == pytest.approx(2 * 1.96 * np.sqrt(np.pi / 2 / 500), rel=0.1)
    assert found.value == pytest.approx(0.0, abs=1e-6)


def test_pairing_leaves_out_of_medians_what_is_common():
    errors = np.random.default_rng(3).normal(10.0, 5.0, (2, 500))
    found = median_difference(errors, errors - 1.0)
    assert found.low == pytest.approx(1.0)
    assert found.high == pytest.approx(1.0)
    with pytest.raises(InvalidInputError, match='cannot be compared'):
        median_difference(errors, errors[:1])


def test_medians_that_are_infinite_on_both_sides_differ_by_nothing():
    """Where about half of the objects are missed, the median of some draws is infinite."""
    errors = np.concatenate([np.linspace(1, 2, 51), np.full(50, np.inf)])[None]
    same = median_difference(errors, errors)
    assert same == Interval(0.0, 0.0, 0.0)
    worse = median_difference(errors, np.ones_like(errors))
    assert worse.value == pytest.approx(1.0)
    assert worse.low < 1.0 and worse.high == np.inf
