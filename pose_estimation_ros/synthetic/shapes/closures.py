"""Closures of bottles: caps, lids, corks, pumps and sprayers."""

from __future__ import annotations

import numpy as np

from pose_estimation_ros.synthetic.shapes.curves import smooth_curve, superellipse
from pose_estimation_ros.synthetic.shapes.parts import Part
from pose_estimation_ros.synthetic.shapes.revolution import revolve
from pose_estimation_ros.synthetic.shapes.sweep import rounded_box, sweep


def closure(kind: str, neck: float, base: float, generator: np.random.Generator) -> list[Part]:
    """Return the closure of a mouth of radius `neck` at height `base`, metres: its parts."""
    uniform = generator.uniform
    if kind == 'none':
        return []
    if kind == 'cork':
        rise = uniform(0.004, 0.02)
        return [
            revolve(
                [(0, base), (neck * 0.75, base), (neck * 0.85, base + rise), (0, base + rise)],
                'cap',
            )
        ]
    if kind == 'foil':
        depth = uniform(0.03, 0.07)
        return [
            revolve(
                [(neck * 1.06, base - depth), (neck * 1.08, base + 0.001), (0, base + 0.001)],
                'cap',
            )
        ]
    if kind == 'crown':
        return [
            revolve(
                [
                    (neck * 1.2, base - 0.006),
                    (neck * 1.1, base),
                    (neck * 0.8, base + 0.002),
                    (0, base + 0.002),
                ],
                'cap',
            )
        ]
    if kind == 'lid':
        rise, skirt = uniform(0.001, 0.01), uniform(0.01, 0.03)
        wide = neck * uniform(1.02, 1.1)
        return [
            revolve(
                [
                    (wide, base - skirt),
                    (wide, base + rise - 0.002),
                    (wide - 0.002, base + rise),
                    (0, base + rise),
                ],
                'lid',
            )
        ]
    if kind == 'screw':
        skirt, rise = uniform(0.008, 0.025), uniform(0.001, 0.006)
        wide = neck * uniform(1.08, 1.3)
        top = wide * uniform(0.85, 1.0)
        return [
            revolve(
                [
                    (wide, base - skirt),
                    (top, base + rise - 0.0015),
                    (top - 0.0015, base + rise),
                    (0, base + rise),
                ],
                'cap',
            )
        ]
    if kind == 'flip':
        wide, rise = neck * uniform(1.05, 1.8), uniform(0.012, 0.035)
        return [
            revolve(
                [
                    (wide, base - 0.006),
                    (wide * uniform(0.85, 1.0), base + rise - 0.002),
                    (wide * 0.75, base + rise),
                    (0, base + rise),
                ],
                'cap',
            )
        ]
    if kind == 'nozzle':
        wide, rise = neck * uniform(1.05, 1.5), uniform(0.025, 0.05)
        step, tip = base + uniform(0.002, 0.3 * rise), min(uniform(0.0025, 0.009), 0.5 * neck)
        return [
            revolve(
                [
                    (wide, base - 0.01),
                    (wide, step),
                    (wide * uniform(0.4, 0.7), step + 0.003),
                    (tip, base + rise),
                    (0, base + rise),
                ],
                'cap',
            )
        ]
    if kind == 'sport':
        wide, rise = neck * uniform(1.05, 1.4), uniform(0.02, 0.05)
        tip, step = neck * uniform(0.4, 0.6), base + rise * uniform(0.2, 0.5)
        return [
            revolve(
                [
                    (wide, base - 0.01),
                    (wide, 0.5 * (step + base)),
                    (tip * 1.3, step),
                    (tip, base + rise),
                    (0, base + rise),
                ],
                'cap',
            )
        ]
    collar = revolve(
        [
            (neck * 1.2, base - 0.012),
            (neck * 1.2, base + 0.006),
            (0.006, base + 0.009),
            (0, base + 0.009),
        ],
        'cap',
    )
    rise = uniform(0.02, 0.05)
    stem = revolve([(0.004, base), (0.004, base + rise), (0, base + rise)], 'cap')
    section = superellipse(12, 2.5) * (0.005, 0.006)
    if kind == 'mist':
        head = revolve([(neck, base + 0.006), (neck * 0.95, base + rise), (0, base + rise)], 'cap')
        return [collar, head]
    if kind == 'pump':
        reach = uniform(0.025, 0.05)
        spout = smooth_curve(
            [
                (-0.012, base + rise, 0),
                (reach * 0.6, base + rise + 0.002, 0),
                (reach, base + rise - 0.008, 0),
            ],
            10,
        )
        return [collar, stem, sweep(spout, section, 'cap')]
    length = min(uniform(0.055, 0.09), 3.0 * neck + 0.025)
    top = base + uniform(0.035, 0.055)
    head = rounded_box((length, 0.022, 0.022), 0.006, 0.006, 'cap').moved((0.012, top, 0))
    column = rounded_box((0.022, top - base, 0.02), 0.006, 0.003, 'cap')
    lever = smooth_curve([(0.02, top, 0), (0.034, top - 0.02, 0), (0.036, top - 0.05, 0)], 8)
    return [
        collar,
        head,
        column.moved((-0.002, 0.5 * (top + base), 0)),
        sweep(lever, superellipse(12, 3.0) * (0.004, 0.006), 'cap'),
    ]
