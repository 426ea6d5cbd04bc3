"""The lite detector's backbone as an encoder of colours with features of a quarter of the size.

The detector has seen the same scenes for longer than a lite network is trained, so what starts
from its weights already knows objects from their surroundings.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from pose_estimation_ros.networks.mask_rcnn import MaskRCNNConfig, PyramidBackbone

COLORS = 3
_PREFIX = 'backbone.'
_STEM = 'stem.0.0.weight'


class DetectorFeatures(nn.Module):
    """`PyramidBackbone` on colours, its finest level, and one more convolution."""

    def __init__(self) -> None:
        """Create the layers with random weights."""
        super().__init__()
        config = MaskRCNNConfig(input_channels=COLORS)
        self.channels = config.pyramid_width
        self.backbone = PyramidBackbone(config)
        # Only the finest level is read; the others' last layers would never learn.
        del self.backbone.pyramid.layer_blocks[1:]
        self.last = nn.Sequential(
            nn.Conv2d(self.channels, self.channels, 3, padding=1, bias=False),
            nn.BatchNorm2d(self.channels), nn.ReLU(inplace=True))

    def forward(self, image: Tensor) -> Tensor:
        """Return (B, channels, H/4, W/4) of (B, 3, H, W)."""
        x = self.backbone.stem(image)
        levels = []
        for stage in self.backbone.stages:
            x = stage(x)
            levels.append(x)
        pyramid = self.backbone.pyramid
        joined = pyramid.inner_blocks[-1](levels[-1])
        for level in range(len(levels) - 2, -1, -1):
            wider = F.interpolate(joined, scale_factor=2.0, mode='nearest')
            joined = pyramid.inner_blocks[level](levels[level]) + wider
        last: Tensor = self.last(pyramid.layer_blocks[0](joined))
        return last

    @torch.no_grad()
    def begin_with_detector(self, weights: Mapping[str, Tensor]) -> None:
        """Take the weights of a trained detector; what it learnt of depth is left out.

        Args:
            weights: Of a `MaskRCNN` of the usual sizes.

        Raises:
            RuntimeError: If the weights are of a network of other sizes.
        """
        own = {name.removeprefix(_PREFIX): value for name, value in weights.items()
               if name.startswith(_PREFIX)}
        own = {name: value for name, value in own.items()
               if name in self.backbone.state_dict()}
        if _STEM in own:
            own[_STEM] = own[_STEM][:, :COLORS]
        self.backbone.load_state_dict(own)
