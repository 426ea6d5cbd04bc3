"""Errors of a network's poses on crops: a network that knows the truth, and what it gets wrong."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import torch

from pose_estimation_ros.core.categories import CATEGORIES, CATEGORY_NAMES
from pose_estimation_ros.core.rotation import axis_rotation
from pose_estimation_ros.evaluation.crop_accuracy import CropErrors, crop_errors
from test.training.tiny_tasks import random_crops

POINTS = 40
MUG = CATEGORY_NAMES.index('mug')


class Oracle(torch.nn.Module):
    """Says the true coordinates, turned about an axis of the object, of all points but some."""

    def __init__(self, crops, turn=0.0, axis=(1.0, 0.0, 0.0), strangers=0):
        super().__init__()
        R = axis_rotation(np.array(axis), np.radians(turn))
        self.nocs = torch.from_numpy((crops.nocs[:, :POINTS] @ R.T).astype(np.float32))
        self.nocs[:, :strangers] = 0.3
        self.strangers, self.seen = strangers, []

    def forward(self, points, condition, category, color):
        start = sum(len(entry) for entry in self.seen)
        self.seen.append(color)
        nocs = self.nocs[start:start + len(points)]
        membership = torch.full(nocs.shape[:2], 5.0)
        membership[:, :self.strangers] = -5.0
        return SimpleNamespace(steps=(SimpleNamespace(nocs=nocs, shape=nocs),),
                               membership=membership)


def errors_of(crops, **changes):
    return crop_errors(Oracle(crops, **changes), crops, POINTS, CATEGORIES)


def test_true_coordinates_give_true_poses_of_all_crops():
    # More than one batch, and points that the network does not believe in.
    errors = errors_of(random_crops(70), strangers=4)
    assert errors.rotation.shape == errors.translation.shape == (70,)
    assert errors.rotation.max() < 0.01
    assert errors.translation.max() < 0.01


def test_a_turn_counts_unless_the_object_is_round():
    crops = random_crops(24)
    round_ones = np.array([CATEGORIES[index].symmetry.axis is not None
                           for index in crops.category])
    turned = errors_of(crops, turn=20.0, axis=(0.0, 1.0, 0.0))
    np.testing.assert_allclose(turned.rotation[~round_ones], 20.0, atol=0.01)
    np.testing.assert_allclose(turned.rotation[round_ones], 0.0, atol=0.01)
    np.testing.assert_allclose(errors_of(crops, turn=20.0).rotation, 20.0, atol=0.01)


def test_a_mug_whose_handle_is_hidden_is_round():
    crops = random_crops(24)
    hidden = replace(crops, handle_visibility=np.where(crops.category == MUG, 0.01, np.nan))
    seen = replace(crops, handle_visibility=np.where(crops.category == MUG, 0.5, np.nan))
    mugs = crops.category == MUG
    turn = {'turn': 20.0, 'axis': (0.0, 1.0, 0.0)}
    np.testing.assert_allclose(errors_of(hidden, **turn).rotation[mugs], 0.0, atol=0.01)
    np.testing.assert_allclose(errors_of(seen, **turn).rotation[mugs], 20.0, atol=0.01)


def test_coordinates_that_fit_no_pose_are_failures():
    crops = random_crops(6)
    oracle = Oracle(crops)
    oracle.nocs[2] = 0.0
    errors = crop_errors(oracle, crops, POINTS, CATEGORIES)
    assert not errors.within(10, 5)[2]
    assert errors.within(10, 5).sum() == 5


def test_unknown_colors_are_no_numbers_and_known_ones_are_shares():
    crops = random_crops(8)
    oracle = Oracle(crops)
    crop_errors(oracle, crops, POINTS, CATEGORIES)
    color = torch.cat(oracle.seen).numpy()
    assert np.isnan(color[~crops.colored]).all()
    np.testing.assert_allclose(color[crops.colored],
                               crops.color[crops.colored, :POINTS] / 255.0, atol=1e-6)


def test_both_errors_must_be_within_their_limits():
    errors = CropErrors(np.array([4.0, 6.0, 4.0, np.inf]), np.array([1.0, 1.0, 3.0, np.inf]))
    assert errors.within(5, 2).tolist() == [True, False, False, False]
    assert errors.within(10, 5).tolist() == [True, True, True, False]
