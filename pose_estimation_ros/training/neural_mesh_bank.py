"""The features of all vertices and of clutter, learnt as moving averages of what is seen.

The likelihood of a vertex's feature is a von Mises-Fisher distribution about its mean direction,
whose maximum-likelihood estimate is the normalised mean of the features that were seen there.

Source: spec 2.6; Ma et al., "Robust category-level 6D pose estimation with coarse-to-fine
rendering of neural features" (ECCV 2022), section 3.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from pose_estimation_ros.training.distributed import global_rows, global_sum


class FeatureBank(nn.Module):
    """Unit features of the vertices of all categories, one after the other, and of clutter.

    Processes that share a batch each give their part of it and learn the same, the whole.

    Attributes:
        vertices: (V, D) float32 unit features.
        clutter: (M, D) float32 unit features of the latest clutter, a ring.
        next_slot: () int64, where in the ring the next one goes.
        updates: () int64, how often vertices were learnt.
    """

    vertices: Tensor
    clutter: Tensor
    next_slot: Tensor
    updates: Tensor

    def __init__(self, counts: Sequence[int], clutter: int, features: int) -> None:
        """Fill the bank with random directions.

        Args:
            counts: Vertices of each category.
            clutter: Size of the ring.
            features: Length of a feature.
        """
        super().__init__()
        self.starts = [sum(counts[:number]) for number in range(len(counts) + 1)]
        for name, size in (('vertices', self.starts[-1]), ('clutter', clutter)):
            self.register_buffer(name, F.normalize(torch.randn(size, features), dim=1))
        for name in ('next_slot', 'updates'):
            self.register_buffer(name, torch.zeros((), dtype=torch.int64))

    @property
    def memory(self) -> Tensor:
        """(V + M, D) vertices, then clutter."""
        return torch.cat([self.vertices, self.clutter])

    @property
    def clutter_center(self) -> Tensor:
        """(D,) unit mean of the clutter, what it is compared with at run time."""
        return F.normalize(self.clutter.mean(dim=0), dim=0)

    def of_category(self, number: int) -> slice:
        """Return the rows of a category's vertices."""
        return slice(self.starts[number], self.starts[number + 1])

    @torch.no_grad()
    def learn_vertices(self, features: Tensor, vertex: Tensor, momentum: float,
                       images: int | None = None, held: int = 0) -> None:
        """Move vertices towards what was seen of them.

        Args:
            features: (N, D) unit features.
            vertex: (N,) int64 which vertices they show.
            momentum: Share of the old direction.
            images: This process's part of what the sum over all views of a vertex is divided by;
                None = by their number. With the number of images, as published, a vertex that
                few of them show moves less.
            held: In the first so many updates vertices stay as they are.
        """
        self.updates += 1
        if self.updates <= held:
            return
        features = features.float()
        total = global_sum(torch.zeros_like(self.vertices).index_add_(0, vertex, features))
        seen = global_sum(torch.bincount(vertex, minlength=len(total)))
        count = (seen.clamp(min=1)[:, None] if images is None else
                 global_sum(torch.tensor(images, device=seen.device)))
        moved = F.normalize(momentum * self.vertices + (1 - momentum) * total / count, dim=1)
        self.vertices.copy_(torch.where(seen[:, None] > 0, moved, self.vertices))

    @torch.no_grad()
    def learn_clutter(self, features: Tensor) -> None:
        """Put (N, D) features of clutter in the place of the oldest ones."""
        size = len(self.clutter)
        latest = F.normalize(global_rows(features.float()), dim=1)[-size:]
        slots = (self.next_slot + torch.arange(len(latest), device=latest.device)) % size
        self.clutter.index_copy_(0, slots, latest)
        self.next_slot.copy_((self.next_slot + len(latest)) % size)


def smooth_codes(places: Tensor, features: int, frequencies: tuple[float, float]) -> Tensor:
    """Return (V, D) unit features of which near places have like ones.

    Coarse waves tell even a network that knows little where to go, fine ones tell neighbours
    apart. A network learns them as fast as it learns coordinates, while random features first
    drift to the mean of all that is confused, from where a short training learns little.

    Args:
        places: (V, 3) in a cuboid from -1 to 1.
        features: Length of a feature.
        frequencies: Least and greatest deviation of the frequencies, radians per half extent.

    Source: Rahimi and Recht, "Random features for large-scale kernel machines" (NeurIPS 2007).
    """
    low, high = map(math.log, frequencies)
    waves = torch.empty(features).uniform_(low, high).exp() * torch.randn(3, features)
    return F.normalize(torch.cos(places @ waves + 2 * math.pi * torch.rand(features)), dim=1)
