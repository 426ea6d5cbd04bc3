import pytest
import torch
from torch import nn

from pose_estimation_ros.networks.normalization import group_norm, make_norm


@pytest.mark.parametrize(('channels', 'groups'), [
    (128, 32), (512, 32), (256, 32), (64, 16), (24, 6), (8, 2), (3, 1), (20, 5), (34, 2)])
def test_groups_have_at_least_four_channels_if_there_are_four(channels: int, groups: int) -> None:
    assert group_norm(channels).num_groups == groups
    assert channels % groups == 0


def test_batch_statistics_count_in_evaluation_as_in_training() -> None:
    torch.manual_seed(0)
    ours, usual = make_norm('batch', 5), nn.BatchNorm2d(5)
    with torch.no_grad():
        for layer in (ours, usual):
            layer.weight.copy_(torch.arange(5) + 0.5)
            layer.bias.copy_(torch.arange(5) - 2.0)
    x = 3 * torch.randn(4, 5, 6, 7) + 2

    torch.testing.assert_close(ours.eval()(x), usual.train()(x))
