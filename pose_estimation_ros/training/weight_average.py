"""Exponential moving average of a network's weights."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel


def averaged_weights(model: nn.Module, decay: float = 0.999) -> AveragedModel:
    """Return an averaged copy of `model`; call `update_parameters(model)` after each step.

    The decay grows from 0.1 to `decay` over the first steps, so that the random initial weights
    are soon forgotten. Buffers (batch statistics) are averaged as well. The averaged network is
    the result's `module`.
    """

    def blend(averaged: Sequence[Tensor], current: Sequence[Tensor], count: Tensor | int) -> None:
        steps = int(count)
        share = 1.0 - min(decay, (1 + steps) / (10 + steps))
        for average, value in zip(averaged, current, strict=True):
            if average.is_floating_point():
                average.lerp_(value.to(average.dtype), share)
            else:
                average.copy_(value)

    with torch.no_grad():
        return AveragedModel(model, multi_avg_fn=blend, use_buffers=True)
