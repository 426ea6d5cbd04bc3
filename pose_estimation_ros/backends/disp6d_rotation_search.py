"""Which of many rotations to compare a code with, where each comparison costs a network's work.

The code of a rotation varies smoothly, so the best of 20 000 lies near the best of 500.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree
from scipy.spatial.transform import Rotation

FloatArray = NDArray[np.float64]

# Coarse rotations whose surroundings are searched.
_PROMISING = 12


@dataclass(frozen=True, eq=False)
class RotationMatch:
    """The rotation that was found.

    Attributes:
        R: (3, 3) from the object frame to the camera, for an object at the middle of the image.
        cosine: Between the codes, -1 to 1.
    """

    R: FloatArray
    cosine: float


class RotationSearch:
    """Rotations, and those among which each of them is found first.

    Attributes:
        rotations: (K, 3, 3) of which one is wanted.
        coarse: (C, 3, 3) that are looked at first; none = all of the others are looked at.
    """

    def __init__(self, rotations: FloatArray, coarse: FloatArray) -> None:
        """Find the nearest coarse rotation of each; those that are nearest to none are left out.

        Args:
            rotations: (K, 3, 3).
            coarse: (C, 3, 3), none = all rotations are looked at.
        """
        self.rotations = rotations
        self.coarse = coarse
        self._everything = np.arange(len(rotations))
        if len(coarse):
            quaternions = Rotation.from_matrix(coarse).as_quat()
            # q and -q are the same rotation.
            tree = cKDTree(np.concatenate([quaternions, -quaternions]))
            nearest = tree.query(Rotation.from_matrix(rotations).as_quat())[1] % len(coarse)
            used, first = np.unique(np.sort(nearest), return_index=True)
            self.coarse = coarse[used]
            self._near = np.split(np.argsort(nearest, kind='stable'), first[1:])

    def best_nearby(self, values: FloatArray) -> FloatArray:
        """Return (C,) the largest of the (K,) values of the rotations near each coarse one."""
        return np.array([values[near].max() for near in self._near])

    def promising(self, coarse_scores: Callable[[], NDArray[np.floating]]) -> NDArray[np.intp]:
        """Return the indices of the rotations worth a comparison.

        Args:
            coarse_scores: Gives the (C,) scores of the coarse rotations; only called if there
                are any.
        """
        if not len(self.coarse):
            return self._everything
        best = np.argsort(coarse_scores())[-_PROMISING:]
        return np.concatenate([self._near[index] for index in best])
