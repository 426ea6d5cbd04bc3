"""The losses of shape prior deformation (spec 4.3).

Source: Tian, Ang, Lee: Shape Prior Deformation for Categorical 6D Object Pose and Size
Estimation, ECCV 2020, section 3.3; constants as in the published training.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

# Distance matrices are made for as many clouds at once as stay under this many entries.
_DISTANCE_ENTRIES = 1 << 22


@dataclass(frozen=True)
class SPDLossWeights:
    """The weight of each term in the total loss; the defaults are the published ones."""

    correspondence: float = 1.0
    chamfer: float = 5.0
    entropy: float = 1e-4
    deformation: float = 0.01


@dataclass(frozen=True)
class SPDLosses:
    """The scalar loss terms (not weighted) and their weighted sum `total`."""

    total: Tensor
    correspondence: Tensor
    chamfer: Tensor
    entropy: Tensor
    deformation: Tensor

    def detached(self) -> dict[str, float]:
        """Return every term as a float, for the log."""
        return {name: float(getattr(self, name).detach()) for name in self.__dataclass_fields__}


def spd_losses(
    assignment_logits: Tensor,
    deformation: Tensor,
    prior: Tensor,
    target_nocs: Tensor,
    target_shape: Tensor,
    weights: SPDLossWeights | None = None,
) -> SPDLosses:
    """Return all terms of the shape prior deformation loss.

    Args:
        assignment_logits: (B, N, V), softmax over V says which prior point each of the N
            observed points corresponds to.
        deformation: (B, V, 3) displacement of the prior points, NOCS units.
        prior: (B, V, 3) category shape, NOCS coordinates in [-0.5, 0.5].
        target_nocs: (B, N, 3) true NOCS coordinates of the observed points, already turned to
            the representative of the symmetry (see `symmetry_targets`).
        target_shape: (B, M, 3) points sampled on the true model's surface, NOCS coordinates.
        weights: Weights of the terms, the published ones by default.
    """
    weights = weights or SPDLossWeights()
    # Mixed precision ends here: bfloat16 would round coordinates to 1/256 of the object.
    with torch.autocast(assignment_logits.device.type, enabled=False):
        logits, deformation = _at_least_float32(assignment_logits), _at_least_float32(deformation)
        shape = prior + deformation
        correspondence = correspondence_loss(logits.softmax(dim=2) @ shape, target_nocs)
        chamfer = chamfer_distance(shape, target_shape)
        entropy = assignment_entropy(logits)
        magnitude = deformation_magnitude(deformation)
    total = (
        weights.correspondence * correspondence
        + weights.chamfer * chamfer
        + weights.entropy * entropy
        + weights.deformation * magnitude
    )
    return SPDLosses(total, correspondence, chamfer, entropy, magnitude)


def correspondence_loss(
    predicted_nocs: Tensor, target_nocs: Tensor, threshold: float = 0.1
) -> Tensor:
    """Return the smooth-L1 error: summed over x, y, z, mean over all points.

    Per coordinate with e = |predicted - target|: e^2 / (2 threshold) up to the threshold and
    e - threshold / 2 above it.

    Args:
        predicted_nocs: (..., 3) NOCS coordinates.
        target_nocs: The same shape.
        threshold: Where the square turns into the absolute value, NOCS units.
    """
    error = functional.smooth_l1_loss(
        predicted_nocs, target_nocs, beta=threshold, reduction='none'
    )
    return error.sum(dim=-1).mean()


def chamfer_distance(first: Tensor, second: Tensor) -> Tensor:
    """Return the mean squared nearest-neighbour distance, both directions added.

    The nearest neighbours are searched without gradient in blocks of clouds; only the found
    pairs are differentiated, which is the same gradient at a fraction of the memory.

    Args:
        first: (B, N, 3) points, about zero-centred (the search expands |a - b|^2).
        second: (B, M, 3) points in the same frame and unit.
    """
    nearest_in_second, nearest_in_first = _nearest_neighbours(first.detach(), second.detach())
    to_second = (first - _gather_points(second, nearest_in_second)).square().sum(dim=2).mean()
    to_first = (second - _gather_points(first, nearest_in_first)).square().sum(dim=2).mean()
    return to_second + to_first


def assignment_entropy(assignment_logits: Tensor) -> Tensor:
    """Return the mean entropy, in nats, of the (B, N, V) assignment softmaxed over V."""
    log_assignment = functional.log_softmax(assignment_logits, dim=2)
    return -(log_assignment.exp() * log_assignment).sum(dim=2).mean()


def deformation_magnitude(deformation: Tensor) -> Tensor:
    """Return the mean Euclidean length (not squared) of the (B, V, 3) displacements."""
    length: Tensor = torch.linalg.vector_norm(deformation, dim=2)
    return length.mean()


def _at_least_float32(value: Tensor) -> Tensor:
    return value.float() if value.dtype in (torch.float16, torch.bfloat16) else value


def _nearest_neighbours(first: Tensor, second: Tensor) -> tuple[Tensor, Tensor]:
    """Return for each point the index of the nearest one in the other cloud, both ways."""
    clouds_at_once = max(1, _DISTANCE_ENTRIES // (first.shape[1] * second.shape[1]))
    in_second, in_first = [], []
    with torch.no_grad(), torch.autocast(first.device.type, enabled=False):
        for start in range(0, first.shape[0], clouds_at_once):
            a = first[start:start + clouds_at_once]
            b = second[start:start + clouds_at_once]
            squared = torch.baddbmm(b.square().sum(dim=2)[:, None], a, b.transpose(1, 2), alpha=-2)
            in_second.append(squared.argmin(dim=2))
            in_first.append((squared + a.square().sum(dim=2)[:, :, None]).argmin(dim=1))
    return torch.cat(in_second), torch.cat(in_first)


def _gather_points(points: Tensor, index: Tensor) -> Tensor:
    return points.gather(1, index[:, :, None].expand(-1, -1, 3))
