"""Clutter of other kinds than the primary domain's; none of the six categories."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from pose_estimation_ros.synthetic.shapes.curves import circle, superellipse
from pose_estimation_ros.synthetic.shapes.kitchen_clutter import ALL_SIDES
from pose_estimation_ros.synthetic.shapes.laptop import ALONG_Z
from pose_estimation_ros.synthetic.shapes.parts import Part, loft
from pose_estimation_ros.synthetic.shapes.revolution import revolve, ring
from pose_estimation_ros.synthetic.shapes.second_domain.profiles import polygon
from pose_estimation_ros.synthetic.shapes.shape import BACK, LEFT, RIGHT, UP, Shape
from pose_estimation_ros.synthetic.shapes.sweep import boxes, rounded_box, sweep


def _superquadric(generator: np.random.Generator) -> Shape:
    """Return a superquadric: between ball, brick and pillow."""
    uniform = generator.uniform
    roundness, plan = uniform(0.25, 1.3), uniform(2.8, 6.0)
    angle = np.linspace(-0.5 * np.pi, 0.5 * np.pi, 23)
    profile = np.stack(
        [np.cos(angle) ** roundness, np.sign(angle) * np.abs(np.sin(angle)) ** roundness], axis=1
    )
    profile[[0, -1], 0] = 0
    body = revolve(profile, 'body', superellipse(40, plan))
    return Shape(
        'superquadric',
        [Part(body.vertices * uniform(0.02, 0.08, 3), body.faces, body.labels)],
        ALL_SIDES,
    )


def _pyramid(generator: np.random.Generator) -> Shape:
    uniform = generator.uniform
    outline = polygon(int(generator.integers(3, 7)), 0.0)
    tip = uniform(0.0, 0.6)
    body = revolve([(0.05, 0), (0.05 * tip + 0.001, uniform(0.04, 0.12))], 'body', outline)
    return Shape('pyramid', [body], (LEFT, RIGHT))


def _donut(generator: np.random.Generator) -> Shape:
    uniform = generator.uniform
    tube = uniform(0.008, 0.025)
    section = circle(18) * tube * (1, uniform(0.6, 1.0)) + (tube + uniform(0.006, 0.05), 0)
    return Shape('donut', [ring(section, 'body')], (UP,))


def _truck(generator: np.random.Generator) -> Shape:
    uniform = generator.uniform
    length, wheel = uniform(0.08, 0.18), uniform(0.01, 0.02)
    body = rounded_box((length, 0.25 * length, 0.4 * length), 0.006, 0.004, 'body')
    cab = rounded_box((0.4 * length, 0.25 * length, 0.36 * length), 0.008, 0.006, 'glass')
    parts = [body, cab.moved((uniform(-0.2, 0.2) * length, 0.22 * length, 0))]
    disc = revolve([(wheel, -0.005), (wheel, 0.005)], 'grip', circle(20)).rotated(ALONG_Z)
    parts += [
        disc.moved((x * length, -0.125 * length, z * length))
        for x in (-0.3, 0.3)
        for z in (-0.2, 0.2)
    ]
    return Shape('truck', parts, (LEFT,))


def _brick(generator: np.random.Generator) -> Shape:
    columns, rows = int(generator.integers(2, 6)), int(generator.integers(1, 4))
    pitch, height = generator.uniform(0.012, 0.03), generator.uniform(0.01, 0.04)
    parts = [rounded_box((columns * pitch, height, rows * pitch), 0.0005, 0.0005, 'body', 2)]
    stud = revolve([(0.3 * pitch, 0), (0.3 * pitch, 0.25 * pitch)], 'body', circle(14))
    for x in np.arange(columns) - 0.5 * (columns - 1):
        parts += [
            stud.moved((x * pitch, 0.5 * height, z * pitch))
            for z in np.arange(rows) - 0.5 * (rows - 1)
        ]
    return Shape('brick', parts, ALL_SIDES)


def _bracket(generator: np.random.Generator) -> Shape:
    uniform = generator.uniform
    long, short, thick = uniform(0.06, 0.2), uniform(0.04, 0.12), uniform(0.006, 0.03)
    width = uniform(0.02, 0.1)
    foot = rounded_box((long, thick, width), 0.001, 0.001, 'metal', 2)
    wall = rounded_box((thick, short, width), 0.001, 0.001, 'metal', 2)
    return Shape('bracket', [foot, wall.moved((-0.5 * long, 0.5 * short, 0))], (LEFT, RIGHT))


def _spring(generator: np.random.Generator) -> Shape:
    uniform = generator.uniform
    turns, radius, height = uniform(2, 6), uniform(0.015, 0.05), uniform(0.01, 0.1)
    angle = np.linspace(0, 2 * np.pi * turns, 110)
    swell = np.linspace(1, uniform(0.2, 1.0), 110)
    path = np.stack(
        [
            radius * swell * np.cos(angle),
            height * np.linspace(0, 1, 110),
            radius * swell * np.sin(angle),
        ],
        axis=1,
    )
    return Shape('spring', [sweep(path, circle(10) * uniform(0.002, 0.006), 'metal', (0, 1, 0))])


def _dumbbell(generator: np.random.Generator) -> Shape:
    uniform = generator.uniform
    length, ball, bar = uniform(0.08, 0.2), uniform(0.02, 0.045), uniform(0.007, 0.014)
    outline = polygon(int(generator.choice([6, 8, 24])), 0.1)
    weight = revolve([(ball, -0.5 * ball), (ball, 0.5 * ball)], 'body', outline).rotated(ALONG_Z)
    rod = revolve([(bar, -0.5 * length), (bar, 0.5 * length)], 'metal', circle(16)).rotated(
        ALONG_Z
    )
    return Shape(
        'dumbbell', [rod, *(weight.moved((0, 0, z * length)) for z in (-0.5, 0.5))], (UP,)
    )


def _chess_piece(generator: np.random.Generator) -> Shape:
    uniform = generator.uniform
    height = uniform(0.05, 0.12)
    levels = np.array([0, 0.08, 0.12, 0.5, 0.7, 0.72, 0.76, 0.78, 0.9, 1.0]) * height
    radii = (
        np.array(
            [0.22, 0.24, 0.15, uniform(0.08, 0.1), 0.09, 0.17, 0.17, 0.1, uniform(0.12, 0.18), 0.0]
        )
        * height
    )
    return Shape(
        'chess_piece', [revolve(np.stack([radii, levels], axis=1), 'body', circle(28))], (LEFT,)
    )


def _speaker(generator: np.random.Generator) -> Shape:
    uniform = generator.uniform
    size = np.array([uniform(0.06, 0.12), uniform(0.12, 0.25), uniform(0.07, 0.13)])
    parts = [rounded_box(size, 0.004, 0.002, 'body')]
    outline = circle(28)
    turn = np.array([[0.0, 1, 0], [-1, 0, 0], [0, 0, 1]])
    for level, share in ((-0.2, 0.42), (0.28, 0.22)):
        radius = share * size[2]
        cone = revolve(
            [
                (radius, -0.002),
                (radius, 0.003),
                (0.9 * radius, 0.003),
                (0.3 * radius, 0.0),
                (0, 0.004),
            ],
            ['metal', 'metal', 'grip', 'grip'],
            outline,
        ).rotated(turn)
        parts.append(cone.moved((0.5 * size[0], level * size[1], 0)))
    return Shape('speaker', parts, (BACK,))


def _egg_carton(generator: np.random.Generator) -> Shape:
    rows, columns = int(generator.integers(1, 3)) + 1, int(generator.integers(2, 6))
    pitch = generator.uniform(0.042, 0.05)
    tray = rounded_box((rows * pitch, 0.03, columns * pitch), 0.008, 0.004, 'body')
    angle = np.linspace(0, np.pi, 13)
    egg = revolve(
        np.stack([0.02 * np.sin(angle), -0.026 * np.cos(angle)], axis=1), 'label', circle(16)
    )
    parts = [tray]
    for x in np.arange(rows) - 0.5 * (rows - 1):
        parts += [
            egg.moved((x * pitch, 0.018, z * pitch))
            for z in np.arange(columns) - 0.5 * (columns - 1)
        ]
    return Shape('egg_carton', parts)


def _paper_stack(generator: np.random.Generator) -> Shape:
    count = int(generator.integers(2, 9))
    size = np.array(
        [
            generator.uniform(0.1, 0.3),
            generator.uniform(0.001, 0.012),
            generator.uniform(0.1, 0.21),
        ]
    )
    parts: list[Part] = []
    for level in range(count):
        angle = generator.normal(0, 0.12)
        turn = np.array(
            [[np.cos(angle), 0, np.sin(angle)], [0, 1, 0], [-np.sin(angle), 0, np.cos(angle)]]
        )
        sheet = boxes(np.zeros((1, 3)), size, str(generator.choice(['body', 'label', 'base'])))
        offset = (generator.normal(0, 0.01), level * size[1], generator.normal(0, 0.01))
        parts.append(sheet.rotated(turn).moved(offset))
    return Shape('paper_stack', parts)


def _stone(generator: np.random.Generator) -> Shape:
    """Return a stone: a sphere with low-pass noise along both angles."""
    angle = np.linspace(0.04, np.pi - 0.04, 14)[:, None]
    turn = np.arange(16)[None] * (2 * np.pi / 16)
    radius = 1 + 0.12 * generator.standard_normal((14, 16)) * np.sin(angle)
    unit = np.stack(
        [np.sin(angle) * np.cos(turn), -np.cos(angle) + 0 * turn, np.sin(angle) * np.sin(turn)],
        axis=-1,
    )
    return Shape(
        'stone', [loft(unit * radius[..., None] * generator.uniform(0.02, 0.07, 3), 'body')], (UP,)
    )


def _hourglass(generator: np.random.Generator) -> Shape:
    uniform = generator.uniform
    radius, height = uniform(0.015, 0.035), uniform(0.07, 0.16)
    level = np.linspace(0, 1, 21)
    glass = revolve(
        np.stack([radius * (0.12 + 0.8 * np.abs(2 * level - 1) ** 0.8), level * height], axis=1),
        'glass',
        circle(28),
    )
    disc = revolve([(1.2 * radius, -0.004), (1.2 * radius, 0.004)], 'body', circle(28))
    posts = [
        revolve([(0.003, 0), (0.003, height)], 'body', circle(10)).moved(
            (1.05 * radius * np.cos(a), 0, 1.05 * radius * np.sin(a))
        )
        for a in (0.3, 2.4, 4.5)
    ]
    return Shape('hourglass', [glass, disc, disc.moved((0, height, 0)), *posts], (LEFT,))


_KINDS: tuple[Callable[[np.random.Generator], Shape], ...] = (
    _superquadric, _superquadric, _pyramid, _donut, _truck, _brick, _brick, _bracket, _spring,
    _dumbbell, _chess_piece, _speaker, _egg_carton, _paper_stack, _paper_stack, _stone,
    _hourglass,
)  # fmt: skip


def make_distractor(generator: np.random.Generator) -> Shape:
    """Return a thing that is none of the six categories."""
    return _KINDS[int(generator.integers(len(_KINDS)))](generator)
