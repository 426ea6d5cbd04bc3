"""The lite detector's backbone on colours, for networks that begin with a trained detector.

The detector has seen the same scenes for longer than a lite network is trained, so what starts
from its weights already knows objects from their surroundings.
"""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor, nn
from torch.nn import functional as F

from pose_estimation_ros.networks.mask_rcnn import MaskRCNNConfig, PyramidBackbone

COLORS = 3
CHANNELS = MaskRCNNConfig().pyramid_width
_PREFIX = 'backbone.'
_STEM = 'stem.0.0.weight'


class DetectorBackbone(PyramidBackbone):
    """`PyramidBackbone` on colours that gives its finest levels only."""

    def __init__(self, levels: int) -> None:
        """Create the layers with random weights.

        Args:
            levels: How many levels are given, 1 to 4. The coarser ones are read through the finer
                ones alone: their own last layers would never learn.
        """
        super().__init__(MaskRCNNConfig(input_channels=COLORS))
        del self.pyramid.layer_blocks[levels:]

    def levels(self, colors: Tensor) -> list[Tensor]:
        """Return the (B, `CHANNELS`, h, w) levels of (B, 3, H, W), strides 4, 8, 16 and so on."""
        bottom_up = []
        x = self.stem(colors)
        for stage in self.stages:
            x = stage(x)
            bottom_up.append(x)
        pyramid = self.pyramid
        joined = pyramid.inner_blocks[-1](bottom_up[-1])
        merged = [joined]
        for level in reversed(range(len(bottom_up) - 1)):
            wider = F.interpolate(joined, scale_factor=2.0, mode='nearest')
            joined = pyramid.inner_blocks[level](bottom_up[level]) + wider
            merged.append(joined)
        return [last(level) for last, level in zip(pyramid.layer_blocks, merged[::-1],
                                                   strict=False)]

    def begun_with(self, detector: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return the weights to begin with; what the detector learnt of depth is left out.

        Args:
            detector: Weights of a `MaskRCNN` of the usual sizes.

        Returns:
            What `load_state_dict` takes; it names what the given weights lack.
        """
        begun = {name: detector[_PREFIX + name] for name in self.state_dict()
                 if _PREFIX + name in detector}
        if _STEM in begun:
            begun[_STEM] = begun[_STEM][:, :COLORS]
        return begun


def keep_statistics(backbone: nn.Module) -> None:
    """Have normalisations keep the statistics they have, also while they learn."""
    for module in backbone.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.eval()
