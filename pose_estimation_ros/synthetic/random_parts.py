"""Random things of no category, for networks that must know shapes they have never seen.

A part is a union of a few solids that may penetrate each other: boxes, turned profiles, lumps,
bent tubes; some are mirrored, as most made things and animals are.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from pose_estimation_ros.core.rotation import random_rotation
from pose_estimation_ros.rendering.mesh import Mesh
from pose_estimation_ros.synthetic.object_model import make_object
from pose_estimation_ros.synthetic.shapes.curves import bezier, circle
from pose_estimation_ros.synthetic.shapes.parts import Part, join
from pose_estimation_ros.synthetic.shapes.revolution import revolve
from pose_estimation_ros.synthetic.shapes.sweep import rounded_box, sweep
from pose_estimation_ros.synthetic.splits import OBJECT_CATEGORIES, instance_seed

FloatArray = NDArray[np.float64]

_MOST_SOLIDS = 5
_SEGMENTS = 24
_NAME = 'body'
# Lengths are in units of the first solid; in the end the longest side is this long, metres.
_LONGEST_SIDE = (0.06, 0.3)
# Every so many parts are one of the generated objects of scenes: made things as they are.
_GENERATED_EVERY = 4


def random_part(split: str, number: int) -> Mesh:
    """Return a part; the same arguments give the same one.

    Args:
        split: 'train', 'val' or 'test'; no part is in two of them.
        number: 0 or more.

    Returns:
        Metres, centred at the middle of its box, up to 12 000 faces.

    Raises:
        ConfigurationError: If there is no such split.
    """
    seed = instance_seed(split, number)
    turn, place = divmod(number, _GENERATED_EVERY)
    if place == 0:
        # All kinds in turn; the last, distractors, are of twenty families themselves.
        category = OBJECT_CATEGORIES[-1 - turn % (2 * len(OBJECT_CATEGORIES)) // 2]
        return make_object(category, seed, 'primary').mesh
    generator = np.random.default_rng((77, seed))
    return _centred(_union(generator), generator.uniform(*_LONGEST_SIDE))


def _union(generator: np.random.Generator) -> Part:
    parts = [_solid(generator)]
    for _ in range(int(generator.integers(0, _MOST_SOLIDS))):
        host = parts[int(generator.integers(len(parts)))]
        solid = _solid(generator)
        size = generator.uniform(0.2, 0.8) * np.ptp(host.vertices, axis=0).max()
        spot = host.vertices[int(generator.integers(len(host.vertices)))]
        solid = Part(solid.vertices * size / np.ptp(solid.vertices, axis=0).max(), solid.faces,
                     solid.labels).rotated(_rotation(generator)).moved(spot)
        parts.append(solid)
        if generator.random() < 0.35:
            parts.append(_mirrored(solid, int(generator.integers(3))))
    return join(parts)


def _solid(generator: np.random.Generator) -> Part:
    makers: tuple[Callable[[np.random.Generator], Part], ...] = (
        _box, _turned, _turned, _lump, _lump, _tube)
    return makers[int(generator.integers(len(makers)))](generator)


def _box(generator: np.random.Generator) -> Part:
    size = generator.uniform(0.15, 1.0, 3)
    edge = float(size.min() * generator.uniform(0.0, 0.3))
    part = rounded_box(size, edge, edge, _NAME)
    taper = 1.0 + generator.uniform(-0.4, 0.4) * part.vertices[:, 1:2] / size[1]
    return Part(part.vertices * np.where([True, False, True], taper, 1.0), part.faces,
                part.labels)


def _turned(generator: np.random.Generator) -> Part:
    """Return what a profile of some corners sweeps, perhaps with few sides."""
    corners = int(generator.integers(2, 7))
    heights = np.sort(generator.uniform(-0.5, 0.5, corners)) + 0.02 * np.arange(corners)
    radii = generator.uniform(0.08, 0.5, corners)
    if generator.random() < 0.4:
        radii[:] = radii.mean()
    sides = _SEGMENTS if generator.random() < 0.7 else int(generator.integers(3, 9))
    part = revolve(np.stack([radii, heights], axis=1), _NAME, circle(sides))
    return Part(part.vertices * (1.0, 1.0, generator.uniform(0.4, 1.0)), part.faces, part.labels)


def _lump(generator: np.random.Generator) -> Part:
    """Return an ellipsoid with waves."""
    polar = np.linspace(0.0, np.pi, 15)
    part = revolve(np.stack([0.5 * np.sin(polar), -0.5 * np.cos(polar)], axis=1), _NAME,
                   circle(_SEGMENTS))
    direction = part.vertices / np.linalg.norm(part.vertices, axis=1, keepdims=True)
    waves = generator.normal(0.0, 2.0, (3, 3))
    swelling = 1.0 + 0.12 * np.sin(direction @ waves.T + generator.uniform(0, 6.3, 3)).sum(axis=1)
    return Part(part.vertices * swelling[:, None] * generator.uniform(0.3, 1.0, 3), part.faces,
                part.labels)


def _tube(generator: np.random.Generator) -> Part:
    path = bezier(np.column_stack([generator.uniform(-0.5, 0.5, (4, 2)), np.zeros(4)]), 14)
    radius = generator.uniform(0.04, 0.14)
    return sweep(path, radius * circle(12) * (1.0, generator.uniform(0.4, 1.0)), _NAME)


def _rotation(generator: np.random.Generator) -> FloatArray:
    """Return a rotation, mostly one that keeps the axes parallel, as made things have it."""
    R = random_rotation(generator)
    if generator.random() < 0.3:
        return R
    nearest = np.zeros((3, 3))
    rows = generator.permutation(3)
    nearest[rows, np.arange(3)] = np.sign(R[rows, np.arange(3)])
    nearest[:, 2] *= np.sign(np.linalg.det(nearest))
    return nearest


def _mirrored(part: Part, axis: int) -> Part:
    flip = np.ones(3)
    flip[axis] = -1.0
    return Part(part.vertices * flip, np.ascontiguousarray(part.faces[:, ::-1]), part.labels)


def _centred(part: Part, longest: float) -> Mesh:
    low, high = part.vertices.min(axis=0), part.vertices.max(axis=0)
    scale = longest / (high - low).max()
    vertices = scale * (part.vertices - 0.5 * (low + high))
    return Mesh(vertices.astype(np.float32), part.faces.astype(np.int32))
