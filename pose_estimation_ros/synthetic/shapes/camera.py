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
_KINDS = ('compact', 'reflex', 'mirrorless', 'bridge', 'rangefinder')
_SHARES = (0.28, 0.3, 0.2, 0.12, 0.1)
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
    points += [(mouth * 0.93, length), (glass, length - recess),
               (0.6 * glass, length - recess + 0.08 * glass), (0, length - recess + 0.12 * glass)]
    names += ['lens', 'lens', 'glass', 'glass']
    return revolve(points, names, _FINE).rotated(_ALONG_X)


def _knob(radius: float, height: float, at: tuple[float, float, float]) -> Part:
    edge = 0.15 * height
    return revolve([(radius, -0.002), (radius, height - edge), (radius - edge, height), (0, height)],
                   'metal', circle(20)).moved(at)


def make_camera(generator: np.random.Generator) -> Shape:
    """Return a camera 8 to 16 cm wide."""
    uniform = generator.uniform
    kind = str(generator.choice(_KINDS, p=_SHARES))
    if kind == 'compact':
        width, depth = uniform(0.085, 0.115), uniform(0.018, 0.035)
        height = width * uniform(0.52, 0.65)
        radius, length = height * uniform(0.3, 0.46), uniform(0.004, 0.04)
    elif kind in ('reflex', 'bridge'):
        width, depth = uniform(0.11, 0.155), uniform(0.04, 0.065)
        height = width * uniform(0.52, 0.66)
        radius, length = height * uniform(0.38, 0.52), uniform(0.03, 0.14)
    else:
        width, depth = uniform(0.1, 0.14), uniform(0.028, 0.045)
        height = width * uniform(0.5, 0.62)
        radius, length = height * uniform(0.36, 0.5), uniform(0.015, 0.1)
    edge = depth * uniform(0.06, 0.3)
    corner = min(0.48 * depth, uniform(0.003, 0.02))
    body = rounded_box((depth, height, width), corner, edge, 'body')
    front, top = 0.5 * depth, 0.5 * height
    side = 1.0 if uniform() < 0.95 else -1.0
    off_centre = side * width * uniform(-0.16, 0.04)
    if kind == 'rangefinder':
        off_centre = side * width * uniform(-0.05, 0.05)
    # The grip is on the photographer's right: seen with the lens to +x and up +y, that is -z... 
    # of the object, so the lens sits off-centre towards +z.
    drop = height * uniform(-0.12, 0.04)
    parts = [body, lens(min(radius, 0.55 * height), length, generator).moved(
        (front, drop, -off_centre))]
    if kind in ('reflex', 'bridge') or (kind == 'mirrorless' and uniform() < 0.7):
        reach = uniform(0.006, 0.03)
        grip = rounded_box((reach + 0.5 * depth, height * uniform(0.85, 1.02),
                            width * uniform(0.16, 0.26)), 0.45 * reach + 0.004, 0.006, 'grip')
        parts.append(grip.moved((front + 0.5 * reach - 0.25 * depth, -0.02 * height,
                                 -side * width * 0.41)))
    if kind in ('reflex', 'bridge') or (kind == 'mirrorless' and uniform() < 0.5):
        hump = uniform(0.012, 0.03)
        finder = rounded_box((depth * uniform(0.8, 1.25), 2 * hump, width * uniform(0.25, 0.4)),
                             0.008, uniform(0.003, 0.012), 'body')
        parts.append(finder.moved((0, top, -off_centre)))
        if uniform() < 0.5:
            shoe = rounded_box((0.018, 0.004, 0.02), 0.001, 0.0005, 'metal', 2)
            parts.append(shoe.moved((0, top + hump, -off_centre)))
        eye = rounded_box((0.02, hump, 0.03), 0.004, 0.003, 'grip')
        parts.append(eye.moved((-front - 0.002, top + 0.3 * hump, -off_centre)))
    elif uniform() < 0.8:
        flash = rounded_box((0.004, height * 0.16, width * uniform(0.12, 0.22)), 0.001, 0.001,
                            'flash', 2)
        parts.append(flash.moved((front, top - 0.18 * height, side * width * uniform(0.1, 0.35))))
    if kind == 'rangefinder':
        window = rounded_box((0.004, height * 0.14, width * 0.12), 0.001, 0.0005, 'glass', 2)
        parts.append(window.moved((front, top - 0.16 * height, side * width * 0.38)))
        parts.append(_knob(0.009, 0.006, (0, top, side * width * 0.36)))
    if uniform() < 0.85:
        parts.append(_knob(uniform(0.003, 0.007), uniform(0.002, 0.006),
                           (0.2 * depth, top, -side * width * uniform(0.32, 0.42))))
    if uniform() < 0.6:
        parts.append(_knob(uniform(0.006, 0.011), uniform(0.003, 0.009),
                           (-0.05 * depth, top, -side * width * uniform(0.2, 0.3))))
    screen = rounded_box((0.003, height * uniform(0.55, 0.8), width * uniform(0.45, 0.65)), 0.002,
                         0.0005, 'screen', 2)
    parts.append(screen.moved((-front, -0.04 * height, side * width * 0.1)))
    for end in (-0.5, 0.5):
        if uniform() < 0.5:
            lug = rounded_box((0.006, 0.008, 0.008), 0.002, 0.001, 'metal', 2)
            parts.append(lug.moved((0, top * 0.7, end * width)))
    return Shape(kind, parts, (BACK, UP))
