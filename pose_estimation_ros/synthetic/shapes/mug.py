"""Mugs: a vessel and a swept handle towards +x."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from pose_estimation_ros.synthetic.shapes.curves import (
    arc_lengths,
    bezier,
    circle,
    resample,
    rounded_polyline,
    smooth_curve,
    superellipse,
)
from pose_estimation_ros.synthetic.shapes.parts import Part, loft
from pose_estimation_ros.synthetic.shapes.revolution import (
    SEGMENTS,
    paint_band,
    revolve,
    ring,
    vessel_profile,
)
from pose_estimation_ros.synthetic.shapes.shape import BACK, LEFT, RIGHT, UP, Shape
from pose_estimation_ros.synthetic.shapes.sweep import sweep_rings

FloatArray = npt.NDArray[np.float64]
_BODIES = ('cylinder', 'tapered', 'conical', 'barrel', 'waisted', 'rounded', 'bell')
_BODY_SHARES = (0.32, 0.16, 0.1, 0.14, 0.08, 0.12, 0.08)
_HANDLES = ('d', 'c', 'ear', 'angular', 'loop', 'hook')
_HANDLE_SHARES = (0.25, 0.28, 0.2, 0.12, 0.1, 0.05)


def body_wall(
    kind: str,
    radius: float,
    height: float,
    generator: np.random.Generator,
) -> FloatArray:
    """Return the (N, 2) outer wall (radius, height) of a mug body, metres, bottom to rim."""
    uniform = generator.uniform
    if kind == 'cylinder':
        controls = [(1.0, 0), (1.0, 0.5), (1.0, 1)]
    elif kind == 'tapered':
        foot = uniform(0.75, 0.95)
        controls = [(foot, 0), (0.5 * (1 + foot), 0.5), (1.0, 1)]
        if uniform() < 0.25:
            controls = [(1.0, 0), (0.5 * (1 + foot), 0.5), (foot, 1)]
    elif kind == 'conical':
        foot = uniform(0.5, 0.75)
        controls = [(foot, 0), (0.5 * (1 + foot) + uniform(0, 0.08), 0.5), (1.0, 1)]
    elif kind == 'barrel':
        bulge, foot = uniform(1.03, 1.2), uniform(0.75, 1.0)
        controls = [(foot, 0), (bulge, uniform(0.35, 0.6)), (uniform(0.85, 1.0), 1)]
        controls = [(r / bulge, y) for r, y in controls]
    elif kind == 'waisted':
        waist = uniform(0.8, 0.94)
        controls = [(uniform(0.9, 1.0), 0), (waist, uniform(0.4, 0.65)), (1.0, 1)]
    elif kind == 'rounded':
        foot, full = uniform(0.35, 0.6), uniform(0.3, 0.6)
        lower = bezier([(foot, 0), (1.0, 0.0), (1.0, full)], 14)
        wall = np.concatenate([lower, [(uniform(0.93, 1.03), 1.0)]])
        return resample(wall / wall[:, 0].max() * (radius, height), 24)
    else:
        foot = uniform(0.62, 0.8)
        controls = [(foot, 0), (foot * 1.12, 0.25), (0.9, 0.7), (1.0, 1)]
    wall = smooth_curve(np.array(controls) * (radius, height), 28)
    level = wall[:, 1] / height
    if uniform() < 0.2:
        wall[:, 0] *= 1 + uniform(0.01, 0.07) * np.clip((level - 0.8) / 0.2, 0, 1) ** 2
    if uniform() < 0.12:
        low, high = sorted(uniform(0.05, 0.95, 2))
        grooves = (level > low) & (level < high)
        wall[:, 0] *= 1 - grooves * uniform(0.005, 0.02) * (np.arange(len(wall)) % 4 < 2)
    return wall


def handle_path(kind: str, generator: np.random.Generator) -> FloatArray:
    """Return the (32, 2) run of a handle from its upper end to its lower one.

    The first coordinate goes from 0 (the wall) to 1 (the furthest point), the second from 1
    (upper end) to 0 (lower end); the lower part may hang below 0.
    """
    uniform = generator.uniform
    if kind == 'd':
        points = [
            (0, 1),
            (uniform(0.8, 1.0), 1.0),
            (1.0, 0.9),
            (1.0, 0.1),
            (uniform(0.8, 1.0), 0.0),
            (0, 0),
        ]
        curve = rounded_polyline(points, uniform(0.2, 0.5), 6)
    elif kind == 'c':
        reach = uniform(1.25, 1.45)
        curve = bezier(
            [(0, 1), (reach, uniform(1.0, 1.2)), (reach, uniform(-0.2, 0.05)), (0, 0)], 48
        )
    elif kind == 'ear':
        curve = bezier(
            [
                (0, 1),
                (uniform(0.9, 1.4), uniform(1.2, 1.45)),
                (uniform(1.3, 1.7), uniform(0.4, 0.8)),
                (uniform(0.3, 0.7), 0.15),
                (0, 0),
            ],
            48,
        )
    elif kind == 'angular':
        points = [
            (0, 1),
            (1.0, uniform(0.95, 1.1)),
            (uniform(0.5, 1.0), uniform(0.0, 0.3)),
            (0, 0),
        ]
        curve = rounded_polyline(points, uniform(0.02, 0.15), 4)
    elif kind == 'loop':
        curve = bezier([(0, 1), (1.5, uniform(1.1, 1.3)), (1.4, uniform(-0.6, -0.2)), (0, 0)], 48)
    else:
        curve = bezier(
            [
                (0, 1),
                (1.2, uniform(1.0, 1.2)),
                (1.3, 0.3),
                (uniform(0.6, 1.0), uniform(-0.1, 0.1)),
            ],
            48,
        )
    curve = curve * (1 / curve[:, 0].max(), 1.0)
    return resample(curve, 32)


def middle_of_wall(
    wall_curve: FloatArray, outline: FloatArray, wall: float
) -> Callable[[FloatArray, FloatArray], FloatArray]:
    """Return the function that tells the x of the middle of the wall, on the +x side.

    Args:
        wall_curve: (N, 2) outer radius and height, metres, bottom to rim.
        outline: (M, 2) cross-section for a radius of 1.
        wall: Wall thickness, metres.

    Returns:
        Function of heights y and offsets z, both (...) metres, to x (...) metres.
    """
    facing = outline[outline[:, 0] > 0.3]
    facing = facing[np.argsort(facing[:, 1])]

    def wall_x(y: FloatArray, z: FloatArray) -> FloatArray:
        radius = np.interp(y, wall_curve[:, 1], wall_curve[:, 0]) - 0.5 * wall
        x: FloatArray = radius * np.interp(z / radius, facing[:, 1], facing[:, 0])
        return x

    return wall_x


def kept_outside(
    vertices: FloatArray, wall_x: Callable[[FloatArray, FloatArray], FloatArray]
) -> FloatArray:
    """Return points (..., 3) with those beyond the middle of the wall drawn back to it."""
    limit = wall_x(vertices[..., 1], vertices[..., 2])
    x = np.maximum(vertices[..., 0], limit)
    return np.concatenate([x[..., None], vertices[..., 1:]], axis=-1)


def handle(
    path: FloatArray,
    section: FloatArray,
    wall_x: Callable[[FloatArray, FloatArray], FloatArray],
    attached: tuple[int, ...],
) -> Part:
    """Return a handle whose ends are bedded in the wall and do not show inside.

    Args:
        path: (N, 2) x and y, metres, upper end first.
        section: (N, M, 2) metres: in the plane of the path, and along z.
        wall_x: As `middle_of_wall` returns it.
        attached: Indices of the path's ends that meet the wall: 0, -1 or both.
    """
    spine = np.concatenate([path, np.zeros((len(path), 1))], axis=1)
    rings = kept_outside(sweep_rings(spine, section), wall_x)
    for end in attached:
        rings[end, :, 0] = wall_x(rings[end, :, 1], rings[end, :, 2])
    return loft(rings, 'handle')


def make_mug(generator: np.random.Generator) -> Shape:
    """Return a mug whose body is 5 to 11 cm wide and 4.5 to 15 cm high."""
    uniform = generator.uniform
    kind = str(generator.choice(_BODIES, p=_BODY_SHARES))
    handle_kind = str(generator.choice(_HANDLES, p=_HANDLE_SHARES))
    diameter = generator.normal(0.084, 0.012) if uniform() < 0.85 else uniform(0.052, 0.075)
    radius = 0.5 * float(np.clip(diameter, 0.052, 0.112))
    height = float(np.clip(2 * radius * generator.normal(1.12, 0.2), 0.045, 0.15))
    wall = float(np.clip(generator.normal(0.004, 0.001), 0.0015, 0.007))
    wall_curve = body_wall(kind, radius, height, generator)
    profile, names = vessel_profile(
        wall_curve, wall, wall * uniform(1.0, 2.2), uniform(0.001, 0.012), uniform(0.002, 0.015)
    )
    squareness = uniform(2.4, 4.5) if uniform() < 0.06 else 2.0
    outline = circle(SEGMENTS) if squareness == 2.0 else superellipse(SEGMENTS, squareness)
    body = revolve(profile, names, outline)
    if uniform() < 0.4:
        low = height * uniform(0.05, 0.45)
        body = paint_band(body, low, low + height * uniform(0.2, 0.6))
    parts = [body]
    if uniform() < 0.25:
        foot = wall_curve[0, 0]
        drop = uniform(0.001, 0.006)
        parts.append(
            ring(
                [
                    (foot * 0.98, wall),
                    (foot * 0.93, -drop),
                    (foot * 0.85, -drop),
                    (foot * 0.8, wall),
                ],
                'base',
                outline,
            )
        )

    wall_x = middle_of_wall(wall_curve, outline, wall)
    thickness = float(np.clip(generator.normal(0.0095, 0.0025), 0.004, 0.016))
    thickness *= float(np.clip(radius / 0.042, 0.7, 1.15))
    breadth = float(np.clip(thickness * uniform(0.8, 2.2), 0.004, 0.024))
    if uniform() < 0.12:
        # A band of metal: thin and broad.
        thickness, breadth = uniform(0.0025, 0.004), uniform(0.009, 0.02)
    reach = radius * float(np.clip(generator.normal(0.72, 0.17), 0.35, 1.2))
    reach = max(reach, thickness + 0.012)
    top = min(height * uniform(0.7, 0.95), height - 0.75 * thickness)
    bottom = height * uniform(0.06, 0.42)
    if uniform() < 0.12:
        # A ring for one or two fingers.
        bottom = top - max(0.028, height * uniform(0.3, 0.4))
    bottom = max(min(bottom, top - 0.03), thickness * 0.7)
    path = handle_path(handle_kind, generator)
    # A loop that hangs low still ends above the table.
    low = min(float(path[:, 1].min()), 0.0)
    bottom = max(bottom, (0.6 * thickness - low * top) / (1 - low))
    points = np.stack([path[:, 0] * reach, bottom + path[:, 1] * (top - bottom)], axis=1)
    share = arc_lengths(points) / arc_lengths(points)[-1]
    ends = np.interp(points[:, 1], wall_curve[:, 1], wall_curve[:, 0])
    base = (1 - share) * ends[0] + share * ends[-1]
    points[:, 0] += base - 0.3 * wall
    flare = 1 + uniform(-0.2, 0.55) * (np.abs(2 * share - 1) ** 3)
    section = superellipse(16, uniform(2.0, 5.0)) * (0.5 * thickness, 0.5 * breadth)
    sections = section[None] * flare[:, None, None]
    attached = (0,) if handle_kind == 'hook' else (0, -1)
    parts.append(handle(points, sections, wall_x, attached))
    return Shape(f'{kind}_{handle_kind}', parts, (UP, BACK, LEFT, RIGHT))
