"""Few points that cover a shape evenly."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pose_estimation_ros.core.errors import InvalidInputError


def farthest_point_order(points: NDArray[np.floating], count: int) -> NDArray[np.int64]:
    """Return the indices of `count` points, each the farthest from all before it.

    Args:
        points: (P, 3), P >= count. The first chosen is the one farthest from the centroid.
        count: Number of indices.

    Raises:
        InvalidInputError: There are fewer points than asked for.
    """
    if len(points) < count:
        raise InvalidInputError(f'cannot choose {count} of {len(points)} points; sample more '
                                'points first')
    chosen = np.empty(count, dtype=np.int64)
    distance = ((points - points.mean(axis=0)) ** 2).sum(axis=1)
    chosen[0] = distance.argmax()
    distance = ((points - points[chosen[0]]) ** 2).sum(axis=1)
    for index in range(1, count):
        chosen[index] = distance.argmax()
        np.minimum(distance, ((points - points[chosen[index]]) ** 2).sum(axis=1), out=distance)
    return chosen
