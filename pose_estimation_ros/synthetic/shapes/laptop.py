"""Laptops: hinge and screen at the -x side, the user at +x, width along z."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import numpy.typing as npt

from pose_estimation_ros.synthetic.shapes.curves import circle
from pose_estimation_ros.synthetic.shapes.parts import Part
from pose_estimation_ros.synthetic.shapes.revolution import revolve
from pose_estimation_ros.synthetic.shapes.shape import Shape
from pose_estimation_ros.synthetic.shapes.sweep import boxes, rounded_box

FloatArray = npt.NDArray[np.float64]
# Turns the y axis into z.
ALONG_Z = np.array([[1.0, 0, 0], [0, 0, -1], [0, 1, 0]])


def keys(
    x_range: tuple[float, float],
    z_range: tuple[float, float],
    top: float,
    rows: int,
    columns: int,
    rise: float,
) -> Part:
    """Return a block of keys on a surface at height `top`, the space bar in the row nearest +x.

    Args:
        x_range: Where the block begins and ends in depth, metres.
        z_range: Where it begins and ends in width, metres.
        top: Height of the surface, metres.
        rows: Rows of keys.
        columns: Keys in a row.
        rise: How far the keys stand out, metres.
    """
    pitch_x = (x_range[1] - x_range[0]) / rows
    pitch_z = (z_range[1] - z_range[0]) / columns
    row, column = np.meshgrid(np.arange(rows), np.arange(columns), indexing='ij')
    x = x_range[0] + (row + 0.5) * pitch_x
    z = z_range[0] + (column + 0.5) * pitch_z
    middle = 0.5 * (z_range[0] + z_range[1])
    kept = (row < rows - 1) | (np.abs(z - middle) > 3 * pitch_z)
    centres = np.stack([x, np.full_like(x, top), z], axis=-1)[kept]
    block = boxes(centres, (0.84 * pitch_x, 2 * rise, 0.86 * pitch_z), 'keyboard')
    bar = boxes(
        np.array([[x_range[1] - 0.5 * pitch_x, top, middle]]),
        (0.84 * pitch_x, 2 * rise, 5 * pitch_z),
        'keyboard',
    )
    offset = len(block.vertices)
    return Part(
        np.concatenate([block.vertices, bar.vertices]),
        np.concatenate([block.faces, bar.faces + offset]),
        np.concatenate([block.labels, bar.labels]),
    )


def _deck(depth: float, width: float, top: float, generator: np.random.Generator) -> list[Part]:
    """Return keys, touchpad, and perhaps speakers, on a base of that depth and width."""
    uniform = generator.uniform
    back = -0.5 * depth + depth * uniform(0.08, 0.25)
    span = width * uniform(0.78, 0.96)
    length = depth * uniform(0.36, 0.5)
    rise = uniform(0.0003, 0.0018)
    aside = 0.0
    parts: list[Part] = []
    if uniform() < 0.3:
        speakers = rounded_box((length, 0.001, 0.4 * (width - span)), 0.001, 0.0001, 'grip', 2)
        beside = 0.25 * (width + span)
        parts += [speakers.moved((back + 0.5 * length, top, z)) for z in (-beside, beside)]
    if uniform() < 0.35:
        well = rounded_box((length, 0.0006, span), 0.003, 0.0001, 'grip', 2)
        parts.append(well.moved((back + 0.5 * length, top, 0)))
    if uniform() < 0.85:
        extent = (back, back + length)
        rows = int(generator.integers(5, 7))
        if width > 0.34 and uniform() < 0.6:
            aside = -0.1 * span
            split = 0.5 * span - 0.2 * span
            parts.append(keys(extent, (-0.5 * span, split), top, rows, 14, rise))
            parts.append(keys(extent, (split + 0.006, 0.5 * span), top, rows, 4, rise))
        else:
            columns = int(generator.integers(12, 16))
            parts.append(keys(extent, (-0.5 * span, 0.5 * span), top, rows, columns, rise))
    else:
        plate = rounded_box((length, 2 * rise, span), 0.003, 0.0002, 'keyboard', 2)
        parts.append(plate.moved((back + 0.5 * length, top, 0)))
    room = 0.5 * depth - (back + length)
    pad_depth, pad_width = room * uniform(0.6, 0.9), width * uniform(0.22, 0.45)
    pad = rounded_box((pad_depth, 0.0008, pad_width), 0.004, 0.0001, 'glass', 2)
    parts.append(pad.moved((0.5 * depth - 0.5 * room, top, aside + width * uniform(-0.03, 0.03))))
    if uniform() < 0.3:
        buttons = rounded_box((0.012, 0.002, pad_width), 0.002, 0.0005, 'grip', 2)
        parts.append(buttons.moved((0.5 * depth - 0.5 * room + 0.5 * pad_depth, top, aside)))
    return parts


def _hinges(width: float, radius: float, generator: np.random.Generator) -> list[Part]:
    """Return hinge barrels along z about the origin: one long one, or two short ones."""
    uniform = generator.uniform
    if uniform() < 0.4:
        spans = [(0.0, width * uniform(0.5, 0.85))]
    else:
        length, place = uniform(0.02, 0.06), width * uniform(0.28, 0.42)
        spans = [(-place, length), (place, length)]
    return [
        revolve([(radius, -0.5 * length), (radius, 0.5 * length)], 'base', circle(16))
        .rotated(ALONG_Z)
        .moved((0, 0, z))
        for z, length in spans
    ]


def _screen(
    height: float, width: float, thickness: float, corner: float, generator: np.random.Generator
) -> list[Part]:
    """Return lid and screen as they lie when closed: hinge edge at x = 0, screen facing down."""
    uniform = generator.uniform
    lid = rounded_box((height, thickness, width), corner, uniform(0.1, 0.45) * thickness, 'lid')
    bezel, chin = uniform(0.003, 0.018), uniform(0.006, 0.035)
    frame = rounded_box((height - 0.004, 0.0008, width - 0.004), corner, 0.0001, 'grip', 2)
    glass = rounded_box(
        (height - bezel - chin, 0.0016, width - 2 * bezel), 0.001, 0.0001, 'screen', 2
    )
    parts = [
        lid.moved((0.5 * height, 0.5 * thickness, 0)),
        glass.moved((0.5 * (height + chin - bezel), 0, 0)),
    ]
    if uniform() < 0.6:
        parts.append(frame.moved((0.5 * height, 0, 0)))
    if uniform() < 0.5:
        badge = rounded_box((0.03, 0.0008, uniform(0.02, 0.08)), 0.008, 0.0001, 'label', 2)
        parts.append(badge.moved((height * uniform(0.4, 0.6), thickness, 0)))
    return parts


def opened(closed: list[Part], angle: float, hinge: FloatArray) -> list[Part]:
    """Return a closed lid's parts opened by `angle` radians about the z axis through `hinge`."""
    cosine, sine = np.cos(angle), np.sin(angle)
    turn = np.array([[cosine, -sine, 0], [sine, cosine, 0], [0, 0, 1]])
    return [part.rotated(turn).moved(hinge) for part in closed]


