"""Meshes of simple solids, centred on the origin, z up, faces counter-clockwise from outside."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pose_estimation_ros.rendering.mesh import Mesh

_BOX_FACES = np.array([
    [0, 2, 1], [1, 2, 3], [4, 5, 6], [5, 7, 6], [0, 1, 4], [1, 5, 4],
    [2, 6, 3], [3, 6, 7], [0, 4, 2], [2, 4, 6], [1, 3, 5], [3, 7, 5]])


def box(size: ArrayLike) -> Mesh:
    """Return a box of (3,) size, metres."""
    half = np.asarray(size, dtype=np.float64) / 2
    corners = np.array([[x, y, z] for z in (-1, 1) for y in (-1, 1) for x in (-1, 1)])
    return Mesh((corners * half).astype(np.float32), _BOX_FACES)


def solid_of_revolution(radii: ArrayLike, heights: ArrayLike, segments: int = 24) -> Mesh:
    """Return the solid that a profile sweeps about the z axis, closed at both ends.

    Args:
        radii: (P,) radius of each profile point, from bottom to top, metres.
        heights: (P,) height of each profile point, metres.
        segments: Corners of the polygon that stands for the circle.
    """
    r, z = np.asarray(radii, dtype=np.float64), np.asarray(heights, dtype=np.float64)
    angles = np.linspace(0, 2 * np.pi, segments, endpoint=False)
    ring = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    points = np.concatenate([
        r[:, None, None] * ring, np.broadcast_to(z[:, None, None], (len(r), segments, 1))], axis=2)
    vertices = np.concatenate([points.reshape(-1, 3), [[0, 0, z[0]], [0, 0, z[-1]]]])
    here = np.arange(segments)
    after = (here + 1) % segments
    rows = segments * np.arange(len(r) - 1)[:, None]
    a, b, c, d = here + rows, after + rows, here + rows + segments, after + rows + segments
    sides = np.concatenate([np.stack([a, b, d], -1).reshape(-1, 3),
                            np.stack([a, d, c], -1).reshape(-1, 3)])
    bottom = np.stack([after, here, np.full(segments, len(r) * segments)], axis=1)
    last = segments * (len(r) - 1)
    top = np.stack([here + last, after + last, np.full(segments, len(r) * segments + 1)], axis=1)
    return Mesh(vertices, np.concatenate([sides, bottom, top]))


def cylinder(radius: float, height: float, segments: int = 24) -> Mesh:
    """Return an upright cylinder, metres."""
    return solid_of_revolution([radius, radius], [-height / 2, height / 2], segments)


def ellipsoid(size: ArrayLike, segments: int = 20) -> Mesh:
    """Return an ellipsoid of (3,) size, metres."""
    polar = np.linspace(0, np.pi, segments // 2 + 1)[1:-1]
    unit = solid_of_revolution(np.sin(polar), -np.cos(polar), segments)
    vertices: NDArray[np.float32] = unit.vertices.copy()
    vertices[-2:, 2] = (-1.0, 1.0)
    return Mesh(vertices * (np.asarray(size, dtype=np.float32) / 2), unit.faces)


def rectangle(corner: ArrayLike, first_edge: ArrayLike, second_edge: ArrayLike) -> Mesh:
    """Return a flat rectangle whose normal is first_edge x second_edge, metres."""
    a, u, v = (np.asarray(x, dtype=np.float64) for x in (corner, first_edge, second_edge))
    corners = np.stack([a, a + u, a + u + v, a + v]).astype(np.float32)
    return Mesh(corners, np.array([[0, 1, 2], [0, 2, 3]]))
