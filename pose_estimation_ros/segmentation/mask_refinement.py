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

from pose_estimation_ros.core.camera import CameraIntrinsics

Mask = NDArray[np.bool_]
Image = NDArray[np.float32]

_LEAST_KNOWN = 20
_MOST_BINS = 500
# Flying pixels between two surfaces are fewer than this share of an object's pixels.
_LEAST_SHARE = 0.01
_PLANE_SAMPLES = 256
_PLANE_ROUNDS = 4
_PLANE_FLATNESS = 0.006
# Share of the surroundings that each round of the fit keeps.
_TRIMMED = 0.6
# Width of the surroundings that the carrying plane is fitted to, in widths of the band.
_RING = 3


@dataclass(frozen=True)
class MaskRefinement:
    """Settings of the refinement.

    Attributes:
        threshold: Probability from which a pixel belongs to the mask.
        certain: Probability from which a pixel counts as surely the object's.
        possible: Probability below which the mask never grows.
        band: Width of the doubtful band along the mask's edge, share of the mask's width.
        depth_margin: How far behind and before its sure part an object may reach, share of its
            width.
        surface_step: Largest step of depth between neighbours on one surface, metres, at 1 m.
        plane_distance: How near to the carrying plane a pixel of the band counts as part of it,
            metres, at 1 m.
        least_piece: Smallest piece that is kept, share of the largest one.
    """

    threshold: float = 0.5
    certain: float = 0.75
    possible: float = 0.15
    band: float = 0.05
    depth_margin: float = 0.25
    surface_step: float = 0.008
    plane_distance: float = 0.003
    least_piece: float = 0.3


def refine_mask(probability: Image, depth: Image | None, intrinsics: CameraIntrinsics,
                settings: MaskRefinement) -> Mask:
    """Return the mask of one object.

    Args:
        probability: (h, w) float32 soft mask in a window that reaches beyond the object.
        depth: (h, w) float32 metres in the same window, NaN = unknown; None for no depth.
        intrinsics: Camera of the window.
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
            z = np.where(known, depth, np.float32(0))
            mask, foreign = _by_depth(probability, sure, known, z, intrinsics, settings)
    return _largest_pieces(_fill_holes(mask, foreign), settings.least_piece)


def _by_depth(probability: Image, sure: Mask, known: Mask, z: Image,
              intrinsics: CameraIntrinsics, settings: MaskRefinement) -> tuple[Mask, Mask]:
    """Return the corrected mask, and what is known to be something else."""
    mask = probability > settings.threshold
    values = z[sure]
    middle = float(np.median(values))
    width = float(np.sqrt(np.count_nonzero(mask)))
    # Pixels need not be square.
    focal_length = float(np.sqrt(intrinsics.fx * intrinsics.fy))
    reach = settings.depth_margin * width * middle / focal_length
    nearest, farthest = _main_range(values, 3 * reach)
    radius = max(2, round(settings.band * width))
    # Noise of stereo depth grows with the square of the distance.
    noise_scale = max(1.0, middle) ** 2

    foreign = known & ((z > farthest + reach) | (z < nearest - reach))
    outward = cv2.distanceTransform((~mask).astype(np.uint8), cv2.DIST_L2, 3)
    inward = cv2.distanceTransform(mask.astype(np.uint8), cv2.DIST_L2, 3)
    band = (outward <= radius) & (inward <= radius)
    ring = ((outward > radius) & (outward <= _RING * radius + 3) & known
            & (z < farthest + 3 * reach))
    plane = _carrying_plane(ring, z, intrinsics)
    if plane is not None:
        near_plane = plane.distance(z, intrinsics) < settings.plane_distance * noise_scale
        foreign |= known & band & near_plane

    kept = mask & ~foreign
    surface = (kept & known).astype(np.float32)
    side = (2 * radius + 1, 2 * radius + 1)
    weight = cv2.boxFilter(surface, -1, side, normalize=False)
    nearby = cv2.boxFilter(surface * z, -1, side, normalize=False) / np.maximum(weight, 1)
    continues = known & (weight >= radius) & (
        np.abs(z - nearby) < settings.surface_step * noise_scale)
    grown = kept | (band & continues & ~foreign & (probability > settings.possible))
    return np.asarray(cv2.medianBlur(grown.astype(np.uint8), 3) > 0), foreign


def _main_range(values: Image, gap: float) -> tuple[float, float]:
    """Return the bounds of the largest group of depths that has no gap of that width in it.

    An occluder, or the background seen through a handle, is a group of its own.
    """
    start = float(values.min())
    place = np.minimum((values - start) / gap, _MOST_BINS).astype(np.intp)
    counts = np.bincount(place)
    filled = counts >= _LEAST_SHARE * values.size
    group = np.cumsum(np.diff(filled, prepend=False))
    group[~filled] = 0  # odd numbers are groups, even ones the gaps between them
    largest = int(np.argmax(np.bincount(group, weights=counts * filled)))
    bins = np.flatnonzero(group == largest)
    return start + float(bins[0]) * gap, start + float(bins[-1] + 1) * gap


@dataclass(frozen=True)
class _Plane:
    """A plane seen in an image: its inverse depth is linear in the pixel coordinates.

    Attributes:
        slopes: (a, b, c) with 1 / z = a u + b v + c.
    """

    slopes: NDArray[np.float64]

    def distance(self, z: Image, intrinsics: CameraIntrinsics) -> Image:
        """Return the (h, w) distance of each pixel's point from the plane, metres."""
        rows, columns = np.ogrid[:z.shape[0], :z.shape[1]]
        return self.distance_at(rows, columns, z, intrinsics)

    def distance_at(self, rows: NDArray[np.intp], columns: NDArray[np.intp], z: Image,
                    intrinsics: CameraIntrinsics) -> Image:
        """Return the distance of points at some rows and columns, metres.

        Args:
            rows: Of their pixels.
            columns: Likewise; the shapes broadcast.
            z: Depth at these pixels, metres.
            intrinsics: Camera of the window.
        """
        a, b, c = self.slopes
        # The plane is n . p = 1 in the camera frame.
        normal = np.array([a * intrinsics.fx, b * intrinsics.fy,
                           a * intrinsics.cx + b * intrinsics.cy + c])
        expected = (a * columns + (b * rows + c)).astype(np.float32)
        length = np.float32(1.0 / np.sqrt(normal @ normal))
        return np.asarray(np.abs(z * expected - np.float32(1)) * length)


