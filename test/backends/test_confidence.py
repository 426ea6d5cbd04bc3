"""What estimates tell of themselves."""

import numpy as np
import pytest

from pose_estimation_ros.backends.confidence import pose_evidence, with_frame
from pose_estimation_ros.backends.correspondences import solve_poses
from pose_estimation_ros.backends.depth_agreement import DepthAgreement
from pose_estimation_ros.core.pose_confidence import EVIDENCE


def _column(evidence: np.ndarray, name: str) -> np.ndarray:
    return evidence[:, EVIDENCE.index(name)]


def _evidence(entropy: np.ndarray | None = None) -> np.ndarray:
    """Return the evidence of a good and of a noisy estimate."""
    generator = np.random.default_rng(0)
    nocs = np.repeat(generator.uniform(-0.3, 0.3, (1, 128, 3)), 2, axis=0)
    points = 0.2 * nocs + (0.0, 0.0, 1.0)
    points += np.array([0.001, 0.006])[:, None, None] * generator.standard_normal((2, 128, 3))
    membership = np.stack([np.ones(128), np.full(128, 0.6)])
    poses = solve_poses(points, nocs, membership, nocs)
    return pose_evidence(poses, membership, np.array([0.9, 0.2]), entropy, None)


def test_the_noisy_estimate_looks_worse_in_every_respect() -> None:
    evidence = _evidence()
    for name in ('log odds of the placement', 'membership', 'sharpness of membership'):
        assert _column(evidence, name)[0] > _column(evidence, name)[1]
    for name in ('log residual', 'log deviation of position', 'log deviation of rotation'):
        assert _column(evidence, name)[0] < _column(evidence, name)[1] - 1.0
    assert _column(evidence, 'log odds of the placement')[0] == pytest.approx(np.log(9.0))
    assert _column(evidence, 'log residual')[0] == pytest.approx(
        np.log(0.001 * np.sqrt(3) / 0.2), abs=0.1)
    np.testing.assert_allclose(_column(evidence, 'sharpness of membership'), [1.0, 0.2])


def test_what_the_network_and_the_frame_do_not_say_is_unknown() -> None:
    evidence = _evidence()
    assert np.isnan(_column(evidence, 'entropy')).all()
    assert np.isnan(_column(evidence, 'depth support')).all()
    said = _evidence(np.array([0.4, 2.0]))
    np.testing.assert_allclose(_column(said, 'entropy'), [0.4, 2.0])


def test_the_frame_adds_its_own_columns_and_keeps_the_others() -> None:
    evidence = _evidence()
    whole = with_frame(evidence, DepthAgreement(np.array([0.1, 0.5]), np.array([0.4, 0.2]),
                                                np.array([1.0, 0.7])))
    np.testing.assert_allclose(_column(whole, 'depth violation'), [0.1, 0.5])
    np.testing.assert_allclose(_column(whole, 'mask explained'), [1.0, 0.7])
    np.testing.assert_array_equal(whole[:, :-3], evidence[:, :-3])
