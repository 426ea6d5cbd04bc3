"""Variation of the colours of point clouds: other cameras, other lights, other paint."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

# Of how many views the colours are hidden, turned to grey, or their channels mixed at will.
_HIDDEN, _GREY, _MIXED = 0.1, 0.15, 0.3
_GAIN, _TINT, _OFFSET, _GAMMA, _NOISE = 0.3, 0.12, 0.06, 0.25, 0.02


def recolored(color: NDArray[np.floating],
              generator: np.random.Generator) -> NDArray[np.float32]:
    """Return colours as other cameras, lights or paints would give them.

    What is linear about it acts on blurred colours as it would on the image.

    Args:
        color: (B, N, 9) red, green and blue at three widths, 0 to 1; NaN where unknown.
        generator: Source of everything random.

    Returns:
        (B, N, 9) float32.
    """
    batch = len(color)
    mix = np.tile(np.eye(3), (batch, 1, 1))
    grey = generator.random(batch) < _GREY
    mix[grey] = 1.0 / 3.0
    mixed = generator.random(batch) < _MIXED
    mix[mixed] = generator.dirichlet((0.4, 0.4, 0.4), (batch, 3))[mixed]
    gain = np.exp(generator.normal(0.0, _GAIN, (batch, 1, 1))
                  + generator.normal(0.0, _TINT, (batch, 1, 3)))
    offset = generator.normal(0.0, _OFFSET, (batch, 1, 3))
    levels = color.reshape(batch, -1, 3) @ (mix * gain) + offset
    gamma = np.exp(generator.normal(0.0, _GAMMA, (batch, 1, 1)))
    levels = np.clip(levels, 0.0, 1.0) ** gamma
    levels += generator.normal(0.0, _NOISE, levels.shape)
    levels[generator.random(batch) < _HIDDEN] = np.nan
    return levels.reshape(color.shape).astype(np.float32)
