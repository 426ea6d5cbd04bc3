"""Convolving an enlarged map without making it gives what the plain evaluation gives."""

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from pose_estimation_ros.networks.enlarged_convolution import EnlargedConvolution

SIZE = 5


def _enlarged(part: Tensor, size: int) -> Tensor:
    return F.interpolate(part, size=(size, size), mode='bilinear', align_corners=True)


def _plain(layer: EnlargedConvolution, parts: list[Tensor]) -> Tensor:
    whole = torch.cat([_enlarged(part, SIZE) for part in parts], dim=1)
    return F.conv2d(_enlarged(whole, 2 * SIZE), layer.weight, layer.bias, padding=1)


@pytest.mark.parametrize('coarser', [(), (1, 2, 3)])
def test_the_whole_answer_and_its_gradients_are_those_of_the_plain_evaluation(
        coarser: tuple[int, ...]) -> None:
    torch.manual_seed(0)
    layer = EnlargedConvolution(4 + 2 * len(coarser), 6, SIZE, coarser).double()
    parts = [torch.randn(2, channels, size, size, dtype=torch.float64, requires_grad=True)
             for channels, size in ((4, SIZE), *((2, size) for size in coarser))]

    ours, plain = layer(parts), _plain(layer, parts)

    # The weights of interpolation are float32.
    torch.testing.assert_close(ours, plain, atol=1e-5, rtol=1e-5)
    wrt = (*parts, *layer.parameters())
    weight = torch.randn_like(plain)
    for a, b in zip(torch.autograd.grad((ours * weight).sum(), wrt),
                    torch.autograd.grad((plain * weight).sum(), wrt), strict=True):
        torch.testing.assert_close(a, b, atol=1e-4, rtol=1e-5)


def test_chosen_pixels_are_those_of_the_whole_answer_at_borders_too() -> None:
    torch.manual_seed(1)
    layer = EnlargedConvolution(3, 2, SIZE)
    feature = torch.randn(2, 3, SIZE, SIZE)
    every = torch.arange(4 * SIZE * SIZE).repeat(2, 1)

    torch.testing.assert_close(layer.at(feature, every), layer([feature]).flatten(2))


def test_places_stay_exact_under_mixed_precision() -> None:
    torch.manual_seed(2)
    layer = EnlargedConvolution(3, 2, 96)
    feature, index = torch.randn(1, 3, 96, 96), torch.randint(192 * 192, (1, 50))

    with torch.autocast('cpu', torch.bfloat16):
        coarse = layer.at(feature.bfloat16(), index)

    torch.testing.assert_close(coarse.float(), layer.at(feature, index), atol=0.03, rtol=0.03)


def test_checkpoints_hold_weight_and_bias_alone() -> None:
    assert set(EnlargedConvolution(3, 2, SIZE, (1,)).state_dict()) == {'weight', 'bias'}
