"""Better masks by depth.

A detector's mask bleeds over the object's edges or stops short of them by some pixels. At those
pixels depth knows better: what lies far behind the object, or on the surface that carries
it, is not the object; what continues its surface is.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

Mask = NDArray[np.bool_]
Image = NDArray[np.float32]

_LEAST_KNOWN = 20
_PLANE_SAMPLES = 256
_PLANE_ROUNDS = 4


@dataclass(frozen=True)
class MaskRefinement:
    """Settings of the refinement.

    Attributes:
        threshold: Probability from which a pixel belongs to the mask.
        certain: Probability from which a pixel counts as surely the object's.
        band: Width of the doubtful band along the mask's edge, share of the mask's width.
        depth_margin: How far behind and before its sure part an object may reach, share of its
            width.
        surface_step: Largest step of depth between neighbours on one surface, metres, at 1 m.
        plane_distance: How near to the carrying plane a pixel of the band counts as part of it,
            metres along the ray, at 1 m.
        least_piece: Smallest piece that is kept, share of the largest one.
    """

    threshold: float = 0.5
    certain: float = 0.75
    band: float = 0.06
    depth_margin: float = 0.25
    surface_step: float = 0.008
    plane_distance: float = 0.005
    least_piece: float = 0.3


def refine_mask(probability: Image, depth: Image | None, focal_length: float,
                settings: MaskRefinement) -> Mask:
    """Return the mask of one object.

    Args:
        probability: (h, w) float32 soft mask in a window that reaches beyond the object.
        depth: (h, w) float32 metres in the same window, NaN = unknown; None for no depth.
        focal_length: Of the image, pixels.
        settings: How to refine.

    Returns:
        (h, w) bool; may be empty.
    """
    mask = probability > settings.threshold
    foreign: Mask = np.zeros_like(mask)
    if depth is not None:
        known = np.isfinite(depth)
        sure = (probability > settings.certain) & known
        if np.count_nonzero(sure) >= _LEAST_KNOWN:
            mask, foreign = _by_depth(mask, sure, known, depth, focal_length, settings)
    return _largest_pieces(_fill_holes(mask, foreign), settings.least_piece)


def _by_depth(mask: Mask, sure: Mask, known: Mask, depth: Image, focal_length: float,
              settings: MaskRefinement) -> tuple[Mask, Mask]:
    """Return the corrected mask, and what is known to be something else."""
    values = depth[sure]
    nearest, middle, farthest = np.quantile(values, (0.02, 0.5, 0.98))
    width = np.sqrt(np.count_nonzero(mask))
    reach = settings.depth_margin * width * middle / focal_length
    radius = max(2, round(settings.band * width))
    z = np.where(known, depth, np.float32(0))
    outside = known & ((z > farthest + reach) | (z < nearest - reach))

    wider, narrower = _dilate(mask, radius), _erode(mask, radius)
    band = wider & ~narrower
    # Noise of stereo depth grows with the square of the distance.
    noise_scale = max(1.0, float(middle)) ** 2
    ring = _dilate(wider, 2 * radius) & ~wider & known & (z < farthest + 3 * reach)
    plane = _carrying_plane(ring, z)
    if plane is not None:
        rows, columns = np.ogrid[:mask.shape[0], :mask.shape[1]]
        expected = plane[0] * columns + plane[1] * rows + plane[2]
        behind = np.abs(z - 1 / np.maximum(expected, 1e-3))
        outside |= known & band & (behind < settings.plane_distance * noise_scale)

    kept = mask & ~outside
    surface = (kept & known).astype(np.float32)
    side = (2 * radius + 1, 2 * radius + 1)
    weight = cv2.boxFilter(surface, -1, side, normalize=False)
    nearby = cv2.boxFilter(surface * z, -1, side, normalize=False) / np.maximum(weight, 1)
    continues = known & (weight >= radius) & (
        np.abs(z - nearby) < settings.surface_step * noise_scale)
    grown = kept | (band & continues & ~outside)
    smooth = cv2.medianBlur(grown.astype(np.uint8), 3) > 0
    return smooth, outside


def _carrying_plane(ring: Mask, z: Image) -> NDArray[np.float64] | None:
    """Fit inverse depth = a u + b v + c to the surroundings by trimmed least squares.

    Returns:
        (a, b, c), or None if the surroundings are no plane.
    """
    rows, columns = np.nonzero(ring)
    if rows.size < _LEAST_KNOWN:
        return None
    step = max(1, rows.size // _PLANE_SAMPLES)
    rows, columns = rows[::step], columns[::step]
    inverse = 1.0 / z[rows, columns].astype(np.float64)
    design = np.stack([columns, rows, np.ones(rows.size)], axis=1).astype(np.float64)
    used = np.ones(rows.size, dtype=np.bool_)
    plane: NDArray[np.float64] = np.zeros(3)
    for _ in range(_PLANE_ROUNDS):
        plane = np.asarray(np.linalg.lstsq(design[used], inverse[used], rcond=None)[0])
        residual = np.abs(design @ plane - inverse)
        used = residual <= max(float(np.quantile(residual, 0.6)), 1e-4)
    agree = residual * z[rows, columns].astype(np.float64) ** 2 < 0.01
    return plane if agree.mean() > 0.4 else None


def _fill_holes(mask: Mask, foreign: Mask) -> Mask:
    """Fill holes, but for those through which something else is seen."""
    padded = np.pad(~mask, 1, constant_values=True).astype(np.uint8)
    count, labels = cv2.connectedComponents(padded, connectivity=4)
    if count <= 2:
        return mask
    labels = labels[1:-1, 1:-1]
    area = np.bincount(labels.ravel(), minlength=count)
    seen_through = np.bincount(labels[foreign], minlength=count)
    fill = seen_through * 2 < area
    # 0 is the mask itself; the padded border makes the surroundings the first component.
    fill[:2] = False
    return np.asarray(mask | fill[labels])


def _largest_pieces(mask: Mask, least_share: float) -> Mask:
    """Keep the largest connected piece and those not much smaller, as behind an occluder."""
    count, labels, statistics, _ = cv2.connectedComponentsWithStats(
        mask.astype(np.uint8), connectivity=8)
    if count <= 2:
        return mask
    area = statistics[:, cv2.CC_STAT_AREA].astype(np.float64)
    area[0] = 0
    return np.asarray((area >= least_share * area.max())[labels] & mask)


def _dilate(mask: Mask, radius: int) -> Mask:
    return np.asarray(cv2.dilate(mask.astype(np.uint8), _disc(radius)) > 0)


def _erode(mask: Mask, radius: int) -> Mask:
    return np.asarray(cv2.erode(mask.astype(np.uint8), _disc(radius)) > 0)


def _disc(radius: int) -> NDArray[np.uint8]:
    side = 2 * radius + 1
    return np.asarray(cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (side, side)), dtype=np.uint8)
