"""Training in several processes: `torchrun` starts them, gradients are averaged by PyTorch's DDP.

The processes share every batch: together they see what one process alone would see.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TypeVar

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from pose_estimation_ros.core.errors import ConfigurationError

Value = TypeVar('Value')


@dataclass(frozen=True)
class Ranks:
    """Which of the processes this one is.

    Attributes:
        rank: Its number, from 0; 0 alone writes files.
        count: Number of processes.
        device: Where this process trains.
    """

    rank: int
    count: int
    device: torch.device

    @property
    def is_first(self) -> bool:
        """Whether this process writes logs and checkpoints."""
        return self.rank == 0

    def from_first(self, make: Callable[[], Value]) -> Value:
        """Return in every process what the first one makes."""
        if self.count == 1:
            return make()
        holder = [make() if self.is_first else None]
        dist.broadcast_object_list(holder, device=self.device)
        return holder[0]  # type: ignore[return-value]

    def agreed(self, flag: bool) -> bool:  # noqa: FBT001 - it is the value, not a mode
        """Return the first process's opinion in every process."""
        return self.from_first(lambda: flag)

    def mean(self, values: Tensor) -> Tensor:
        """Return the mean over the processes."""
        if self.count > 1:
            dist.all_reduce(values)
            values /= self.count
        return values

    def wrapped(self, module: nn.Module) -> nn.Module:
        """Return the module with gradients that are averaged over the processes."""
        if self.count == 1 or not any(p.requires_grad for p in module.parameters()):
            return module
        # Batch statistics are equal everywhere already, see `global_batch_norm`.
        return DistributedDataParallel(
            module, device_ids=[self.device] if self.device.type == 'cuda' else None,
            broadcast_buffers=False)


@contextmanager
def joined_ranks(device: str) -> Iterator[Ranks]:
    """Join the processes that torchrun has started, for the time of the context.

    A process that trains several times joins them by itself before, and they stay together.

    Args:
        device: 'auto', 'cpu' or 'cuda'; with several processes a machine, each gets a GPU.

    Raises:
        ConfigurationError: If there is no such device.
    """
    count = int(os.environ.get('WORLD_SIZE', '1'))
    chosen = choose_device(device, int(os.environ.get('LOCAL_RANK', '0')))
    if count == 1:
        yield Ranks(0, 1, chosen)
        return
    if dist.is_initialized():
        yield Ranks(dist.get_rank(), count, chosen)
        return
    if chosen.type == 'cuda':
        torch.cuda.set_device(chosen)
    dist.init_process_group('nccl' if chosen.type == 'cuda' else 'gloo')
    try:
        yield Ranks(dist.get_rank(), count, chosen)
    finally:
        dist.destroy_process_group()


def choose_device(name: str, local_rank: int = 0) -> torch.device:
    """Return the device of a process; 'auto' takes a GPU where there is one.

    Raises:
        ConfigurationError: If there is no such device.
    """
    if name not in ('auto', 'cpu', 'cuda'):
        raise ConfigurationError(f'unknown device {name!r}; choose auto, cpu or cuda')
    found = torch.cuda.device_count() if name != 'cpu' else 0
    if name == 'cpu' or (name == 'auto' and found == 0):
        return torch.device('cpu')
    if found <= local_rank:
        raise ConfigurationError(
            f'process {local_rank} of this machine wants a GPU of its own, but PyTorch finds '
            f'{found}; use --device cpu or fewer processes (torchrun --nproc-per-node)')
    return torch.device('cuda', local_rank)


def global_mean(total: Tensor, weight: Tensor) -> Tensor:
    """Return total / weight over the batch of all processes, for use in a loss.

    Its mean over the processes, which is what DDP's gradients are of, is the value that one
    process would have had with the whole batch.

    Args:
        total: () sum over this process's share, differentiable.
        weight: () weight of this process's share, such as a number of points.
    """
    count = dist.get_world_size() if dist.is_initialized() else 1
    return total * count / global_sum(weight.detach()).clamp_min(1.0)


def global_sum(values: Tensor) -> Tensor:
    """Return the sum over all processes; it has no gradient."""
    values = values.clone()
    if dist.is_initialized():
        dist.all_reduce(values)
    return values


def global_rows(rows: Tensor) -> Tensor:
    """Return the rows of all processes, in the order of the processes; they have no gradient.

    Args:
        rows: (N, D) of this process; N may differ from process to process.
    """
    if not dist.is_initialized():
        return rows
    own = torch.tensor([len(rows)], device=rows.device)
    counts = [torch.empty_like(own) for _ in range(dist.get_world_size())]
    dist.all_gather(counts, own)
    sizes = [int(count) for count in counts]
    # All processes have to send as much as the one that has most.
    padded = rows.new_zeros(max(sizes), rows.shape[1])
    padded[:len(rows)] = rows
    parts = [torch.empty_like(padded) for _ in sizes]
    dist.all_gather(parts, padded)
    return torch.cat([part[:size] for part, size in zip(parts, sizes, strict=True)])