def _carrying_plane(ring: Mask, z: Image, intrinsics: CameraIntrinsics) -> _Plane | None:
    """Fit a plane to the surroundings by trimmed least squares.

    Returns:
        The plane, or None if the surroundings are none.
    """
    rows, columns = np.nonzero(ring)
    if rows.size < _LEAST_KNOWN:
        return None
    step = max(1, rows.size // _PLANE_SAMPLES)
    rows, columns = rows[::step], columns[::step]
    inverse = 1.0 / z[rows, columns].astype(np.float64)
    design = np.stack([columns, rows, np.ones(rows.size)], axis=1).astype(np.float64)
    used = np.ones(rows.size)
    for _ in range(_PLANE_ROUNDS):
        weighted = (design * used[:, None]).T
        try:
            slopes = np.asarray(np.linalg.solve(weighted @ design, weighted @ inverse),
                                dtype=np.float64)
        except np.linalg.LinAlgError:  # pixels in one line
            return None
        residual = np.abs(design @ slopes - inverse)
        used = (residual <= max(_quantile(residual, _TRIMMED), 1e-4)).astype(np.float64)
    plane = _Plane(slopes)
    agree = plane.distance_at(rows, columns, z[rows, columns], intrinsics) < _PLANE_FLATNESS
    return plane if agree.mean() > 0.4 else None


def _quantile(values: NDArray[np.float64], share: float) -> float:
    """Return what `np.quantile` does of a few hundred values, in a tenth of its time."""
    place = share * (values.size - 1)
    lower = int(place)
    upper = min(lower + 1, values.size - 1)
    sorted_there = np.partition(values, (lower, upper))
    return float(sorted_there[lower]
                 + (place - lower) * (sorted_there[upper] - sorted_there[lower]))


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
