"""Bowls, from near plates to deep ones."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import numpy.typing as npt

from pose_estimation_ros.synthetic.shapes.curves import (
    bezier,
    circle,
    join_rounded,
    resample,
    superellipse,
)
from pose_estimation_ros.synthetic.shapes.parts import Part
from pose_estimation_ros.synthetic.shapes.revolution import (
    SEGMENTS,
    paint_band,
    revolve,
    ring,
    vessel_profile,
)
from pose_estimation_ros.synthetic.shapes.shape import Shape

FloatArray = npt.NDArray[np.float64]
_KINDS = ('round', 'conical', 'flared', 'hemispherical', 'straight', 'rimmed', 'tulip')
_SHARES = (0.3, 0.17, 0.13, 0.16, 0.13, 0.06, 0.05)


def wall_of(kind: str, radius: float, height: float, generator: np.random.Generator) -> FloatArray:
    """Return the (24, 2) outer wall (radius, height) of a bowl, metres, foot corner to rim."""
    uniform = generator.uniform
    foot = radius * uniform(0.38, 0.68)
    if kind == 'conical':
        foot = radius * uniform(0.22, 0.55)
        bulge = uniform(-0.03, 0.08)
        middle = (0.5 * (foot + radius) + bulge * radius, height * (0.5 - bulge))
        return bezier([(foot, 0), middle, (radius, height)], 24)
    if kind == 'hemispherical':
        start = np.arcsin(uniform(0.2, 0.5))
        angle = np.linspace(start, uniform(0.42, 0.5) * np.pi, 24)
        curve = np.stack([np.sin(angle), 1 - np.cos(angle)], axis=1)
        cap: FloatArray = curve - (0, curve[0, 1])
        cap *= (radius / cap[-1, 0], height / cap[-1, 1])
        return cap
    if kind == 'straight':
        foot = radius * uniform(0.7, 0.97)
        round_off = min(height * uniform(0.25, 0.9), 0.5 * radius)
        corner = np.array([foot, 0.0])
        flat = np.array([[foot - round_off, 0.0], corner])
        curve = join_rounded(flat, np.array([corner, (radius, height)]), round_off * 0.95, 12)
        return resample(curve, 24)
    if kind == 'flared':
        return bezier(
            [
                (foot, 0),
                (radius * uniform(0.8, 1.0), 0.02 * height),
                (radius * uniform(0.75, 0.9), height * 0.75),
                (radius, height),
            ],
            24,
        )
    if kind == 'rimmed':
        well = radius * uniform(0.68, 0.85)
        lip = height * uniform(0.82, 0.95)
        bowl = bezier([(foot, 0), (well, 0.02 * height), (well, 0.6 * height), (well, lip)], 16)
        brim = np.array([(well, lip), (radius, height)])
        return resample(join_rounded(bowl, brim, 0.12 * radius, 5), 24)
    if kind == 'tulip':
        belly = radius * uniform(1.0, 1.12)
        return bezier(
            [(foot, 0), (belly, 0.05 * height), (belly * 1.05, 0.6 * height), (radius, height)], 24
        )
    side = radius * uniform(0.8, 1.0)
    return bezier(
        [(foot, 0), (side, 0.02 * height), (radius, height * uniform(0.3, 0.6)), (radius, height)],
        24,
    )


def bowl_outlines(rows: int, heights: FloatArray, generator: np.random.Generator) -> FloatArray:
    """Return the (rows, SEGMENTS, 2) cross-sections: mostly round, some oval, square or wavy.

    Args:
        rows: Number of profile points.
        heights: (rows,) relative height 0 to 1 of each profile point.
        generator: Source of chance.
    """
    round_outline = circle(SEGMENTS)
    choice = generator.random()
    if choice < 0.8:
        return np.broadcast_to(round_outline, (rows, SEGMENTS, 2))
    if choice < 0.87:
        shaped = superellipse(SEGMENTS, generator.uniform(2.0, 2.3), generator.uniform(0.8, 0.95))
    elif choice < 0.93:
        shaped = superellipse(SEGMENTS, generator.uniform(2.6, 4.5), generator.uniform(0.92, 1.0))
    else:
        angle = np.arctan2(round_outline[:, 1], round_outline[:, 0])
        lobes = int(generator.integers(5, 13))
        shaped = (
            round_outline * (1 + generator.uniform(0.01, 0.04) * np.cos(lobes * angle))[:, None]
        )
    share = np.clip(heights, 0, 1)[:, None, None]
    return (1 - share) * round_outline + share * shaped


def _hand_formed(body: Part, height: float, generator: np.random.Generator) -> Part:
    """Return the bowl with a rim that rises, falls and bulges a few times around, as by hand."""
    x, y, z = body.vertices.T
    turn = np.arctan2(z, x) + generator.uniform(0, 2 * np.pi)
    wave = np.cos(int(generator.integers(1, 4)) * turn)
    share = np.clip(y / height, 0, 1) ** 2 * wave
    swell = 1 + generator.uniform(-0.05, 0.05) * share
    raised = y + generator.uniform(-0.06, 0.06) * height * share
    return replace(body, vertices=np.stack([x * swell, raised, z * swell], axis=1))


def make_bowl(generator: np.random.Generator) -> Shape:
    """Return a bowl 9 to 28 cm wide and 3 to 13 cm high."""
    uniform = generator.uniform
    kind = str(generator.choice(_KINDS, p=_SHARES))
    radius = 0.5 * float(np.clip(generator.lognormal(np.log(0.15), 0.25), 0.09, 0.28))
    aspect = float(np.clip(generator.normal(0.42, 0.12), 0.2, 0.75))
    if kind == 'rimmed':
        aspect *= 0.6
    height = float(np.clip(2 * radius * aspect, 0.03, 0.13))
    wall = float(np.clip(generator.lognormal(np.log(0.004), 0.4), 0.0015, 0.009))
    wall_curve = wall_of(kind, radius, height, generator)
    wall = min(wall, 0.5 * wall_curve[0, 0])
    foot_height = height * uniform(0.03, 0.13) if uniform() < 0.6 else 0.0
    wall_curve = wall_curve * (1, 1 - foot_height / height) + (0, foot_height)
    floor = wall * uniform(1.0, 1.8)
    profile, names = vessel_profile(
        wall_curve, wall, floor, uniform(0.001, 0.008), uniform(0.004, 0.03)
    )
    outlines = bowl_outlines(len(profile), profile[:, 1] / height, generator)
    body = revolve(profile, names, outlines)
    if uniform() < 0.12:
        body = _hand_formed(body, height, generator)
    if uniform() < 0.25:
        low = height * uniform(0.3, 0.7)
        body = paint_band(body, low, low + height * uniform(0.1, 0.3))
    parts: list[Part] = [body]
    if foot_height > 0:
        outer = wall_curve[0, 0] * uniform(0.8, 0.98)
        inner = outer - max(wall, 0.003) * uniform(1.0, 1.6)
        top = foot_height + 0.6 * floor
        lean = uniform(0.9, 1.0) * outer
        parts.append(
            ring([(outer, top), (lean, 0), (lean - (outer - inner), 0), (inner, top)], 'base')
        )
    upside_down = ((0.0, 1.0, 0.0),)
    return Shape(kind, parts, upside_down)
