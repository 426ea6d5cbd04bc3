"""Correlations are the products that their definition names, and gradients flow through them."""

import math

import pytest
import torch

from pose_estimation_ros.networks.correlation import ProjectedCorrelation, window_correlation


@pytest.mark.parametrize(('size', 'radius'), [((5, 7), 2), ((4, 4), 5), ((6, 3), 0)])
def test_every_channel_is_the_product_with_one_shift(size: tuple[int, int], radius: int) -> None:
    torch.manual_seed(0)
    center, shifted = torch.randn(2, 2, 6, *size, dtype=torch.float64)

    correlation = window_correlation(center, shifted, radius)

    height, width = size
    expected = torch.zeros_like(correlation)
    for dy in range(-radius, radius + 1):
        for dx in range(-radius, radius + 1):
            channel = (dy + radius) * (2 * radius + 1) + dx + radius
            for y in range(max(0, -dy), min(height, height - dy)):
                for x in range(max(0, -dx), min(width, width - dx)):
                    product = center[:, :, y, x] * shifted[:, :, y + dy, x + dx]
                    expected[:, channel, y, x] = product.sum(dim=1) / math.sqrt(6)
    assert correlation.shape == (2, (2 * radius + 1) ** 2, *size)
    torch.testing.assert_close(correlation, expected)


def test_gradients_are_those_of_the_products() -> None:
    torch.manual_seed(0)
    maps = torch.randn(2, 1, 2, 3, 4, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda both: window_correlation(both[0], both[1], 1), maps)


def test_both_maps_are_projected_alike() -> None:
    torch.manual_seed(0)
    correlation = ProjectedCorrelation(inputs=3, outputs=4, radius=1)
    maps = torch.randn(1, 3, 5, 5)

    same = correlation(maps, maps)

    assert same.shape == (1, correlation.channels, 5, 5)
    # Against itself: never negative where nothing is shifted, and symmetric in the shift.
    assert (same[:, 4] >= 0).all()
    torch.testing.assert_close(same[:, 3, :, 1:], same[:, 5, :, :-1])
