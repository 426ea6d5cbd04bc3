"""Clutter: things that are none of the six categories."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from pose_estimation_ros.synthetic.shapes.curves import bezier, circle, smooth_curve, superellipse
from pose_estimation_ros.synthetic.shapes.parts import Part
from pose_estimation_ros.synthetic.shapes.revolution import revolve
from pose_estimation_ros.synthetic.shapes.shape import BACK, FRONT, LEFT, RIGHT, UP, Shape
from pose_estimation_ros.synthetic.shapes.sweep import rounded_box, sweep

FloatArray = npt.NDArray[np.float64]
_ALL_SIDES = (UP, BACK, FRONT, LEFT, RIGHT)


def _box(generator: np.random.Generator) -> Shape:
    uniform = generator.uniform
    size = np.array([uniform(0.03, 0.09), uniform(0.05, 0.3), uniform(0.05, 0.2)])
    body = rounded_box(size, uniform(0.0005, 0.004), 0.0005, 'body')
    return Shape('box', [body], _ALL_SIDES)


def _book(generator: np.random.Generator) -> Shape:
    uniform = generator.uniform
    depth, thick, width = uniform(0.12, 0.25), uniform(0.008, 0.05), uniform(0.1, 0.2)
    pages = rounded_box((depth * 0.97, thick * 0.9, width * 0.97), 0.001, 0.0005, 'label')
    covers = [rounded_box((depth, 0.002, width), 0.001, 0.0005, 'body', 2).moved((0, y, 0))
              for y in (-0.5 * thick, 0.5 * thick)]
    spine = rounded_box((0.002, thick, width), 0.001, 0.0005, 'body', 2).moved((-0.5 * depth, 0, 0))
    return Shape('book', [pages, *covers, spine])


def _ball(generator: np.random.Generator) -> Shape:
    radius = generator.uniform(0.015, 0.08)
    angle = np.linspace(0, np.pi, 25)
    profile = np.stack([radius * np.sin(angle), -radius * np.cos(angle)], axis=1)
    profile[:, 1] *= generator.uniform(0.8, 1.15)
    dimple = generator.uniform(0, 0.2) if generator.random() < 0.5 else 0.0
    profile[:, 1] -= np.sign(profile[:, 1]) * dimple * radius * np.exp(
        -((profile[:, 0] / (0.3 * radius)) ** 2))
    return Shape('ball', [revolve(profile, 'body')], _ALL_SIDES)


def _banana(generator: np.random.Generator) -> Shape:
    uniform = generator.uniform
    length, bend = uniform(0.1, 0.22), uniform(0.0, 0.35)
    x = np.linspace(-0.5, 0.5, 24)
    path = np.stack([x * length, np.zeros_like(x), bend * length * (4 * x**2)], axis=1)
    taper = np.clip(1 - (2 * np.abs(x)) ** uniform(3, 8), 0.15, 1)
    section = superellipse(18, uniform(2, 2.6)) * uniform(0.012, 0.03)
    body = sweep(path, section[None] * taper[:, None, None], 'body', (0, 1, 0))
    return Shape('banana', [body], _ALL_SIDES)


def _plate(generator: np.random.Generator) -> Shape:
    uniform = generator.uniform
    radius, rise = uniform(0.08, 0.15), uniform(0.008, 0.02)
    wall = uniform(0.003, 0.006)
    return Shape('plate', [revolve(
        [(0, 0), (0.6 * radius, 0), (0.7 * radius, 0.3 * rise), (radius, rise),
         (radius, rise + wall), (0.68 * radius, 0.3 * rise + wall), (0.6 * radius, wall),
         (0, wall)], ['body'] * 4 + ['inside'] * 3)], (UP,))


def _spoon(generator: np.random.Generator) -> Shape:
    uniform = generator.uniform
    length = uniform(0.12, 0.28)
    x = np.linspace(0, 1, 28)
    head = uniform(0.22, 0.32)
    width = np.where(x < head, np.sin(np.pi * np.clip(x / head, 0.04, 0.9)), 0.3)
    width = uniform(0.016, 0.03) * np.maximum(width, 0.2)
    path = np.stack([x * length, 0.012 * np.cos(x * uniform(4, 7)), 0 * x], axis=1)
    section = superellipse(12, 2.5)[None] * np.stack([np.full(28, uniform(0.001, 0.004)), width],
                                                    axis=1)[:, None]
    return Shape('spoon', [sweep(path, section, 'metal')])


def _marker(generator: np.random.Generator) -> Shape:
    uniform = generator.uniform
    radius, length = uniform(0.004, 0.013), uniform(0.1, 0.19)
    cut = uniform(0.6, 0.8) * length
    body = revolve([(0, 0), (radius, 0), (radius, cut), (radius * 1.1, cut), (radius, length),
                    (0, length)], ['body', 'body', 'cap', 'cap', 'cap'], circle(20))
    turn = np.array([[0.0, 1, 0], [-1, 0, 0], [0, 0, 1]])
    return Shape('marker', [body.rotated(turn)])


def _blocks(generator: np.random.Generator) -> Shape:
    parts: list[Part] = []
    for name in generator.choice(['body', 'label', 'base', 'cap'], int(generator.integers(2, 6))):
        size = generator.uniform(0.02, 0.09, 3)
        part = rounded_box(size, generator.uniform(0, 0.02), 0.002, str(name))
        parts.append(part.moved(generator.uniform(-0.04, 0.04, 3)))
    return Shape('blocks', parts, _ALL_SIDES)


def _phone(generator: np.random.Generator) -> Shape:
    uniform = generator.uniform
    length, width, thick = uniform(0.13, 0.26), uniform(0.065, 0.18), uniform(0.006, 0.012)
    body = rounded_box((length, thick, width), 0.01, 0.4 * thick, 'body')
    glass = rounded_box((length * 0.94, 0.001, width * 0.92), 0.006, 0.0002, 'screen', 2)
    return Shape('phone', [body, glass.moved((0, 0.5 * thick, 0))], (UP,))


def _keyboard(generator: np.random.Generator) -> Shape:
    uniform = generator.uniform
    depth, width, thick = uniform(0.11, 0.15), uniform(0.28, 0.45), uniform(0.01, 0.03)
    parts = [rounded_box((depth, thick, width), 0.005, 0.003, 'body')]
    rows, columns = 5, int(width / 0.021)
    key = rounded_box((depth / rows * 0.75, 0.008, 0.016), 0, 0.001, 'keyboard', 2)
    for row in range(rows):
        for column in range(columns):
            parts.append(key.moved(((row - 2) * depth / rows * 0.92, 0.5 * thick,
                                    (column - 0.5 * (columns - 1)) * 0.0195)))
    return Shape('keyboard', parts)


def _drill(generator: np.random.Generator) -> Shape:
    uniform = generator.uniform
    radius, length = uniform(0.02, 0.035), uniform(0.12, 0.2)
    turn = np.array([[0.0, 1, 0], [-1, 0, 0], [0, 0, 1]])
    barrel = revolve([(0, 0), (radius, 0), (radius * 1.05, 0.6 * length), (0.5 * radius, 0.8 * length),
                      (0.4 * radius, length), (0, length)],
                     ['body', 'body', 'grip', 'metal', 'metal'], circle(24)).rotated(turn)
    path = smooth_curve([(0.2 * length, 0, 0), (0.15 * length, -0.08, 0), (0.12 * length, -0.13, 0)],
                        10)
    grip = sweep(path, superellipse(14, 2.5) * (0.018, 0.014), 'grip')
    foot = rounded_box((0.07, 0.03, 0.05), 0.008, 0.004, 'base').moved((0.15 * length, -0.14, 0))
    return Shape('drill', [barrel, grip, foot], (LEFT, RIGHT))


def _lump(generator: np.random.Generator) -> Shape:
    count, columns = 22, 32
    angle = np.linspace(0.05, np.pi - 0.05, count)[:, None]
    turn = np.arange(columns)[None] * (2 * np.pi / columns)
    radius = np.ones((count, columns))
    for _ in range(6):
        k, m = generator.integers(1, 5), generator.integers(0, 6)
        phase = generator.uniform(0, 2 * np.pi, 2)
        radius += generator.uniform(0, 0.16) * np.sin(k * angle * 2 + phase[0]) * np.cos(
            m * turn + phase[1]) * np.sin(angle)
    scale = generator.uniform(0.03, 0.11, 3) * (1, generator.uniform(0.15, 0.8), 1)
    unit = np.stack([np.sin(angle) * np.cos(turn), -np.cos(angle) + 0 * turn,
                     np.sin(angle) * np.sin(turn)], axis=-1)
    from pose_estimation_ros.synthetic.shapes.parts import loft
    return Shape('lump', [loft(unit * radius[..., None] * scale, 'body')])


def _stapler(generator: np.random.Generator) -> Shape:
    uniform = generator.uniform
    length, width = uniform(0.1, 0.18), uniform(0.025, 0.045)
    tilt = uniform(0.05, 0.25)
    turn = np.array([[np.cos(tilt), -np.sin(tilt), 0], [np.sin(tilt), np.cos(tilt), 0], [0, 0, 1]])
    foot = rounded_box((length, 0.012, width), 0.01, 0.003, 'base')
    arm = rounded_box((length * 0.95, 0.022, width * 0.8), 0.008, 0.006, 'body').rotated(turn)
    return Shape('stapler', [foot, arm.moved((0, 0.035, 0))], (LEFT, RIGHT))


def _lamp(generator: np.random.Generator) -> Shape:
    uniform = generator.uniform
    foot, rise = uniform(0.05, 0.09), uniform(0.2, 0.4)
    base = revolve([(0, 0), (foot, 0), (foot, 0.012), (0.01, 0.025), (0, 0.025)], 'base')
    path = bezier([(0, 0.01, 0), (0, rise, 0), (uniform(0, 0.15), rise * 1.1, 0)], 16)
    arm = sweep(path, circle(12) * 0.006, 'metal')
    shade = revolve([(uniform(0.05, 0.09), -0.06), (uniform(0.02, 0.05), 0.04), (0, 0.04)], 'body')
    return Shape('lamp', [base, arm, shade.moved(path[-1])])


_KINDS: tuple[Callable[[np.random.Generator], Shape], ...] = (
    _box, _box, _box, _book, _ball, _banana, _plate, _spoon, _marker, _blocks, _phone, _keyboard,
    _drill, _lump, _stapler, _lamp,
)  # fmt: skip


def make_distractor(generator: np.random.Generator) -> Shape:
    """Return a thing that is none of the six categories."""
    return _KINDS[int(generator.integers(len(_KINDS)))](generator)
