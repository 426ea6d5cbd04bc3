"""Colours of synthetic surfaces: palettes per domain, sRGB to linear light and back."""

from __future__ import annotations

import colorsys

import numpy as np
from numpy.typing import NDArray

FloatImage = NDArray[np.float32]

# Share of each colour family in the primary domain, and its ranges of hue, saturation, value.
_FAMILIES: tuple[tuple[float, tuple[float, float], tuple[float, float], tuple[float, float]], ...]
_FAMILIES = (
    (0.20, (0.00, 1.00), (0.00, 0.10), (0.75, 0.97)),  # white and cream
    (0.10, (0.00, 1.00), (0.00, 0.12), (0.25, 0.75)),  # grey
    (0.16, (0.00, 1.00), (0.00, 0.70), (0.03, 0.22)),  # black and very dark
    (0.24, (0.00, 1.00), (0.70, 1.00), (0.45, 0.95)),  # saturated
    (0.14, (0.00, 1.00), (0.18, 0.45), (0.65, 0.95)),  # pastel
    (0.16, (0.02, 0.14), (0.25, 0.75), (0.25, 0.80)),  # earth, wood, terracotta, mustard
)


def srgb_to_linear(color: NDArray[np.floating]) -> FloatImage:
    """Return linear light, 0 to 1, of sRGB values, 0 to 1, any shape (IEC 61966-2-1)."""
    value = np.asarray(color, dtype=np.float32)
    return np.where(value <= 0.04045, value / np.float32(12.92),
                    ((value + np.float32(0.055)) / np.float32(1.055)) ** np.float32(2.4)
                    ).astype(np.float32)


def luminance(linear_rgb: NDArray[np.floating]) -> FloatImage:
    """Return the (...) relative luminance of (..., 3) linear RGB (ITU-R BT.709)."""
    weights = np.array([0.2126, 0.7152, 0.0722], dtype=np.float32)
    return np.asarray(linear_rgb @ weights, dtype=np.float32)


def sample_color(domain: str, generator: np.random.Generator) -> FloatImage:
    """Return one (3,) linear RGB surface colour.

    The primary domain draws from colour families (white, grey, dark, saturated, pastel, earth).
    The second draws from cosine curves through the RGB cube, so its mixture is another one.
    """
    if domain == 'second':
        phase = generator.uniform(0.0, 1.0, 3)
        amplitude = generator.uniform(0.05, 0.5)
        centre = generator.uniform(0.15, 0.85)
        srgb = centre + amplitude * np.cos(2 * np.pi * phase)
        return srgb_to_linear(np.clip(srgb, 0.02, 0.98))
    shares = np.array([family[0] for family in _FAMILIES])
    _, hue, saturation, value = _FAMILIES[generator.choice(len(shares), p=shares / shares.sum())]
    hsv = [generator.uniform(*bounds) for bounds in (hue, saturation, value)]
    return srgb_to_linear(np.array(colorsys.hsv_to_rgb(*hsv)))


def sample_hsv(generator: np.random.Generator, hue: tuple[float, float],
               saturation: tuple[float, float], value: tuple[float, float]) -> FloatImage:
    """Return one (3,) linear RGB colour, uniform in a box of hue, saturation and value (0..1)."""
    hsv = [generator.uniform(*bounds) % 1.0001 for bounds in (hue, saturation, value)]
    return srgb_to_linear(np.array(colorsys.hsv_to_rgb(*hsv)))


def vary(color: FloatImage, amount: float, generator: np.random.Generator) -> FloatImage:
    """Return a (3,) linear colour near `color`: scaled as a whole and a little per channel."""
    factor = np.exp(generator.normal(0.0, amount) + generator.normal(0.0, 0.25 * amount, 3))
    return np.clip(color * factor, 0.002, 0.98).astype(np.float32)
