"""Which rotations are likely because objects stand, lie or stand on their heads.

A picture alone often leaves several rotations equally likely. Where a depth image shows the
ground, most of them would have the object float askew: what is at rest stands on its foot, less
often lies on its side, seldom stands upside down. This is ours; the paper looks at codes alone.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]

# How often objects stand, lie and stand upside down, roughly. Not counted in any data set, and
# the same for all categories: a stack of bowls must not make every bowl stand on its head.
_STANDING, _LYING, _INVERTED = 0.75, 0.12, 0.06
# What lies can be turned about its own axis, so each of these rotations is rarer than it seems.
_LYING_TURNS = 4.0
# Anything else: leaning on something, held by a hand, or the ground is found wrongly.
_OTHERWISE = 0.02
# The ground's normal and the foot of an object are known to this angle.
_DEVIATION = np.radians(10.0)
# Cosine between codes that outweighs a factor of e in how often a stance occurs. Chosen on
# validation frames.
_WEIGHT = 0.05


def stance_preference(R: FloatArray, up: FloatArray) -> FloatArray:
    """Return (K,) what is added to the cosines of rotations, so that likely stances win.

    Args:
        R: (K, 3, 3) rotations of an object frame with +y up, as all categories have.
        up: (3,) unit direction away from the ground, in the frame that they rotate to.
    """
    lean = np.arccos(np.clip(R[:, :, 1] @ up, -1.0, 1.0))

    def near(angle: float) -> FloatArray:
        return np.asarray(np.exp(-0.5 * ((lean - angle) / _DEVIATION) ** 2))

    frequency = (_STANDING * near(0.0) + _LYING / _LYING_TURNS * near(0.5 * np.pi)
                 + _INVERTED * near(np.pi) + _OTHERWISE)
    return np.asarray(_WEIGHT * np.log(frequency))
