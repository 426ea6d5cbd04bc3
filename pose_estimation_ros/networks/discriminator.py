"""The judge of NOCS coordinates in ACR-Pose's adversarial training.

It says whether a set of coordinates is a true object's or a predicted one, seen as a set of
points. The paper gives shared layers, a global maximum, two layers and an answer in [0, 1].
Chosen where it is open: widths 3-64-128-256 and 256-128-1, LeakyReLU of slope 0.2, so that also
a judge that is sure gives the reconstructor a gradient, and no batch normalisation: its
statistics would mix true and predicted sets. True sets are the true coordinates of the same
observed points.

Source: Fan et al.: ACR-Pose, arXiv 2111.10524, section 3 (spec 1.3); Mao et al.: Least Squares
Generative Adversarial Networks, ICCV 2017.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

_SLOPE = 0.2


class Discriminator(nn.Module):
    """How true a set of coordinates looks."""

    def __init__(self) -> None:
        """Create the network with random weights."""
        super().__init__()
        self.points = nn.Sequential(
            nn.Linear(3, 64), nn.LeakyReLU(_SLOPE),
            nn.Linear(64, 128), nn.LeakyReLU(_SLOPE),
            nn.Linear(128, 256), nn.LeakyReLU(_SLOPE),
        )
        self.verdict = nn.Sequential(
            nn.Linear(256, 128), nn.LeakyReLU(_SLOPE), nn.Linear(128, 1), nn.Sigmoid()
        )

    def forward(self, nocs: Tensor) -> Tensor:
        """Return (B,) verdicts between 0, predicted, and 1, true.

        Args:
            nocs: (B, N, 3) NOCS coordinates in [-0.5, 0.5]; their order does not matter.
        """
        # bfloat16 would show the coordinates in steps of 1/256 of their value.
        with torch.autocast(nocs.device.type, enabled=False):
            verdict: Tensor = self.verdict(self.points(nocs.float()).amax(dim=1))
        return verdict[:, 0]
