"""The SPD losses: the recorded published values and gradients, and their plain definitions."""

from pathlib import Path

import numpy as np
import pytest
import torch

from pose_estimation_ros.training.losses import (
    assignment_entropy,
    chamfer_distance,
    correspondence_loss,
    deformation_magnitude,
    spd_losses,
)

EXCERPT = Path(__file__).parents[1] / 'data' / 'spd' / 'loss_excerpt.npz'
WHOLE = Path(__file__).parents[2].parent / 'shared/specs/fixtures/spd/loss_parity.npz'
# The recorded terms are weighted; our names and theirs.
TERMS = {
    'total': ('total', 1.0),
    'correspondence': ('corr', 1.0),
    'chamfer': ('cd', 5.0),
    'entropy': ('entropy', 1e-4),
    'deformation': ('deform', 0.01),
}


@pytest.mark.parametrize(
    ('path', 'row_step', 'tolerance'),
    [(EXCERPT, 16, 1e-6), (WHOLE, 1, 1e-12)],
    ids=['excerpt with float32 inputs', 'whole'],
)
def test_losses_and_gradients_equal_the_published_ones(
    path: Path, row_step: int, tolerance: float
) -> None:
    if path == WHOLE and not path.is_file():
        pytest.skip('the whole fixtures are not beside this clone')
    with np.load(path) as file:
        recorded = {name: torch.from_numpy(file[name]).double() for name in file.files}
    logits = recorded['in_assign_mat'].requires_grad_()
    deformation = recorded['in_deltas'].requires_grad_()

    losses = spd_losses(
        logits, deformation, recorded['in_prior'], recorded['in_nocs'], recorded['in_model']
    )
    losses.total.backward()

    for ours, (theirs, weight) in TERMS.items():
        expected = pytest.approx(float(recorded[theirs]), rel=tolerance)
        assert weight * losses.detached()[ours] == expected
    for ours, theirs in (
        (logits.grad[:, ::row_step], recorded['grad_assign_mat']),
        (deformation.grad, recorded['grad_deltas']),
    ):
        assert float((ours - theirs).abs().max()) < tolerance * float(theirs.abs().max())


def test_correspondence_error_is_quadratic_below_and_linear_above_the_threshold() -> None:
    target = torch.zeros(1, 1, 3)
    small = correspondence_loss(torch.tensor([[[0.05, 0.0, 0.0]]]), target)
    large = correspondence_loss(torch.tensor([[[0.05, 0.3, 0.0]]]), target)
    assert float(small) == pytest.approx(0.05**2 / 0.2)
    assert float(large) == pytest.approx(0.05**2 / 0.2 + 0.3 - 0.05)


def test_chamfer_distance_equals_the_one_from_the_whole_distance_matrix() -> None:
    generator = torch.Generator().manual_seed(0)
    first = (torch.rand(5, 70, 3, generator=generator) - 0.5).double().requires_grad_()
    second = (torch.rand(5, 90, 3, generator=generator) - 0.5).double().requires_grad_()

    ours = chamfer_distance(first, second)
    our_gradients = torch.autograd.grad(ours, (first, second))
    squared = (first[:, :, None] - second[:, None]).square().sum(dim=3)
    plain = squared.min(dim=2).values.mean() + squared.min(dim=1).values.mean()
    plain_gradients = torch.autograd.grad(plain, (first, second))

    torch.testing.assert_close(ours, plain)
    torch.testing.assert_close(our_gradients, plain_gradients)


def test_chamfer_distance_is_the_same_in_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    generator = torch.Generator().manual_seed(1)
    first = torch.rand(7, 30, 3, generator=generator) - 0.5
    second = torch.rand(7, 40, 3, generator=generator) - 0.5
    at_once = chamfer_distance(first, second)
    monkeypatch.setattr('pose_estimation_ros.training.losses._DISTANCE_ENTRIES', 2 * 30 * 40)
    torch.testing.assert_close(chamfer_distance(first, second), at_once)


def test_entropy_of_a_uniform_assignment_is_the_logarithm_of_the_prior_size() -> None:
    assert float(assignment_entropy(torch.zeros(2, 3, 64))) == pytest.approx(np.log(64))


def test_deformation_magnitude_is_the_mean_length_and_differentiable_at_zero() -> None:
    deformation = torch.tensor([[[3.0, 4.0, 0.0], [0.0, 0.0, 0.0]]], requires_grad=True)
    magnitude = deformation_magnitude(deformation)
    magnitude.backward()
    assert magnitude.item() == pytest.approx(2.5)
    assert torch.isfinite(deformation.grad).all()


def test_mixed_precision_does_not_touch_the_losses() -> None:
    generator = torch.Generator().manual_seed(2)
    logits = torch.randn(2, 20, 64, generator=generator)
    deformation, prior = 0.02 * torch.randn(2, 2, 64, 3, generator=generator)
    target = torch.rand(2, 20, 3, generator=generator) - 0.5
    plain = spd_losses(logits, deformation, prior, target, target).detached()
    with torch.autocast('cpu', dtype=torch.bfloat16):
        mixed = spd_losses(logits, deformation, prior, target, target).detached()
    assert mixed == plain
