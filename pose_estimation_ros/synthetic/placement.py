"""Where things stand on a table: footprints, collisions and crowded groups.

World frame: z up, table top at z = 0, metres.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pose_estimation_ros.core.rotation import axis_rotation
from pose_estimation_ros.core.se3 import make_transform
from pose_estimation_ros.synthetic.solids import Solid

FloatArray = NDArray[np.float64]

_TRIES = 40
_GAP = 0.002
_GROWTH = 1.04
_SIGNS = np.array([[1, 1], [1, -1], [-1, -1], [-1, 1]], dtype=np.float64)


@dataclass(frozen=True)
class Footprint:
    """The rectangle that a placed thing covers, seen from above.

    Attributes:
        center: (2,) metres, world x and y.
        axes: (2, 2) unit axes in rows.
        half: (2,) half extents along the axes, metres.
        top: Highest point, metres above the table top.
    """

    center: FloatArray
    axes: FloatArray
    half: FloatArray
    top: float

    @property
    def corners(self) -> FloatArray:
        """(4, 2) corners, metres."""
        return np.asarray(self.center + (_SIGNS * self.half) @ self.axes)


@dataclass(frozen=True)
class Stance:
    """How a solid is turned before it is put somewhere.

    Attributes:
        solid: What is placed.
        rotation: (3, 3) rotation to a frame with z up.
        hover: Height of its lowest point over what is below it, metres.
    """

    solid: Solid
    rotation: FloatArray
    hover: float = 0.0

    def bounds(self) -> FloatArray:
        """Return the (2, 3) box of the turned solid about its own origin, metres."""
        turned = self.solid.mesh.vertices @ self.rotation.T
        return np.stack([turned.min(axis=0), turned.max(axis=0)]).astype(np.float64)


@dataclass(frozen=True)
class Placed:
    """A solid at its place.

    Attributes:
        solid: What is placed.
        T_world_object: (4, 4) its pose.
        footprint: What it covers.
    """

    solid: Solid
    T_world_object: FloatArray
    footprint: Footprint


def place_at(stance: Stance, bounds: FloatArray, center: FloatArray, yaw: float,
             ground: float = 0.0) -> Placed:
    """Return the solid with the middle of its footprint at `center`, turned by `yaw` about z.

    Args:
        stance: Solid and orientation.
        bounds: `stance.bounds()`.
        center: (2,) metres, world.
        yaw: Radians.
        ground: Height of what it stands on, metres.
    """
    turn = axis_rotation((0.0, 0.0, 1.0), yaw)
    middle = turn[:2, :2] @ bounds.mean(axis=0)[:2]
    bottom = ground + stance.hover
    position = np.array([*(center - middle), bottom - bounds[0, 2]])
    footprint = Footprint(center, turn[:2, :2].T, (bounds[1, :2] - bounds[0, :2]) / 2,
                          bottom + float(bounds[1, 2] - bounds[0, 2]))
    return Placed(stance.solid, make_transform(turn @ stance.rotation, position), footprint)


def place_group(stances: Sequence[Stance], spacing: float,
                is_on_table: Callable[[FloatArray], NDArray[np.bool_]],
                generator: np.random.Generator, occupied: Sequence[Placed] = ()) -> list[Placed]:
    """Put things around the world's origin so that their footprints do not overlap.

    Args:
        stances: What to place, in this order; what finds no place is left out.
        spacing: Radius of the group in units of the radius of a disk of the same total area;
            1.2 is crowded, 3 is loose.
        is_on_table: Says for (..., 2) points whether they are on the table.
        generator: Source of randomness.
        occupied: Things to keep clear of.

    Returns:
        The things that found a place.
    """
    boxes = [stance.bounds() for stance in stances]
    area = sum(float(np.prod(box[1, :2] - box[0, :2])) for box in boxes)
    # Every try may be a little farther out than the one before.
    reach = spacing * np.sqrt(area / np.pi) * _GROWTH ** np.arange(_TRIES)
    placed: list[Placed] = []
    for stance, box in zip(stances, boxes, strict=True):
        angle = generator.uniform(0, 2 * np.pi, _TRIES)
        distance = reach * np.sqrt(generator.random(_TRIES))
        centers = distance[:, None] * np.stack([np.cos(angle), np.sin(angle)], axis=-1)
        yaws = generator.uniform(0, 2 * np.pi, _TRIES)
        axes = np.stack([np.stack([np.cos(yaws), np.sin(yaws)], axis=-1),
                         np.stack([-np.sin(yaws), np.cos(yaws)], axis=-1)], axis=1)
        corners = centers[:, None] + (_SIGNS * (box[1, :2] - box[0, :2]) / 2) @ axes
        is_free = is_on_table(corners).all(axis=1)
        for other in (*occupied, *placed):
            is_free &= ~overlap(corners, axes, other.footprint.corners, other.footprint.axes)
        if is_free.any():
            first = int(np.argmax(is_free))
            placed.append(place_at(stance, box, centers[first], float(yaws[first])))
    return placed


def overlap(corners: FloatArray, axes: FloatArray, other_corners: FloatArray,
            other_axes: FloatArray) -> NDArray[np.bool_]:
    """Return which of (T, 4, 2) rectangles come closer than 2 mm to another one.

    Args:
        corners: (T, 4, 2) metres.
        axes: (T, 2, 2) unit axes of the rectangles in rows.
        other_corners: (4, 2) metres.
        other_axes: (2, 2) unit axes in rows.

    Source: separating axis theorem.
    """
    directions = np.concatenate([axes, np.broadcast_to(other_axes, axes.shape)], axis=1)
    a = np.einsum('tcx,tdx->tdc', corners, directions)
    b = np.einsum('cx,tdx->tdc', other_corners, directions)
    apart = (a.max(-1) + _GAP < b.min(-1)) | (b.max(-1) + _GAP < a.min(-1))
    return np.asarray(~apart.any(axis=1))


def stack_on(stance: Stance, below: Placed, generator: np.random.Generator) -> Placed:
    """Return a solid that stands on top of another one, roughly in its middle."""
    offset = generator.uniform(-0.3, 0.3, 2) * below.footprint.half
    center = below.footprint.center + offset @ below.footprint.axes
    return place_at(stance, stance.bounds(), center, generator.uniform(0, 2 * np.pi),
                    below.footprint.top)
