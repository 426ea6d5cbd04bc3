"""What DISP6D is trained for.

Source: Wen et al., "DISP6D" (ECCV 2022), sections 3.2 and 3.3, with the numbers of its code.
"""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor
from torch.nn import functional as F

from pose_estimation_ros.networks.view_encoder import unit_length

_HARDEST_PART = 4
_TEMPERATURE = 0.07


@dataclass(frozen=True)
class LossWeights:
    """How much the losses count beside the reconstruction; as published by default.

    Attributes:
        shape: Of `shape_loss`; 0 = codes of shape are not told apart.
        pose: Of `pose_loss`.
        choice: Of `choice_loss`, which is not in the paper.
    """

    shape: float = 0.004
    pose: float = 0.001
    choice: float = 0.0


def reconstruction_loss(decoded: Tensor, target: Tensor) -> Tensor:
    """Return the mean squared error of the worst quarter of every image's values.

    Args:
        decoded: (B, C, S, S).
        target: (B, C, S, S).
    """
    errors = (decoded - target).square().flatten(1)
    return errors.topk(errors.shape[1] // _HARDEST_PART, dim=1).values.mean()


def shape_loss(shape: Tensor, codes: Tensor, label: Tensor) -> Tensor:
    """Return the cross entropy of telling crops apart by their codes of shape.

    Args:
        shape: (B, code) codes of crops.
        codes: (K, code) of all objects.
        label: (B,) int64 which object each crop shows.
    """
    cosine = unit_length(shape) @ unit_length(codes).T
    return F.cross_entropy(cosine / _TEMPERATURE, label)


def pose_loss(conditioned: Tensor, pose: Tensor) -> Tensor:
    """Return the squared distance between two sets of codes of the same poses.

    Args:
        conditioned: (B, code) from shapes and rotations.
        pose: (B, code) from crops.
    """
    return (unit_length(conditioned) - unit_length(pose)).square().mean()


def choice_loss(conditioned: Tensor, pose: Tensor, share: Tensor) -> Tensor:
    """Return the cross entropy of choosing a crop's rotation among others by their codes.

    Args:
        conditioned: (B, N, code) codes of N rotations of each crop's shape.
        pose: (B, code) codes of the crops' poses.
        share: (B, N) how right each rotation is, see `disp6d_rivals`.
    """
    cosine = (unit_length(conditioned) @ unit_length(pose)[:, :, None])[:, :, 0]
    return F.cross_entropy(cosine / _TEMPERATURE, share)
