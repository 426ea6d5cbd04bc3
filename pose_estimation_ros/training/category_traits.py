"""What batches must know of each category, as arrays to be indexed by category."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from pose_estimation_ros.core.categories import CATEGORIES, Category
from pose_estimation_ros.core.rotation import axis_rotation
from pose_estimation_ros.core.symmetry import (
    NO_SYMMETRY,
    Y_AXIS_SYMMETRY,
    Symmetry,
    nearest_equivalents,
)
from pose_estimation_ros.training.symmetry_targets import canonical_turn

# The published representative of a round object, nearest to the identity, is undetermined where
# its axis points down. Nearest to an axis that leans to the camera by 50 degrees it is the same
# for objects that stand, and undetermined only for an axis in which nothing comes to rest.
_REFERENCE = axis_rotation((1.0, 0.0, 0.0), np.radians(-50.0))


@dataclass(frozen=True, eq=False)
class CategoryTraits:
    """The traits of C categories.

    Attributes:
        symmetries: Of each.
        mirrors: (C,) bool, whether mirror images of its objects are of the category, too.
        stretched_with: (C, 3) the axis whose stretch each axis shares, so that a stretched
            object keeps its symmetry.
    """

    symmetries: tuple[Symmetry, ...]
    mirrors: NDArray[np.bool_]
    stretched_with: NDArray[np.intp]

    def representative_turns(self, category: NDArray[np.int64],
                             R: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return for each object the symmetry turn S for which R S is its representative.

        Of all rotations in which an object looks the same, targets use the one nearest to a
        reference; else equal inputs would have different targets.

        Args:
            category: (B,) index of each object.
            R: (B, 3, 3) rotation to the frame that the network sees.

        Returns:
            (B, 3, 3).
        """
        own = [self.symmetries[index] for index in category]
        is_round = np.array([symmetry == Y_AXIS_SYMMETRY for symmetry in own], dtype=np.bool_)
        turns = np.where(is_round[:, None, None], canonical_turn(_REFERENCE.T @ R), np.eye(3))
        rows = [row for row, symmetry in enumerate(own)
                if symmetry not in (NO_SYMMETRY, Y_AXIS_SYMMETRY)]
        nearest = nearest_equivalents([own[row] for row in rows], R[rows],
                                      np.broadcast_to(_REFERENCE, (len(rows), 3, 3)))
        turns[rows] = np.swapaxes(R[rows], 1, 2) @ nearest
        return turns


@lru_cache(maxsize=8)
def category_traits(categories: tuple[Category, ...] = CATEGORIES) -> CategoryTraits:
    """Return the traits of categories, in their order."""
    symmetries = tuple(category.symmetry for category in categories)
    return CategoryTraits(
        symmetries, np.array([category.mirrors for category in categories], dtype=np.bool_),
        np.stack([_stretched_with(symmetry) for symmetry in symmetries]))


def _stretched_with(symmetry: Symmetry) -> NDArray[np.intp]:
    """Return for each axis the first one that the symmetry brings it to."""
    rotations = list(symmetry.rotations)
    if symmetry.axis is not None:
        rotations.append(axis_rotation(symmetry.axis, 1.0))
    reached = (np.abs(rotations) > 1e-6).any(axis=0) | np.eye(3, dtype=np.bool_)
    # Over one axis to another: twice is enough for three.
    reached = (reached.astype(int) @ reached.T @ reached) > 0
    return np.asarray((reached | reached.T).argmax(axis=1))
