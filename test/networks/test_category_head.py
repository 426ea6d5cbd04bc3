"""Heads give the own category's rows of what the plain evaluation gives."""

import pytest
import torch

from pose_estimation_ros.networks.category_head import (
    CATEGORY_COUNT,
    CategoryHead,
    FactoredMatrix,
)

OUTPUTS, POINTS = 7, 5
CATEGORY = torch.tensor([4, 0, 2])


@pytest.fixture(scope='module')
def head() -> CategoryHead:
    torch.manual_seed(0)
    return CategoryHead(10, OUTPUTS)


@pytest.mark.parametrize('shared_channels', [0, 4])
def test_only_the_own_category_is_computed(head: CategoryHead, shared_channels: int) -> None:
    torch.manual_seed(1)
    local = torch.randn(3, 10 - shared_channels, POINTS)
    shared = torch.randn(3, shared_channels, 1) if shared_channels else None
    whole = local if shared is None else torch.cat([local, shared.expand(-1, -1, POINTS)], dim=1)
    for layer in head:
        whole = layer(whole)
    rows = whole.view(3, CATEGORY_COUNT, OUTPUTS, POINTS)
    expected = torch.stack([rows[item, category] for item, category in enumerate(CATEGORY)])

    ours = head(CATEGORY, local, shared)

    torch.testing.assert_close(ours, expected.transpose(1, 2), atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(head.factored(CATEGORY, local, shared).dense(), ours)


def test_a_head_that_starts_at_zero_gives_next_to_its_bias() -> None:
    torch.manual_seed(2)
    head = CategoryHead(10, 3)
    head.start_at_zero()
    answer = head(CATEGORY, torch.randn(3, 10, POINTS))
    assert answer.std(dim=1).max() < 1e-3


def test_products_of_factored_matrices_are_those_of_dense_ones() -> None:
    torch.manual_seed(3)
    first, second, third = (
        FactoredMatrix(torch.randn(2, 6, 3), torch.randn(2, 6, 3)) for _ in range(3))
    expected = first.dense() @ second.dense() @ third.dense()
    torch.testing.assert_close((first @ second @ third).dense(), expected, atol=1e-4, rtol=1e-4)
