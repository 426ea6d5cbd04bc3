"""Orientations in which an object can lie on a table."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from scipy.spatial import ConvexHull, QhullError

FloatArray = npt.NDArray[np.float64]
UPRIGHT: FloatArray = np.array([[1.0, 0, 0], [0, 0, -1], [0, 1, 0]])
_LARGEST_TILT = np.radians(50.0)
# Sides that differ by less are one side of a round object.
_SAME_SIDE = np.radians(25.0)
_MOST_SIDES = 8
# A side holds only if it still does on a table that is tilted by this much.
_TABLE_TILT = np.tan(np.radians(4.0))


def _sphere_directions(count: int) -> FloatArray:
    index = np.arange(count) + 0.5
    height = 1 - 2 * index / count
    angle = np.pi * (1 + 5**0.5) * index
    radius = np.sqrt(1 - height**2)
    return np.stack([radius * np.cos(angle), height, radius * np.sin(angle)], axis=1)


_DIRECTIONS = np.concatenate([_sphere_directions(240), np.eye(3), -np.eye(3)])


def rotation_resting_on(direction: FloatArray) -> FloatArray:
    """Return R_world_object (3, 3), world z up, that points the object's `direction` down."""
    up = -direction / np.linalg.norm(direction)
    reference = np.eye(3)[int(np.argmin(np.abs(up)))]
    first = np.cross(reference, up)
    first /= np.linalg.norm(first)
    return np.stack([first, np.cross(up, first), up])


def stable_directions(vertices: FloatArray, centre_of_mass: FloatArray) -> FloatArray:
    """Return the (K, 3) outward normals of the hull's facets on which the object stays put.

    A facet counts when the centre of mass lies above it. The hull is that of the extreme
    vertices in some 250 directions, so round bodies get facets up to a few degrees off.
    """
    extreme = vertices[np.unique((_DIRECTIONS @ vertices.T).argmax(axis=1))]
    try:
        hull = ConvexHull(extreme)
    except QhullError:
        return np.zeros((0, 3))
    normals = hull.equations[:, :3]
    corners = extreme[hull.simplices]
    foot = (
        centre_of_mass
        + ((corners[:, 0] - centre_of_mass) * normals).sum(axis=1, keepdims=True) * normals
    )
    sides = np.stack(
        [
            (
                np.cross(corners[:, (k + 1) % 3] - corners[:, k], foot - corners[:, k]) * normals
            ).sum(1)
            for k in range(3)
        ]
    )
    inside = np.all(sides >= -1e-12, axis=0) | np.all(sides <= 1e-12, axis=0)
    stable: FloatArray = normals[inside]
    return stable


def resting_rotations(
    vertices: FloatArray,
    faces: npt.NDArray[np.int64],
    wanted: Sequence[tuple[float, float, float]],
) -> tuple[FloatArray, ...]:
    """Return rotations R_world_object (world z up): upright first, then lying ones.

    Args:
        vertices: (V, 3) metres, object frame, +y up.
        faces: (F, 3) indices.
        wanted: Sides to lie on; each gives the stable facet nearest to it, if one is near.
    """
    if not wanted:
        return (UPRIGHT,)
    stable = stable_directions(vertices, _centre_of_mass(vertices, faces))
    rotations = [UPRIGHT]
    for side in wanted:
        if len(stable) == 0:
            break
        likeness = stable @ np.asarray(side, dtype=np.float64)
        best = int(likeness.argmax())
        if likeness[best] > np.cos(_LARGEST_TILT):
            rotations.append(rotation_resting_on(stable[best]))
    return tuple(rotations)


def stable_rotations(
    vertices: FloatArray, faces: npt.NDArray[np.integer]
) -> tuple[FloatArray, ...]:
    """Return rotations R_world_object (world z up) of all sides an object stays put on.

    The upright one comes first if the object can stand so, the others from low to high centre of
    mass, which is how likely they are; at most 8. Empty if the object is flat or a line.

    Args:
        vertices: (V, 3) metres, object frame, +y up, about their box's centre.
        faces: (F, 3) indices.
    """
    centre_of_mass = _centre_of_mass(vertices, faces)
    stable = stable_directions(vertices, centre_of_mass)
    height = ((vertices - centre_of_mass) @ stable.T).max(axis=0)
    down: list[FloatArray] = []
    for index in np.argsort(height, kind='stable'):
        direction = stable[index]
        is_new = all(direction @ other < np.cos(_SAME_SIDE) for other in down)
        if is_new and _holds(vertices, centre_of_mass, direction, height[index]):
            down.append(direction)
    upright = [index for index, direction in enumerate(down)
               if direction[1] < -np.cos(_SAME_SIDE)]
    lying = [rotation_resting_on(direction) for index, direction in enumerate(down)
             if index not in upright][:_MOST_SIDES]
    return (UPRIGHT, *lying) if upright else tuple(lying)


def _holds(
    vertices: FloatArray, centre_of_mass: FloatArray, direction: FloatArray, height: float
) -> bool:
    """Return whether an object on its side `direction` stays there on a tilted table.

    Tilting the table moves the foot of the centre of mass. A round side then rolls on to its
    neighbour; what stood on a point falls.
    """
    R = rotation_resting_on(direction)
    for shift in height * _TABLE_TILT * np.stack([R[0], -R[0], R[1], -R[1]]):
        moved = stable_directions(vertices, centre_of_mass + shift)
        if not (moved @ direction > np.cos(_SAME_SIDE)).any():
            return False
    return True


def _centre_of_mass(vertices: FloatArray, faces: npt.NDArray[np.integer]) -> FloatArray:
    """Return the (3,) centre of mass of the surface, as of a thin-walled object."""
    corners = vertices[faces]
    areas = np.linalg.norm(
        np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]), axis=1
    )
    return np.asarray((corners.mean(axis=1) * areas[:, None]).sum(axis=0) / areas.sum())
