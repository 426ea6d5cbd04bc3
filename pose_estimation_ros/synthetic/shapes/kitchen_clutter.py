"""Distractors of the kitchen: food, cutlery, plates, kettles."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from pose_estimation_ros.synthetic.shapes.curves import (
    bezier,
    circle,
    resample,
    rounded_polyline,
    smooth_curve,
    superellipse,
)
from pose_estimation_ros.synthetic.shapes.parts import Part, loft
from pose_estimation_ros.synthetic.shapes.revolution import revolve
from pose_estimation_ros.synthetic.shapes.shape import BACK, FRONT, LEFT, RIGHT, UP, Shape
from pose_estimation_ros.synthetic.shapes.sweep import rounded_box, sweep

FloatArray = npt.NDArray[np.float64]
ALL_SIDES = (UP, BACK, FRONT, LEFT, RIGHT)
# Turns the y axis into +x.
ALONG_X = np.array([[0.0, 1, 0], [-1, 0, 0], [0, 0, 1]])


def make_package(generator: np.random.Generator) -> Shape:
    """Return a cereal, tea or dessert box."""
    uniform = generator.uniform
    size = np.array([uniform(0.025, 0.1), uniform(0.04, 0.32), uniform(0.05, 0.22)])
    body = rounded_box(size, uniform(0.0005, 0.006), 0.0005, 'body')
    return Shape('package', [body], ALL_SIDES)


def make_carton(generator: np.random.Generator) -> Shape:
    """Return a drink carton with a gabled top."""
    uniform = generator.uniform
    side, rise = uniform(0.05, 0.095), uniform(0.1, 0.2)
    gable = side * uniform(0.25, 0.5)
    square = np.array([(0.5, 0.5), (-0.5, 0.5), (-0.5, -0.5), (0.5, -0.5)]) * side
    rings = np.stack(
        [
            np.stack([square[:, 0] * depth, np.full(4, level), square[:, 1]], axis=1)
            for level, depth in (
                (0.0, 1.0),
                (rise, 1.0),
                (rise + gable, 0.03),
                (rise + gable + 0.015, 0.03),
            )
        ]
    )
    return Shape('carton', [loft(rings, ['label', 'body', 'body'])], (LEFT, RIGHT))


def make_fruit(generator: np.random.Generator) -> Shape:
    """Return an apple, orange, pear, lemon or egg."""
    uniform = generator.uniform
    radius, stretch = uniform(0.02, 0.055), uniform(0.8, 1.35)
    angle = np.linspace(0, np.pi, 26)
    r, y = radius * np.sin(angle), -stretch * radius * np.cos(angle)
    if uniform() < 0.5:
        dent = uniform(0.1, 0.35) * radius
        y -= np.sign(y) * dent * np.exp(-((r / (0.35 * radius)) ** 2))
    if uniform() < 0.35:
        r *= 1 - uniform(0.1, 0.45) * np.clip(y / (stretch * radius), 0, 1)
    parts = [revolve(np.stack([r, y], axis=1), 'body')]
    if uniform() < 0.4:
        stem = smooth_curve(
            [(0, 0.7 * y.max(), 0), (0.002, y.max(), 0), (0.006, y.max() + 0.012, 0)], 6
        )
        parts.append(sweep(stem, circle(8) * 0.0015, 'handle'))
    return Shape('fruit', parts, ALL_SIDES)


def make_bent_fruit(generator: np.random.Generator) -> Shape:
    """Return a banana, cucumber, carrot or sausage."""
    uniform = generator.uniform
    length, bend, thick = uniform(0.09, 0.24), uniform(0.0, 0.3), uniform(0.01, 0.028)
    x = np.linspace(-0.5, 0.5, 26)
    path = np.stack([x * length, 0 * x, bend * length * (4 * x**2)], axis=1)
    taper = np.clip(1 - (2 * np.abs(x)) ** uniform(3, 8), 0.15, 1)
    if uniform() < 0.3:
        taper *= np.linspace(0.25, 1.0, 26)
    section = superellipse(18, uniform(2, 2.6)) * thick
    body = sweep(path, section[None] * taper[:, None, None], 'body', (0, 1, 0))
    return Shape('bent_fruit', [body], (UP,))


def make_plate(generator: np.random.Generator) -> Shape:
    """Return a flat plate or saucer."""
    uniform = generator.uniform
    radius, rise, wall = uniform(0.06, 0.15), uniform(0.004, 0.018), uniform(0.003, 0.006)
    well = radius * uniform(0.55, 0.75)
    profile = [
        (0, 0),
        (well, 0),
        (well * 1.12, 0.3 * rise),
        (radius, rise),
        (radius, rise + wall),
        (well * 1.1, 0.3 * rise + wall),
        (well, wall),
        (0, wall),
    ]
    return Shape('plate', [revolve(profile, ['body'] * 4 + ['inside'] * 3)], (UP,))


def make_cutlery(generator: np.random.Generator) -> Shape:
    """Return a spoon, knife, spatula or fork lying flat."""
    uniform = generator.uniform
    length, head = uniform(0.12, 0.3), uniform(0.2, 0.45)
    x = np.linspace(0, 1, 28)
    bulb = np.sin(np.pi * np.clip(x / head, 0.04, 0.92))
    blade = np.where(x < head, 1.0, 0.0) * np.clip(x / 0.06, 0.3, 1)
    spoon = uniform() < 0.5
    neck = uniform(0.2, 0.45) + 0.2 * np.clip(x - 0.6, 0, 1)
    width = uniform(0.008, 0.03) * np.maximum(
        np.where(x < head, bulb if spoon else blade, 0), neck
    )
    thick = np.where(x < head, uniform(0.0008, 0.002), uniform(0.0012, 0.008))
    sag = uniform(0, 0.012) * np.cos(x * uniform(3, 7))
    path = np.stack([x * length, sag, 0 * x], axis=1)
    section = superellipse(12, 2.5)[None] * np.stack([thick, width], axis=1)[:, None]
    body = sweep(path, section, 'metal')
    parts = [body.painted(body.face_centres()[:, 0] > length * uniform(0.4, 1.0), 'handle')]
    if not spoon and uniform() < 0.6:
        tine = sweep(
            np.array([(-0.045, sag[0], 0), (-0.02, sag[0], 0), (0.004, sag[0], 0)]),
            superellipse(8, 3.0) * (0.001, 0.0015),
            'metal',
        )
        reach = 0.6 * float(width[:6].max())
        parts += [tine.moved((0, 0, z)) for z in np.linspace(-reach, reach, 4)]
    return Shape('cutlery', parts)


def make_kettle(generator: np.random.Generator) -> Shape:
    """Return a kettle or teapot: spout to +x, handle over the top or behind."""
    uniform = generator.uniform
    radius, height = uniform(0.06, 0.1), uniform(0.1, 0.2)
    profile = bezier(
        [
            (radius * 0.8, 0),
            (radius * 1.25, 0.25 * height),
            (radius, 0.8 * height),
            (radius * 0.5, height),
        ],
        22,
    )
    knob = [(0.012, height + 0.004), (0.014, height + 0.02), (0, height + 0.022)]
    body = revolve(
        [(0, 0), *map(tuple, profile), (0.012, height + 0.003), *knob],
        ['base'] + ['body'] * 21 + ['lid'] * 4,
    )
    spout = bezier(
        [
            (0.8 * radius, 0.35 * height, 0),
            (1.5 * radius, 0.45 * height, 0),
            (1.5 * radius, 0.8 * height, 0),
            (1.9 * radius, 0.95 * height, 0),
        ],
        14,
    )
    taper = np.linspace(0.024, 0.01, 14)[:, None, None]
    parts = [body, sweep(spout, circle(14)[None] * taper, 'metal')]
    if uniform() < 0.6:
        path = [
            (0.75 * radius, 0.85 * height),
            (0.7 * radius, 1.55 * height),
            (-0.7 * radius, 1.55 * height),
            (-0.75 * radius, 0.85 * height),
        ]
    else:
        path = [
            (-0.6 * radius, 0.95 * height),
            (-1.7 * radius, 0.95 * height),
            (-1.7 * radius, 0.25 * height),
            (-0.95 * radius, 0.2 * height),
        ]
    curve = resample(rounded_polyline(path, 0.04, 6), 24)
    curve = np.concatenate([curve, np.zeros((24, 1))], axis=1)
    parts.append(sweep(curve, superellipse(12, 3.0) * (0.006, 0.01), 'handle'))
    return Shape('kettle', parts)


def make_board(generator: np.random.Generator) -> Shape:
    """Return a cutting board, tray or folded cloth."""
    uniform = generator.uniform
    size = (uniform(0.1, 0.25), uniform(0.004, 0.03), uniform(0.1, 0.3))
    return Shape('board', [rounded_box(size, uniform(0.002, 0.03), 0.4 * size[1], 'body')], (UP,))


def make_pan(generator: np.random.Generator) -> Shape:
    """Return a frying pan or pot with a long handle towards +x."""
    uniform = generator.uniform
    radius, height, wall = uniform(0.07, 0.14), uniform(0.03, 0.06), 0.003
    foot = radius * uniform(0.75, 0.95)
    body = revolve(
        [
            (0, 0),
            (foot, 0),
            (radius, height),
            (radius - wall, height),
            (foot - wall, wall),
            (0, wall),
        ],
        ['body', 'body', 'rim', 'inside', 'inside'],
    )
    path = smooth_curve(
        [
            (radius - 0.006, 0.75 * height, 0),
            (radius + 0.06, height, 0),
            (radius + uniform(0.14, 0.2), height * 1.2, 0),
        ],
        14,
    )
    grip = sweep(path, superellipse(12, 2.6) * (0.006, 0.011), 'grip')
    return Shape('pan', [body, grip])


def make_sponge(generator: np.random.Generator) -> Shape:
    """Return a sponge, soap bar or butter block."""
    uniform = generator.uniform
    size = (uniform(0.05, 0.12), uniform(0.02, 0.05), uniform(0.04, 0.08))
    body = rounded_box(size, uniform(0.004, 0.02), uniform(0.002, 0.012), 'body')
    return Shape(
        'sponge', [body.painted(body.face_centres()[:, 1] > 0.2 * size[1], 'label')], ALL_SIDES
    )


def make_bag(generator: np.random.Generator) -> Shape:
    """Return a bag of crisps or a pouch: a pillow with flat ends."""
    uniform = generator.uniform
    height, width, depth = uniform(0.12, 0.28), uniform(0.09, 0.2), uniform(0.02, 0.07)
    share = np.linspace(0, 1, 20)
    swell = np.clip(np.sin(np.pi * share), 0.02, 1) ** 0.6
    outline = superellipse(28, 2.4)
    rings = np.stack(
        [
            np.stack(
                [
                    outline[:, 0] * 0.5 * depth * s,
                    np.full(28, (t - 0.5) * height),
                    outline[:, 1] * 0.5 * width * (1 - 0.12 * s),
                ],
                axis=1,
            )
            for t, s in zip(share, swell, strict=True)
        ]
    )
    creases = generator.standard_normal(rings.shape[:2])
    creases += np.roll(creases, 1, axis=0) + np.roll(creases, 1, axis=1)
    rings[..., 0] *= 1 + 0.08 * creases
    return Shape('bag', [loft(rings, ['metal'] + ['label'] * 17 + ['metal'])], (BACK, FRONT))


def make_lump(generator: np.random.Generator) -> Shape:
    """Return a crumpled cloth, bread or potato: a sphere bent by low waves."""
    rows, columns = 22, 32
    angle = np.linspace(0.05, np.pi - 0.05, rows)[:, None]
    turn = np.arange(columns)[None] * (2 * np.pi / columns)
    radius = np.ones((rows, columns))
    for _ in range(6):
        wave, lobes = generator.integers(1, 5), generator.integers(0, 6)
        phase = generator.uniform(0, 2 * np.pi, 2)
        radius += (
            generator.uniform(0, 0.16)
            * np.sin(2 * wave * angle + phase[0])
            * np.cos(lobes * turn + phase[1])
            * np.sin(angle)
        )
    scale = generator.uniform(0.03, 0.11, 3) * (1, generator.uniform(0.15, 0.8), 1)
    unit = np.stack(
        [np.sin(angle) * np.cos(turn), -np.cos(angle) + 0 * turn, np.sin(angle) * np.sin(turn)],
        axis=-1,
    )
    body: Part = loft(unit * radius[..., None] * scale, 'body')
    return Shape('lump', [body])
