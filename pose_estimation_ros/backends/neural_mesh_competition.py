"""Objects of a neural mesh compete for pixels: where two claim the same, one hides the other.

Source: Ma et al., Robust category-level 6D pose estimation with coarse-to-fine rendering of
neural features (ECCV 2022), section 3.5, and its released code.
"""

from __future__ import annotations

from itertools import combinations

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]

# What the pixels beyond the overlap count, as in the released code.
REST_SHARE = 0.5


def compete(claims: BoolArray, scores: NDArray[np.floating],
            rest_share: float = REST_SHARE) -> BoolArray:
    """Return what each of n objects keeps of the pixels that it claims.

    Of each pair, the one whose scores sum to less loses the pixels that both claim.

    Args:
        claims: (n, ...) bool, the pixels that each object explains better than the clutter.
        scores: (n, ...) how well it explains them.
        rest_share: Weight of the scores in pixels that the other object does not claim.

    Returns:
        (n, ...) bool.
    """
    kept = claims.copy()
    for first, second in combinations(range(len(claims)), 2):
        overlap = claims[first] & claims[second]
        if not overlap.any():
            continue
        strength = [float(scores[one][overlap].sum()
                          + rest_share * scores[one][claims[one] & ~overlap].sum())
                    for one in (first, second)]
        kept[first if strength[0] < strength[1] else second] &= ~overlap
    return kept
