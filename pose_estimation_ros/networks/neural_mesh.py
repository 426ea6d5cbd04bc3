"""The feature extractor of neural meshes: an image to unit features on a coarser grid.

Source: Ma et al., "Robust category-level 6D pose estimation with coarse-to-fine rendering of
neural features" (ECCV 2022). A mesh whose vertices carry features is compared with the features
of an image, so they must tell apart the parts of objects and of their surroundings. `full` is
the published network, a ResNet-50 with two upsampling stages; `lite` is ours.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal, get_args

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from pose_estimation_ros.core.errors import ConfigurationError
from pose_estimation_ros.networks.choices import check_choices
from pose_estimation_ros.networks.detector_features import DetectorFeatures
from pose_estimation_ros.networks.feature_pyramids import LiteFeatures, PublishedFeatures

PyramidKind = Literal['own', 'detector', 'published']
LinearBias = Literal['none', 'training']
ModelSize = Literal['lite', 'full']

_STRIDES: dict[PyramidKind, tuple[int, ...]] = {
    'own': (4, 8), 'detector': (4,), 'published': (8,)}
_COARSEST = 32


@dataclass(frozen=True)
class NeuralMeshConfig:
    """What the extractor is made of; `lite` by default, see `full_config` for the published one.

    Attributes:
        pyramid: What the features come from: for lite networks 'detector', the backbone of the
            lite detector, or 'own', a smaller one; or 'published'.
        features: Length of a feature, D.
        stride: Image pixels per feature along a side; 4, 'own' may have 8, 'published' has 8.
        widths: Channels of the four stages of 'own', at strides 4, 8, 16 and 32; the stages of
            'published' give four times as many.
        blocks: Residual blocks of each of these stages.
        decoder: Channels of the decoder of 'own'.
        bias: Whether the last layer adds a bias: 'none', or as published in 'training' only,
            which the published weights need.
    """

    pyramid: PyramidKind = 'detector'
    features: int = 64
    stride: int = 4
    widths: tuple[int, ...] = (32, 64, 128, 160)
    blocks: tuple[int, ...] = (1, 2, 2, 2)
    decoder: int = 64
    bias: LinearBias = 'none'

    def __post_init__(self) -> None:
        """Check the values.

        Raises:
            ConfigurationError: If one is out of range.
        """
        check_choices(self, 'the neural mesh', {'pyramid': get_args(PyramidKind),
                                                'bias': get_args(LinearBias)})
        check_choices(self, f'the neural mesh with the {self.pyramid} pyramid',
                      {'stride': _STRIDES[self.pyramid]})
        if len(self.widths) != 4 or len(self.blocks) != 4 or min(self.blocks) < 1:
            raise ConfigurationError(
                'the extractor of a neural mesh has four stages of at least one block, not the '
                f'widths {self.widths} and the blocks {self.blocks}')
        if min(self.features, self.decoder, *self.widths) < 1:
            raise ConfigurationError(
                'features, decoder and widths of a neural mesh are numbers of channels, not '
                f'{self.features}, {self.decoder} and {self.widths}')

    @property
    def size(self) -> ModelSize:
        """Whether it is the published network or a smaller one."""
        return 'full' if self.pyramid == 'published' else 'lite'

    @property
    def side_multiple(self) -> int:
        """What the sides of an image must be multiples of, pixels."""
        return self.stride if self.pyramid == 'own' else _COARSEST

    def as_dict(self) -> dict[str, Any]:
        """Return everything by name in plain values, for a manifest."""
        return {name: list(value) if isinstance(value, tuple) else value
                for name, value in asdict(self).items()}

    @classmethod
    def from_dict(cls, plain: Mapping[str, Any]) -> NeuralMeshConfig:
        """Return the configuration that `as_dict` described."""
        values: dict[str, Any] = {name: tuple(value) if isinstance(value, list) else value
                                  for name, value in plain.items()}
        return cls(**values)


def full_config(width: int = 64) -> NeuralMeshConfig:
    """Return the published configuration.

    Args:
        width: Inner channels of the first stage; 64 as published, the others are in proportion.
    """
    return NeuralMeshConfig('published', 128, 8, tuple(width << stage for stage in range(4)),
                            (3, 4, 6, 3), bias='training')


class FeatureExtractor(nn.Module):
    """Images to features of length one.

    Images are (B, 3, H, W) float32 RGB, normalised with ImageNet's mean and deviation, with sides
    of multiples of `NeuralMeshConfig.side_multiple`. The feature in row r and column c belongs to
    the square of pixels from (stride * r, stride * c) on, whose side is the stride.
    """

    def __init__(self, config: NeuralMeshConfig) -> None:
        """Create the network with random weights."""
        super().__init__()
        self.config = config
        self.pyramid = _pyramid(config)
        self.project = nn.Conv2d(self.pyramid.channels, config.features, 1,
                                 bias=config.bias == 'training')

    def forward(self, image: Tensor) -> Tensor:
        """Return (B, D, H / stride, W / stride) unit features as they are compared at run time.

        Without the bias of the last layer, as in the published test.
        """
        return self.projected(self.hidden(image), None)

    def training_features(self, image: Tensor) -> Tensor:
        """Return the same as the losses see it: with the bias, if the network has one."""
        return self.projected(self.hidden(image), self.project.bias)

    def hidden(self, image: Tensor) -> Tensor:
        """Return (B, C, H / stride, W / stride) what unit features are projected from."""
        height, width = image.shape[2:]
        multiple = self.config.side_multiple
        if not torch.onnx.is_in_onnx_export() and (height % multiple or width % multiple):
            raise ConfigurationError(
                f'the extractor of a neural mesh takes sides of multiples of {multiple} pixels, '
                f'not {width}x{height}; resize or pad the image')
        hidden: Tensor = self.pyramid(image)
        return hidden

    def projected(self, hidden: Tensor, bias: Tensor | None) -> Tensor:
        """Return the unit features of what `hidden` returned, with a bias or None."""
        return F.normalize(F.conv2d(hidden, self.project.weight, bias).float(), dim=1)


def _pyramid(config: NeuralMeshConfig) -> DetectorFeatures | LiteFeatures | PublishedFeatures:
    if config.pyramid == 'detector':
        return DetectorFeatures()
    if config.pyramid == 'own':
        return LiteFeatures(config.widths, config.blocks, config.decoder, config.stride)
    return PublishedFeatures(config.widths, config.blocks)
