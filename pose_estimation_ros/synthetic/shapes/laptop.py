"""Laptops: hinge and screen at the -x side, the user at +x, width along z."""

from __future__ import annotations

import numpy as np

from pose_estimation_ros.synthetic.shapes.curves import circle
from pose_estimation_ros.synthetic.shapes.parts import Part
from pose_estimation_ros.synthetic.shapes.revolution import revolve
from pose_estimation_ros.synthetic.shapes.shape import Shape
from pose_estimation_ros.synthetic.shapes.sweep import rounded_box


def _keyboard(depth: float, width: float, top: float, generator: np.random.Generator) -> list[Part]:
    """Return keys, or one plate of them, and a touchpad on a base of that depth and width."""
    uniform = generator.uniform
    back = -0.5 * depth + depth * uniform(0.1, 0.22)
    span = width * uniform(0.78, 0.96)
    length = depth * uniform(0.38, 0.5)
    rise = uniform(0.0004, 0.0018)
    parts: list[Part] = []
    if uniform() < 0.6:
        rows, columns = int(generator.integers(5, 7)), int(generator.integers(12, 16))
        pitch_x, pitch_z = length / rows, span / columns
        key = rounded_box((pitch_x * 0.84, 2 * rise, pitch_z * 0.86), 0.0, 0.0002, 'keyboard', 2)
        for row in range(rows):
            x = back + (row + 0.5) * pitch_x
            if row == rows - 1:
                bar = rounded_box((pitch_x * 0.84, 2 * rise, pitch_z * 5), 0, 0.0002, 'keyboard', 2)
                parts.append(bar.moved((x, top, 0)))
            for column in range(columns):
                z = -0.5 * span + (column + 0.5) * pitch_z
                if row < rows - 1 or abs(z) > 3 * pitch_z:
                    parts.append(key.moved((x, top, z)))
    else:
        plate = rounded_box((length, 2 * rise, span), 0.003, 0.0002, 'keyboard', 2)
        parts.append(plate.moved((back + 0.5 * length, top, 0)))
    room = 0.5 * depth - (back + length)
    pad_depth, pad_width = room * uniform(0.6, 0.85), width * uniform(0.25, 0.45)
    pad = rounded_box((pad_depth, 0.0008, pad_width), 0.004, 0.0001, 'glass', 2)
    parts.append(pad.moved((0.5 * depth - 0.5 * room, top, width * uniform(-0.08, 0.02))))
    return parts


def make_laptop(generator: np.random.Generator) -> Shape:
    """Return an open laptop 25 to 40 cm wide, opened by 60 to 150 degrees."""
    uniform = generator.uniform
    width = uniform(0.25, 0.4)
    depth = width * uniform(0.6, 0.76)
    thickness = float(np.clip(generator.lognormal(np.log(0.015), 0.35), 0.007, 0.032))
    screen_thickness = min(uniform(0.004, 0.01), thickness)
    opening = np.radians(float(np.clip(generator.normal(108, 17), 60, 150)))
    corner = uniform(0.003, 0.018)
    base = rounded_box((depth, thickness, width), corner, uniform(0.15, 0.49) * thickness, 'base')
    base = base.moved((0, 0.5 * thickness, 0))
    parts = [base, *_keyboard(depth, width, thickness, generator)]

    height = depth * uniform(0.9, 1.0)
    panel_width = width * uniform(0.96, 1.0)
    lid = rounded_box((height, screen_thickness, panel_width), corner, 0.3 * screen_thickness, 'lid')
    bezel, chin = uniform(0.004, 0.016), uniform(0.006, 0.03)
    glass = rounded_box((height - bezel - chin, 0.0012, panel_width - 2 * bezel), 0.001, 0.0001,
                        'screen', 2)
    # Modelled closed: the lid lies on the base, hinge edge at x = 0, its screen facing down.
    closed = [lid.moved((0.5 * height, 0.5 * screen_thickness, 0)),
              glass.moved((0.5 * (height + chin - bezel), 0, 0))]
    cosine, sine = np.cos(opening), np.sin(opening)
    turn = np.array([[cosine, -sine, 0], [sine, cosine, 0], [0, 0, 1]])
    drop = 0.0 if uniform() < 0.6 else 0.5 * thickness
    hinge = np.array([-0.5 * depth + uniform(0.003, 0.015), thickness - drop + 0.0005, 0])
    parts += [part.rotated(turn).moved(hinge) for part in closed]

    barrel = 0.5 * min(thickness, 0.012) * uniform(0.6, 1.0)
    spans = [(0.0, panel_width * uniform(0.5, 0.8))] if uniform() < 0.4 else [
        (-panel_width * 0.33, 0.04), (panel_width * 0.33, 0.04)]
    axis = np.array([[1.0, 0, 0], [0, 0, -1], [0, 1, 0]])
    for z, length in spans:
        cylinder = revolve([(barrel, -0.5 * length), (barrel, 0.5 * length)], 'base', circle(16))
        parts.append(cylinder.rotated(axis).moved(hinge + (0, -0.2 * barrel, z)))
    return Shape('laptop', parts)
