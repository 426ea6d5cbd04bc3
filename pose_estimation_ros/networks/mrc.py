"""MRC-Net: the pose of known objects by classification, rendering and regression.

Source: Li et al., "MRC-Net: 6-DoF pose estimation with multiscale residual correlation" (CVPR
2024). A crop of an object is classified into bins of rotation, depth and place; the object is
rendered in that coarse pose, and how the rendering's features correlate with the crop's tells
what is left. Crop and rendering go through the same encoder, a ResNet with a decoder of its own
for each object. The published network is the default; `lite` is a smaller one of the same kind.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal, NamedTuple, get_args

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from pose_estimation_ros.core.errors import ConfigurationError
from pose_estimation_ros.core.site_translation import TranslationGrid
from pose_estimation_ros.core.so3_grid import grid_size
from pose_estimation_ros.networks.aspp import ASPP, DILATIONS, ConvGroupSilu
from pose_estimation_ros.networks.choices import check_choices
from pose_estimation_ros.networks.correlation import ProjectedCorrelation
from pose_estimation_ros.networks.detector_encoder import DetectorEncoder
from pose_estimation_ros.networks.normalization import NormKind, group_norm
from pose_estimation_ros.networks.object_decoder import ObjectDecoder
from pose_estimation_ros.networks.residual_encoder import ResidualEncoder

RegressionKind = Literal['sequential', 'parallel', 'none']
CameraKnowledge = Literal['told', 'hidden']
EncoderKind = Literal['residual', 'detector']
CellsKind = Literal['vector', 'map']

AUXILIARY = 3
LEVELS = (4, 8, 16)
_COARSEST = 32
# The published weights answer in millimetres, which are numbers of a good size for a network.
_MILLIMETRE = 1e-3


@dataclass(frozen=True)
class MRCConfig:
    """What the network is made of; the published one by default, but for its norm and objects.

    Attributes:
        objects: Number of known objects, each with a decoder of its own.
        crop: Side of the crop in pixels, a multiple of 32.
        width: Channels at half of the crop's size; all others are in proportion.
        encoder: 'residual' as published, or 'detector', the lite detector's backbone, which
            begins with the weights of a trained detector; it has no use for blocks and norm.
        blocks: Residual blocks of the encoder's four stages.
        norm: How the encoder's features are normalised: by 'group', or as published by 'batch',
            with which an answer depends on what else is in the batch.
        nside: Resolution of the grid of rotations, see `so3_grid`.
        depth_bins: Bins of depth.
        cells: Cells along a side of the crop.
        cells_from: Where the answer about cells comes from: a 'vector' of the whole crop as
            published, or the 'map' of its finest features, a cell being a pixel of it. That is
            learnt from far fewer pictures, for all cells share its weights.
        nearest: Least depth, metres per pixel of the crop, see `TranslationGrid`.
        farthest: Greatest depth, metres per pixel of the crop.
        radius: Largest shift that is correlated, pixels of the feature maps.
        levels: Scales that are correlated: strides of the feature maps, some of 4, 8 and 16.
        regression: 'sequential' compares with a rendering; 'parallel' has no rendering and
            'none' no regression, for comparison.
        camera: 'told' the three numbers of a crop's camera; 'hidden' = zeros in their place, for
            comparison: then a crop looks the same to the network wherever the image shows it.
        dilations: Ranges of the pooled context.
        hidden: Channels between the two last layers of every answer.
    """

    objects: int
    crop: int = 256
    width: int = 64
    blocks: tuple[int, ...] = (3, 4, 6, 3)
    encoder: EncoderKind = 'residual'
    norm: NormKind = 'group'
    nside: int = 4
    depth_bins: int = 1000
    cells: int = 64
    cells_from: CellsKind = 'vector'
    nearest: float = 1e-5
    farthest: float = 2.15e-3
    radius: int = 5
    levels: tuple[int, ...] = LEVELS
    regression: RegressionKind = 'sequential'
    camera: CameraKnowledge = 'told'
    dilations: tuple[int, ...] = DILATIONS
    hidden: int = 256

    def __post_init__(self) -> None:
        """Check the values.

        Raises:
            ConfigurationError: If one is out of range.
        """
        check_choices(self, 'MRC-Net', {'encoder': get_args(EncoderKind),
                                        'norm': get_args(NormKind),
                                        'cells_from': get_args(CellsKind),
                                        'regression': get_args(RegressionKind),
                                        'camera': get_args(CameraKnowledge)})
        if self.objects < 1 or self.crop < _COARSEST or self.crop % _COARSEST:
            raise ConfigurationError(
                f'MRC-Net needs at least 1 object and a crop of a multiple of {_COARSEST} pixels,'
                f' not {self.objects} and {self.crop}')
        if self.cells_from == 'map' and self.cells != self.crop // LEVELS[0]:
            raise ConfigurationError(
                f'cells from the map of a crop of {self.crop} pixels are '
                f'{self.crop // LEVELS[0]} along a side, not {self.cells}')
        if len(self.blocks) != 4 or min(self.blocks) < 1:
            raise ConfigurationError("MRC-Net's encoder has four stages of at least one block, "
                                     f'not {self.blocks}')
        if not set(self.levels) <= set(LEVELS):
            raise ConfigurationError(f'MRC-Net correlates the strides {LEVELS}, not {self.levels}')

    @property
    def rotations(self) -> int:
        """Number of bins of rotation."""
        return grid_size(self.nside)

    @property
    def translation_grid(self) -> TranslationGrid:
        """Cells and bins of the translation."""
        return TranslationGrid(self.crop, self.cells, self.depth_bins, self.nearest, self.farthest)

    def as_dict(self) -> dict[str, Any]:
        """Return everything by name in plain values, for a manifest."""
        return {name: list(value) if isinstance(value, tuple) else value
                for name, value in asdict(self).items()}

    @classmethod
    def from_dict(cls, plain: Mapping[str, Any]) -> MRCConfig:
        """Return the configuration that `as_dict` described."""
        values: dict[str, Any] = {name: tuple(value) if isinstance(value, list) else value
                                  for name, value in plain.items()}
        return cls(**values)


class Pyramid(NamedTuple):
    """Features of B crops or renderings of side S; w is the network's width.

    Attributes:
        x4: (B, w + 1, S/4, S/4), the last channel being the probability of the mask.
        x8: (B, 2w, S/8, S/8).
        x16: (B, 2w, S/16, S/16).
        mask: (B, 1, S/4, S/4) logits: the pixel shows the object.
    """

    x4: Tensor
    x8: Tensor
    x16: Tensor
    mask: Tensor


class PoseLogits(NamedTuple):
    """Logits of the coarse pose of B crops.

    Attributes:
        rotation: (B, config.rotations), bins of `so3_grid`.
        depth: (B, depth_bins).
        xy: (B, cells^2), row by row.
    """

    rotation: Tensor
    depth: Tensor
    xy: Tensor


class PoseResidual(NamedTuple):
    """What is left between the coarse pose and the pose of B crops.

    Attributes:
        rotation: (B, 6), see `rotation_from_6d`; turns the coarse rotation from the left.
        depth: (B, 1) metres per pixel of the crop, added to the bin's centre.
        xy: (B, 2) parts of the crop's side, added to the cell's centre.
    """

    rotation: Tensor
    depth: Tensor
    xy: Tensor


class AnswerHead(nn.Module):
    """Features of a whole crop and its camera to one vector."""

    def __init__(self, channels: int, side: int, hidden: int, outputs: int) -> None:
        """Create the layers.

        Args:
            channels: Channels of the features, a multiple of 8.
            side: Side of the feature map.
            hidden: Channels between the two last layers.
            outputs: Length of the vector.
        """
        super().__init__()
        self.shrink = ConvGroupSilu(channels, channels // 8, stride=2)
        self.hidden = nn.Linear(channels // 8 * (side // 2) ** 2 + AUXILIARY, hidden)
        self.last = nn.Linear(hidden, outputs)

    def forward(self, x: Tensor, aux: Tensor) -> Tensor:
        """Return (B, outputs) float32 from (B, channels, side, side) and (B, 3)."""
        x = self.shrink(x).flatten(1)
        x = torch.cat([x, aux.to(x.dtype)], dim=1)
        answer: Tensor = self.last(F.silu(self.hidden(x)))
        return answer.float()


class CellMap(nn.Module):
    """Features of a whole crop and its finest ones to a number for each cell."""

    places: Tensor

    def __init__(self, channels: int, fine: int, hidden: int, cells: int) -> None:
        """Create the layers.

        Args:
            channels: Channels of the coarse features.
            fine: Channels of the finest features.
            hidden: Channels between.
            cells: Side of the finest features.
        """
        super().__init__()
        self.coarse = nn.Conv2d(channels, hidden, 1)
        # Two more channels say where a cell lies: objects are in the middle, more or less.
        self.join = ConvGroupSilu(hidden + fine + 2, hidden)
        self.last = nn.Conv2d(hidden, 1, 1)
        place = torch.linspace(-1.0, 1.0, cells)
        self.register_buffer('places', torch.stack(torch.meshgrid(place, place, indexing='ij')),
                             persistent=False)

    def forward(self, x: Tensor, fine: Tensor) -> Tensor:
        """Return (B, cells^2) float32 from (B, channels, h, w) and (B, fine, cells, cells)."""
        # Added to zeros, for an expanded tensor would be exported with the batch of the example.
        places = torch.zeros_like(fine[:, :2]) + self.places.to(fine.dtype)
        coarse = F.interpolate(self.coarse(x), size=fine.shape[-2:], mode='bilinear',
                               align_corners=False)
        answer: Tensor = self.last(self.join(torch.cat([coarse, fine, places], dim=1)))
        return answer.flatten(1).float()


class PoseClassifier(nn.Module):
    """The coarse pose from the features of a crop."""

    def __init__(self, config: MRCConfig) -> None:
        """Create the layers."""
        super().__init__()
        self.context = ASPP(2 * config.width, config.dilations)
        channels, side = self.context.channels, config.crop // 16
        self.rotation = AnswerHead(channels, side, config.hidden, config.rotations)
        self.depth = AnswerHead(channels, side, config.hidden, config.depth_bins)
        self.xy = (CellMap(channels, config.width + 1, 2 * config.width, config.cells)
                   if config.cells_from == 'map' else
                   AnswerHead(channels, side, config.hidden, config.cells ** 2))

    def forward(self, pyramid: Pyramid, aux: Tensor) -> PoseLogits:
        """Return the logits of a crop and its camera, see `MRCNet`."""
        x = self.context(pyramid.x16)
        xy = self.xy(x, pyramid.x4 if isinstance(self.xy, CellMap) else aux)
        return PoseLogits(self.rotation(x, aux), self.depth(x, aux), xy)


class PoseRegressor(nn.Module):
    """The rest of the pose from the features of a crop and of a rendering of its coarse pose."""

    def __init__(self, config: MRCConfig) -> None:
        """Create the layers; the first answer is that nothing is left."""
        super().__init__()
        width = config.width
        features = {4: width + 1, 8: 2 * width, 16: 2 * width}
        compared = {4: width, 8: 2 * width, 16: 2 * width}
        levels = config.levels if config.regression == 'sequential' else ()
        self.correlations = nn.ModuleDict({
            str(level): ProjectedCorrelation(features[level], compared[level], config.radius)
            for level in levels})
        shifts = (2 * config.radius + 1) ** 2
        inputs = {level: features[level] + (shifts if level in levels else 0) for level in LEVELS}
        self.from_4 = ConvGroupSilu(inputs[4], 2 * width, stride=2)
        self.from_8 = ConvGroupSilu(inputs[8] + 2 * width, 4 * width, stride=2)
        self.from_16 = ConvGroupSilu(inputs[16] + 4 * width, 4 * width)
        self.context = ASPP(4 * width, config.dilations)
        self.rotation, self.depth, self.xy = (
            AnswerHead(self.context.channels, config.crop // 16, config.hidden, outputs)
            for outputs in (6, 1, 2))
        nn.init.xavier_uniform_(self.depth.last.weight, gain=1 / config.depth_bins)
        nn.init.xavier_uniform_(self.xy.last.weight, gain=1 / config.cells)
        # Ours: rotations start next to the identity, too.
        nn.init.xavier_uniform_(self.rotation.last.weight, gain=0.01)
        with torch.no_grad():
            self.rotation.last.bias.copy_(torch.tensor([1.0, 0, 0, 0, 1, 0]))
            self.depth.last.bias.zero_()
            self.xy.last.bias.zero_()

    def forward(self, real: Pyramid, rendered: Pyramid | None, aux: Tensor) -> PoseResidual:
        """Return what is left, see `MRCNet.regress`."""
        g8 = self.from_4(self._compared(4, real.x4, rendered))
        g16 = self.from_8(torch.cat([self._compared(8, real.x8, rendered), g8], dim=1))
        g = self.from_16(torch.cat([self._compared(16, real.x16, rendered), g16], dim=1))
        x = self.context(g)
        return PoseResidual(self.rotation(x, aux), self.depth(x, aux) * _MILLIMETRE,
                            self.xy(x, aux))

    def _compared(self, level: int, real: Tensor, rendered: Pyramid | None) -> Tensor:
        """Return the crop's features and, if that level is compared, the correlation."""
        if rendered is None or str(level) not in self.correlations:
            return real
        at_level = getattr(rendered, f'x{level}')
        return torch.cat([real, self.correlations[str(level)](at_level, real)], dim=1)


