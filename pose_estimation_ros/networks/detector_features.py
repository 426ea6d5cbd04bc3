"""The lite detector's backbone as an encoder of colours with features of a quarter of the size."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from pose_estimation_ros.networks.detector_backbone import CHANNELS, DetectorBackbone


class DetectorFeatures(nn.Module):
    """The finest level of `DetectorBackbone`, and one more convolution."""

    channels = CHANNELS

    def __init__(self) -> None:
        """Create the layers with random weights."""
        super().__init__()
        self.backbone = DetectorBackbone(levels=1)
        self.last = nn.Sequential(
            nn.Conv2d(CHANNELS, CHANNELS, 3, padding=1, bias=False),
            nn.BatchNorm2d(CHANNELS), nn.ReLU(inplace=True))

    def forward(self, image: Tensor) -> Tensor:
        """Return (B, channels, H/4, W/4) of (B, 3, H, W)."""
        last: Tensor = self.last(self.backbone.levels(image)[0])
        return last

    @torch.no_grad()
    def begin_with_detector(self, weights: Mapping[str, Tensor]) -> None:
        """Take the weights of a trained detector; what it learnt of depth is left out.

        Args:
            weights: Of a `MaskRCNN` of the usual sizes.

        Raises:
            RuntimeError: If the weights are of another network or of other sizes.
        """
        self.backbone.load_state_dict(self.backbone.begun_with(weights))
