"""Rotations a crop is compared with: the true one, near ones, any; right modulo symmetry."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from pose_estimation_ros.core.rotation import angle_between, axis_rotation, random_rotation
from pose_estimation_ros.core.symmetry import NO_SYMMETRY, Y_AXIS_SYMMETRY
from pose_estimation_ros.training.disp6d_rivals import (
    AlikeSettings,
    RivalSettings,
    alike,
    draw_rivals,
    shares,
)

SETTINGS = RivalSettings(count=64)


@given(st.integers(0, 10_000))
@settings(max_examples=25, deadline=None)
def test_the_first_is_the_true_one_and_the_others_are_from_near_to_far(seed: int) -> None:
    generator = np.random.default_rng(seed)
    R = random_rotation(generator)
    rivals = draw_rivals(R, SETTINGS, generator)
    np.testing.assert_allclose(rivals @ rivals.transpose(0, 2, 1),
                               np.broadcast_to(np.eye(3), rivals.shape), atol=1e-9)
    angles = angle_between(np.broadcast_to(R, rivals.shape), rivals)
    assert angles[0] < 1e-6
    assert angles[1:].min() > SETTINGS.nearest - 1e-6
    # Evenly by ratio: as many within the geometric middle as beyond it.
    middle = np.sqrt(SETTINGS.nearest * np.pi)
    assert 0.25 < (angles[1:] < middle).mean() < 0.75


@given(st.integers(0, 10_000), st.floats(-np.pi, np.pi))
@settings(max_examples=25, deadline=None)
def test_a_turn_about_the_axis_of_symmetry_is_as_right_as_the_truth(seed: int, turn: float
                                                                    ) -> None:
    generator = np.random.default_rng(seed)
    R = random_rotation(generator)
    rivals = np.stack([R, R @ axis_rotation((0, 1, 0), turn), R @ axis_rotation((1, 0, 0), 1.0)])
    found = shares(np.stack([R, R]), np.stack([rivals, rivals]),
                   [Y_AXIS_SYMMETRY, NO_SYMMETRY], np.radians(6.0))
    np.testing.assert_allclose(found.sum(axis=1), 1.0)
    np.testing.assert_allclose(found[0], [0.5, 0.5, 0.0], atol=1e-4)
    expected = np.exp(-0.5 * (turn / np.radians(6.0)) ** 2)
    np.testing.assert_allclose(found[1], np.array([1, expected, 0]) / (1 + expected), atol=1e-4)


def test_views_of_one_object_that_look_the_same_are_equally_right() -> None:
    y, x = np.mgrid[:64, :64]
    disc = np.where((x - 32) ** 2 + (y - 32) ** 2 < 400, 120, 255).astype(np.uint8)
    bar = np.where((abs(x - 32) < 6) & (abs(y - 32) < 28), 120, 255).astype(np.uint8)
    found = alike([disc, bar, disc, disc], np.array([0, 0, 0, 1]), AlikeSettings())
    np.testing.assert_allclose(found[0], [0.5, 0, 0.5, 0], atol=1e-6)
    np.testing.assert_allclose(found[1], [0, 1, 0, 0], atol=1e-6)
    # The same picture of another object is another answer.
    np.testing.assert_allclose(found[3], [0, 0, 0, 1], atol=1e-6)
