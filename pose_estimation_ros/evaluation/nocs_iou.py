"""The box overlap that all published NOCS figures use. It is no intersection over union.

Source: specs/spd_crnet_acr.md, section 5, point 2 (github hughw19/NOCS_CVPR2019, issue 47). The
published evaluation takes, for each of a box's eight corners, the interval between the least and
the greatest of its coordinates x, y and z, and multiplies the overlaps of the eight intervals. The
figure depends on where the object lies before the camera. `core.boxes.oriented_box_ious` is the
true overlap.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pose_estimation_ros.core.rotation import axis_rotation

FloatArray = NDArray[np.float64]

# Spins of a round object about its y axis; the best one counts.
_SPINS = axis_rotation((0, 1, 0), 2 * np.pi * np.arange(20) / 20)
_CORNERS = 0.5 * np.array([[x, y, z] for y in (1, -1) for x in (1, -1) for z in (1, -1)])
_CHUNK = 2048


def nocs_overlaps(T_predicted: FloatArray, size_predicted: FloatArray, T_true: FloatArray,
                  size_true: FloatArray, is_round: NDArray[np.bool_]) -> NDArray[np.float32]:
    """Return the published overlap of N pairs of boxes.

    Args:
        T_predicted: (N, 4, 4) poses, metres.
        size_predicted: (N, 3) metres.
        T_true: (N, 4, 4) poses, metres.
        size_true: (N, 3) metres.
        is_round: (N,) whether the object is round about its y axis: then the best of 20 spins of
            the predicted box counts.

    Returns:
        (N,) float32 as published, 0 to 1, or NaN: where both boxes have an edge of no length in
        this sense, such as a corner on the line x = y = z.
    """
    overlaps = np.empty(len(T_predicted), dtype=np.float32)
    for start in range(0, len(overlaps), _CHUNK):
        part = slice(start, start + _CHUNK)
        one = start + np.flatnonzero(~is_round[part])
        many = start + np.flatnonzero(is_round[part])
        overlaps[one] = _overlap(_intervals(T_predicted[one], size_predicted[one]),
                                 _intervals(T_true[one], size_true[one]))
        spun = np.repeat(T_predicted[many, None], len(_SPINS), axis=1)
        spun[:, :, :3, :3] = spun[:, :, :3, :3] @ _SPINS
        each = _overlap(_intervals(spun, size_predicted[many, None]),
                        _intervals(T_true[many, None], size_true[many, None]))
        # The published maximum starts at 0 and a comparison with NaN is false.
        overlaps[many] = np.fmax(each, 0.0).max(axis=1)
    return overlaps


def _intervals(T: FloatArray, size: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return (..., 8) least and greatest coordinate of each corner."""
    corners = (_CORNERS * size[..., None, :]) @ np.swapaxes(T[..., :3, :3], -1, -2)
    corners += T[..., None, :3, 3]
    return corners.min(axis=-1), corners.max(axis=-1)


def _overlap(a: tuple[FloatArray, FloatArray], b: tuple[FloatArray, FloatArray]) -> FloatArray:
    common = np.minimum(a[1], b[1]) - np.maximum(a[0], b[0])
    product = np.where(common.min(axis=-1) < 0, 0.0, common.prod(axis=-1))
    union = (a[1] - a[0]).prod(axis=-1) + (b[1] - b[0]).prod(axis=-1) - product
    with np.errstate(invalid='ignore', divide='ignore'):
        return np.asarray(product / union)
