"""The calibration as a value: what it says, what it refuses, how it is written."""

import numpy as np
import pytest

from pose_estimation_ros.core.errors import InvalidInputError
from pose_estimation_ros.core.pose_confidence import EVIDENCE, ConfidenceModel, terms

# 1, a, b, a a, a b, b b
PLAIN = {'evidence': ['log residual', 'membership'], 'mean': [-3.0, 0.5],
         'deviation': [0.5, 0.1], 'weights': [0.2, -1.0, 0.5, 0.0, 0.3, 0.0],
         'offsets': {'can': 0.7}, 'covariance_scale': 4.0}


def _evidence(residual: float, membership: float) -> np.ndarray:
    row = np.full((1, len(EVIDENCE)), np.nan)
    row[0, EVIDENCE.index('log residual')] = residual
    row[0, EVIDENCE.index('membership')] = membership
    return row


def test_the_probability_is_the_sigmoid_of_the_standardised_terms() -> None:
    model = ConfidenceModel.from_plain(PLAIN)
    # One deviation above the mean of the first, two below that of the second.
    (mug,) = model.probability(_evidence(-2.5, 0.3), ['mug'])
    (can,) = model.probability(_evidence(-2.5, 0.3), ['can'])
    odds = 0.2 - 1.0 - 1.0 + 0.3 * 1.0 * -2.0
    assert mug == pytest.approx(1 / (1 + np.exp(-odds)))
    assert can == pytest.approx(1 / (1 + np.exp(-odds - 0.7)))


def test_terms_are_one_the_columns_and_their_products() -> None:
    np.testing.assert_array_equal(terms(np.array([[2.0, 3.0]])), [[1, 2, 3, 4, 6, 9]])


def test_unknown_evidence_counts_as_average() -> None:
    model = ConfidenceModel.from_plain(PLAIN)
    np.testing.assert_allclose(model.probability(_evidence(-2.5, np.nan), ['mug']),
                               model.probability(_evidence(-2.5, 0.5), ['mug']))


def test_evidence_from_far_away_says_no_more_than_that_of_four_deviations() -> None:
    model = ConfidenceModel.from_plain(PLAIN)
    np.testing.assert_allclose(model.probability(_evidence(40.0, 0.5), ['mug']),
                               model.probability(_evidence(-1.0, 0.5), ['mug']))


def test_what_is_written_is_read_again() -> None:
    assert ConfidenceModel.from_plain(PLAIN).as_plain() == PLAIN


@pytest.mark.parametrize(('change', 'fault'), [
    ({'evidence': ['log residual', 'colour']}, "no evidence \\['colour'\\]"),
    ({'weights': [0.1, 0.2]}, 'weights of confidence must be 6 finite numbers'),
    ({'mean': [float('nan'), 0.0]}, 'mean of confidence must be 2 finite numbers'),
    ({'deviation': [0.0, 1.0]}, 'must be positive'),
    ({'covariance_scale': -1.0}, 'must be positive'),
    ({'offsets': {'can': float('inf')}}, "offsets of confidence must be finite.*'can': inf"),
    ({'offsets': {'can': None}}, 'a mapping of evidence'),
    ({'offsets': 3}, 'a mapping of evidence')])
def test_faulty_numbers_are_named(change: dict[str, object], fault: str) -> None:
    with pytest.raises(InvalidInputError, match=fault):
        ConfidenceModel.from_plain({**PLAIN, **change})


def test_a_missing_entry_is_named() -> None:
    with pytest.raises(InvalidInputError, match="'weights'"):
        ConfidenceModel.from_plain({key: PLAIN[key] for key in PLAIN if key != 'weights'})
