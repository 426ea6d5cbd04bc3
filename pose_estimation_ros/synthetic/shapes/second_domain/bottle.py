"""Bottles put together from cylinders, cones, spheres and superellipses."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from pose_estimation_ros.synthetic.shapes.curves import circle, superellipse
from pose_estimation_ros.synthetic.shapes.parts import Part
from pose_estimation_ros.synthetic.shapes.revolution import SEGMENTS, paint_band, revolve, ring
from pose_estimation_ros.synthetic.shapes.second_domain.profiles import (
    polygon,
    quarter_superellipse,
    stack,
)
from pose_estimation_ros.synthetic.shapes.shape import BACK, FRONT, LEFT, RIGHT, Shape
from pose_estimation_ros.synthetic.shapes.sweep import rounded_box

FloatArray = npt.NDArray[np.float64]


def _profile(
    kind: str, radius: float, height: float, generator: np.random.Generator
) -> FloatArray:
    """Return the (R, 2) outside from the bottom corner to the mouth, metres."""
    uniform = generator.uniform
    neck = max(uniform(0.28, 0.6) * radius, 0.009)
    if kind == 'dome':
        start, stop = sorted(uniform(0.45, 0.9, 2))
        stop = max(stop, start + 0.08)
        shoulder = quarter_superellipse(
            (neck, -stop * height), (radius, -start * height), uniform(1.6, 3.0), 14
        )[::-1] * (1, -1)
        return np.concatenate(
            [stack([(radius, 0), (radius, start * height)], 20), shoulder[1:], [(neck, height)]]
        )
    if kind == 'cones':
        start = uniform(0.4, 0.75)
        stop = uniform(start + 0.08, 0.92)
        foot = radius * uniform(0.85, 1.0)
        return stack(
            [
                (foot, 0),
                (radius, uniform(0.02, 0.3) * height),
                (radius, start * height),
                (neck, stop * height),
                (neck, height),
            ],
            36,
        )
    if kind == 'gourd':
        waist = uniform(0.45, 0.6)
        level = np.linspace(0.03, 1, 40)
        lower = np.sqrt(np.maximum(1 - ((level - 0.3) / 0.32) ** 2, 0))
        upper = uniform(0.5, 0.8) * np.sqrt(np.maximum(1 - ((level - waist - 0.15) / 0.2) ** 2, 0))
        belly = np.maximum(np.maximum(lower, upper), neck / radius)
        return np.stack([belly * radius, (level - 0.03) / 0.97 * height], axis=1)
    if kind == 'flacon':
        stop = uniform(0.6, 0.85)
        return stack(
            [
                (radius, 0),
                (radius, stop * height),
                (radius * 0.9, (stop + 0.03) * height),
                (neck, (stop + 0.05) * height),
                (neck, height),
            ],
            30,
        )
    if kind == 'tube':
        # Stands on its cap, as tubes of lotion and ketchup do.
        return stack(
            [
                (radius * 0.8, 0),
                (radius * 0.8, 0.2 * height),
                (radius, 0.22 * height),
                (radius, 0.4 * height),
                (radius * 0.95, height),
            ],
            30,
        )
    level = np.linspace(0, 1, 40)
    slim = 1 - uniform(0.05, 0.2) * np.sin(np.pi * level / 0.7) ** 2 * (level < 0.7)
    fall = np.clip((level - 0.7) / 0.2, 0, 1)
    narrowed = fall**2 * (3 - 2 * fall)
    width = slim * radius * (1 - narrowed) + neck * narrowed
    return np.stack([width, level * height], axis=1)


def _closure(neck: float, top: float, generator: np.random.Generator) -> list[Part]:
    """Return a stopper, dome, disc, ringed or dropper cap on a mouth at height `top`, metres."""
    uniform = generator.uniform
    kind = str(generator.choice(['ball', 'disc', 'ringed', 'dropper', 'hex', 'open']))
    if kind == 'open':
        return []
    if kind == 'ball':
        size = neck * uniform(1.0, 1.6)
        angle = np.linspace(0, np.pi, 15)
        ball = revolve(size * np.stack([np.sin(angle), -np.cos(angle)], axis=1), 'cap', circle(28))
        return [ball.moved((0, top + 0.75 * size, 0))]
    if kind == 'disc':
        wide, rise = neck * uniform(1.1, 2.0), uniform(0.006, 0.02)
        return [revolve([(wide, top - 0.004), (wide, top + rise)], 'cap')]
    if kind == 'ringed':
        rise, wide = uniform(0.012, 0.03), neck * uniform(1.05, 1.25)
        levels = np.linspace(top - 0.008, top + rise, 9)
        widths = wide * (1 - 0.06 * (np.arange(9) % 2))
        return [revolve(np.stack([widths, levels], axis=1), 'cap')]
    if kind == 'hex':
        outline = polygon(int(generator.choice([6, 8, 12])), 0.1)
        return [
            revolve(
                [(neck * 1.25, top - 0.012), (neck * 1.15, top + uniform(0.002, 0.02))],
                'cap',
                outline,
            )
        ]
    rise = uniform(0.03, 0.06)
    bulb = [
        (neck * 1.1, top - 0.01),
        (neck * 1.1, top + 0.01),
        (neck * 0.6, top + 0.012),
        (neck * 0.65, top + 0.8 * rise),
        (neck * 0.3, top + rise),
        (0, top + rise),
    ]
    return [revolve(bulb, ['cap', 'cap', 'grip', 'grip', 'grip'])]


def make_bottle(generator: np.random.Generator) -> Shape:
    """Return a bottle about 10 to 36 cm high."""
    uniform = generator.uniform
    kind = str(
        generator.choice(
            ['dome', 'cones', 'gourd', 'flacon', 'tube', 'waisted'],
            p=[0.3, 0.25, 0.07, 0.13, 0.07, 0.18],
        )
    )
    height = uniform(0.11, 0.31)
    radius = 0.5 * height * uniform(0.25, 0.55 if height < 0.2 else 0.38)
    profile = _profile(kind, radius, height, generator)
    flat = uniform() < {'flacon': 0.7, 'tube': 0.6, 'dome': 0.15, 'cones': 0.2}.get(kind, 0.05)
    outline = circle(SEGMENTS)
    if flat:
        outline = superellipse(SEGMENTS, uniform(2.0, 7.0), uniform(0.45, 1.0))
    elif uniform() < 0.08:
        outline = polygon(int(generator.choice([6, 8, 10])), uniform(0.0, 0.4))
    neck = profile[-1, 0]
    blend = np.clip((profile[:, 0] - neck) / max(0.4 * (radius - neck), 1e-6), 0, 1)
    if kind == 'tube':
        # Round at the cap, pressed flat at its upper end.
        blend = np.clip(profile[:, 1] / height - 0.2, 0, 1)
        crimp = 1 - 0.85 * np.clip((profile[:, 1] / height - 0.25) / 0.75, 0, 1)
    else:
        crimp = np.ones(len(profile))
    outlines = (1 - blend)[:, None, None] * circle(SEGMENTS) + blend[:, None, None] * outline
    outlines[..., 1] *= crimp[:, None]
    whole = np.concatenate([[(0.0, 0.0)], profile, [(0.0, height)]])
    names = ['base', *(['body'] * (len(profile) - 1)), 'rim']
    body = revolve(whole, names, np.concatenate([outlines[:1], outlines, outlines[-1:]]))
    if kind == 'tube':
        body = body.painted(body.face_centres()[:, 1] < 0.2 * height, 'cap')
    elif uniform() < 0.7:
        wide = profile[profile[:, 0] > 0.85 * radius, 1]
        low, high = sorted(uniform(wide.min(), wide.max(), 2))
        body = paint_band(body, low, high)
    parts = [body]
    if kind != 'tube':
        parts += _closure(neck, height, generator)
        if uniform() < 0.3:
            level = height - uniform(0.005, 0.02)
            parts.append(
                ring(
                    [
                        (neck * 1.2, level),
                        (neck * 1.2, level + 0.003),
                        (neck * 0.8, level + 0.003),
                        (neck * 0.8, level),
                    ],
                    'rim',
                )
            )
    if kind in ('dome', 'cones') and not flat and height > 0.18 and uniform() < 0.08:
        grip = rounded_box((0.02, 0.3 * height, 0.02), 0.008, 0.008, 'handle')
        arm = rounded_box((0.03, 0.018, 0.018), 0.006, 0.006, 'handle')
        reach = radius + 0.02
        parts += [grip.moved((reach, 0.45 * height, 0))]
        parts += [arm.moved((radius + 0.005, level * height, 0)) for level in (0.33, 0.57)]
    return Shape(kind, parts, (BACK, FRONT, LEFT, RIGHT))
