"""Surfaces of revolution, and vessels with true wall thickness."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from pose_estimation_ros.synthetic.shapes.curves import circle, join_rounded, plane_normals
from pose_estimation_ros.synthetic.shapes.parts import Part, loft, torus

FloatArray = npt.NDArray[np.float64]
SEGMENTS = 48


def revolve(
    profile: npt.ArrayLike, names: str | Sequence[str], outline: FloatArray | None = None
) -> Part:
    """Return the closed surface that `profile` sweeps about the y axis.

    Args:
        profile: (R, 2) radius and height, metres; ends off the axis are closed flat.
        names: Part name, or one for each of the R - 1 bands of the profile.
        outline: (M, 2) or (R, M, 2) cross-section in x and z for a radius of 1; a circle if None.
    """
    profile = np.asarray(profile, dtype=np.float64)
    outline = circle(SEGMENTS) if outline is None else outline
    section = np.broadcast_to(outline, (len(profile), *outline.shape[-2:]))
    rings = np.empty((*section.shape[:2], 3))
    rings[..., 0] = section[..., 0] * profile[:, None, 0]
    rings[..., 1] = profile[:, None, 1]
    rings[..., 2] = section[..., 1] * profile[:, None, 0]
    start, end = (0.0, profile[0, 1], 0.0), (0.0, profile[-1, 1], 0.0)
    first = int(profile[0, 0] < 1e-6)
    last = len(profile) - int(profile[-1, 0] < 1e-6)
    bands = [names] * (len(profile) - 1) if isinstance(names, str) else names
    inner = bands[first : last - 1]
    return loft(rings[first:last], inner, start, end, (bands[0], bands[-1]))


def ring(section: npt.ArrayLike, name: str, outline: FloatArray | None = None) -> Part:
    """Return the ring that a closed `section` (R, 2) (radius, height) sweeps about the y axis."""
    section = np.asarray(section, dtype=np.float64)
    outline = circle(SEGMENTS) if outline is None else outline
    rings = np.empty((len(section), len(outline), 3))
    rings[..., 0] = section[:, :1] * outline[:, 0]
    rings[..., 1] = section[:, 1:]
    rings[..., 2] = section[:, :1] * outline[:, 1]
    return torus(rings, name)


def vessel_profile(
    wall_curve: FloatArray, wall: float, floor: float, corner: float, inner_corner: float
) -> tuple[FloatArray, list[str]]:
    """Return the closed profile of an open vessel: outside, rounded rim, inside.

    Args:
        wall_curve: (N, 2) radius and height of the outer wall from its bottom corner to its rim.
        wall: Wall thickness, metres.
        floor: Thickness of the floor, metres.
        corner: Rounding of the outer bottom corner, metres.
        inner_corner: Rounding of the inner one, metres.

    Returns:
        (R, 2) profile that starts and ends on the axis, and the R - 1 names of its bands.
    """
    bottom = wall_curve[0]
    ground = np.array([[0.0, bottom[1]], bottom])
    outer = join_rounded(ground, wall_curve, corner, 4)
    normals = plane_normals(wall_curve)
    inner = wall_curve - wall * normals
    inner[:, 0] = np.maximum(inner[:, 0], 1e-4)
    height = bottom[1] + floor
    above = inner[inner[:, 1] > height + 1e-5]
    foot = np.array([np.interp(height, inner[:, 1], inner[:, 0]), height])
    inner = join_rounded(
        np.array([[0.0, height], foot]), np.concatenate([foot[None], above]), inner_corner, 4
    )
    normal = normals[-1]
    along = np.array([-normal[1], normal[0]])
    angle = np.linspace(0, np.pi, 6)[1:-1, None]
    centre = wall_curve[-1] - 0.5 * wall * normal
    lip = centre + 0.5 * wall * (np.cos(angle) * normal + np.sin(angle) * along)
    profile = np.concatenate([outer, lip, inner[::-1]])
    names = ['body'] * (len(outer) - 1) + ['rim'] * (len(lip) + 1) + ['inside'] * (len(inner) - 1)
    return profile, names


def paint_band(part: Part, low: float, high: float, name: str = 'label') -> Part:
    """Return `part` with the 'body' faces whose centres lie between two heights renamed."""
    height = part.face_centres()[:, 1]
    return part.painted((part.labels == 0) & (height > low) & (height < high), name)
