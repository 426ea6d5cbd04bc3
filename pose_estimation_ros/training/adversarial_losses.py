"""Least-squares losses of a discriminator and of whom it judges.

Source: Mao et al.: Least Squares Generative Adversarial Networks, ICCV 2017; as ACR-Pose (arXiv
2111.10524, section 3) uses them: L_d = (D(true) - 1)^2 + D(predicted)^2, L_g =
(D(predicted) - 1)^2.
"""

from __future__ import annotations

from torch import Tensor

# The two players.
RECONSTRUCTOR, DISCRIMINATOR = 'reconstructor', 'discriminator'


def discriminator_loss(true: Tensor, predicted: Tensor) -> Tensor:
    """Return how far verdicts are from 1 for true sets and 0 for predicted ones.

    Args:
        true: (B,) verdicts in [0, 1].
        predicted: (B,) verdicts in [0, 1].
    """
    return (true.float() - 1.0).square().mean() + predicted.float().square().mean()


def generator_loss(predicted: Tensor) -> Tensor:
    """Return how far (B,) verdicts on predicted sets are from 1: falls as they pass for true."""
    return (predicted.float() - 1.0).square().mean()
