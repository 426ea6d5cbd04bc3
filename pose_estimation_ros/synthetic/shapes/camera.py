"""Photo cameras: lens towards +x, up +y."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from pose_estimation_ros.synthetic.shapes.curves import circle
from pose_estimation_ros.synthetic.shapes.parts import Part
from pose_estimation_ros.synthetic.shapes.revolution import revolve
from pose_estimation_ros.synthetic.shapes.shape import BACK, UP, Shape
from pose_estimation_ros.synthetic.shapes.sweep import rounded_box

FloatArray = npt.NDArray[np.float64]
_KINDS = ('compact', 'reflex', 'mirrorless', 'bridge', 'rangefinder', 'gripped', 'instant')
_SHARES = (0.25, 0.3, 0.18, 0.1, 0.08, 0.05, 0.04)
# Turns the y axis into +x.
_ALONG_X = np.array([[0.0, 1, 0], [-1, 0, 0], [0, 0, 1]])
_FINE = circle(36)


def lens(radius: float, length: float, generator: np.random.Generator) -> Part:
    """Return a lens barrel along +x from x = -0.01, metres: steps, rings, a recessed glass."""
    uniform = generator.uniform
    steps = int(generator.integers(1, 5))
    cuts = np.sort(np.concatenate([[0.0, 1.0], uniform(0.12, 0.9, steps - 1)])) * length
    points: list[tuple[float, float]] = [(0.0, -0.01)]
    names: list[str] = []
    taper = uniform(0.75, 1.0) if uniform() < 0.5 else uniform(1.0, 1.12)
    for index in range(steps):
        share = index / max(steps - 1, 1)
        size = radius * ((1 - share) + share * taper) * uniform(0.93, 1.0)
        start = -0.01 if index == 0 else float(cuts[index])
        points += [(size, start), (size, float(cuts[index + 1]))]
        names += ['metal' if index else 'lens', 'grip' if index % 2 else 'lens']
    mouth = points[-1][0]
    recess = min(uniform(0.002, 0.02), 0.8 * length)
    glass = mouth * uniform(0.5, 0.88)
    points += [
        (mouth * 0.93, length),
        (glass, length - recess),
        (0.6 * glass, length - recess + 0.08 * glass),
        (0, length - recess + 0.12 * glass),
    ]
    names += ['lens', 'lens', 'glass', 'glass']
    if length > 0.03 and uniform() < 0.15:
        flare, hood = mouth * uniform(1.05, 1.25), uniform(0.01, 0.035)
        front = [
            (mouth * 1.02, length - 0.004),
            (flare, length + hood),
            (flare * 0.96, length + hood),
            (mouth * 0.97, length),
        ]
        points = [*points[:-4], *front, *points[-3:]]
        names = [*names[:-4], 'grip', 'grip', 'grip', 'grip', 'lens', 'glass', 'glass']
    return revolve(points, names, _FINE).rotated(_ALONG_X)


def _knob(radius: float, height: float, name: str) -> Part:
    edge = 0.15 * height
    profile = [(radius, -0.002), (radius, height - edge), (radius - edge, height), (0, height)]
    return revolve(profile, name, circle(20))


def _bodies(kind: str, generator: np.random.Generator) -> tuple[float, float, float, float, float]:
    """Return depth, height and width of the body, radius and length of the lens, metres."""
    uniform = generator.uniform
    if kind == 'compact':
        width, depth = uniform(0.085, 0.115), uniform(0.018, 0.035)
        height = width * uniform(0.52, 0.66)
        return (
            depth,
            height,
            width,
            height * uniform(0.28, 0.46),
            0.004 + 0.045 * generator.beta(1.1, 2.6),
        )
    if kind in ('reflex', 'bridge'):
        width, depth = uniform(0.108, 0.155), uniform(0.04, 0.07)
        height = width * uniform(0.52, 0.68)
        return (
            depth,
            height,
            width,
            height * uniform(0.36, 0.52),
            0.025 + 0.13 * generator.beta(1.1, 2.6),
        )
    if kind == 'gripped':
        width, depth = uniform(0.13, 0.16), uniform(0.05, 0.075)
        height = width * uniform(0.75, 0.95)
        return (
            depth,
            height,
            width,
            height * uniform(0.26, 0.38),
            0.03 + 0.12 * generator.beta(1.1, 2.6),
        )
    if kind == 'instant':
        width, depth = uniform(0.09, 0.13), uniform(0.04, 0.065)
        height = width * uniform(0.7, 1.05)
        return depth, height, width, height * uniform(0.2, 0.32), uniform(0.01, 0.04)
    width, depth = uniform(0.1, 0.14), uniform(0.028, 0.045)
    height = width * uniform(0.5, 0.64)
    return (
        depth,
        height,
        width,
        height * uniform(0.34, 0.5),
        0.012 + 0.1 * generator.beta(1.1, 2.6),
    )


def _viewfinder(
    depth: float, height: float, width: float, at: float, generator: np.random.Generator
) -> list[Part]:
    """Return the hump over the lens with its flash or shoe and the eyepiece, body centred."""
    uniform = generator.uniform
    front, top = 0.5 * depth, 0.5 * height
    hump, breadth = height * uniform(0.14, 0.36), width * uniform(0.22, 0.4)
    length = depth * uniform(0.8, 1.3)
    box = rounded_box((length, 1.6 * hump, breadth), 0.008, hump * uniform(0.1, 0.35), 'body')
    slope = uniform(0.55, 1.0)
    rising = np.clip((box.vertices[:, 1:2] + 0.8 * hump) / (1.6 * hump), 0, 1)
    box = Part(
        box.vertices * (1, 1, 0) + (0, 0, 1) * box.vertices * (1 - (1 - slope) * rising),
        box.faces,
        box.labels,
    )
    parts = [box.moved((uniform(-0.05, 0.12) * depth, top + 0.2 * hump, at))]
    peak = top + hump
    if uniform() < 0.5:
        shoe = rounded_box((0.018, 0.004, 0.02), 0.001, 0.0005, 'metal', 2)
        parts.append(shoe.moved((-0.1 * depth, peak, at)))
    if uniform() < 0.06:
        rise = uniform(0.02, 0.05)
        flash = rounded_box((0.03, rise, 0.05), 0.005, 0.004, 'grip')
        window = rounded_box((0.004, 0.6 * rise, 0.04), 0.002, 0.001, 'flash', 2)
        parts += [
            flash.moved((-0.1 * depth, peak + 0.5 * rise, at)),
            window.moved((-0.1 * depth + 0.015, peak + 0.5 * rise, at)),
        ]
    eye = rounded_box((0.02, 0.7 * hump, 0.03), 0.004, 0.003, 'grip')
    parts.append(eye.moved((-front - uniform(-0.006, 0.006), top + 0.35 * hump, at)))
    return parts


def _front_windows(
    kind: str, depth: float, height: float, width: float, generator: np.random.Generator
) -> list[Part]:
    """Return flash and viewfinder windows in the front of a flat-topped body."""
    uniform = generator.uniform
    front, top = 0.5 * depth, 0.5 * height
    parts = []
    if uniform() < 0.85:
        flash = rounded_box(
            (0.004, height * uniform(0.1, 0.2), width * uniform(0.1, 0.24)),
            0.001,
            0.001,
            'flash',
            2,
        )
        parts.append(flash.moved((front, top - 0.17 * height, width * uniform(-0.35, 0.15))))
    if kind in ('rangefinder', 'instant'):
        window = rounded_box(
            (0.004, height * 0.14, width * uniform(0.08, 0.14)), 0.001, 0.0005, 'glass', 2
        )
        parts.append(window.moved((front, top - 0.16 * height, width * uniform(0.3, 0.4))))
    if kind == 'instant':
        slot = rounded_box((0.012, 0.004, width * 0.7), 0.001, 0.001, 'grip', 2)
        parts.append(slot.moved((0.1 * depth, top, 0)))
    return parts


def make_camera(generator: np.random.Generator) -> Shape:
    """Return a camera 8.5 to 16 cm wide.

    Seen by somebody who looks into the lens, the grip and the shutter button of every camera are
    on the left, which is +z here.
    """
    uniform = generator.uniform
    kind = str(generator.choice(_KINDS, p=_SHARES))
    depth, height, width, radius, length = _bodies(kind, generator)
    front, top = 0.5 * depth, 0.5 * height
    corner = min(0.49 * depth, uniform(0.003, 0.5 * depth))
    body = rounded_box((depth, height, width), corner, depth * uniform(0.06, 0.3), 'body', 4, 7)
    if uniform() < 0.4:
        low, high = sorted(uniform(-0.4, 0.42, 2) * height)
        level = body.face_centres()[:, 1]
        body = body.painted((level > low) & (level < high), 'grip')
    aside = -width * (uniform(-0.05, 0.05) if uniform() < 0.3 else uniform(-0.04, 0.18))
    drop = height * uniform(-0.12, 0.04)
    if kind == 'gripped':
        drop = height * uniform(0.08, 0.16)
    parts = [body, lens(min(radius, 0.55 * height), length, generator).moved((front, drop, aside))]
    has_finder = kind in ('reflex', 'bridge', 'gripped') or (
        kind == 'mirrorless' and uniform() < 0.6
    )
    if kind in ('reflex', 'bridge', 'gripped') or (kind == 'mirrorless' and uniform() < 0.7):
        reach = uniform(0.006, 0.03)
        grip = rounded_box(
            (reach + 0.5 * depth, height * uniform(0.85, 1.02), width * uniform(0.16, 0.26)),
            0.45 * reach + 0.004,
            0.006,
            str(generator.choice(['grip', 'body'])),
        )
        parts.append(
            grip.moved((front + 0.5 * reach - 0.25 * depth, -0.02 * height, width * 0.41))
        )
    if has_finder:
        parts += _viewfinder(depth, height, width, aside, generator)
    else:
        parts += _front_windows(kind, depth, height, width, generator)
    for chance, place, size in ((0.85, 0.37, 0.006), (0.6, 0.25, 0.01), (0.3, -0.33, 0.011)):
        if uniform() < chance:
            knob = _knob(size * uniform(0.6, 1.1), uniform(0.002, 0.009), 'metal')
            parts.append(
                knob.moved(
                    (uniform(-0.1, 0.2) * depth, top, width * (place + uniform(-0.05, 0.05)))
                )
            )
    screen = rounded_box(
        (0.003, height * uniform(0.5, 0.8), width * uniform(0.42, 0.66)),
        0.002,
        0.0005,
        'screen',
        2,
    )
    if kind != 'instant':
        parts.append(screen.moved((-front, -0.04 * height, -width * 0.1)))
    for end in (-0.5, 0.5):
        if uniform() < 0.5:
            lug = rounded_box((0.006, 0.008, 0.008), 0.002, 0.001, 'metal', 2)
            parts.append(lug.moved((0, top * 0.7, end * width)))
    return Shape(kind, parts, (BACK, UP))
