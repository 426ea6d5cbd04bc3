"""Bottles, jars, jugs and flasks."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from pose_estimation_ros.synthetic.shapes.closures import closure
from pose_estimation_ros.synthetic.shapes.curves import (
    circle,
    resample,
    rounded_polyline,
    smooth_curve,
    superellipse,
)
from pose_estimation_ros.synthetic.shapes.revolution import SEGMENTS, paint_band, revolve
from pose_estimation_ros.synthetic.shapes.shape import BACK, FRONT, LEFT, RIGHT, Shape
from pose_estimation_ros.synthetic.shapes.sweep import sweep

FloatArray = npt.NDArray[np.float64]


@dataclass(frozen=True)
class _Family:
    """Ranges of one family of bottles.

    Attributes:
        share: How often it is drawn.
        height: Metres, without cap.
        aspect: Body diameter over height.
        shoulder: Height of the shoulder's start over the height.
        neck_start: Height at which the neck starts over the height.
        neck: Neck radius over body radius.
        oval: How often the body is oval or boxy.
        caps: Closures to choose from.
    """

    share: float
    height: tuple[float, float]
    aspect: tuple[float, float]
    shoulder: tuple[float, float]
    neck_start: tuple[float, float]
    neck: tuple[float, float]
    oval: float
    caps: tuple[str, ...]


_FAMILIES: dict[str, _Family] = {
    'water': _Family(
        0.2,
        (0.16, 0.32),
        (0.26, 0.4),
        (0.55, 0.78),
        (0.85, 0.93),
        (0.33, 0.5),
        0.05,
        ('screw', 'screw', 'sport'),
    ),
    'wine': _Family(
        0.15,
        (0.26, 0.35),
        (0.21, 0.3),
        (0.5, 0.68),
        (0.68, 0.8),
        (0.3, 0.42),
        0.0,
        ('none', 'cork', 'foil'),
    ),
    'beer': _Family(
        0.12,
        (0.17, 0.26),
        (0.24, 0.34),
        (0.45, 0.65),
        (0.68, 0.85),
        (0.36, 0.5),
        0.0,
        ('crown', 'none', 'screw'),
    ),
    'shampoo': _Family(
        0.15,
        (0.11, 0.25),
        (0.28, 0.5),
        (0.65, 0.88),
        (0.84, 0.95),
        (0.3, 0.6),
        0.7,
        ('screw', 'flip', 'pump'),
    ),
    'squeeze': _Family(
        0.09,
        (0.13, 0.24),
        (0.28, 0.52),
        (0.6, 0.8),
        (0.82, 0.93),
        (0.4, 0.6),
        0.5,
        ('nozzle', 'flip'),
    ),
    'spray': _Family(
        0.07,
        (0.13, 0.24),
        (0.3, 0.45),
        (0.5, 0.75),
        (0.84, 0.94),
        (0.3, 0.45),
        0.45,
        ('trigger', 'mist'),
    ),
    'jar': _Family(
        0.08, (0.1, 0.19), (0.48, 0.8), (0.7, 0.85), (0.82, 0.9), (0.75, 0.95), 0.1, ('lid',)
    ),
    'jug': _Family(
        0.05, (0.18, 0.32), (0.45, 0.65), (0.5, 0.7), (0.82, 0.92), (0.22, 0.35), 0.35, ('screw',)
    ),
    'flask': _Family(
        0.06,
        (0.18, 0.3),
        (0.24, 0.36),
        (0.8, 0.92),
        (0.86, 0.94),
        (0.55, 0.85),
        0.0,
        ('lid', 'screw'),
    ),
    'round': _Family(
        0.03,
        (0.1, 0.2),
        (0.5, 0.85),
        (0.35, 0.5),
        (0.7, 0.85),
        (0.2, 0.4),
        0.0,
        ('cork', 'screw', 'none'),
    ),
}


def _body_profile(
    kind: str, family: _Family, height: float, radius: float, generator: np.random.Generator
) -> FloatArray:
    """Return the (R, 2) outside from the bottom corner to the mouth, metres."""
    uniform = generator.uniform
    shoulder = uniform(*family.shoulder)
    neck_start = max(uniform(*family.neck_start), shoulder + 0.03)
    neck = float(np.clip(uniform(*family.neck) * radius, 0.008, None)) / radius
    corner = uniform(0.015, 0.06)
    foot = uniform(0.78, 0.97)
    slope = shoulder + (neck_start - shoulder) * uniform(0.35, 0.65)
    mid = neck + (1 - neck) * uniform(0.4, 0.75)
    controls = [(foot, 0.0), (1.0, corner)]
    if kind == 'round':
        controls = [(uniform(0.4, 0.6), 0.0), (0.9, 0.15), (1.0, shoulder)]
    elif kind in ('shampoo', 'squeeze', 'water') and uniform() < 0.4:
        waist = uniform(0.78, 0.95)
        controls += [(1.0, 0.22), (waist, uniform(0.35, 0.5)), (1.0, shoulder)]
    elif uniform() < 0.25:
        controls = [(foot * 0.9, 0.0), (uniform(0.82, 0.95), corner), (1.0, shoulder)]
    else:
        controls += [(1.0, 0.5 * shoulder), (1.0, shoulder)]
    controls += [(mid, slope), (neck, neck_start), (neck * uniform(0.9, 1.0), 1.0)]
    profile = smooth_curve(np.array(controls) * (radius, height), 44)
    if kind == 'water' and uniform() < 0.6:
        share = profile[:, 1] / height
        ribs = uniform(8, 16)
        low, high = sorted(uniform(0.1, shoulder, 2))
        window = (share > low) & (share < high)
        profile[:, 0] *= 1 - window * uniform(0.01, 0.03) * (1 + np.sin(2 * np.pi * ribs * share))
    return profile


def _outlines(
    profile: FloatArray, radius: float, neck: float, oval: float, generator: np.random.Generator
) -> FloatArray:
    """Return the (R, SEGMENTS, 2) cross-sections: shaped at the body, round at the neck."""
    round_outline = circle(SEGMENTS)
    if generator.random() >= oval:
        return np.broadcast_to(round_outline, (len(profile), SEGMENTS, 2))
    boxy = generator.random() < 0.4
    exponent = generator.uniform(3.0, 6.0) if boxy else generator.uniform(2.0, 2.8)
    shaped = superellipse(SEGMENTS, exponent, generator.uniform(0.5, 0.95))
    if generator.random() < 0.5:
        # Turned by 90 degrees, point k still near angle k so that it blends into the neck.
        shaped = np.roll(shaped[:, ::-1] * (1, -1), -SEGMENTS // 4, axis=0)
    share = np.clip((profile[:, 0] - neck) / max(radius - neck, 1e-6) * 1.6, 0, 1)
    share[: int(np.argmax(profile[:, 0]))] = 1
    share = share[:, None, None]
    return (1 - share) * round_outline + share * shaped


def make_bottle(generator: np.random.Generator) -> Shape:
    """Return a bottle, jar, jug or flask about 10 to 37 cm high."""
    uniform = generator.uniform
    kinds = list(_FAMILIES)
    kind = str(generator.choice(kinds, p=[_FAMILIES[name].share for name in kinds]))
    family = _FAMILIES[kind]
    height = uniform(*family.height)
    radius = 0.5 * height * uniform(*family.aspect)
    profile = _body_profile(kind, family, height, radius, generator)
    neck = float(profile[-1, 0])
    body_outlines = _outlines(profile, radius, neck, family.oval, generator)
    dent = uniform(0.0, 0.006)
    closing = generator.choice(family.caps)
    lip, depth = min(0.002, 0.3 * neck), uniform(0.02, 0.05)
    bottom = [(0.0, dent), (0.6 * profile[0, 0], 0.6 * dent)]
    mouth = [(neck - lip, height), (neck - lip, height - depth), (0.0, height - depth)]
    whole = np.concatenate([bottom, profile, mouth])
    outlines = np.concatenate(
        [
            np.repeat(body_outlines[:1], 2, axis=0),
            body_outlines,
            np.repeat(body_outlines[-1:], 3, axis=0),
        ]
    )
    names = ['base'] * 2 + ['body'] * (len(profile) - 1) + ['rim', 'inside', 'inside']
    body = revolve(whole, names, outlines)
    if uniform() < 0.75:
        full = np.flatnonzero(profile[:, 0] > 0.9 * radius)
        low, high = profile[full[0], 1], profile[full[-1], 1]
        start = low + (high - low) * uniform(0.02, 0.4)
        stop = start + (high - start) * uniform(0.4, 0.98)
        body = paint_band(body, start, stop)
        if uniform() < 0.35:
            behind = body.face_centres()[:, 0] < 0
            body = body.painted((body.labels == 5) & behind, 'body')
    parts = [body, *closure(str(closing), neck, height, generator)]
    if kind == 'jug' and uniform() < 0.7:
        upper, lower = height * uniform(0.8, 0.86), height * uniform(0.35, 0.5)
        at = np.interp([upper, lower], profile[:, 1], profile[:, 0])
        reach = radius * uniform(1.05, 1.3)
        path = rounded_polyline(
            [
                (at[0] - 0.006, upper),
                (reach, upper),
                (reach * 1.03, lower + 0.02),
                (at[1] - 0.006, lower),
            ],
            0.04,
            8,
        )
        path = resample(path, 24)
        path = np.concatenate([path, np.zeros((24, 1))], axis=1)
        parts.append(sweep(path, superellipse(14, 2.3) * (0.008, 0.011), 'handle'))
    return Shape(kind, parts, (BACK, FRONT, LEFT, RIGHT))
