"""The losses and the moving codes of DISP6D are the published ones."""

from pathlib import Path

import numpy as np
import pytest
import torch

from pose_estimation_ros.training.disp6d_codes import ShapeCodes
from pose_estimation_ros.training.disp6d_losses import (
    choice_loss,
    pose_loss,
    reconstruction_loss,
    shape_loss,
)

FIXTURE = Path(__file__).parents[1] / 'data' / 'disp6d' / 'training.npz'


def _recorded() -> dict[str, torch.Tensor]:
    with np.load(FIXTURE) as file:
        return {name: torch.from_numpy(file[name]) for name in file.files}


def test_the_losses_of_the_fixture_agree() -> None:
    recorded = _recorded()
    found = shape_loss(recorded['shape'], recorded['codes'].T, recorded['label'][:, 0].long())
    assert found.item() == pytest.approx(recorded['shape_loss'].item(), rel=1e-5)
    found = pose_loss(recorded['conditioned'][:, 0], recorded['pose'])
    assert found.item() == pytest.approx(recorded['pose_loss'].item(), rel=1e-5)


def test_the_moving_averages_of_the_fixture_agree() -> None:
    recorded = _recorded()
    codes = ShapeCodes(18, 128, keep=0.9995)
    codes.load_state_dict({'counts': recorded['counts'], 'sums': recorded['sums'].T})
    codes.update(recorded['shape'], recorded['label'][:, 0].long())
    torch.testing.assert_close(codes.counts, recorded['counts_after'], atol=1e-7, rtol=1e-6)
    torch.testing.assert_close(codes.sums, recorded['sums_after'].T, atol=1e-7, rtol=1e-6)
    torch.testing.assert_close(codes.codes, recorded['codes_after'].T, atol=1e-5, rtol=1e-5)


def test_codes_move_to_the_mean_of_their_crops() -> None:
    torch.manual_seed(0)
    codes = ShapeCodes(3, 2, keep=0.9)
    for _ in range(200):
        codes.update(torch.tensor([[2.0, 0.0], [0.0, 5.0], [0.0, 1.0]]), torch.tensor([0, 0, 2]))
    torch.testing.assert_close(codes.codes[0], torch.tensor([0.5, 0.5]))
    torch.testing.assert_close(codes.codes[2], torch.tensor([0.0, 1.0]))


def test_of_an_image_the_worst_quarter_counts() -> None:
    decoded = torch.zeros(2, 1, 2, 4)
    target = torch.tensor([[1.0, 2, 3, 4, 0, 0, 0, 0], [0.0, 0, 0, 0, 0, 0, 0, 2]]).reshape(
        2, 1, 2, 4)
    # The squares of 4 and 3, and of 2 and 0.
    assert reconstruction_loss(decoded, target).item() == pytest.approx((16 + 9 + 4 + 0) / 4)


def test_crops_that_are_what_they_should_be_cost_little() -> None:
    codes = torch.eye(4)
    right = shape_loss(3 * codes, codes, torch.arange(4))
    wrong = shape_loss(3 * codes, codes, torch.arange(4).flip(0))
    assert right < 1e-4 and wrong.item() == pytest.approx(1 / 0.07, rel=1e-3)


def test_choosing_a_rotation_costs_little_only_where_the_right_ones_are_most_similar() -> None:
    share = torch.tensor([[1.0, 0.0, 0.0], [0.5, 0.5, 0.0]])
    pose = torch.tensor([[2.0, 0.0], [0.0, 1.0]])
    right = torch.tensor([[[3.0, 0], [0, 1], [-1, 0]], [[0, 1], [0, 9], [1, 0]]])
    # Two equally right rotations cannot be told apart.
    assert choice_loss(right, pose, share).item() == pytest.approx(np.log(2) / 2, abs=1e-4)
    assert choice_loss(right.flip(1), pose, share).item() > 5
