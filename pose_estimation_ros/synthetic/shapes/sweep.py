"""Tubes swept along a path, and boxes with rounded edges."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from pose_estimation_ros.synthetic.shapes.curves import rounded_rectangle
from pose_estimation_ros.synthetic.shapes.parts import PART_INDEX, Part, loft

FloatArray = npt.NDArray[np.float64]


def sweep_rings(
    path: FloatArray, section: FloatArray, binormal: npt.ArrayLike = (0, 0, 1)
) -> FloatArray:
    """Return the (N, M, 3) rings of a section carried along a path.

    Args:
        path: (N, 3) metres.
        section: (M, 2) or (N, M, 2) metres; its first axis lies in the path's plane, its
            second along `binormal`.
        binormal: (3,) normal of the plane that the path roughly lies in.
    """
    tangent = np.gradient(path, axis=0)
    tangent /= np.linalg.norm(tangent, axis=1, keepdims=True)
    across = np.asarray(binormal, dtype=np.float64)
    side = across - tangent * (tangent @ across)[:, None]
    side /= np.linalg.norm(side, axis=1, keepdims=True)
    normal = np.cross(side, tangent)
    section = np.broadcast_to(section, (len(path), *section.shape[-2:]))
    rings: FloatArray = (
        path[:, None] + section[..., :1] * normal[:, None] + section[..., 1:] * side[:, None]
    )
    return rings


def sweep(
    path: FloatArray, section: FloatArray, name: str, binormal: npt.ArrayLike = (0, 0, 1)
) -> Part:
    """Return the capped tube of `section` along `path`; arguments as for `sweep_rings`."""
    return loft(sweep_rings(path, section, binormal), name)


def rounded_box(
    size: npt.ArrayLike,
    corner: float,
    edge: float,
    name: str,
    steps: int = 3,
    corner_points: int = 4,
) -> Part:
    """Return a box centred at the origin, round in plan (x, z) and at its top and bottom edges.

    Args:
        size: (3,) metres.
        corner: Radius of the four upright edges, metres.
        edge: Radius of the top and bottom edges, metres.
        name: Part name.
        steps: Rings per rounded edge.
        corner_points: Points per rounded corner of the plan.
    """
    width, height, depth = (float(value) for value in np.asarray(size))
    edge = min(edge, 0.49 * height, 0.45 * width, 0.45 * depth)
    corner = max(corner, edge, 1e-4)
    angle = np.linspace(0, np.pi / 2, steps)
    insets = edge * (1 - np.sin(angle))
    rises = edge * (1 - np.cos(angle))
    insets = np.concatenate([insets, insets[::-1]])
    levels = np.concatenate([rises, height - rises[::-1]]) - 0.5 * height
    rings = np.empty((len(levels), 4 * corner_points, 3))
    for index, (inset, level) in enumerate(zip(insets, levels, strict=True)):
        outline = rounded_rectangle(
            width - 2 * inset, depth - 2 * inset, corner - 0.9 * inset, corner_points
        )
        rings[index, :, 0], rings[index, :, 2] = outline.T
        rings[index, :, 1] = level
    return loft(rings, name)


def boxes(centres: FloatArray, size: npt.ArrayLike, name: str) -> Part:
    """Return plain boxes of 12 faces each, all of one size, at `centres` (N, 3), metres."""
    signs = np.array([(x, y, z) for x in (-1, 1) for y in (-1, 1) for z in (-1, 1)])
    quads = np.array(
        [(0, 1, 3, 2), (4, 6, 7, 5), (0, 4, 5, 1), (2, 3, 7, 6), (0, 2, 6, 4), (1, 5, 7, 3)]
    )
    triangles = np.concatenate([quads[:, [0, 1, 2]], quads[:, [0, 2, 3]]])
    vertices = centres[:, None] + 0.5 * signs * np.asarray(size, dtype=np.float64)
    faces = triangles + 8 * np.arange(len(centres))[:, None, None]
    return Part(
        vertices.reshape(-1, 3), faces.reshape(-1, 3), np.full(12 * len(centres), PART_INDEX[name])
    )
