"""A residual network over an image that stays finer than usual: ResNet-34 without max-pooling.

Source: He et al., "Deep residual learning for image recognition" (CVPR 2016), in the form of
MRC-Net (CVPR 2024): four input channels, SiLU after the first convolution, a choice of norms.
"""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn
from torch.nn import functional as F

from pose_estimation_ros.networks.normalization import NormKind, make_norm


class BasicBlock(nn.Module):
    """Two 3x3 convolutions beside a shortcut."""

    def __init__(self, inputs: int, outputs: int, stride: int, norm: NormKind) -> None:
        """Create the layers; the shortcut is a convolution where size or width changes."""
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride=stride, padding=1, bias=False)
        self.norm1 = make_norm(norm, outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, padding=1, bias=False)
        self.norm2 = make_norm(norm, outputs)
        same = stride == 1 and inputs == outputs
        self.shortcut = nn.Identity() if same else nn.Sequential(
            nn.Conv2d(inputs, outputs, 1, stride=stride, bias=False), make_norm(norm, outputs))

    def forward(self, x: Tensor) -> Tensor:
        """Return (B, outputs, H / stride, W / stride) features."""
        inner = F.relu(self.norm1(self.conv1(x)))
        return F.relu(self.norm2(self.conv2(inner)) + self.shortcut(x))


class ResidualEncoder(nn.Module):
    """Features of an image at a quarter, an eighth and a sixteenth of its size."""

    def __init__(self, width: int, blocks: Sequence[int], norm: NormKind) -> None:
        """Create the layers.

        Args:
            width: Channels at half of the image's size; they double with every halving.
            blocks: Residual blocks of the four stages.
            norm: How features are normalised.
        """
        super().__init__()
        self.first = nn.Sequential(nn.Conv2d(4, width, 7, stride=2, padding=3, bias=False),
                                   make_norm(norm, width), nn.SiLU())
        self.stages = nn.ModuleList()
        inputs = width
        for stage, count in enumerate(blocks):
            outputs = width << stage
            self.stages.append(nn.Sequential(*(
                BasicBlock(inputs if block == 0 else outputs, outputs,
                           2 if block == 0 and stage > 0 else 1, norm)
                for block in range(count))))
            inputs = outputs
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode='fan_out', nonlinearity='relu')

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return (B, 2w, H/4, W/4), (B, 4w, H/8, W/8) and (B, 8w, H/16, W/16) of (B, 4, H, W)."""
        half = self.stages[0](self.first(image))
        quarter = self.stages[1](half)
        eighth = self.stages[2](quarter)
        return quarter, eighth, self.stages[3](eighth)
