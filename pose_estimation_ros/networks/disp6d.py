"""DISP6D: one auto-encoder whose codes tell shape and pose of many objects apart.

Source: Wen et al., "DISP6D: disentangled implicit shape and pose learning for scalable 6D pose
estimation" (ECCV 2022). A crop becomes two codes. Decoded together they give the crop back,
without its surroundings; alone, the code of pose is compared with those of known rotations:
of renderings of an object, or of the shape's code by `ShapeConditionedCodes`. The published
network of CAD models is the default; `LITE` is a smaller one of the same kind.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal, NamedTuple, get_args

from torch import Tensor, nn

from pose_estimation_ros.core.errors import ConfigurationError
from pose_estimation_ros.core.hyperspherical_harmonics import RotationEncoding, encoding_size
from pose_estimation_ros.networks.choices import check_choices
from pose_estimation_ros.networks.shape_conditioning import ShapeConditionedCodes
from pose_estimation_ros.networks.style_decoder import StyleDecoder
from pose_estimation_ros.networks.view_encoder import ViewEncoder, ViewNorm, unit_length

Branch = Literal['color', 'depth']
Contrast = Literal['given', 'stretched']
CodeLength = Literal['free', 'unit']
Conditioning = Literal['shape', 'none']

_CHANNELS: dict[Branch, int] = {'color': 3, 'depth': 1}
_SMALLEST_CONTRAST = 1e-6


@dataclass(frozen=True)
class Disp6dConfig:
    """What the network is made of; the published one of CAD models by default.

    Attributes:
        crop: Side of the crop in pixels.
        contrast: Whether crops are taken as 'given', or 'stretched' so that the darkest value of
            each is 0 and the brightest 1.
        widths: Channels of the encoder's stages, each of which halves the size.
        blocks: Residual blocks of each stage; none in the published network.
        kernel: Side of the kernels that halve or double an image.
        norm: How the encoder's features are normalised: not at all, by 'row' as in the
            published networks of categories, or by 'group'.
        code: Length of a code.
        code_length: Whether codes have 'unit' length or are 'free'.
        decoder_widths: Channels of the decoders' images, from the smallest on.
        decoded: What is decoded: 'color', or 'depth' as well.
        encoding: How rotations are told to the network, see `encode_rotations`.
        hidden: Channels between the two last layers of `ShapeConditionedCodes`.
        conditioning: On what codes of rotations depend besides: on the 'shape', or on 'none', for
            comparison: then all objects have the same.
    """

    crop: int = 128
    contrast: Contrast = 'given'
    widths: tuple[int, ...] = (128, 256, 512, 512)
    blocks: tuple[int, ...] = (0, 0, 0, 0)
    kernel: int = 5
    norm: ViewNorm = 'none'
    code: int = 128
    code_length: CodeLength = 'free'
    decoder_widths: tuple[int, ...] = (512, 512, 256, 128)
    decoded: tuple[Branch, ...] = ('color',)
    encoding: RotationEncoding = 'published'
    hidden: int = 512
    conditioning: Conditioning = 'shape'

    def __post_init__(self) -> None:
        """Check the values.

        Raises:
            ConfigurationError: If one is out of range.
        """
        check_choices(self, 'DISP6D', {
            'contrast': get_args(Contrast), 'norm': get_args(ViewNorm),
            'code_length': get_args(CodeLength), 'encoding': get_args(RotationEncoding),
            'conditioning': get_args(Conditioning)})
        if len(self.blocks) != len(self.widths) or not self.widths:
            raise ConfigurationError(f'DISP6D needs a number of blocks for each of its stages, '
                                     f'not {self.blocks} for the widths {self.widths}')
        for stages in (len(self.widths), len(self.decoder_widths)):
            if self.crop < 1 << stages or self.crop % (1 << stages):
                raise ConfigurationError(f'DISP6D with {stages} stages needs a crop of a multiple '
                                         f'of {1 << stages} pixels, not {self.crop}')
        if not self.decoded or not set(self.decoded) <= set(get_args(Branch)):
            raise ConfigurationError(f'DISP6D decodes color or depth, not {self.decoded}')

    def as_dict(self) -> dict[str, Any]:
        """Return everything by name in plain values, for a manifest."""
        return {name: list(value) if isinstance(value, tuple) else value
                for name, value in asdict(self).items()}

    @classmethod
    def from_dict(cls, plain: Mapping[str, Any]) -> Disp6dConfig:
        """Return the configuration that `as_dict` described."""
        values: dict[str, Any] = {name: tuple(value) if isinstance(value, list) else value
                                  for name, value in plain.items()}
        return cls(**values)


PUBLISHED_CAD = Disp6dConfig()
PUBLISHED_CATEGORIES = replace(PUBLISHED_CAD, contrast='stretched', norm='row',
                               code_length='unit', decoded=('color', 'depth'))
LITE = Disp6dConfig(
    widths=(24, 48, 96, 128), blocks=(0, 1, 1, 1), kernel=3, norm='group', code=64,
    code_length='unit', decoder_widths=(128, 64, 32, 16), decoded=('color', 'depth'),
    encoding='quaternion', hidden=128)


class ViewCodes(NamedTuple):
    """What is in B crops.

    Attributes:
        shape: (B, code), which object it is (`z_obj`).
        pose: (B, code), how it is turned towards the camera (`z_pose`).
    """

    shape: Tensor
    pose: Tensor


class Disp6d(nn.Module):
    """The network; images are (B, 3, S, S) BGR from 0 to 1."""

    def __init__(self, config: Disp6dConfig) -> None:
        """Create the network with random weights."""
        super().__init__()
        self.config = config
        self.encoder = ViewEncoder(config.crop, config.widths, config.blocks, config.kernel,
                                   config.norm, config.code)
        self.conditioner = ShapeConditionedCodes(config.code, encoding_size(config.encoding),
                                                 config.hidden)
        self.decoders = nn.ModuleDict({
            branch: StyleDecoder(config.code, config.decoder_widths,
                                 config.crop >> len(config.decoder_widths), config.kernel,
                                 _CHANNELS[branch])
            for branch in config.decoded})

    def encode(self, image: Tensor) -> ViewCodes:
        """Return the codes of (B, 3, S, S) crops."""
        if self.config.contrast == 'stretched':
            image = stretched(image)
        codes = self.encoder(image)
        return ViewCodes(*(map(unit_length, codes) if self.config.code_length == 'unit'
                           else codes))

    def decode(self, codes: ViewCodes) -> dict[Branch, Tensor]:
        """Return images of the codes: (B, 3, S, S) of 'color', (B, 1, S, S) of 'depth'.

        Both are from 0 to 1. A depth of 0.5 is that of the object's origin, 1 is no object; in
        between, one is the distance from which the renderings for training were made.
        """
        return {branch: self.decoders[branch](codes.shape, codes.pose)
                for branch in self.config.decoded}

    def condition(self, shape: Tensor, rotation: Tensor) -> Tensor:
        """Return (B, N, code) codes of pose, of free length.

        Args:
            shape: (B, code) codes of shape.
            rotation: (N, E) harmonics of rotations (`encode_rotations`), or (B, N, E).
        """
        known = shape if self.config.conditioning == 'shape' else 0.0 * shape
        codes: Tensor = self.conditioner(known, rotation)
        return codes


def stretched(image: Tensor) -> Tensor:
    """Return (B, 3, S, S) images with the darkest value of each at 0 and the brightest at 1."""
    darkest = image.amin(dim=(1, 2, 3), keepdim=True)
    contrast = image.amax(dim=(1, 2, 3), keepdim=True) - darkest
    return (image - darkest) / contrast.clamp_min(_SMALLEST_CONTRAST)
