"""Colours of synthetic surfaces: palettes, and sRGB to linear light."""

from __future__ import annotations

import colorsys
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pose_estimation_ros.core.rotation import axis_rotation

FloatImage = NDArray[np.float32]
Range = tuple[float, float]


@dataclass(frozen=True)
class Family:
    """A box of hue, saturation and value (each 0 to 1) that colours are drawn from.

    Attributes:
        share: Relative frequency of this family in its palette.
        hue: Range; values above 1 wrap around.
        saturation: Range.
        value: Range.
    """

    share: float
    hue: Range
    saturation: Range
    value: Range


# What made things look like: white goods, greys, blacks, signal colours, pastels, earth colours.
OBJECT_FAMILIES = (
    Family(0.20, (0.00, 1.00), (0.00, 0.10), (0.72, 0.95)),
    Family(0.10, (0.00, 1.00), (0.00, 0.12), (0.25, 0.72)),
    Family(0.16, (0.00, 1.00), (0.00, 0.70), (0.03, 0.24)),
    Family(0.26, (0.00, 1.00), (0.55, 0.97), (0.35, 0.88)),
    Family(0.13, (0.00, 1.00), (0.15, 0.45), (0.60, 0.92)),
    Family(0.15, (0.02, 0.14), (0.25, 0.75), (0.25, 0.80)),
)
# What rooms look like: mostly calm.
ROOM_FAMILIES = (
    Family(0.28, (0.05, 0.18), (0.00, 0.14), (0.60, 0.92)),
    Family(0.22, (0.00, 1.00), (0.00, 0.12), (0.15, 0.65)),
    Family(0.12, (0.00, 1.00), (0.00, 0.45), (0.04, 0.22)),
    Family(0.22, (0.02, 0.12), (0.20, 0.60), (0.25, 0.80)),
    Family(0.10, (0.00, 1.00), (0.15, 0.50), (0.35, 0.80)),
    Family(0.06, (0.00, 1.00), (0.50, 0.90), (0.30, 0.80)),
)
WOOD_FAMILIES = (
    Family(0.7, (0.04, 0.11), (0.25, 0.65), (0.25, 0.80)),
    Family(0.2, (0.08, 0.13), (0.10, 0.35), (0.55, 0.90)),
    Family(0.1, (0.00, 0.10), (0.30, 0.70), (0.10, 0.30)),
)


def srgb_to_linear(color: NDArray[np.floating]) -> FloatImage:
    """Return linear light, 0 to 1, of sRGB values, 0 to 1, any shape (IEC 61966-2-1)."""
    value = np.asarray(color, dtype=np.float32)
    return np.where(value <= 0.04045, value / np.float32(12.92),
                    ((value + np.float32(0.055)) / np.float32(1.055)) ** np.float32(2.4)
                    ).astype(np.float32)


def linear_to_srgb(color: NDArray[np.floating]) -> FloatImage:
    """Return sRGB values, 0 to 1, of linear light, 0 to 1, any shape (IEC 61966-2-1)."""
    value = np.asarray(color, dtype=np.float32)
    return np.where(value <= 0.0031308, value * np.float32(12.92),
                    np.float32(1.055) * np.maximum(value, 0) ** np.float32(1 / 2.4)
                    - np.float32(0.055)).astype(np.float32)


def luminance(linear_rgb: NDArray[np.floating]) -> FloatImage:
    """Return the (...) relative luminance of (..., 3) linear RGB (ITU-R BT.709)."""
    weights = np.array([0.2126, 0.7152, 0.0722], dtype=np.float32)
    return np.asarray(linear_rgb @ weights, dtype=np.float32)


def sample_from_families(families: tuple[Family, ...],
                         generator: np.random.Generator) -> FloatImage:
    """Return one (3,) linear RGB colour from a palette of families."""
    shares = np.array([family.share for family in families])
    family = families[int(generator.choice(len(families), p=shares / shares.sum()))]
    return sample_hsv(generator, family.hue, family.saturation, family.value)


def sample_hsv(generator: np.random.Generator, hue: Range, saturation: Range,
               value: Range) -> FloatImage:
    """Return one (3,) linear RGB colour, uniform in a box of hue, saturation and value."""
    h, s, v = (generator.uniform(*bounds) for bounds in (hue, saturation, value))
    return srgb_to_linear(np.array(colorsys.hsv_to_rgb(h % 1.0, s, v)))


def sample_cosine(amplitude: Range, generator: np.random.Generator) -> FloatImage:
    """Return one (3,) linear RGB colour from a random cosine curve through the colour cube.

    Args:
        amplitude: Range of the distance from grey.
        generator: Source of randomness.
    """
    phase = generator.uniform(0.0, 2 * np.pi, 3)
    srgb = generator.uniform(0.12, 0.88) + generator.uniform(*amplitude) * np.cos(phase)
    return srgb_to_linear(np.clip(srgb, 0.02, 0.97))


def color_change(hue: float, saturation: float, gains: NDArray[np.floating]) -> FloatImage:
    """Return the (3, 3) matrix that turns the hue of linear RGB, scales saturation and channels.

    Args:
        hue: Angle about the grey axis, radians.
        saturation: Factor of the distance from grey; 1 = none, 0 = grey.
        gains: (3,) factors of red, green and blue.
    """
    grey = np.tile(np.array([0.2126, 0.7152, 0.0722]), (3, 1))
    turn = axis_rotation((1.0, 1.0, 1.0), hue)
    return np.asarray(np.diag(gains) @ turn @ (grey + saturation * (np.eye(3) - grey)),
                      dtype=np.float32)


def vary(color: FloatImage, amount: float, generator: np.random.Generator) -> FloatImage:
    """Return a (3,) linear colour near `color`: scaled as a whole and a little per channel."""
    factor = np.exp(generator.normal(0.0, amount) + generator.normal(0.0, 0.25 * amount, 3))
    return np.clip(color * factor, 0.002, 0.95).astype(np.float32)
