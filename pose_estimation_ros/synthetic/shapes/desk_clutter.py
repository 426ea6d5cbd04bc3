"""Distractors of desk and workshop: books, phones, tools, toys, lamps."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from pose_estimation_ros.synthetic.shapes.curves import bezier, circle, smooth_curve, superellipse
from pose_estimation_ros.synthetic.shapes.kitchen_clutter import ALL_SIDES, ALONG_X
from pose_estimation_ros.synthetic.shapes.laptop import ALONG_Z, keys
from pose_estimation_ros.synthetic.shapes.parts import Part
from pose_estimation_ros.synthetic.shapes.revolution import revolve, ring
from pose_estimation_ros.synthetic.shapes.shape import LEFT, RIGHT, UP, Shape
from pose_estimation_ros.synthetic.shapes.sweep import boxes, rounded_box, sweep

FloatArray = npt.NDArray[np.float64]


def make_book(generator: np.random.Generator) -> Shape:
    """Return a closed book lying flat, its spine towards -x."""
    uniform = generator.uniform
    depth, thick, width = uniform(0.12, 0.25), uniform(0.008, 0.05), uniform(0.1, 0.2)
    pages = rounded_box((depth * 0.97, thick * 0.9, width * 0.97), 0.001, 0.0005, 'label')
    cover = rounded_box((depth, 0.002, width), 0.001, 0.0005, 'body', 2)
    spine = rounded_box((0.002, thick, width), 0.001, 0.0005, 'body', 2)
    parts = [pages, spine.moved((-0.5 * depth, 0, 0))]
    parts += [cover.moved((0, y, 0)) for y in (-0.5 * thick, 0.5 * thick)]
    return Shape('book', parts, (UP,))


def make_ball(generator: np.random.Generator) -> Shape:
    """Return a ball."""
    radius = generator.uniform(0.015, 0.09)
    angle = np.linspace(0, np.pi, 25)
    profile = radius * np.stack([np.sin(angle), -np.cos(angle)], axis=1)
    return Shape('ball', [revolve(profile, 'body')], ALL_SIDES)


def make_marker(generator: np.random.Generator) -> Shape:
    """Return a pen, marker or screwdriver lying along x."""
    uniform = generator.uniform
    radius, length = uniform(0.004, 0.014), uniform(0.1, 0.19)
    cut, tip = uniform(0.45, 0.8) * length, radius * uniform(0.2, 1.1)
    body = revolve(
        [(0, 0), (radius, 0), (radius, cut), (tip, cut + 0.004), (tip, length), (0, length)],
        ['body', 'body', 'cap', 'metal', 'metal'],
        circle(20),
    )
    return Shape('marker', [body.rotated(ALONG_X)])


def make_blocks(generator: np.random.Generator) -> Shape:
    """Return toy bricks and balls piled on each other."""
    parts: list[Part] = []
    top = 0.0
    for name in generator.choice(['body', 'label', 'base', 'cap'], int(generator.integers(2, 6))):
        size = generator.uniform(0.02, 0.08, 3)
        if parts and generator.random() < 0.3:
            angle = np.linspace(0, np.pi, 17)
            profile = 0.5 * size[1] * np.stack([np.sin(angle), -np.cos(angle)], axis=1)
            part = revolve(profile, str(name), circle(28))
        else:
            part = rounded_box(size, generator.uniform(0, 0.02), 0.002, str(name))
        aside = generator.uniform(-0.01, 0.01, 2)
        parts.append(part.moved((aside[0], top + 0.48 * size[1], aside[1])))
        top += 0.94 * size[1]
    return Shape('blocks', parts, (LEFT, RIGHT))


def make_cube(generator: np.random.Generator) -> Shape:
    """Return a puzzle cube or die."""
    side = generator.uniform(0.025, 0.07)
    spots = np.linspace(-1, 1, 3) * side / 3
    places = np.stack(np.meshgrid(spots, spots, spots), axis=-1).reshape(-1, 3)
    cells = boxes(places, np.full(3, 0.31 * side), 'label')
    core = rounded_box(np.full(3, 0.92 * side), 0.001, 0.001, 'body')
    return Shape('cube', [core, cells], (UP,))


def make_phone(generator: np.random.Generator) -> Shape:
    """Return a telephone or tablet lying on its back."""
    uniform = generator.uniform
    length, width, thick = uniform(0.13, 0.26), uniform(0.065, 0.18), uniform(0.006, 0.012)
    body = rounded_box((length, thick, width), 0.01, 0.4 * thick, 'body')
    glass = rounded_box((length * 0.94, 0.001, width * 0.92), 0.006, 0.0002, 'screen', 2)
    return Shape('phone', [body, glass.moved((0, 0.5 * thick, 0))], (UP,))


def make_remote(generator: np.random.Generator) -> Shape:
    """Return a remote control or pocket calculator."""
    uniform = generator.uniform
    length, width, thick = uniform(0.11, 0.22), uniform(0.035, 0.08), uniform(0.01, 0.028)
    body = rounded_box((length, thick, width), 0.008, 0.3 * thick, 'body')
    rows, columns = int(generator.integers(5, 10)), int(generator.integers(3, 5))
    x, z = np.meshgrid(
        np.linspace(-0.4, 0.3, rows) * length, np.linspace(-0.33, 0.33, columns) * width
    )
    centres = np.stack([x, np.full_like(x, 0.5 * thick), z], axis=-1).reshape(-1, 3)
    buttons = boxes(centres, (0.045 * length, 0.003, 0.16 * width), 'keyboard')
    return Shape('remote', [body, buttons], (UP,))


def make_keyboard(generator: np.random.Generator) -> Shape:
    """Return a separate computer keyboard."""
    uniform = generator.uniform
    depth, width, thick = uniform(0.11, 0.16), uniform(0.28, 0.45), uniform(0.008, 0.03)
    body = rounded_box((depth, thick, width), 0.005, 0.3 * thick, 'body')
    block = keys(
        (-0.45 * depth, 0.45 * depth),
        (-0.48 * width, 0.48 * width),
        0.5 * thick,
        int(generator.integers(5, 7)),
        int(width / 0.02),
        uniform(0.001, 0.006),
    )
    return Shape('keyboard', [body, block])


def make_mouse(generator: np.random.Generator) -> Shape:
    """Return a computer mouse."""
    uniform = generator.uniform
    angle = np.linspace(0.02, 0.5 * np.pi, 14)
    profile = np.stack([np.sin(angle), np.cos(angle)], axis=1)[::-1]
    outline = superellipse(36, uniform(2.2, 3.2), uniform(0.5, 0.65))
    dome = revolve(profile * (uniform(0.045, 0.06), uniform(0.025, 0.04)), 'body', outline)
    wheel = revolve([(0.009, -0.003), (0.009, 0.003)], 'grip', circle(16)).rotated(ALONG_Z)
    return Shape('mouse', [dome, wheel.moved((0.028, 0.02, 0))])


def make_drill(generator: np.random.Generator) -> Shape:
    """Return a cordless drill or glue gun, muzzle towards +x."""
    uniform = generator.uniform
    radius, length = uniform(0.018, 0.035), uniform(0.12, 0.2)
    barrel = revolve(
        [
            (0, 0),
            (radius, 0),
            (radius * 1.05, 0.6 * length),
            (0.5 * radius, 0.8 * length),
            (0.4 * radius, length),
            (0, length),
        ],
        ['body', 'body', 'grip', 'metal', 'metal'],
        circle(24),
    ).rotated(ALONG_X)
    drop = uniform(0.09, 0.14)
    path = smooth_curve(
        [(0.25 * length, 0, 0), (0.18 * length, -0.6 * drop, 0), (0.13 * length, -drop, 0)], 10
    )
    grip = sweep(path, superellipse(14, 2.5) * (0.018, 0.014), 'grip')
    foot = rounded_box((0.07, 0.03, 0.05), 0.008, 0.004, 'base').moved((0.15 * length, -drop, 0))
    return Shape('drill', [barrel, grip, foot], (LEFT, RIGHT))


def make_hammer(generator: np.random.Generator) -> Shape:
    """Return a hammer, brush or wrench lying along x."""
    uniform = generator.uniform
    length, thick = uniform(0.15, 0.32), uniform(0.006, 0.016)
    path = np.stack([np.linspace(0, length, 12), np.zeros(12), np.zeros(12)], axis=1)
    stick = sweep(path, superellipse(14, 2.4) * (thick, 1.2 * thick), 'handle')
    head = rounded_box(
        (uniform(0.02, 0.04), uniform(0.02, 0.035), uniform(0.06, 0.13)), 0.006, 0.004, 'metal'
    )
    return Shape('hammer', [stick, head.moved((length, 0, 0))])


def make_scissors(generator: np.random.Generator) -> Shape:
    """Return scissors or pliers lying flat."""
    uniform = generator.uniform
    length, spread = uniform(0.1, 0.2), uniform(0.08, 0.4)
    parts: list[Part] = []
    for side in (-1, 1):
        angle = side * spread
        blade = rounded_box((length, 0.003, 0.014), 0.006, 0.001, 'metal', 2)
        loop = ring(0.005 * circle(10) + (0.02, 0), 'handle', circle(20))
        turn = np.array(
            [[np.cos(angle), 0, np.sin(angle)], [0, 1, 0], [-np.sin(angle), 0, np.cos(angle)]]
        )
        parts += [
            part.rotated(turn) for part in (blade, loop.moved((-0.5 * length - 0.014, 0, 0)))
        ]
    return Shape('scissors', parts)


def make_roll(generator: np.random.Generator) -> Shape:
    """Return a roll of tape or paper, with its hole."""
    uniform = generator.uniform
    outer, height = uniform(0.03, 0.065), uniform(0.012, 0.11)
    inner = outer * uniform(0.35, 0.55 if height > 0.03 else 0.85)
    body = ring([(outer, 0), (outer, height), (inner, height), (inner, 0)], 'body')
    core = ring([(inner, 0), (inner, height), (inner * 0.93, height), (inner * 0.93, 0)], 'inside')
    return Shape('roll', [body, core], (LEFT, RIGHT))


def make_stapler(generator: np.random.Generator) -> Shape:
    """Return a stapler or hole punch."""
    uniform = generator.uniform
    length, width, tilt = uniform(0.1, 0.18), uniform(0.025, 0.045), uniform(0.05, 0.25)
    turn = np.array([[np.cos(tilt), -np.sin(tilt), 0], [np.sin(tilt), np.cos(tilt), 0], [0, 0, 1]])
    foot = rounded_box((length, 0.012, width), 0.01, 0.003, 'base')
    arm = rounded_box((length * 0.95, 0.022, width * 0.8), 0.008, 0.006, 'body').rotated(turn)
    return Shape('stapler', [foot, arm.moved((0, 0.025 + 0.4 * length * tilt, 0))], (LEFT, RIGHT))


def make_lamp(generator: np.random.Generator) -> Shape:
    """Return a desk lamp."""
    uniform = generator.uniform
    foot, rise = uniform(0.05, 0.09), uniform(0.2, 0.4)
    base = revolve([(0, 0), (foot, 0), (foot, 0.012), (0.01, 0.025), (0, 0.025)], 'base')
    path = bezier([(0, 0.01, 0), (0, rise, 0), (uniform(0, 0.15), rise * 1.1, 0)], 16)
    arm = sweep(path, circle(12) * 0.006, 'metal')
    shade = revolve([(uniform(0.05, 0.09), -0.06), (uniform(0.02, 0.05), 0.04), (0, 0.04)], 'body')
    return Shape('lamp', [base, arm, shade.moved(path[-1])])


def make_picture_frame(generator: np.random.Generator) -> Shape:
    """Return a picture frame, tablet on a stand or small monitor, facing +x."""
    uniform = generator.uniform
    width, height, thick = uniform(0.1, 0.35), uniform(0.1, 0.28), uniform(0.008, 0.03)
    edge = uniform(0.006, 0.03)
    panel = rounded_box((thick, height, width), 0.003, 0.002, 'body')
    face = rounded_box(
        (0.002, height - 2 * edge, width - 2 * edge),
        0.001,
        0.0005,
        str(generator.choice(['screen', 'label'])),
        2,
    ).moved((0.5 * thick, 0, 0))
    tilt = uniform(0.0, 0.35)
    turn = np.array([[np.cos(tilt), -np.sin(tilt), 0], [np.sin(tilt), np.cos(tilt), 0], [0, 0, 1]])
    parts = [part.rotated(turn) for part in (panel, face)]
    low = -0.5 * height * np.cos(tilt)
    if uniform() < 0.5:
        stem = rounded_box((0.03, 0.08, 0.05), 0.006, 0.003, 'base')
        foot = rounded_box((uniform(0.1, 0.16), 0.01, uniform(0.1, 0.2)), 0.01, 0.003, 'base')
        parts += [stem.moved((-0.02, low - 0.02, 0)), foot.moved((-0.02, low - 0.06, 0))]
    else:
        lean = sweep(
            np.array([(-0.01, 0.3 * low, 0), (-0.3 * height, low, 0)]),
            superellipse(8, 4.0) * (0.002, 0.02),
            'base',
        )
        parts.append(lean)
    return Shape('picture_frame', parts)


def make_headphones(generator: np.random.Generator) -> Shape:
    """Return headphones standing on their ear pads."""
    uniform = generator.uniform
    span, rise = uniform(0.07, 0.09), uniform(0.16, 0.2)
    angle = np.linspace(0, np.pi, 24)
    path = np.stack([0 * angle, rise * np.sin(angle) ** 0.7, span * np.cos(angle)], axis=1)
    band = sweep(path, superellipse(12, 3.0) * (0.004, 0.012), 'body', (1, 0, 0))
    cup = revolve([(0.038, -0.016), (0.04, 0.0), (0.03, 0.018)], ['grip', 'body'], circle(28))
    parts = [band]
    for side in (-1, 1):
        turn = ALONG_Z if side > 0 else ALONG_Z * (1, -1, -1)
        parts.append(cup.rotated(turn).moved((0, 0.0, side * span)))
    return Shape('headphones', parts, (LEFT,))


def make_figure(generator: np.random.Generator) -> Shape:
    """Return a toy figure or animal of ellipsoids."""
    uniform = generator.uniform
    angle = np.linspace(0, np.pi, 15)
    ball = revolve(np.stack([np.sin(angle), -np.cos(angle)], axis=1), 'body', circle(20))
    torso = np.array([uniform(0.025, 0.05), uniform(0.03, 0.06), uniform(0.025, 0.05)])
    head = uniform(0.02, 0.04)
    limbs = [(0.6, -0.9, 0.5), (0.6, -0.9, -0.5), (-0.6, -0.9, 0.5), (-0.6, -0.9, -0.5)]
    spheres = [
        ((0, 0, 0), torso, 'body'),
        ((uniform(-0.3, 0.9) * torso[0], torso[1] + 0.6 * head, 0), np.full(3, head), 'cap'),
    ]
    spheres += [
        (tuple(np.array(limb) * torso), torso * uniform(0.3, 0.5), 'label') for limb in limbs
    ]
    parts = []
    for centre, radii, name in spheres:
        part = Part(ball.vertices * radii, ball.faces, ball.labels).moved(centre)
        parts.append(part.painted(np.ones(len(part.faces), dtype=bool), name))
    return Shape('figure', parts, (LEFT, RIGHT))
