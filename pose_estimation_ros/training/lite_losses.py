"""The losses of the lite networks with colour: SPD's at every step, and those of the encoder."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from pose_estimation_ros.networks.crnet_lite import LiteOutput
from pose_estimation_ros.networks.lite_encoder import PlacementTruth
from pose_estimation_ros.training.crop_batches import PointBatch
from pose_estimation_ros.training.distributed import global_mean
from pose_estimation_ros.training.lite_task import extent
from pose_estimation_ros.training.losses import (
    assignment_entropy,
    chamfer_distance,
    deformation_magnitude,
)

# The smallest NOCS error whose logarithm is asked for.
_SMALLEST_ERROR = 1e-3


@dataclass(frozen=True)
class LiteLossWeights:
    """Weights of the loss terms; correspondence is the unit.

    SPD's own terms keep their published ratio. `smoothness` is where the correspondence loss
    turns from square to absolute: a tenth of SPD's, since the last millimetres decide a grasp.
    """

    chamfer: float = 5.0
    entropy: float = 1e-4
    deformation: float = 0.01
    guess: float = 1.0
    placed: float = 1.0
    size: float = 0.5
    membership: float = 0.05
    choice: float = 0.1
    error: float = 0.02
    smoothness: float = 0.02


def placement_truth(batch: PointBatch) -> PlacementTruth:
    """Return what tells a network which of its placements to take."""
    return PlacementTruth(batch.nocs, batch.member, batch.rotation)


def lite_losses(output: LiteOutput, batch: PointBatch,
                weights: LiteLossWeights) -> dict[str, Tensor]:
    """Return every loss term and their weighted sum, `total`.

    All steps count alike, as in CR-Net; their mean is taken, so that the number of steps does
    not change the balance with the other terms. Of points that were not decoded, only the
    placements count.
    """
    member = batch.member.float()

    def error(nocs: Tensor) -> Tensor:
        return coordinate_error(nocs, batch, weights.smoothness)

    def over_steps(values: list[Tensor]) -> Tensor:
        return torch.stack(values).mean()

    steps = output.steps
    decoded = output.membership.shape[1]
    terms = {
        'correspondence': over_steps([error(step.nocs) for step in steps]),
        'guess': over_steps([error(step.guess) for step in steps]),
        'placed': over_steps([error(stage) for stage in output.encoding.placements]),
        'chamfer': over_steps([chamfer_distance(step.shape, batch.shape) for step in steps]),
        # A quarter of the points is enough for this small term, and saves a tenth of the step.
        'entropy': over_steps([assignment_entropy(step.assignment[:, ::4]) for step in steps]),
        'deformation': deformation_magnitude(output.deformation.float()),
        'size': over_steps([(extent(step.shape) - extent(batch.shape)).abs().mean()
                            for step in steps]),
        'membership': functional.binary_cross_entropy_with_logits(
            output.membership.float(), member[:, :decoded]),
        'choice': functional.cross_entropy(output.encoding.likelihood, output.encoding.chosen),
        'error': functional.smooth_l1_loss(output.error,
                                           log_error(steps[-1].nocs, batch.nocs[:, :decoded],
                                                     member[:, :decoded])),
    }
    total = terms['correspondence'] + sum(
        getattr(weights, name) * terms[name] for name in terms if name != 'correspondence')
    return {'total': torch.as_tensor(total), **terms}


def coordinate_error(nocs: Tensor, batch: PointBatch, smoothness: float) -> Tensor:
    """Return the () mean error of the (B, n, 3) coordinates of each object's first n points."""
    count = nocs.shape[1]
    error = functional.smooth_l1_loss(nocs, batch.nocs[:, :count], beta=smoothness,
                                      reduction='none').sum(dim=2)
    known = batch.member[:, :count].float()
    return global_mean((error * known).sum(), known.sum())


@torch.no_grad()
def log_error(nocs: Tensor, truth: Tensor, member: Tensor) -> Tensor:
    """Return (B,) logarithms of the mean distance of (B, N, 3) coordinates on the object."""
    distance = torch.linalg.vector_norm(nocs - truth, dim=2) * member
    mean = distance.sum(dim=1) / member.sum(dim=1).clamp(min=1.0)
    return torch.log(mean + _SMALLEST_ERROR)
