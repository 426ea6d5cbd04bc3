"""The bank and the losses of neural meshes, against the published code's numbers."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch.nn import functional

from pose_estimation_ros.training.neural_mesh_bank import FeatureBank, smooth_codes
from pose_estimation_ros.training.neural_mesh_losses import (
    ContrastSettings,
    background_losses,
    clutter_similarities,
    distance_loss,
    vertex_losses,
)

PUBLISHED = Path(__file__).parents[1] / 'data' / 'neural_mesh' / 'bank.npz'


class Published:
    """Two images of the fixture: 40 vertices and 5 cells of clutter each."""

    def __init__(self):
        with np.load(PUBLISHED) as stored:
            values = {name: torch.from_numpy(stored[name]) for name in stored}
        self.values = values
        self.bank = FeatureBank([40], 20, 128)
        self.bank.vertices.copy_(values['bank_before'][:40])
        self.bank.clutter.copy_(values['bank_before'][40:])
        image, self.vertex = torch.where(values['bank_vis'])
        self.features = values['bank_x'][image, self.vertex]
        self.clutter = values['bank_x'][:, 40:].reshape(-1, 128)
        places = values['bank_kp']
        self.near = (torch.cdist(places, places) < 48.0)[image, self.vertex]

    def losses(self, features):
        return vertex_losses(features, self.vertex, torch.zeros_like(self.vertex), self.near,
                             self.bank, ContrastSettings())


def test_the_contrast_is_the_published_one():
    published = Published()
    assert published.losses(published.features).mean().item() == pytest.approx(
        published.values['bank_loss'].item(), abs=2e-6)


def test_the_similarity_of_clutter_is_the_published_one():
    published = Published()
    loss = ContrastSettings().clutter * clutter_similarities(
        published.clutter, published.bank).mean()
    assert loss.item() == pytest.approx(published.values['bank_reg'].item(), abs=1e-8)


def test_the_bank_moves_as_the_published_one():
    published = Published()
    published.bank.learn_vertices(published.features, published.vertex, 0.96, images=2)
    published.bank.learn_clutter(published.clutter)
    torch.testing.assert_close(published.bank.memory, published.values['bank_after'],
                               atol=1e-7, rtol=0)


def test_the_gradient_of_the_contrast_is_that_of_plain_cross_entropy():
    published = Published()
    bank, settings = published.bank, ContrastSettings()
    features = published.features.clone().requires_grad_()
    published.losses(features).mean().backward()
    plain = published.features.clone().requires_grad_()
    logits = plain @ bank.memory.t() / settings.temperature
    penalty = torch.zeros_like(logits)
    penalty[:, 40:] = np.log(1 / settings.clutter_share)
    penalty[:, :40] = 1e5 * published.near
    penalty[torch.arange(len(plain)), published.vertex] = 0
    functional.cross_entropy(logits - penalty, published.vertex).backward()
    torch.testing.assert_close(features.grad, plain.grad, atol=1e-6, rtol=1e-4)


def test_categories_are_told_apart_by_all_their_vertices():
    bank = FeatureBank([3, 2], 4, 8)
    bank.vertices.copy_(torch.eye(8)[:5])
    bank.clutter.copy_(torch.eye(8)[5:6].expand(4, 8))
    features = torch.eye(8)[[0, 3]]
    near = torch.zeros(2, 3, dtype=torch.bool)
    found = vertex_losses(features, torch.tensor([0, 3]), torch.tensor([0, 1]), near, bank,
                          ContrastSettings(temperature=0.5, clutter_share=0.25))
    # Right 2; four other vertices and four rows of a quarter, all 0.
    expected = np.log(np.exp(2) + 4 + 4 * 0.25) - 2
    np.testing.assert_allclose(found, [expected, expected], rtol=1e-6)


def test_a_vertex_moves_to_the_mean_of_its_views_once_it_is_no_longer_held():
    torch.manual_seed(0)
    bank = FeatureBank([4], 2, 16)
    before = bank.vertices.clone()
    seen = functional.normalize(torch.randn(3, 16), dim=1)
    vertex = torch.tensor([1, 1, 2])
    bank.learn_vertices(seen, vertex, 0.5, held=1)
    torch.testing.assert_close(bank.vertices, before)
    bank.learn_vertices(seen, vertex, 0.5, held=1)
    expected = functional.normalize(0.5 * before[1] + 0.25 * (seen[0] + seen[1]), dim=0)
    torch.testing.assert_close(bank.vertices[1], expected)
    torch.testing.assert_close(bank.vertices[[0, 3]], before[[0, 3]])


def test_the_ring_of_clutter_forgets_the_oldest():
    bank = FeatureBank([1], 3, 2)
    for angle in range(5):
        bank.learn_clutter(torch.tensor([[np.cos(angle), np.sin(angle)]]))
    angles = torch.atan2(bank.clutter[:, 1], bank.clutter[:, 0]) % (2 * np.pi)
    np.testing.assert_allclose(angles, [3, 4, 2], atol=1e-6)


def test_background_is_cheap_where_it_is_like_the_mean_clutter():
    bank = FeatureBank([2], 1, 4)
    bank.vertices.copy_(torch.eye(4)[:2])
    bank.clutter.copy_(torch.eye(4)[2:3])
    found = background_losses(torch.eye(4)[[2, 0]], bank, 0.1)
    np.testing.assert_allclose(
        found, [np.log1p(2 * np.exp(-10)), np.log1p(1 + np.exp(10))], atol=1e-5)


def test_the_distances_of_equation_4_grow_as_the_loss_falls():
    features, clutter = torch.eye(4)[:2], torch.eye(4)[2:]
    assert distance_loss(features, clutter).item() == pytest.approx(-2.0)
    assert distance_loss(features[[0, 0]], clutter).item() == pytest.approx(-4 / 3)


def test_smooth_codes_are_alike_nearby_and_different_far_away():
    torch.manual_seed(0)
    places = torch.tensor([[0.0, 0, 0], [0.05, 0, 0], [0.4, 0.3, 0], [1, 1, 1], [-1, -1, -1]])
    codes = smooth_codes(places, 256, (0.4, 3.5))
    similarity = (codes @ codes.t())[0]
    np.testing.assert_allclose(codes.norm(dim=1), 1, atol=1e-6)
    assert similarity[1] > 0.98
    assert 0.5 < similarity[2] < 0.95
    assert similarity[3] < similarity[2] - 0.15
