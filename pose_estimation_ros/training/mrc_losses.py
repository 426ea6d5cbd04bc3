"""The losses of MRC-Net: two classifications, a mask and the regression of what they miss.

Source: MRC-Net (CVPR 2024), section 3.5; constants as in the published training, spec section
1.6. All are means over the batch.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

# The published losses of the regression are in this unit, at which their square turns linear.
_MILLIMETRES = 1000.0
_POSITIVE, _NEGATIVE = 10.0, 0.1


@dataclass(frozen=True)
class MRCLossWeights:
    """The weight of each term in the total loss; the defaults are the published ones."""

    rotation_bins: float = 0.5
    depth_bins: float = 2.0
    cells: float = 2.0
    mask: float = 10.0
    rotation: float = 1.0
    depth: float = 0.2
    position: float = 1.0
    coordinates: float = 0.0


def rotation_bin_loss(logits: Tensor, labels: Tensor) -> Tensor:
    """Return the focal loss of (B, K) rotation bins, each a question of its own.

    Args:
        logits: (B, K).
        labels: (B, K), 0 to 1.
    """
    share = logits.sigmoid()
    positive = _POSITIVE * labels * (1 - share).square() * functional.softplus(-logits)
    negative = _NEGATIVE * (1 - labels) * share.square() * functional.softplus(logits)
    return (positive + negative).sum(dim=1).mean()


def one_of_many_loss(logits: Tensor, labels: Tensor) -> Tensor:
    """Return the focal loss of cells or depth bins, one of which is right.

    The paper writes -log sum(l p); what was published is -sum(l log p).

    Args:
        logits: (B, N).
        labels: (B, N), 0 to 1, each row sums to 1.
    """
    log_shares = logits.log_softmax(dim=1)
    right = (labels * log_shares.exp()).sum(dim=1)
    return ((1 - right).square() * -(labels * log_shares).sum(dim=1)).mean()


def coordinate_loss(predicted: Tensor, true: Tensor, shown: Tensor) -> Tensor:
    """Return how far the points that pixels show are from where the network has them; ours.

    Args:
        predicted: (B, 3, H, W) in units of the object's radius.
        true: The same.
        shown: (B, 1, H, W): 1 where the object is seen, 0 elsewhere.

    Returns:
        Scalar: the mean over the pixels that show an object; 0 if none does.
    """
    distance = functional.smooth_l1_loss(predicted, true, reduction='none', beta=0.1)
    return (distance * shown).sum() / (3 * shown.sum()).clamp_min(1.0)


def smooth_distance(error: Tensor) -> Tensor:
    """Return the smooth length of (..., 3) errors: n, and (n^2 + 1) / 2 where n is below 1.

    Args:
        error: (..., 3) millimetres.

    Returns:
        (...) millimetres.
    """
    # The gradient of a norm is undefined at 0; the square's half is used there.
    squares = error.square().sum(dim=-1)
    lengths = squares.clamp_min(1.0).sqrt()
    return torch.where(squares >= 1.0, lengths, 0.5 * squares + 0.5)


def rotation_distance(predicted: Tensor, true: Tensor, points: Tensor) -> Tensor:
    """Return how far two rotations move an object's points apart, without translation.

    Args:
        predicted: (B, 3, 3).
        true: (B, 3, 3) of the equivalents, the one to be learnt.
        points: (B, P, 3) metres, object frame.

    Returns:
        Scalar, millimetres.
    """
    moved = points @ (predicted - true).mT
    return smooth_distance(_MILLIMETRES * moved).mean()


def position_distance(tau: Tensor, true_tau: Tensor, K_crop: Tensor, depth: Tensor,
                      crop: int) -> Tensor:
    """Return how far an object is moved aside at its true depth.

    Args:
        tau: (B, 2 or 3) predicted x and y, parts of the crop.
        true_tau: The same of the truth.
        K_crop: (B, 3, 3) intrinsics of the crops.
        depth: (B,) true depth, metres.
        crop: Side of the crops, pixels.

    Returns:
        Scalar, millimetres.
    """
    focal = torch.stack([K_crop[:, 0, 0], K_crop[:, 1, 1]], dim=1)
    aside = crop * (tau[:, :2] - true_tau[:, :2]) / focal * depth[:, None]
    return smooth_distance(_MILLIMETRES * aside).mean()


def depth_distance(tau: Tensor, true_tau: Tensor, K_crop: Tensor, crop: int) -> Tensor:
    """Return how far an object is moved along its true line of sight.

    Args:
        tau: (B, 3) predicted, of which z counts, metres per pixel.
        true_tau: (B, 3).
        K_crop: (B, 3, 3) intrinsics of the crops.
        crop: Side of the crops, pixels.

    Returns:
        Scalar, millimetres.
    """
    along = line_of_sight(true_tau, K_crop, crop)
    depth = (tau[:, 2] - true_tau[:, 2]) * K_crop[:, 0, 0]
    return smooth_distance(_MILLIMETRES * depth[:, None] * along).mean()


def line_of_sight(tau: Tensor, K_crop: Tensor, crop: int) -> Tensor:
    """Return the (B, 3) directions, z = 1, in which crops see what appears at tau.

    Args:
        tau: (B, 2 or 3) x and y, parts of the crop.
        K_crop: (B, 3, 3) intrinsics of the crops.
        crop: Side of the crops, pixels.
    """
    pixels = crop * tau[:, :2] + 0.5 * crop - K_crop[:, :2, 2]
    focal = torch.stack([K_crop[:, 0, 0], K_crop[:, 1, 1]], dim=1)
    return torch.cat([pixels / focal, torch.ones_like(pixels[:, :1])], dim=1)


def translation_of(tau: Tensor, K_crop: Tensor, crop: int) -> Tensor:
    """Return the (B, 3) translations in metres of (B, 3) tau; see `core.site_translation`."""
    depth = (tau[:, 2] * K_crop[:, 0, 0])[:, None]
    return depth * line_of_sight(tau, K_crop, crop)


def tau_of(t: Tensor, K_crop: Tensor, crop: int) -> Tensor:
    """Return the (B, 3) tau of (B, 3) translations in metres; see `core.site_translation`."""
    focal = torch.stack([K_crop[:, 0, 0], K_crop[:, 1, 1]], dim=1)
    pixels = focal * t[:, :2] / t[:, 2:] + K_crop[:, :2, 2]
    return torch.cat([pixels / crop - 0.5, t[:, 2:] / focal[:, :1]], dim=1)


def rotation_of(numbers: Tensor) -> Tensor:
    """Return the (B, 3, 3) rotations of (B, 6) numbers; see `core.rotation.rotation_from_6d`."""
    x = functional.normalize(numbers[:, :3], dim=1)
    z = functional.normalize(torch.linalg.cross(x, numbers[:, 3:]), dim=1)
    return torch.stack([x, torch.linalg.cross(z, x), z], dim=-1)
