"""Batch normalisation whose statistics are those of the batch of all processes.

`torch.nn.SyncBatchNorm` does the same on GPUs only.
"""

from __future__ import annotations

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed.nn.functional import all_reduce
from torch.nn.functional import batch_norm


class GlobalBatchNorm(nn.modules.batchnorm._BatchNorm):
    """Batch normalisation of (B, C, ...) features over all processes, each of equal batch."""

    def forward(self, x: Tensor) -> Tensor:
        """Normalise each channel."""
        if not self.training:
            return batch_norm(x, self.running_mean, self.running_var, self.weight, self.bias,
                              training=False, eps=self.eps)
        with torch.autocast(x.device.type, enabled=False):
            return self._normalised(x.float()).to(x.dtype)

    def _normalised(self, x: Tensor) -> Tensor:
        axes = [axis for axis in range(x.ndim) if axis != 1]
        shape = [-1 if axis == 1 else 1 for axis in range(x.ndim)]
        mean = _mean_of_ranks(x.mean(axes))
        centred = x - mean.view(shape)
        variance = _mean_of_ranks(centred.square().mean(axes))
        count = x.numel() // x.shape[1] * dist.get_world_size()
        self._remember(mean.detach(), variance.detach() * count / max(count - 1, 1))
        x = centred * torch.rsqrt(variance + self.eps).view(shape)
        return x * self.weight.view(shape) + self.bias.view(shape)

    def _remember(self, mean: Tensor, variance: Tensor) -> None:
        self.num_batches_tracked += 1
        self.running_mean.lerp_(mean, self.momentum)
        self.running_var.lerp_(variance, self.momentum)

    def _check_input_dim(self, x: Tensor) -> None:
        """Accept any number of axes."""


def share_batch_statistics(module: nn.Module) -> nn.Module:
    """Return the module with every batch normalisation replaced; names of tensors stay."""
    if isinstance(module, nn.modules.batchnorm._BatchNorm):
        shared = GlobalBatchNorm(module.num_features, module.eps, module.momentum)
        shared.load_state_dict(module.state_dict())
        return shared.to(module.weight.device)
    for name, child in module.named_children():
        setattr(module, name, share_batch_statistics(child))
    return module


def _mean_of_ranks(value: Tensor) -> Tensor:
    return all_reduce(value) / dist.get_world_size()
