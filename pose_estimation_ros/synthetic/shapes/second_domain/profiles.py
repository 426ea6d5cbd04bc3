"""Analytic profiles and cross-sections."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from pose_estimation_ros.synthetic.shapes.curves import circle, resample
from pose_estimation_ros.synthetic.shapes.revolution import SEGMENTS

FloatArray = npt.NDArray[np.float64]


def quarter_superellipse(
    start: tuple[float, float], stop: tuple[float, float], exponent: float, count: int = 12
) -> FloatArray:
    """Return a quarter of a superellipse in the (radius, height) plane.

    It leaves `start` level and reaches `stop` upright for exponents over 1; larger is fuller.
    """
    angle = np.linspace(0, np.pi / 2, count)
    power = 2 / exponent
    share = np.stack([np.sin(angle) ** power, 1 - np.cos(angle) ** power], axis=1)
    curve: FloatArray = np.asarray(start) + share * (np.asarray(stop) - np.asarray(start))
    return curve


def stack(sections: Sequence[tuple[float, float]], count: int) -> FloatArray:
    """Return `count` points along the straight (radius, height) sections: stacked cones.

    The given corners are kept besides.
    """
    corners = np.asarray(sections, dtype=np.float64)
    dense = resample(corners, count)
    merged = np.concatenate([dense, corners])
    lengths = np.concatenate([[0], np.cumsum(np.linalg.norm(np.diff(corners, axis=0), axis=1))])
    order = np.argsort(
        np.concatenate([np.linspace(0, lengths[-1], count), lengths]), kind='stable'
    )
    ordered = merged[order]
    steps = np.linalg.norm(np.diff(ordered, axis=0), axis=1)
    kept: FloatArray = ordered[np.concatenate([[True], steps > 1e-6])]
    return kept


def polygon(sides: int, roundness: float) -> FloatArray:
    """Return (SEGMENTS, 2) points of a regular polygon, mixed with the circle by `roundness`.

    Args:
        sides: Number of sides.
        roundness: 0 for the polygon, 1 for the circle of the same mean width.
    """
    outline = circle(SEGMENTS)
    angle = np.arctan2(outline[:, 1], outline[:, 0])
    sector = 2 * np.pi / sides
    inside = (angle + 0.5 * sector) % sector - 0.5 * sector
    radius = 1 / np.cos(inside)
    radius /= radius.mean()
    radius = roundness + (1 - roundness) * radius
    return outline * radius[:, None]


def cross_section(generator: np.random.Generator, share_round: float) -> FloatArray:
    """Return a (SEGMENTS, 2) cross-section: a circle with that chance, else a rounded polygon."""
    if generator.random() < share_round:
        return circle(SEGMENTS)
    sides = int(generator.choice([4, 6, 8, 10, 12]))
    return polygon(sides, generator.uniform(0.3, 0.7) if sides == 4 else generator.uniform(0, 0.4))
