"""Codes of pose for any rotation of an object of some shape, without an image of it.

Source: Wen et al., "DISP6D" (ECCV 2022), section 3.3, "conditioned block B".
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from pose_estimation_ros.networks.view_encoder import LEAK, unit_length


class ShapeConditionedCodes(nn.Module):
    """Mixes a code of shape and a rotation by a trilinear form."""

    def __init__(self, code: int, rotation: int, hidden: int) -> None:
        """Create the layers.

        Args:
            code: Length of a code.
            rotation: Numbers that tell a rotation.
            hidden: Channels between the two last layers.
        """
        super().__init__()
        self.shape = nn.Linear(code, code)
        self.rotation = nn.Linear(rotation, code)
        # (shape, answer, rotation); of unit vectors it makes vectors with parts about one.
        self.mix = nn.Parameter(torch.randn(code, code, code))
        self.expand = nn.Linear(code, hidden)
        self.contract = nn.Linear(hidden, code)

    def forward(self, shape: Tensor, rotation: Tensor) -> Tensor:
        """Return codes of pose.

        Args:
            shape: (B, code) codes of shape.
            rotation: (N, rotation) the same rotations for all, or (B, N, rotation).

        Returns:
            (B, N, code).
        """
        a = unit_length(F.leaky_relu(self.shape(shape), LEAK))
        b = unit_length(F.leaky_relu(self.rotation(rotation), LEAK))
        code = self.mix.shape[0]
        of_shape = (a @ self.mix.flatten(1)).reshape(-1, code, code)
        y = unit_length(F.leaky_relu(b @ of_shape.transpose(1, 2), LEAK))
        more: Tensor = self.contract(F.leaky_relu(self.expand(y), LEAK))
        return y + more
