"""Average precision: the area under the curve of precision over recall."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]

# Thresholds at a time: the arrays of a category stay some ten megabytes large.
_CHUNK = 64


def average_precision(matched: NDArray[np.bool_], scores: FloatArray, truths: int) -> FloatArray:
    """Return the area under the curve of precision over recall, for many thresholds at once.

    Precision at a recall is the best precision at that recall or a higher one (VOC 2010). Recall
    is kept in float32, as in the published evaluation of NOCS: it costs some 1e-8.

    Args:
        matched: (N, T) whether a prediction is right, per threshold.
        scores: (N,) of the predictions; of equal ones the last counts as higher.
        truths: Number of objects to find.

    Returns:
        (T,) between 0 and 1; 0 without predictions, else NaN without objects.
    """
    if not len(scores):
        return np.zeros(matched.shape[1])
    if not truths:
        return np.full(matched.shape[1], np.nan)
    order = np.argsort(scores, kind='stable')[::-1]
    rank = np.arange(1, len(scores) + 1)[:, None]
    parts = []
    for start in range(0, matched.shape[1], _CHUNK):
        right = np.cumsum(matched[order, start:start + _CHUNK], axis=0)
        recall = (right.astype(np.float32) / np.float32(truths)).astype(np.float64)
        precision = np.maximum.accumulate((right / rank)[::-1], axis=0)[::-1]
        parts.append((np.diff(recall, axis=0, prepend=0.0) * precision).sum(axis=0))
    return np.concatenate(parts)
