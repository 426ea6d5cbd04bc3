"""The mean code of every object's shape, kept up while the encoder that makes them is trained.

Source: Wen et al., "DISP6D" (ECCV 2022), section 3.2; moving averages as van den Oord et al.,
"Neural discrete representation learning" (NeurIPS 2017), appendix A.1.
"""

from __future__ import annotations

import torch
import torch.distributed as dist
from torch import Tensor, nn

from pose_estimation_ros.networks.view_encoder import unit_length


class ShapeCodes(nn.Module):
    """One code for each object: the moving average of the unit codes of its crops."""

    counts: Tensor
    sums: Tensor

    def __init__(self, objects: int, code: int, keep: float) -> None:
        """Create random codes.

        Args:
            objects: Number of objects.
            code: Length of a code.
            keep: What part of an average is kept in every step.
        """
        super().__init__()
        self.keep = keep
        self.register_buffer('counts', torch.ones(objects))
        self.register_buffer('sums', torch.randn(objects, code))

    @property
    def codes(self) -> Tensor:
        """Return the (objects, code) codes; their length is free."""
        return self.sums / self.counts[:, None]

    @torch.no_grad()
    def update(self, shape: Tensor, label: Tensor) -> None:
        """Take the codes of crops into the averages, which changes them in place.

        Args:
            shape: (B, code) codes of shape, of any length.
            label: (B,) int64 which object each crop shows.
        """
        seen = torch.zeros_like(self.counts).index_add_(
            0, label, torch.ones_like(label, dtype=self.counts.dtype))
        total = torch.zeros_like(self.sums).index_add_(
            0, label, unit_length(shape.detach()).to(self.sums.dtype))
        # Every process must end with the same codes, those of the whole batch.
        for part in (seen, total):
            if dist.is_initialized():
                dist.all_reduce(part)
        self.counts.mul_(self.keep).add_(seen, alpha=1 - self.keep)
        self.sums.mul_(self.keep).add_(total, alpha=1 - self.keep)