class MRCNet(nn.Module):
    """The network; images are (B, 4, S, S): BGR from 0 to 1 and the map of the box.

    The camera of a crop is told by three numbers, `aux`: to the classifier where the middle of
    the box lies and how large the crop is, divided by the focal length; to the regressor the
    same with the coarse pose's centre.
    """

    def __init__(self, config: MRCConfig) -> None:
        """Create the network with random weights."""
        super().__init__()
        self.config = config
        width = config.width
        self.encoder = (DetectorEncoder(width) if config.encoder == 'detector' else
                        ResidualEncoder(width, config.blocks, config.norm))
        context = ASPP(8 * width, config.dilations)
        self.context = nn.Sequential(context, nn.Conv2d(context.channels, 8 * width, 1),
                                     group_norm(8 * width), nn.SiLU())
        self.decoder = ObjectDecoder(config.objects, width)
        self.to_8 = ConvGroupSilu(width + 1, 2 * width, stride=2)
        self.to_16 = ConvGroupSilu(2 * width, 2 * width, stride=2)
        self.classifier = PoseClassifier(config)
        if config.regression != 'none':
            self.regressor = PoseRegressor(config)

    def encode(self, image: Tensor, index: Tensor) -> Pyramid:
        """Return the features of crops or renderings.

        Args:
            image: (B, 4, S, S) float32.
            index: (B,) int64, which object each one shows.
        """
        quarter, eighth, sixteenth = self.encoder(image)
        decoded = self.decoder(quarter, eighth, self.context(sixteenth), index)
        mask = decoded[:, -1:]
        x4 = torch.cat([decoded[:, :-1], torch.sigmoid(mask).detach()], dim=1)
        x8 = self.to_8(x4)
        return Pyramid(x4, x8, self.to_16(x8), mask.float())

    def classify(self, pyramid: Pyramid, aux: Tensor) -> PoseLogits:
        """Return the logits of the coarse pose.

        Args:
            pyramid: Features of crops.
            aux: (B, 3) of the box.
        """
        logits: PoseLogits = self.classifier(pyramid, self._told(aux))
        return logits

    def regress(self, real: Pyramid, rendered: Pyramid | None, aux: Tensor) -> PoseResidual:
        """Return what is left between the coarse pose and the pose.

        Args:
            real: Features of crops.
            rendered: Features of renderings in the coarse poses; None if the regression is
                'parallel', which has no use for them.
            aux: (B, 3) of the coarse poses.

        Raises:
            ConfigurationError: If the network has no regression, or has nothing to compare.
        """
        kind = self.config.regression
        if kind == 'none' or (kind == 'sequential' and rendered is None):
            raise ConfigurationError(f"MRC-Net's regression is {kind!r}: it cannot regress "
                                     f'{"without" if rendered is None else "with"} a rendering')
        residual: PoseResidual = self.regressor(
            real, rendered if kind == 'sequential' else None, self._told(aux))
        return residual

    def _told(self, aux: Tensor) -> Tensor:
        """Return what the network may know of the camera."""
        return aux if self.config.camera == 'told' else torch.zeros_like(aux)
