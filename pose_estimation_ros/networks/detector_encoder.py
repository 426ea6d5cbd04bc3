"""The lite detector's backbone as the encoder of MRC-Net `lite`.

A short training from random weights hardly gets further than telling object from background. A
detector of the same objects, which a user trains anyway, has that behind it.
"""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor, nn
from torch.nn import functional as F

from pose_estimation_ros.networks.mask_rcnn import MaskRCNNConfig, PyramidBackbone
from pose_estimation_ros.segmentation.preprocessing import COLOR_DEVIATION, COLOR_MEAN

_COLORS = 3
_PREFIX = 'backbone.'
_STEM = 'stem.0.0.weight'
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
        config = MaskRCNNConfig(input_channels=_COLORS)
        self.backbone = PyramidBackbone(config)
        # The coarsest level is read through the finer ones only.
        del self.backbone.pyramid.layer_blocks[3:]
        self.levels = nn.ModuleList(nn.Conv2d(config.pyramid_width, factor * width, 1)
                                    for factor in (2, 4, 8))
        self.box = nn.Conv2d(1, 8 * width, 1, bias=False)

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return (B, 2w, H/4, W/4), (B, 4w, H/8, W/8) and (B, 8w, H/16, W/16) of (B, 4, H, W)."""
        colors = (image[:, :_COLORS].flip(1) - COLOR_MEAN) / COLOR_DEVIATION
        bottom_up = []
        x = self.backbone.stem(colors)
        for stage in self.backbone.stages:
            x = stage(x)
            bottom_up.append(x)
        pyramid = self.backbone.pyramid
        joined = pyramid.inner_blocks[3](bottom_up[3])
        outputs: list[Tensor] = []
        for level in (2, 1, 0):
            joined = pyramid.inner_blocks[level](bottom_up[level]) + F.interpolate(
                joined, scale_factor=2.0, mode='nearest')
            outputs.append(self.levels[level](F.relu(pyramid.layer_blocks[level](joined))))
        sixteenth, eighth, quarter = outputs
        box = self.box(F.avg_pool2d(image[:, _COLORS:], _COARSE_STRIDE))
        return F.silu(quarter), F.silu(eighth), F.silu(sixteenth + box)

    def train(self, mode: bool = True) -> DetectorEncoder:  # noqa: FBT001, FBT002 torch's own
        """Set the mode of everything but the detector's normalisations."""
        super().train(mode)
        for module in self.backbone.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.eval()
        return self

    def begun_with(self, detector: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return the weights to begin with.

        Args:
            detector: Weights of a `MaskRCNN` of the usual sizes; what it learnt of depth is left
                out.
        """
        begun = self.state_dict()
        for name, value in detector.items():
            if name.startswith(_PREFIX) and name in begun:
                colors_only = name == f'{_PREFIX}{_STEM}'
                begun[name] = value[:, :_COLORS] if colors_only else value
        return begun
