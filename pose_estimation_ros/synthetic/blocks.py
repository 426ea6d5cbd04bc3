"""Evaluate functions of many points in blocks that fit the processor's cache."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float32]

# 16 thousand points with a dozen float32 intermediates fit a 1 MB cache: three times the speed
# of whole 640x480 images on one core.
_BLOCK = 16384


def in_blocks(function: Callable[..., FloatArray], *arrays: FloatArray) -> FloatArray:
    """Return `function(*arrays)`, (N, C), computed over consecutive blocks of the first axis.

    Args:
        function: Takes the blocks of all arrays, returns (n, C) float32 for n points; each
            point's result must not depend on other points.
        arrays: (N, ...) each.
    """
    count = len(arrays[0])
    if count <= _BLOCK:
        return function(*arrays)
    return np.concatenate([function(*(array[start:start + _BLOCK] for array in arrays))
                           for start in range(0, count, _BLOCK)])
