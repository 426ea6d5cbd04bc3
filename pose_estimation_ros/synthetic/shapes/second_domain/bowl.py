"""Bowls of superellipses, sphere caps and stacked cones."""

from __future__ import annotations

import numpy as np

from pose_estimation_ros.synthetic.shapes.curves import resample
from pose_estimation_ros.synthetic.shapes.revolution import (
    paint_band,
    revolve,
    ring,
    vessel_profile,
)
from pose_estimation_ros.synthetic.shapes.second_domain.profiles import (
    cross_section,
    quarter_superellipse,
    stack,
)
from pose_estimation_ros.synthetic.shapes.shape import UP, Shape


def make_bowl(generator: np.random.Generator) -> Shape:
    """Return a bowl 9 to 28 cm wide and 3 to 13 cm high."""
    uniform = generator.uniform
    radius = 0.5 * uniform(0.095, 0.24)
    kind = str(
        generator.choice(
            ['superellipse', 'cap', 'cones', 'dog', 'basin'], p=[0.35, 0.25, 0.2, 0.08, 0.12]
        )
    )
    aspect = uniform(0.25, 0.38) if kind in ('dog', 'basin') else uniform(0.25, 0.65)
    height = float(np.clip(2 * radius * aspect, 0.03, 0.13))
    foot = radius * uniform(0.3, 0.65)
    if kind == 'superellipse':
        curve = quarter_superellipse((foot, 0), (radius, height), uniform(1.4, 3.2), 24)
    elif kind == 'cap':
        polar = np.linspace(np.arcsin(0.35), uniform(0.33, 0.56) * np.pi, 24)
        curve = np.stack([np.sin(polar), -np.cos(polar)], axis=1)
        curve -= (0, curve[0, 1])
        curve *= (radius / curve[:, 0].max(), height / curve[-1, 1])
    elif kind == 'cones':
        knee = uniform(0.3, 0.6)
        curve = stack(
            [(foot, 0), (radius * uniform(0.75, 0.95), knee * height), (radius, height)], 22
        )
    elif kind == 'dog':
        # Wider at its base than at its rim.
        curve = stack([(radius, 0), (radius * uniform(0.8, 0.92), height)], 20)
    else:
        well = quarter_superellipse(
            (foot, 0), (0.86 * radius, 0.9 * height), uniform(2.0, 4.0), 18
        )
        lip = np.array([(0.9 * radius, 0.97 * height), (radius, height)])
        curve = resample(np.concatenate([well, lip]), 24)
    wall = uniform(0.0015, 0.008)
    base = height * uniform(0.04, 0.18) if uniform() < 0.4 and kind != 'dog' else 0.0
    curve = curve * (1, 1 - base / height) + (0, base)
    floor = wall * uniform(1.0, 2.0)
    profile, names = vessel_profile(
        curve, wall, floor, uniform(0.0005, 0.005), uniform(0.002, 0.02)
    )
    body = revolve(profile, names, cross_section(generator, 0.85))
    if uniform() < 0.3:
        body = paint_band(body, height * uniform(0.6, 0.8), height)
    parts = [body]
    if base > 0:
        outer = curve[0, 0] * uniform(0.85, 0.97)
        inner = outer * uniform(0.5, 0.85)
        top = base + 0.6 * floor
        parts.append(ring([(outer, top), (outer, 0), (inner, 0), (inner, top)], 'base'))
    return Shape(kind, parts, (UP,))
