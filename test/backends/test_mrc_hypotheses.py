"""Which rotations are tried out, and how outlines are compared."""

import numpy as np
import pytest

from pose_estimation_ros.backends.mrc_hypotheses import (
    likely_rotations,
    outline_agreement,
    preference,
)
from pose_estimation_ros.core.rotation import angle_between
from pose_estimation_ros.core.so3_grid import so3_grid

ROTATIONS = so3_grid(2)


@pytest.mark.parametrize('seed', range(5))
def test_likely_rotations_are_far_apart_and_likelier_than_all_that_are(seed: int) -> None:
    logits = np.random.default_rng(seed).normal(size=(3, len(ROTATIONS)))
    for row, bins in zip(logits, likely_rotations(logits, ROTATIONS, 4), strict=True):
        assert bins[0] == row.argmax()
        apart = np.degrees([[angle_between(ROTATIONS[a], ROTATIONS[b]) for a in bins]
                            for b in range(len(ROTATIONS))])
        between = apart[bins][~np.eye(4, dtype=bool)]
        assert between.min() >= 50 - 1e-9
        for count in range(1, 4):
            free = apart[:, :count].min(axis=1) >= 50 + 1e-9
            assert row[bins[count]] >= row[free].max() - 1e-12


def test_of_few_rotations_that_are_near_each_other_the_likeliest_follow() -> None:
    angles = np.radians([0, 10, 20, 30])
    near = np.stack([np.array([[np.cos(a), -np.sin(a), 0], [np.sin(a), np.cos(a), 0], [0, 0, 1]])
                     for a in angles])
    np.testing.assert_array_equal(
        likely_rotations(np.array([[0.1, 0.4, 0.2, 0.3]]), near, 3), [[1, 3, 2]])


def test_outlines_agree_by_what_they_share_of_their_union() -> None:
    depth = np.zeros((3, 8, 8))
    depth[0, 2:6, 2:6] = 0.7
    depth[1, 2:6, :4] = 0.7
    mask = np.zeros((3, 4, 4))
    mask[:, 1:3, 1:3] = 1.0
    np.testing.assert_allclose(outline_agreement(depth, mask), [1.0, 2 / 6, 0.0])


def test_between_outlines_that_agree_equally_the_likelier_is_preferred() -> None:
    assert preference(np.array(0.6), np.array(1.0)) > preference(np.array(0.6), np.array(-1.0))
    assert preference(np.array(0.9), np.array(-1.0)) > preference(np.array(0.6), np.array(1.0))
