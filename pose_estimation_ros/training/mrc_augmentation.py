"""Random changes of pictures of known objects, so that real ones look like one more of them.

`AugmentationSettings` holds the published chances (spec 1.7); the occluders are ours: what else
stands in a real scene hides objects more often than rendered scenes do.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

Image = NDArray[np.uint8]
FloatImage = NDArray[np.float32]
Mask = NDArray[np.uint8]

_WHITE = np.float32(255.0)


@dataclass(frozen=True)
class AugmentationSettings:
    """How often a picture is changed in which way.

    Attributes:
        jitter: How far a crop is shifted at most, in widths and heights of the box, and how much
            larger or smaller it is at most; not above the published 0.25, see `mrc_views`.
        background: Chance that everything beside the object is replaced. Published is 0.8 for
            real pictures, and less for rendered scenes.
        occluders: Chance that other things are pasted before the object; 0 as published.
        colors: Chance of all following ones together; each has its own besides.
        dropout: Of black blocks.
        noise: Of noise, different in every pixel and channel.
        blur: Of a Gaussian blur.
        brightness: Of adding to all pixels.
        inversion: Of inverting each channel with a chance of a fifth.
        tint: Of multiplying each channel.
        exposure: Of multiplying all channels.
        contrast: Of stretching or shrinking the differences to the middle grey.
        grey: Of no colours at all; 0 as published.
    """

    jitter: float = 0.25
    background: float = 0.3
    occluders: float = 0.4
    colors: float = 0.8
    dropout: float = 0.5
    noise: float = 0.5
    blur: float = 0.5
    brightness: float = 0.5
    inversion: float = 0.3
    tint: float = 0.5
    exposure: float = 0.5
    contrast: float = 0.5
    grey: float = 0.05


def with_background(rgb: Image, mask: Mask, other: Image, generator: np.random.Generator) -> Image:
    """Return the object before another picture.

    Args:
        rgb: (h, w, 3) uint8.
        mask: (h, w) uint8, 1 where the object is seen.
        other: (h2, w2, 3) uint8, any picture; a part of it is stretched over the whole.
        generator: Source of randomness.
    """
    height, width = mask.shape
    background = cv2.resize(_random_part(other, generator), (width, height),
                            interpolation=cv2.INTER_LINEAR)
    # Soft edges, as a camera gives them: a sharp cut would give the object away.
    share = cv2.GaussianBlur(mask.astype(np.float32), (0, 0), generator.uniform(0.3, 1.0))
    return np.asarray(cv2.blendLinear(rgb, background.astype(np.uint8), share, 1.0 - share),
                      dtype=np.uint8)


def with_occluder(rgb: Image, mask: Mask, other: Image, shape: Mask,
                  generator: np.random.Generator) -> tuple[Image, Mask]:
    """Return the picture with a part of another one pasted before the object, and the mask left.

    Args:
        rgb: (h, w, 3) uint8.
        mask: (h, w) uint8, 1 where the object is seen.
        other: (h2, w2, 3) uint8, what is pasted.
        shape: (h2, w2) uint8, 1 where it is opaque.
        generator: Source of randomness.
    """
    rows, columns = np.nonzero(mask)
    if not len(rows):
        return rgb, mask
    extent = max(int(np.ptp(rows)), int(np.ptp(columns))) + 1
    side = max(2, round(extent * generator.uniform(0.2, 0.8)))
    scale = side / max(other.shape[:2])
    angle = generator.uniform(0.0, 360.0)
    spot = int(generator.integers(len(rows)))
    # Its middle comes to a pixel near the object's edge or inside.
    middle = np.array([columns[spot], rows[spot]]) + generator.normal(0.0, 0.2 * side, 2)
    turn = cv2.getRotationMatrix2D((other.shape[1] / 2, other.shape[0] / 2), angle, scale)
    turn[:, 2] += middle - np.array([other.shape[1] / 2, other.shape[0] / 2])
    size = mask.shape[1::-1]
    pasted = cv2.warpAffine(other, turn, size, flags=cv2.INTER_LINEAR,
                            borderMode=cv2.BORDER_REPLICATE)
    share = cv2.warpAffine(shape.astype(np.float32), turn, size, flags=cv2.INTER_LINEAR)
    left = np.where(share > 0.5, 0, mask).astype(np.uint8)
    return np.asarray(cv2.blendLinear(pasted.astype(np.uint8), rgb, share, 1.0 - share),
                      dtype=np.uint8), left


def patch_shape(size: tuple[int, int], generator: np.random.Generator) -> Mask:
    """Return a (h, w) mask of an ellipse, a bar or a polygon that fills much of it."""
    height, width = size
    shape = np.zeros(size, dtype=np.uint8)
    kind = generator.integers(3)
    if kind == 0:
        cv2.ellipse(shape, (width // 2, height // 2),
                    (max(1, int(width * generator.uniform(0.2, 0.5))),
                     max(1, int(height * generator.uniform(0.2, 0.5)))), 0, 0, 360, 1, -1)
    elif kind == 1:
        half = max(1, int(height * generator.uniform(0.08, 0.5)))
        shape[height // 2 - half:height // 2 + half] = 1
    else:
        angles = np.sort(generator.uniform(0.0, 2 * np.pi, int(generator.integers(3, 8))))
        radii = generator.uniform(0.25, 0.5, len(angles))
        corners = np.stack([width * (0.5 + radii * np.cos(angles)),
                            height * (0.5 + radii * np.sin(angles))], axis=1)
        cv2.fillPoly(shape, [corners.astype(np.int32)], (1,))
    return shape


def changed_colors(rgb: FloatImage, mask: FloatImage, settings: AugmentationSettings,
                   generator: np.random.Generator) -> tuple[FloatImage, FloatImage]:
    """Return a crop as another camera in other light would show it, and its mask.

    Args:
        rgb: (S, S, 3) float32, 0 to 255.
        mask: (S, S) float32, 0 to 1; blocks that drop out are no object any more.
        settings: How often what happens.
        generator: Source of randomness.
    """
    if generator.random() > settings.colors:
        return rgb, mask
    chance = generator.random(9)
    if chance[0] < settings.dropout:
        rgb, mask = _dropout(rgb, mask, generator)
    if chance[1] < settings.noise:
        noise = generator.standard_normal(rgb.shape, dtype=np.float32)
        rgb = rgb + noise * np.float32(generator.uniform(0.0, 0.01) * 255)
    if chance[2] < settings.blur:
        # Published for crops of 256 pixels.
        deviation = generator.uniform(0.0, 1.2) * len(rgb) / 256
        rgb = np.asarray(cv2.GaussianBlur(rgb, (0, 0), max(deviation, 0.05)), dtype=np.float32)
    factor, offset = _gains(chance[3:], settings, generator)
    rgb = rgb * factor + offset
    if chance[8] < settings.grey:
        grey = cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY)
        rgb = np.repeat(grey[..., None], 3, axis=2)
    return np.clip(rgb, np.float32(0.0), _WHITE), mask


def _gains(chance: NDArray[np.float64], settings: AugmentationSettings,
           generator: np.random.Generator) -> tuple[FloatImage, FloatImage]:
    """Return (3,) factors and (3,) offsets of the changes that are linear in the colours."""
    factor, offset = np.ones(3), np.zeros(3)
    if chance[0] < settings.brightness:
        offset += generator.uniform(-25, 25, 3 if generator.random() < 0.3 else 1)
    if chance[1] < settings.inversion:
        inverted = generator.random(3) < 0.2
        factor = np.where(inverted, -factor, factor)
        offset = np.where(inverted, 255 - offset, offset)
    for limit, channels, number in ((settings.tint, 3, 2), (settings.exposure, 1, 3)):
        if chance[number] < limit:
            gain = generator.uniform(0.6, 1.4, channels)
            factor, offset = factor * gain, offset * gain
    if chance[4] < settings.contrast:
        stretch = generator.uniform(0.5, 2.2)
        factor, offset = factor * stretch, (offset - 127) * stretch + 127
    return factor.astype(np.float32), offset.astype(np.float32)


def _dropout(rgb: FloatImage, mask: FloatImage,
             generator: np.random.Generator) -> tuple[FloatImage, FloatImage]:
    """Blacken up to a fifth of the cells of a coarse grid."""
    cells = max(2, round(0.05 * len(rgb)))
    kept = (generator.random((cells, cells)) > generator.uniform(0.0, 0.2)).astype(np.float32)
    kept = np.asarray(cv2.resize(kept, rgb.shape[1::-1], interpolation=cv2.INTER_NEAREST),
                      dtype=np.float32)
    return rgb * kept[..., None], mask * kept


def _random_part(image: Image, generator: np.random.Generator) -> Image:
    """Return a random window of an image, possibly mirrored."""
    height, width = image.shape[:2]
    share = generator.uniform(0.4, 1.0)
    rows, columns = max(2, int(share * height)), max(2, int(share * width))
    top, left = generator.integers(height - rows + 1), generator.integers(width - columns + 1)
    part = image[top:top + rows, left:left + columns]
    return np.ascontiguousarray(part[:, ::-1] if generator.random() < 0.5 else part)
