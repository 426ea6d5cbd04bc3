"""Food and drink cans."""

from __future__ import annotations

import numpy as np

from pose_estimation_ros.synthetic.shapes.curves import rounded_polyline
from pose_estimation_ros.synthetic.shapes.parts import Part
from pose_estimation_ros.synthetic.shapes.revolution import revolve
from pose_estimation_ros.synthetic.shapes.shape import BACK, FRONT, LEFT, RIGHT, UP, Shape
from pose_estimation_ros.synthetic.shapes.sweep import rounded_box

_KINDS = ('soup', 'drink', 'flat', 'tall', 'tin', 'open')
_SHARES = (0.34, 0.3, 0.13, 0.1, 0.08, 0.05)
_DIAMETERS = {
    'soup': (0.06, 0.11),
    'drink': (0.05, 0.07),
    'flat': (0.06, 0.11),
    'tall': (0.05, 0.075),
    'tin': (0.046, 0.11),
    'open': (0.06, 0.1),
}
_ASPECTS = {
    'soup': (0.9, 1.7),
    'drink': (1.5, 2.4),
    'flat': (0.4, 0.8),
    'tall': (1.8, 2.4),
    'tin': (0.6, 2.0),
    'open': (0.9, 1.6),
}


def _seamed_profile(
    radius: float,
    height: float,
    generator: np.random.Generator,
) -> tuple[list[tuple[float, float]], list[str]]:
    """Return the outside of a steel can: rims at both ends, beads between them perhaps."""
    uniform = generator.uniform
    bead, rise = uniform(0.0004, 0.0012), uniform(0.002, 0.0045)
    points = [(radius, 0.0), (radius, rise), (radius - bead, rise * 1.4)]
    names = ['metal', 'metal']
    low, high = 1.8 * rise, height - 1.8 * rise
    levels = np.linspace(low, high, 40)
    radii = np.full(40, radius - bead)
    if uniform() < 0.45:
        ribs = int(generator.integers(2, 7))
        start, stop = sorted(uniform(0.1, 0.9, 2))
        share = (levels - low) / (high - low)
        window = (share > start) & (share < stop)
        radii = radii - window * uniform(0.0004, 0.0014) * (
            1 + np.sin(2 * np.pi * ribs * (share - start) / max(stop - start, 0.2))
        )
    wrapped = uniform() < 0.75
    points += list(zip(radii.tolist(), levels.tolist(), strict=True))
    names += ['metal', *(['label' if wrapped else 'body'] * 39)]
    points += [(radius - bead, height - rise * 1.4), (radius, height - rise), (radius, height)]
    names += ['metal', 'metal', 'metal']
    return points, names


def _drink_profile(
    radius: float,
    height: float,
    generator: np.random.Generator,
) -> tuple[list[tuple[float, float]], list[str]]:
    """Return the outside of a drink can: drawn bottom, shoulder, narrower lid."""
    uniform = generator.uniform
    foot, neck = radius * uniform(0.72, 0.86), radius * uniform(0.78, 0.92)
    rise, shoulder = radius * uniform(0.12, 0.3), radius * uniform(0.15, 0.55)
    outline = rounded_polyline(
        [
            (foot, 0.0),
            (radius, rise),
            (radius, height - shoulder),
            (neck, height - 0.004),
            (neck, height - 0.002),
        ],
        uniform(0.006, 0.016),
        6,
    )
    body = [(float(r), float(y)) for r, y in outline]
    names = ['body'] * (len(body) - 1)
    points = [*body, (neck + 0.0012, height - 0.0015), (neck + 0.0012, height)]
    return points, [*names, 'metal', 'metal']


def _round_can(
    kind: str,
    radius: float,
    height: float,
    generator: np.random.Generator,
) -> tuple[Part, float]:
    """Return the can and the height of its lid, metres."""
    uniform = generator.uniform
    if kind in ('drink', 'tall') and uniform() < 0.85:
        outside, names = _drink_profile(radius, height, generator)
    elif kind == 'tin':
        outside = [(radius, 0.0), (radius, 0.5 * height), (radius, height)]
        names = ['body', 'body']
    else:
        outside, names = _seamed_profile(radius, height, generator)
    foot, top = outside[0][0], outside[-1][0]
    dome = uniform(0.002, 0.008) if kind in ('drink', 'tall') else uniform(0.001, 0.004)
    lip = uniform(0.0016, 0.0028)
    bottom = [
        (0.0, dome),
        (0.6 * foot, 0.8 * dome),
        (foot - 2 * lip, 0.3 * dome),
        (foot - lip, 0.0),
    ]
    depth = (
        height * uniform(0.75, 0.97)
        if kind == 'open'
        else min(uniform(0.002, 0.007), 0.1 * height)
    )
    lid = 'inside' if kind == 'open' else 'lid'
    bulge = uniform(0.0, 0.0015)
    wall = top - 1.4 * lip
    if kind == 'open':
        wall = min(r for r, _ in outside) - 0.0008
    inside = [
        (top - lip, height),
        (wall, height - depth),
        (0.6 * top, height - depth + bulge),
        (0.0, height - depth + bulge),
    ]
    can = revolve(
        [*bottom, *outside, *inside],
        ['metal'] * 4 + names + ['metal', 'metal' if kind != 'open' else 'inside', lid, lid],
    )
    return can, height - depth + bulge


def make_can(generator: np.random.Generator) -> Shape:
    """Return a can 4.6 to 11 cm wide whose height is 0.4 to 2.4 times that."""
    kind = str(generator.choice(_KINDS, p=_SHARES))
    radius = 0.5 * generator.uniform(*_DIAMETERS[kind])
    height = min(2 * radius * generator.uniform(*_ASPECTS[kind]), 0.24)
    can, lid_height = _round_can(kind, radius, height, generator)
    parts = [can]
    if kind == 'tin':
        skirt, wide = (
            height * generator.uniform(0.06, 0.25),
            radius * generator.uniform(1.005, 1.03),
        )
        parts.append(
            revolve(
                [
                    (wide, height - skirt),
                    (wide, height),
                    (wide - 0.001, height + 0.001),
                    (0, height + 0.001),
                ],
                'lid',
            )
        )
    elif kind != 'open' and generator.random() < 0.7:
        tab = rounded_box((0.024, 0.0015, 0.015), 0.006, 0.0005, 'metal')
        parts.append(tab.moved((0.25 * radius, lid_height + 0.0008, 0.0)))
    sides = (BACK, FRONT, LEFT, RIGHT)
    return Shape(kind, parts, (UP, *sides))
