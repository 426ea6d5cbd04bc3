"""The faults of a detector's instance masks, applied to true masks."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from pose_estimation_ros.synthetic.noise import smooth_field

Mask = NDArray[np.bool_]
Float32Array = NDArray[np.float32]

_PERFECT = 0.2
# Edge errors are given in pixels for an object of this diameter and grow with the object.
_REFERENCE_DIAMETER = 100.0
_MASK_GRID = 28


def detector_mask(true_mask: Mask, handle: Mask, generator: np.random.Generator) -> Mask:
    """Return a mask as an instance detector might predict it; one in five is perfect.

    Edges move and wobble, details get lost on a 28x28 grid as in Mask R-CNN, pieces are missing,
    neighbours are included, openings are filled, and a box that is too small cuts something off.

    Args:
        true_mask: (H, W) pixels of the object; may be cut by other objects.
        handle: (H, W) pixels of its handle, which masks tend to miss; all False = none.
        generator: Source of randomness.

    Returns:
        (H, W) mask; it can be empty.
    """
    if generator.random() < _PERFECT or not true_mask.any():
        return true_mask.copy()
    mask = true_mask & ~handle if generator.random() < 0.08 else true_mask
    if not mask.any():
        return true_mask.copy()
    scale = float(np.sqrt(mask.sum())) / _REFERENCE_DIAMETER
    if generator.random() < 0.25:
        mask = _with_openings_filled(mask, scale, generator)
    if generator.random() < 0.5:
        mask = _on_coarse_grid(mask, generator)
    mask = _with_moved_edge(mask, scale, generator)
    if generator.random() < 0.2:
        mask = _with_neighbours(mask, scale, generator)
    if generator.random() < 0.2:
        mask = _without_a_piece(mask, generator)
    if generator.random() < 0.1:
        mask = mask & ~_blobs(mask.shape, 6.0 * scale, generator.uniform(0.01, 0.08), generator)
    if generator.random() < 0.3:
        mask = _cut_by_box(mask, generator)
    return mask


def _signed_distance(mask: Mask) -> Float32Array:
    """Return the distance to the mask's edge, pixels, positive inside."""
    image = mask.astype(np.uint8)
    inside = cv2.distanceTransform(image, cv2.DIST_L2, 3)
    outside = cv2.distanceTransform(1 - image, cv2.DIST_L2, 3)
    return np.asarray(inside - outside, dtype=np.float32)


def _with_moved_edge(mask: Mask, scale: float, generator: np.random.Generator) -> Mask:
    """Erode or dilate by up to 4 pixels and let the edge wobble."""
    shift = generator.uniform(-4.0, 4.0) * generator.random() * scale
    wobble = abs(generator.normal(0.0, 1.5)) * scale
    length = max(generator.uniform(3.0, 20.0) * scale, 1.5)
    field = smooth_field(mask.shape[0], mask.shape[1], length, generator)
    # The half pixel centres the two distance transforms on the true edge.
    return np.asarray(_signed_distance(mask) + wobble * field + shift > 0.0)


def _on_coarse_grid(mask: Mask, generator: np.random.Generator) -> Mask:
    """Pass the mask through a 28x28 grid over a box that fits only roughly."""
    rows, columns = np.nonzero(mask)
    low = np.array([columns.min(), rows.min()], dtype=np.float64)
    high = np.array([columns.max() + 1, rows.max() + 1], dtype=np.float64)
    sampled = _box_grid(low, high, generator)
    to_grid = cv2.warpAffine(
        mask.astype(np.float32), sampled, (_MASK_GRID, _MASK_GRID),
        flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP)
    to_grid = cv2.GaussianBlur(to_grid, (3, 3), 0.6)
    to_grid += np.float32(0.06) * generator.standard_normal(to_grid.shape, dtype=np.float32)
    pasted = _box_grid(low, high, generator)
    back = cv2.warpAffine(to_grid, pasted, mask.shape[::-1], flags=cv2.INTER_LINEAR)
    return np.asarray(back > generator.uniform(0.35, 0.65))


def _box_grid(low: NDArray[np.float64], high: NDArray[np.float64],
              generator: np.random.Generator) -> NDArray[np.float64]:
    """Return the (2, 3) affine map from the grid's cells to pixels of a box that is a bit off."""
    slack = (high - low) * 0.03
    low = low + generator.normal(0.0, 1.0, 2) * slack
    high = high + generator.normal(0.0, 1.0, 2) * slack
    step = np.maximum(high - low, 2.0) / _MASK_GRID
    return np.array([[step[0], 0.0, low[0] + step[0] / 2 - 0.5],
                     [0.0, step[1], low[1] + step[1] / 2 - 0.5]])


def _with_openings_filled(mask: Mask, scale: float, generator: np.random.Generator) -> Mask:
    """Close narrow openings, such as that of a handle."""
    radius = max(1, round(generator.uniform(2.0, 12.0) * scale))
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * radius + 1, 2 * radius + 1))
    return cv2.morphologyEx(mask.astype(np.uint8), cv2.MORPH_CLOSE, kernel).astype(np.bool_)


def _with_neighbours(mask: Mask, scale: float, generator: np.random.Generator) -> Mask:
    """Add patches beside the mask, up to some pixels wide."""
    reach = generator.uniform(3.0, 14.0) * scale
    near = _signed_distance(mask) > -reach
    return np.asarray(mask | (near & _blobs(mask.shape, 18.0 * scale, 0.25, generator)))


def _without_a_piece(mask: Mask, generator: np.random.Generator) -> Mask:
    """Take away what lies beyond a random straight line, up to 30 % of the mask."""
    angle = generator.uniform(0, 2 * np.pi)
    rows, columns = np.indices(mask.shape, sparse=True)
    along = columns * np.cos(angle) + rows * np.sin(angle)
    if not mask.any():
        return mask
    limit = np.quantile(along[mask], 1.0 - generator.uniform(0.03, 0.3))
    return np.asarray(mask & (along <= limit))


def _cut_by_box(mask: Mask, generator: np.random.Generator) -> Mask:
    """Clip the mask by a box whose sides are up to 8 % too far inside."""
    rows, columns = np.nonzero(mask)
    if not rows.size:
        return mask
    clipped = np.zeros_like(mask)
    height, width = int(np.ptp(rows)) + 1, int(np.ptp(columns)) + 1
    cut = np.maximum(generator.normal(0.0, 0.04, 4), 0.0)
    top, bottom = rows.min() + int(cut[0] * height), rows.max() + 1 - int(cut[1] * height)
    left, right = columns.min() + int(cut[2] * width), columns.max() + 1 - int(cut[3] * width)
    clipped[top:bottom, left:right] = mask[top:bottom, left:right]
    return clipped


def _blobs(shape: tuple[int, ...], length: float, share: float,
           generator: np.random.Generator) -> Mask:
    """Return patches of a correlation length that cover about a share of the image."""
    field = smooth_field(shape[0], shape[1], max(length, 1.5), generator)
    return np.asarray(field > np.quantile(field, 1.0 - share))
