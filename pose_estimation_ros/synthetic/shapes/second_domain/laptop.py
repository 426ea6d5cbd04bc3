"""Laptops of extruded plates: ultrabooks, thick old ones, tablets on a stand with keyboard."""

from __future__ import annotations

import numpy as np

from pose_estimation_ros.synthetic.shapes.curves import circle, superellipse
from pose_estimation_ros.synthetic.shapes.laptop import ALONG_Z, opened
from pose_estimation_ros.synthetic.shapes.parts import Part, loft
from pose_estimation_ros.synthetic.shapes.revolution import revolve
from pose_estimation_ros.synthetic.shapes.shape import Shape
from pose_estimation_ros.synthetic.shapes.sweep import boxes, rounded_box


def _plate(
    depth: float,
    thickness: float,
    width: float,
    exponent: float,
    taper: float,
    name: str,
) -> Part:
    """Return a plate with superelliptic plan, its underside drawn in by `taper` metres, y >= 0."""
    outline = superellipse(48, exponent, width / depth) * 0.5 * depth
    shrink = 1 - 2 * taper / np.array([depth, width])
    rings = np.zeros((3, 48, 3))
    for row, (level, scale) in enumerate(
        ((0.0, shrink), (0.6 * thickness, np.ones(2)), (thickness, np.ones(2)))
    ):
        rings[row, :, 0], rings[row, :, 2] = (outline * scale).T
        rings[row, :, 1] = level
    return loft(rings, name)


def make_laptop(generator: np.random.Generator) -> Shape:
    """Return a laptop 25 to 40 cm wide, opened by 65 to 145 degrees."""
    uniform = generator.uniform
    kind = str(generator.choice(['ultrabook', 'old', 'tablet'], p=[0.5, 0.3, 0.2]))
    width = uniform(0.25, 0.39)
    depth = width * (uniform(0.68, 0.85) if kind == 'old' else uniform(0.6, 0.72))
    thickness = {
        'ultrabook': uniform(0.006, 0.016),
        'old': uniform(0.022, 0.042),
        'tablet': uniform(0.004, 0.008),
    }[kind]
    exponent = uniform(12, 40)
    base = _plate(depth, thickness, width, exponent, uniform(0, 0.012), 'base')
    top = thickness
    parts: list[Part] = [base]
    strips = int(generator.integers(4, 7))
    back, length = -0.5 * depth + depth * uniform(0.1, 0.25), depth * uniform(0.35, 0.5)
    pitch = length / strips
    span = width * uniform(0.7, 0.95)
    rows = np.stack(
        [back + (np.arange(strips) + 0.5) * pitch, np.full(strips, top), np.zeros(strips)], axis=1
    )
    parts.append(boxes(rows, (0.8 * pitch, 0.002, span), 'keyboard'))
    room = 0.5 * depth - back - length
    if kind == 'old' and uniform() < 0.5:
        knob = revolve([(0.004, -0.002), (0.003, 0.003)], 'grip', circle(12))
        parts.append(knob.moved((back + 0.5 * length, top, 0)))
    else:
        pad = rounded_box(
            (0.75 * room, 0.001, width * uniform(0.2, 0.5)), 0.002, 0.0002, 'glass', 2
        )
        parts.append(pad.moved((0.5 * depth - 0.5 * room, top, 0)))

    height = depth * uniform(0.9, 1.0)
    lid_thickness = uniform(0.008, 0.014) if kind != 'ultrabook' else uniform(0.003, 0.007)
    lid = _plate(height, lid_thickness, width * uniform(0.95, 1.0), exponent, -0.001, 'lid')
    margin = uniform(0.004, 0.022)
    glass = rounded_box(
        (height - 2 * margin, 0.002, width * 0.95 - 2 * margin), 0.001, 0.0002, 'screen', 2
    )
    closed = [lid.moved((0.5 * height, 0, 0)), glass.moved((0.5 * height, 0, 0))]
    opening = np.radians(uniform(65, 145) if kind != 'tablet' else uniform(95, 130))
    hinge = np.array([-0.5 * depth + uniform(0.0, 0.02), top + 0.001, 0])
    if kind == 'tablet':
        hinge[0] += depth * uniform(0.0, 0.15)
    parts += opened(closed, opening, hinge)
    if kind == 'tablet':
        middle = hinge + 0.45 * height * np.array([np.cos(opening), np.sin(opening), 0])
        foot = np.array([middle[0] - 0.5 * middle[1] - 0.02, 0.0, 0.0])
        reach = float(np.linalg.norm(middle - foot))
        lean = np.arctan2(*(middle - foot)[:2])
        turn = np.array(
            [[np.cos(lean), np.sin(lean), 0], [-np.sin(lean), np.cos(lean), 0], [0, 0, 1]]
        )
        stand = rounded_box((0.004, reach, 0.5 * width), 0.001, 0.001, 'lid', 2)
        parts.append(stand.rotated(turn).moved(0.5 * (middle + foot)))
    else:
        span = width * uniform(0.3, 0.9)
        bar = revolve(
            [(0.45 * thickness, -0.5 * span), (0.45 * thickness, 0.5 * span)], 'base', circle(14)
        ).rotated(ALONG_Z)
        parts.append(bar.moved(hinge - (0, 0.4 * thickness, 0)))
    return Shape(kind, parts)
