"""Cameras of extruded plans, prisms and stepped barrels; lens towards +x, up +y."""

from __future__ import annotations

import numpy as np

from pose_estimation_ros.synthetic.shapes.curves import circle, superellipse
from pose_estimation_ros.synthetic.shapes.kitchen_clutter import ALONG_X
from pose_estimation_ros.synthetic.shapes.parts import Part, loft
from pose_estimation_ros.synthetic.shapes.revolution import revolve
from pose_estimation_ros.synthetic.shapes.second_domain.profiles import polygon
from pose_estimation_ros.synthetic.shapes.shape import BACK, UP, Shape
from pose_estimation_ros.synthetic.shapes.sweep import boxes, rounded_box


def _body(depth: float, height: float, width: float, exponent: float) -> Part:
    """Return a body of superelliptic plan with bevelled top and bottom, centred."""
    outline = superellipse(56, exponent, width / depth) * 0.5 * depth
    bevel = 0.06 * height
    rings = np.zeros((6, 56, 3))
    levels = [-0.5, -0.44, -0.28, 0.28, 0.44, 0.5]
    for row, level in enumerate(levels):
        inset = bevel if abs(level) == 0.5 else 0.0
        plan = outline * (1 - 2 * inset / np.array([depth, width]))
        rings[row, :, 0], rings[row, :, 2] = plan.T
        rings[row, :, 1] = level * height
    return loft(rings, ['metal', 'body', 'grip', 'body', 'metal'])


def _prism(length: float, rise: float, base: float, top: float) -> Part:
    """Return a roof-shaped prism over the lens, its base at y = 0, metres."""
    rings = np.zeros((3, 4, 3))
    corners = np.array([(0.5, 0.5), (-0.5, 0.5), (-0.5, -0.5), (0.5, -0.5)])
    for row, (level, breadth, along) in enumerate(
        ((-0.3, base, 1.0), (0.3, base, 1.0), (1.0, top, 0.6))
    ):
        rings[row, :, 0] = corners[:, 0] * length * along
        rings[row, :, 1] = level * rise
        rings[row, :, 2] = corners[:, 1] * breadth
    return loft(rings, 'body')


def _barrel(radius: float, length: float, generator: np.random.Generator) -> list[Part]:
    """Return a lens along +x from x = 0 as cylinders of their own, some of them knurled."""
    uniform = generator.uniform
    parts = []
    count = int(generator.integers(1, 4))
    shares = generator.dirichlet(np.full(count, 4.0)) * length
    start, size = 0.0, radius
    for index, share in enumerate(shares):
        outline = polygon(16, 0.3) if uniform() < 0.3 else circle(48)
        name = str(generator.choice(['lens', 'grip', 'metal']))
        last = index == count - 1
        mouth = (
            [
                (0.8 * size, share),
                (0.7 * size, share - min(0.01, 0.5 * share)),
                (0, share - min(0.012, 0.6 * share)),
            ]
            if last
            else [(0, share)]
        )
        names = [name, name, *(['lens', 'glass'] if last else [])]
        profile = [
            (size, -0.012 if index == 0 else -0.001),
            (size * uniform(0.95, 1), share),
            *mouth,
        ]
        cylinder = revolve(profile, names, outline).rotated(ALONG_X)
        parts.append(cylinder.moved((start, 0, 0)))
        start, size = start + share, size * uniform(0.8, 1.15)
    return parts


def make_camera(generator: np.random.Generator) -> Shape:
    """Return a camera 8 to 16 cm wide."""
    uniform = generator.uniform
    kind = str(
        generator.choice(
            ['pill', 'prism', 'brick', 'folding', 'box'], p=[0.28, 0.34, 0.22, 0.06, 0.1]
        )
    )
    width = uniform(0.085, 0.15)
    height = width * uniform(0.5, 0.72)
    depth = {
        'pill': uniform(0.022, 0.04),
        'prism': uniform(0.035, 0.065),
        'brick': uniform(0.03, 0.06),
        'folding': uniform(0.025, 0.04),
        'box': uniform(0.05, 0.08),
    }[kind]
    if kind == 'box':
        height = width * uniform(0.8, 1.1)
    exponent = {'pill': uniform(2.6, 6.0), 'prism': uniform(4.0, 12.0)}.get(
        kind, uniform(8.0, 40.0)
    )
    front, top = 0.5 * depth, 0.5 * height
    aside = -width * uniform(-0.03, 0.17)
    low = height * uniform(-0.1, 0.06)
    parts = [_body(depth, height, width, exponent)]
    radius = height * uniform(0.25, 0.46)
    length = {
        'pill': uniform(0.006, 0.05),
        'prism': uniform(0.03, 0.12),
        'brick': uniform(0.015, 0.08),
        'folding': uniform(0.006, 0.02),
        'box': uniform(0.006, 0.03),
    }[kind]
    start = front
    if kind == 'folding':
        reach = uniform(0.02, 0.06)
        folds = 9
        rings = np.zeros((folds, 4, 3))
        corners = np.array([(0.5, 0.5), (-0.5, 0.5), (-0.5, -0.5), (0.5, -0.5)])
        for row in range(folds):
            size = height * (0.78 - 0.25 * row / folds) * (1 - 0.08 * (row % 2))
            rings[row, :, 0] = front - 0.004 + (reach + 0.004) * row / (folds - 1)
            rings[row, :, 1], rings[row, :, 2] = (corners * size).T
            rings[row, :, 2] += aside
        parts.append(loft(rings, 'grip'))
        plate = rounded_box((0.006, 0.7 * height, 0.6 * height), 0.002, 0.001, 'metal', 2)
        parts.append(plate.moved((front + reach, 0, aside)))
        start, low, radius = front + reach, 0.0, min(radius, 0.28 * height)
    parts += [part.moved((start, low, aside)) for part in _barrel(radius, length, generator)]
    if kind in ('prism', 'brick') and (kind == 'prism' or uniform() < 0.4):
        rise = height * uniform(0.15, 0.35)
        roof = _prism(
            depth * uniform(0.7, 1.1),
            rise,
            width * uniform(0.28, 0.42),
            width * uniform(0.1, 0.22),
        )
        parts.append(roof.moved((0, top, aside)))
    if kind == 'prism' and uniform() < 0.8:
        outline = superellipse(24, 3.0, uniform(0.6, 1.2)) * 0.5 * uniform(0.018, 0.03)
        levels = np.array([-0.46, 0.46]) * height
        rings = np.stack(
            [np.stack([outline[:, 0], np.full(24, y), outline[:, 1]], axis=1) for y in levels]
        )
        parts.append(loft(rings, 'grip').moved((front + 0.006, 0, 0.4 * width)))
    for place in (0.38, 0.22, -0.3, -0.42):
        if uniform() < 0.55:
            size, rise = uniform(0.004, 0.011), uniform(0.002, 0.009)
            dial = revolve([(size, -0.001), (size, rise)], 'metal', polygon(16, 0.4))
            parts.append(dial.moved((uniform(-0.15, 0.15) * depth, top, place * width)))
    if uniform() < 0.6:
        window = boxes(
            np.array([(front, top - 0.18 * height, width * uniform(-0.38, 0.38))]),
            (0.004, 0.12 * height, 0.12 * width),
            str(generator.choice(['glass', 'flash'])),
        )
        parts.append(window)
    screen = boxes(
        np.array([(-front, -0.05 * height, -0.08 * width)]),
        (0.002, 0.6 * height, 0.5 * width),
        'screen',
    )
    if kind in ('pill', 'prism', 'brick'):
        parts.append(screen)
    return Shape(kind, parts, (BACK, UP))
