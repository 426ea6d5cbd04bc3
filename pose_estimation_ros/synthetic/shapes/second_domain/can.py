"""Cans of straight pieces: chamfers, steps and saw-tooth ribs."""

from __future__ import annotations

import numpy as np

from pose_estimation_ros.synthetic.shapes.revolution import revolve, ring
from pose_estimation_ros.synthetic.shapes.shape import BACK, FRONT, LEFT, RIGHT, UP, Shape


def make_can(generator: np.random.Generator) -> Shape:
    """Return a can 5 to 11 cm wide whose height is 0.4 to 2.4 times that."""
    uniform = generator.uniform
    kind = str(generator.choice(['drum', 'chamfered', 'stepped', 'conical', 'capped']))
    radius = 0.5 * uniform(0.05, 0.108)
    height = min(2 * radius * uniform(0.4, 2.4), 0.22)
    edge = uniform(0.002, 0.006)
    foot = top = radius
    wall: list[tuple[float, float]] = []
    if kind == 'chamfered':
        foot, top = radius * uniform(0.75, 0.95), radius * uniform(0.75, 0.95)
        cut = min(0.2 * height, radius * uniform(0.1, 0.4))
        wall = [(foot, 0), (radius, cut), (radius, height - cut), (top, height)]
    elif kind == 'stepped':
        foot = radius * uniform(0.92, 0.98)
        wall = [(foot, 0), (foot, edge), (radius, edge), (radius, height)]
    elif kind == 'conical':
        foot = radius * uniform(0.85, 0.97)
        wall = [(foot, 0), (radius, height)]
    else:
        count = int(generator.integers(0, 9))
        levels = np.linspace(0.15, 0.85, 2 * count + 1)[: 2 * count] * height
        depths = radius - np.tile([0.0, uniform(0.0006, 0.0016)], count)
        wall = [(radius, 0), *zip(depths.tolist(), levels.tolist(), strict=True), (radius, height)]
    rim, recess = uniform(0.001, 0.003), uniform(0.001, 0.009)
    plate = height - recess
    outside = np.array(wall)
    profile = [
        (0, 0.003),
        (foot - 0.006, 0.003),
        (foot - 0.003, 0),
        *wall,
        (top - rim, height),
        (top - rim, plate),
        (0.7 * top, plate),
        (0.68 * top, plate + 0.001),
        (0, plate + 0.001),
    ]
    wrapped = 'label' if uniform() < 0.6 else 'body'
    names = ['metal'] * 3 + [wrapped] * (len(outside) - 1) + ['rim', 'metal', 'lid', 'lid', 'lid']
    parts = [revolve(profile, names)]
    if kind == 'capped':
        wide, skirt = radius * 1.02, uniform(0.006, 0.02)
        parts.append(
            revolve(
                [
                    (wide, height - skirt),
                    (wide, height + 0.001),
                    (0.8 * radius, height + 0.0015),
                    (0.78 * radius, height),
                    (0, height),
                ],
                'lid',
            )
        )
    elif kind == 'drum':
        for level in (edge, height - edge):
            band = [
                (radius + 0.0012, level - edge),
                (radius + 0.0012, level + edge),
                (radius - 0.001, level + edge),
                (radius - 0.001, level - edge),
            ]
            parts.append(ring(band, 'metal'))
        if uniform() < 0.5:
            pull = ring([(0.009, 0), (0.009, 0.0015), (0.006, 0.0015), (0.006, 0)], 'metal')
            parts.append(pull.moved((0.45 * radius, plate + 0.001, 0)))
    return Shape(kind, parts, (UP, BACK, FRONT, LEFT, RIGHT))
