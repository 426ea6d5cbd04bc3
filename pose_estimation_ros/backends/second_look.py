"""Which objects a lite network looks at twice, and how a mirror changes what it sees.

A network that is unsure is run again. Of most categories the mirror image of an object is one of
them, too, and networks are trained on both (`Category.mirrors`): seen in a mirror, an object gets
a second opinion whose errors are not those of the first. Of others, and by networks that were not
trained so, the next of the placements that the network offers is tried.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pose_estimation_ros.core.symmetry import Y_AXIS_SYMMETRY
from pose_estimation_ros.runtime import ModelManifest

# A placement that the network finds less probable is compared with the next one.
_SURE = 0.5
# The mirror is the plane x = 0 of the view frame.
_MIRROR = np.array([-1.0, 1.0, 1.0], dtype=np.float32)
# Objects are mirrored in their x-y plane; the representative of a round one, which is chosen by
# where it is seen from, in its y-z plane.
_OF_OBJECTS = np.array([1.0, 1.0, -1.0], dtype=np.float32)
_OF_ROUND_ONES = _MIRROR
_UNCHANGED = np.ones(3, dtype=np.float32)


@dataclass(frozen=True)
class SecondLooks:
    """When and how a model looks twice.

    Attributes:
        mirrored_below: Placements less probable than this are looked at in a mirror; 0 = none,
            for networks whose probability is that of nothing but the choice.
        mirrors: (C,) bool, which of the model's categories it was trained on in a mirror, too.
        is_round: (C,) bool, which of them are round about +y.
    """

    mirrored_below: float
    mirrors: NDArray[np.bool_]
    is_round: NDArray[np.bool_]

    @classmethod
    def of(cls, manifest: ModelManifest) -> SecondLooks:
        """Return what a manifest says: `input.mirrored_below` and `input.mirrors`."""
        mirrors = manifest.input.get('mirrors', ())
        return cls(float(manifest.input.get('mirrored_below', 0.0)),
                   np.array([name in mirrors for name in manifest.categories], dtype=np.bool_),
                   np.array([manifest.symmetry_of(name) == Y_AXIS_SYMMETRY
                             for name in manifest.categories], dtype=np.bool_))

    def wanted(self, category: NDArray[np.int64], probability: NDArray[np.floating]
               ) -> tuple[NDArray[np.intp], NDArray[np.bool_]]:
        """Return which of B objects to look at again, and which of these in a mirror.

        Args:
            category: (B,) index into the model's categories.
            probability: (B,) of the placements taken.
        """
        can_mirror = self.mirrors[category] & (self.mirrored_below > 0)
        again = probability < np.where(can_mirror, self.mirrored_below, _SURE)
        rows = np.flatnonzero(again)
        return rows, can_mirror[rows]

    def reflected(self, points: NDArray[np.float32],
                  mirrored: NDArray[np.bool_]) -> NDArray[np.float32]:
        """Return (K, N, 3) points of the view frame, some objects as a mirror shows them."""
        return points * np.where(mirrored[:, None, None], _MIRROR, _UNCHANGED)

    def restored(self, coordinates: NDArray[np.float32], mirrored: NDArray[np.bool_],
                 category: NDArray[np.int64]) -> NDArray[np.float32]:
        """Return (K, N, 3) NOCS coordinates of the objects themselves, not of mirror images."""
        of_mirror = np.where(self.is_round[category][:, None, None], _OF_ROUND_ONES, _OF_OBJECTS)
        return coordinates * np.where(mirrored[:, None, None], of_mirror, _UNCHANGED)