def _sloped(part: Part, depth: float, slope: float, level: float) -> Part:
    """Return a part of the base with what lies above `level` sinking by `slope` towards +x."""
    x, y, z = part.vertices.T
    sunk = y - (y > level) * slope * np.clip(x / depth + 0.5, 0, 1)
    return replace(part, vertices=np.stack([x, sunk, z], axis=1))


def make_laptop(generator: np.random.Generator) -> Shape:
    """Return a laptop 25 to 40 cm wide, opened by 60 to 150 degrees."""
    uniform = generator.uniform
    width = uniform(0.25, 0.4)
    depth = width * uniform(0.6, 0.8)
    thickness = float(np.clip(generator.lognormal(np.log(0.015), 0.4), 0.006, 0.036))
    screen_thickness = min(uniform(0.003, 0.011), thickness)
    opening = np.radians(float(np.clip(generator.normal(108, 17), 60, 150)))
    corner = uniform(0.002, 0.02)
    base = rounded_box((depth, thickness, width), corner, uniform(0.1, 0.49) * thickness, 'base')
    base = base.moved((0, 0.5 * thickness, 0))
    parts = [base, *_deck(depth, width, thickness, generator)]
    if uniform() < 0.4:
        slope = uniform(0.0, 0.55) * thickness
        parts = [_sloped(part, depth, slope, 0.3 * thickness) for part in parts]

    panel_width = width * uniform(0.96, 1.0)
    closed = _screen(depth * uniform(0.88, 1.02), panel_width, screen_thickness, corner, generator)
    # Most lids stand on the back edge; some turn down behind the base.
    drop = 0.0 if uniform() < 0.65 else thickness * uniform(0.3, 0.6)
    inset = uniform(0.002, 0.018) if drop == 0.0 else -screen_thickness
    hinge = np.array([-0.5 * depth + inset, thickness - drop + 0.0005, 0])
    parts += opened(closed, opening, hinge)
    radius = max(0.5 * min(thickness, 0.012) * uniform(0.6, 1.0), 0.6 * screen_thickness)
    parts += [
        part.moved(hinge + (0, -0.2 * radius, 0))
        for part in _hinges(panel_width, radius, generator)
    ]
    if uniform() < 0.6:
        feet = np.array(
            [(x * depth, 0.0, z * width) for x in (-0.42, 0.42) for z in (-0.42, 0.42)]
        )
        parts.append(boxes(feet, (0.012, 0.003, 0.012), 'grip'))
    return Shape('laptop', parts)
