"""The lite detector's backbone as the encoder of MRC-Net `lite`.

A short training from random weights hardly gets further than telling object from background. A
detector of the same objects, which a user trains anyway, has that behind it.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from pose_estimation_ros.core.color_normalization import COLOR_DEVIATION, COLOR_MEAN
from pose_estimation_ros.networks.detector_backbone import (
    CHANNELS,
    COLORS,
    DetectorBackbone,
    keep_statistics,
)

_COARSE_STRIDE = 16


class DetectorEncoder(nn.Module):
    """Features of an image at a quarter, an eighth and a sixteenth of its size.

    The same outputs as `ResidualEncoder`. The detector's normalisations keep the statistics that
    they begin with: crops and renderings, which differ, then go through the same network.
    """

    def __init__(self, width: int) -> None:
        """Create the layers.

        Args:
            width: The outputs have 2, 4 and 8 times as many channels.
        """
        super().__init__()
        self.backbone = DetectorBackbone(levels=3)
        self.levels = nn.ModuleList(nn.Conv2d(CHANNELS, factor * width, 1) for factor in (2, 4, 8))
        self.box = nn.Conv2d(1, 8 * width, 1, bias=False)

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return (B, 2w, H/4, W/4), (B, 4w, H/8, W/8) and (B, 8w, H/16, W/16) of (B, 4, H, W)."""
        colors = (image[:, :COLORS].flip(1) - COLOR_MEAN) / COLOR_DEVIATION
        quarter, eighth, sixteenth = (
            adapt(F.relu(level))
            for adapt, level in zip(self.levels, self.backbone.levels(colors), strict=True))
        box = self.box(F.avg_pool2d(image[:, COLORS:], _COARSE_STRIDE))
        return F.silu(quarter), F.silu(eighth), F.silu(sixteenth + box)

    def train(self, mode: bool = True) -> DetectorEncoder:  # noqa: FBT001, FBT002 torch's own
        """Set the mode of everything but the detector's normalisations."""
        super().train(mode)
        keep_statistics(self.backbone)
        return self

    @torch.no_grad()
    def begin_with_detector(self, weights: Mapping[str, Tensor]) -> None:
        """Take the weights of a trained detector; what it learnt of depth is left out.

        Args:
            weights: Of a `MaskRCNN` of the usual sizes.

        Raises:
            RuntimeError: If the weights are of another network or of other sizes.
        """
        self.backbone.load_state_dict(self.backbone.begun_with(weights))
