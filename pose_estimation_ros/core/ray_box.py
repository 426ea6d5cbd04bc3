"""Where rays meet axis-aligned boxes, in closed form.

Source: the slab method, T. Kay and J. Kajiya, Ray tracing complex scenes, SIGGRAPH 1986.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]


@dataclass(frozen=True)
class BoxHits:
    """The points where rays enter a box.

    Attributes:
        hit: (...) bool, whether the ray enters the box in front of its origin.
        distance: (...) along the ray in units of its direction; infinite where it misses.
        axis: (...) 0, 1 or 2, the axis that the entered face is square to.
        upper: (...) bool, whether the entered face is the one at the box's upper end.
    """

    hit: NDArray[np.bool_]
    distance: FloatArray
    axis: NDArray[np.intp]
    upper: NDArray[np.bool_]


def enter_box(origins: FloatArray, directions: FloatArray, lower: FloatArray,
              upper: FloatArray) -> BoxHits:
    """Return where rays enter a box.

    A ray that starts within the box does not enter it.

    Args:
        origins: (..., 3) where the rays start, in the box's frame; broadcast with `directions`.
        directions: (..., 3) of any length but zero.
        lower: (3,) lower corner.
        upper: (3,) upper corner.

    Returns:
        A hit or miss for each ray.
    """
    with np.errstate(divide='ignore', invalid='ignore'):
        to_lower = (lower - origins) / directions
        to_upper = (upper - origins) / directions
    # A ray within the plane of a face gives 0/0; it is within that slab all along.
    entry = np.nan_to_num(np.minimum(to_lower, to_upper), nan=-np.inf, posinf=np.inf,
                          neginf=-np.inf)
    leave = np.nan_to_num(np.maximum(to_lower, to_upper), nan=np.inf, posinf=np.inf,
                          neginf=-np.inf)
    axis = entry.argmax(axis=-1)
    first = np.take_along_axis(entry, axis[..., None], axis=-1)[..., 0]
    hit = (first <= leave.min(axis=-1)) & (first > 0)
    entered = np.take_along_axis(np.broadcast_to(directions, entry.shape), axis[..., None],
                                 axis=-1)[..., 0]
    return BoxHits(hit, np.where(hit, first, np.inf), axis, entered < 0)
