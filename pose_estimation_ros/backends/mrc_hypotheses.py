"""Several coarse rotations of an object, and which of them was right after they were corrected.

The classifier's likeliest rotation is often the wrong one of a few, such as the back instead of
the front. The published network takes it all the same. Here each of the few is rendered and
corrected, and the one whose outline fits the mask best, that the network sees as well, is taken.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]

# Chosen on validation scenes of the LM-O objects, and so are the next ones.
COUNT, PASSES = 4, 2
_APART = np.radians(50.0)
# Share of outlines that a logit of the rotation is worth.
_LOGIT_WEIGHT = 0.05


def likely_rotations(logits: NDArray[np.floating], rotations: FloatArray,
                     count: int = COUNT) -> NDArray[np.intp]:
    """Return (N, count) bins, likeliest first, that are 50 degrees apart.

    Args:
        logits: (N, K) of the rotation bins.
        rotations: (K, 3, 3) of the bins.
        count: At most K. Where fewer are apart, the likeliest of the others follow.
    """
    order = np.argsort(-logits, axis=1, kind='stable')
    least_trace = 1.0 + 2.0 * np.cos(_APART)
    chosen = np.empty((len(logits), count), dtype=np.intp)
    for row, candidates in enumerate(order):
        near = np.zeros(len(rotations), dtype=bool)
        taken: list[int] = []
        for candidate in candidates:
            if len(taken) == count:
                break
            if not near[candidate]:
                taken.append(int(candidate))
                near |= np.einsum('kij,ij->k', rotations, rotations[candidate]) > least_trace
        rest = candidates[~np.isin(candidates, taken)]
        chosen[row] = [*taken, *rest[:count - len(taken)]]
    return chosen


def outline_agreement(depth: NDArray[np.floating], mask: NDArray[np.floating]) -> FloatArray:
    """Return (B,) shares of the union that rendered outlines and masks have in common.

    Args:
        depth: (B, S, S) renderings, 0 beside the object.
        mask: (B, s, s) probability that a cell shows the object, no finer than the renderings.
    """
    shape = mask.shape[2], mask.shape[1]
    cover = np.stack([cv2.resize((view > 0).astype(np.float32), shape,
                                 interpolation=cv2.INTER_AREA) for view in depth])
    common = (cover * mask).sum(axis=(1, 2))
    union = (cover + mask).sum(axis=(1, 2)) - common
    return np.asarray(common / np.maximum(union, 1e-9))


def preference(agreement: FloatArray, logit: FloatArray) -> FloatArray:
    """Return by what hypotheses of one object are compared, the largest being the best.

    Args:
        agreement: (B,) of `outline_agreement`.
        logit: (B,) of their rotation bins.
    """
    return agreement + _LOGIT_WEIGHT * logit
