"""Mugs of stacked cones and superellipses with handles of arcs, frames and plates."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import numpy.typing as npt

from pose_estimation_ros.synthetic.shapes.curves import resample, rounded_rectangle
from pose_estimation_ros.synthetic.shapes.mug import (
    handle,
    kept_outside,
    middle_of_wall,
)
from pose_estimation_ros.synthetic.shapes.parts import Part, torus
from pose_estimation_ros.synthetic.shapes.revolution import (
    paint_band,
    revolve,
    vessel_profile,
)
from pose_estimation_ros.synthetic.shapes.second_domain.profiles import (
    cross_section,
    quarter_superellipse,
    stack,
)
from pose_estimation_ros.synthetic.shapes.shape import BACK, LEFT, RIGHT, UP, Shape

FloatArray = npt.NDArray[np.float64]
_HANDLES = ('arc', 'frame', 'trapezoid', 'twist', 'drop')


def _wall(generator: np.random.Generator, radius: float, height: float) -> tuple[str, FloatArray]:
    """Return the family and the outer wall (N, 2), metres, bottom to rim."""
    uniform = generator.uniform
    kind = str(generator.choice(['cup', 'frustum', 'tiers', 'keg', 'pot']))
    if kind == 'cup':
        full = uniform(0.2, 0.75)
        lower = quarter_superellipse((uniform(0.3, 0.6), 0), (1, full), uniform(2.0, 3.5), 14)
        wall = np.concatenate([lower, stack([(1, full), (uniform(0.95, 1.08), 1)], 8)[1:]])
    elif kind == 'frustum':
        foot = uniform(0.62, 1.12)
        wall = stack([(foot, 0), (1, 1)], 20)
    elif kind == 'tiers':
        step, share = uniform(0.85, 0.95), uniform(0.2, 0.7)
        wall = stack([(step, 0), (step, share), (1, share + 0.05), (1, 1)], 20)
    elif kind == 'keg':
        level = np.linspace(0, 1, 20)
        belly = uniform(0.05, 0.2)
        wall = np.stack([1 - belly * np.abs(2 * level - 1) ** uniform(1.6, 3.0), level], axis=1)
    else:
        neck, share = uniform(0.72, 0.9), uniform(0.6, 0.8)
        wall = stack(
            [
                (uniform(0.7, 0.95), 0),
                (1, 0.12),
                (1, share),
                (neck, share + 0.12),
                (neck * 1.05, 1),
            ],
            22,
        )
    return kind, wall / wall[:, 0].max() * (radius, height)


def _handle_path(kind: str, generator: np.random.Generator) -> FloatArray:
    """Return the (28, 2) run of a handle, as `mug.handle_path` does."""
    uniform = generator.uniform
    if kind == 'arc':
        sweep = uniform(0.75, 1.15) * np.pi
        angle = np.linspace(0.5 * sweep, -0.5 * sweep, 40)
        curve = np.stack([np.cos(angle) - np.cos(0.5 * sweep), np.sin(angle)], axis=1)
        curve[:, 1] = (curve[:, 1] / np.sin(min(0.5 * sweep, 0.5 * np.pi)) + 1) / 2
    elif kind == 'frame':
        angle = np.linspace(0.5 * np.pi, -0.5 * np.pi, 60)
        power = 2 / uniform(3.0, 8.0)
        curve = np.stack(
            [
                np.abs(np.cos(angle)) ** power,
                0.5 + 0.5 * np.sign(np.sin(angle)) * np.abs(np.sin(angle)) ** power,
            ],
            axis=1,
        )
    elif kind == 'trapezoid':
        curve = np.array([(0, 1), (1, uniform(0.7, 0.9)), (1, uniform(0.1, 0.3)), (0, 0)])
    elif kind == 'twist':
        t = np.linspace(0, 1, 40)
        curve = np.stack(
            [np.sin(np.pi * t) * (1 - uniform(0.2, 0.4) * np.sin(2 * np.pi * t)), 1 - t], axis=1
        )
    else:
        t = np.linspace(0, 1, 40)
        lean = uniform(1.2, 2.2)
        curve = np.stack([np.sin(np.pi * t**lean), 1 - t + 0.15 * np.sin(np.pi * t)], axis=1)
    return resample(curve / (max(curve[:, 0].max(), 1e-6), 1), 28)


def _ring_handle(
    centre: tuple[float, float], radii: tuple[float, float], section: FloatArray
) -> Part:
    """Return a closed ring in the x-y plane around `centre`, metres, part 'handle'."""
    angle = np.linspace(0, 2 * np.pi, 40, endpoint=False)
    spine = np.stack([np.cos(angle) * radii[0], np.sin(angle) * radii[1]], axis=1)
    outward = np.stack([np.cos(angle), np.sin(angle)], axis=1)
    rings = np.empty((len(angle), len(section), 3))
    rings[..., :2] = spine[:, None] + section[None, :, :1] * outward[:, None] + np.asarray(centre)
    rings[..., 2] = section[None, :, 1]
    return torus(rings, 'handle')


def make_mug(generator: np.random.Generator) -> Shape:
    """Return a mug whose body is 5.5 to 11 cm wide and 5 to 15 cm high."""
    uniform = generator.uniform
    radius = 0.5 * uniform(0.058, 0.108)
    height = float(np.clip(2 * radius * uniform(0.75, 1.6), 0.05, 0.148))
    kind, wall_curve = _wall(generator, radius, height)
    wall = uniform(0.0018, 0.0065)
    profile, names = vessel_profile(
        wall_curve, wall, wall * uniform(1.0, 3.0), uniform(0.0005, 0.006), uniform(0.001, 0.01)
    )
    outline = cross_section(generator, 0.85)
    body = revolve(profile, names, outline)
    if uniform() < 0.5:
        low = height * uniform(0.0, 0.6)
        body = paint_band(body, low, low + height * uniform(0.1, 0.5))
    wall_x = middle_of_wall(wall_curve, outline, wall)
    thick, broad = 0.5 * uniform(0.005, 0.014), 0.5 * uniform(0.007, 0.022)
    corner = uniform(0.2, 1.0) * min(thick, broad)
    section = rounded_rectangle(2 * thick, 2 * broad, corner)
    top = height * uniform(0.66, 0.9)
    bottom = height * uniform(0.12, 0.42)
    if uniform() < 0.14:
        half = 0.5 * max(top - bottom, 0.03)
        reach = half * uniform(0.7, 1.0)
        # The ring dips into the wall where it first meets it, by little more than half of it.
        along = np.linspace(-1, 1, 21)
        level = 0.5 * (top + bottom) + half * along
        outside = wall_x(level, np.zeros(21))
        at = float(np.max(outside + reach * np.sqrt(1 - along**2)))
        centre = (at, 0.5 * (top + bottom))
        thick = min(thick, 0.8 * wall + 0.003)
        section = rounded_rectangle(2 * thick, 2 * broad, corner)
        loop = _ring_handle(centre, (reach, half), section)
        parts = [body, replace(loop, vertices=kept_outside(loop.vertices, wall_x))]
        return Shape(f'{kind}_ring', parts, (UP, LEFT, RIGHT))
    handle_kind = str(generator.choice(_HANDLES))
    path = _handle_path(handle_kind, generator)
    points = path * (radius * uniform(0.45, 1.0), max(top - bottom, 0.03)) + (0, bottom)
    share = np.linspace(0, 1, len(points))
    ends = wall_x(points[[0, -1], 1], np.zeros(2))
    points[:, 0] += (1 - share) * ends[0] + share * ends[1]
    sections = np.broadcast_to(section, (len(points), *section.shape))
    parts = [body, handle(points, sections, wall_x, (0, -1))]
    return Shape(f'{kind}_{handle_kind}', parts, (UP, BACK, LEFT, RIGHT))
