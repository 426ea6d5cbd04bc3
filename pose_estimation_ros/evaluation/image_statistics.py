"""Figures of RGB-D frames that say whether synthetic ones resemble real ones."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from pose_estimation_ros.core.errors import InvalidInputError
from pose_estimation_ros.core.frame import RGBDFrame

FloatImage = NDArray[np.float32]
Mask = NDArray[np.bool_]

_EDGE_STEP = 0.02  # metres over 3 pixels that make a depth edge
# Step of inverse depth, 1/metres, that makes a fine edge: 4 mm at 0.35 m, 24 mm at 0.9 m, about
# one pixel of a stereo camera's disparity anywhere.
_FINE_EDGE_STEP = 0.03
_NEAR_EDGE = 4  # pixels
_WINDOW = 17  # pixels, side of the windows that planes are fitted to
_PLANE_OUTLIER = 0.02  # metres; windows with a larger residual hold no plane


@dataclass(frozen=True)
class ImageStatistics:
    """Figures of one frame, or their summary over several; NaN where there is nothing to measure.

    Attributes:
        unknown: Share of pixels without depth (or beyond the range that was asked for).
        unknown_inside: Share of pixels without depth that have depth on all four sides.
        unknown_near_edges: The same share within 4 pixels of depth edges.
        unknown_off_edges: Share, farther than 4 pixels from depth edges, of pixels in holes that
            touch no depth edge, be it fine: matching failures, not shadows of objects.
        hole_width: Pixels without depth per pixel of depth edge: the mean width of the shadows
            and gaps along edges, whatever the number of objects.
        depth_step: Median gap between distinct depth values, metres, between 0.4 and 0.9 m.
        equal_neighbors: Share of horizontal neighbours on planes with exactly the same depth.
        plane_noise: Residual (root mean square) of 17x17 planes over depth squared, 1/metres.
        fine_noise: The same of the second difference along rows: noise from pixel to pixel.
        edge_raggedness: Standard deviation of depth edges about straight lines, pixels.
        saturation: Mean saturation (HSV), 0 to 1.
        laplacian_variance: Variance of the Laplacian of grey, 0 to 255: sharpness and texture.
        brightness: Mean of grey, 0 to 255.
        contrast: Standard deviation of grey, 0 to 255.
        color_noise: Standard deviation of grey from pixel to pixel in the flattest third.
    """

    unknown: float
    unknown_inside: float
    unknown_near_edges: float
    unknown_off_edges: float
    hole_width: float
    depth_step: float
    equal_neighbors: float
    plane_noise: float
    fine_noise: float
    edge_raggedness: float
    saturation: float
    laplacian_variance: float
    brightness: float
    contrast: float
    color_noise: float


def measure(frame: RGBDFrame, maximum_depth: float = np.inf) -> ImageStatistics:
    """Return the figures of one frame.

    Args:
        frame: A frame with depth.
        maximum_depth: Depth beyond this, metres, counts as unknown: recorded frames are often
            cut, and only frames with the same cut compare.

    Raises:
        InvalidInputError: If the frame has no depth.
    """
    if frame.depth is None:
        raise InvalidInputError('frame has no depth image; image statistics need RGB-D frames')
    depth = np.where(frame.depth <= maximum_depth, frame.depth, np.float32(np.nan))
    known = np.isfinite(depth)
    inside = _surrounded(known)
    edge, any_edge = _depth_edges(depth, known)
    near, near_any = (inside & _within(pixels, _NEAR_EDGE) for pixels in (edge, any_edge))
    holes = inside & ~known
    planes = _plane_windows(depth)
    grey = cv2.cvtColor(frame.rgb, cv2.COLOR_RGB2GRAY)
    return ImageStatistics(
        unknown=float(1.0 - known.mean()),
        unknown_inside=_share(~known, inside),
        unknown_near_edges=_share(~known, near),
        unknown_off_edges=_share(_untouched(holes, near_any), inside & ~near_any),
        hole_width=_ratio(holes.sum(), (inside & edge).sum()),
        depth_step=_depth_step(depth[known]),
        equal_neighbors=_median([window.equal_neighbors for window in planes]),
        plane_noise=_median([window.noise for window in planes]),
        fine_noise=_median([window.fine_noise for window in planes]),
        edge_raggedness=_edge_raggedness(depth),
        saturation=float(cv2.cvtColor(frame.rgb, cv2.COLOR_RGB2HSV)[..., 1].mean() / 255.0),
        laplacian_variance=float(cv2.Laplacian(grey, cv2.CV_64F).var()),
        brightness=float(grey.mean()), contrast=float(grey.std()),
        color_noise=_color_noise(grey.astype(np.float32)))


def summarize(statistics: Sequence[ImageStatistics]) -> ImageStatistics:
    """Return the figures of several frames: means of rates of holes, medians of the others.

    Holes are rare events of few frames, which a median would not see.
    """
    rows = [asdict(item) for item in statistics]
    return ImageStatistics(**{
        name: (_mean if name.startswith('unknown') else _median)([row[name] for row in rows])
        for name in rows[0]})


@dataclass(frozen=True)
class _PlaneWindow:
    noise: float
    fine_noise: float
    equal_neighbors: float


def _share(part: Mask, whole: Mask) -> float:
    return _ratio((part & whole).sum(), whole.sum())


def _ratio(part: int, whole: int) -> float:
    return float(part / whole) if whole else float('nan')


def _mean(values: Sequence[float]) -> float:
    finite = np.array(values)[np.isfinite(values)]
    return float(finite.mean()) if finite.size else float('nan')


def _median(values: Sequence[float]) -> float:
    finite = np.array(values)[np.isfinite(values)]
    return float(np.median(finite)) if finite.size else float('nan')


def _surrounded(known: Mask) -> Mask:
    """Return which pixels have known ones to the left, right, above and below, or are known."""
    left, above = (np.maximum.accumulate(known, axis=axis) for axis in (1, 0))
    right = np.maximum.accumulate(known[:, ::-1], axis=1)[:, ::-1]
    below = np.maximum.accumulate(known[::-1], axis=0)[::-1]
    return np.asarray(left & right & above & below)


def _depth_edges(depth: FloatImage, known: Mask) -> tuple[Mask, Mask]:
    """Return which pixels are at depth edges, and at edges or fine edges.

    Holes are filled from their left, so an edge with a shadow at its left lies at its foreground.
    """
    index = np.where(known, np.arange(depth.shape[1]), 0)
    filled = np.take_along_axis(depth, np.maximum.accumulate(index, axis=1), axis=1)
    edge, fine_edge = (
        _steps(np.nan_to_num(image, nan=0.0)) > limit
        for image, limit in ((filled, _EDGE_STEP), (1.0 / filled, _FINE_EDGE_STEP)))
    return edge, edge | fine_edge


def _steps(image: FloatImage) -> FloatImage:
    """Return the range of values in 3x3 pixels, 0 where one of them is 0."""
    kernel = np.ones((3, 3), dtype=np.uint8)
    low = cv2.erode(image, kernel)
    return np.where(low > 0, cv2.dilate(image, kernel) - low, 0.0).astype(np.float32)


def _within(pixels: Mask, radius: int) -> Mask:
    """Return which pixels are at most `radius` away from some of `pixels`."""
    if not pixels.any():
        return pixels
    distance = cv2.distanceTransform((~pixels).astype(np.uint8), cv2.DIST_L2, 5)
    return np.asarray(distance <= radius)


def _untouched(holes: Mask, near: Mask) -> Mask:
    """Return the connected holes of which no pixel is near an edge."""
    count, labels = cv2.connectedComponents(holes.astype(np.uint8), connectivity=8)
    touches = np.zeros(count, dtype=np.bool_)
    touches[labels[near]] = True
    return np.asarray(holes & ~touches[labels])


def _plane_windows(depth: FloatImage) -> list[_PlaneWindow]:
    """Return figures of all windows that are fully known and plane.

    A plane is linear in inverse depth, so the fit is one linear solve for all windows.
    """
    side = _WINDOW
    rows, columns = depth.shape[0] // side, depth.shape[1] // side
    tiles = depth[:rows * side, :columns * side].reshape(rows, side, columns, side).swapaxes(1, 2)
    tiles = tiles.reshape(-1, side * side)
    tiles = tiles[np.isfinite(tiles).all(axis=1)].astype(np.float64)
    v, u = np.indices((side, side)).reshape(2, -1)
    design = np.stack([u, v, np.ones_like(u)], axis=1).astype(np.float64)
    inverse = 1.0 / tiles
    fitted = inverse @ (design @ np.linalg.pinv(design))
    residual = (inverse - fitted) * tiles ** 2
    windows = []
    for tile, error in zip(tiles, residual, strict=True):
        if np.abs(error).max() > _PLANE_OUTLIER:
            continue
        square = float(tile.mean()) ** 2
        second = np.diff(error.reshape(side, side), n=2, axis=1)
        windows.append(_PlaneWindow(
            noise=float(error.std()) / square,
            fine_noise=float(second.std() / np.sqrt(6.0)) / square,
            equal_neighbors=float((np.diff(tile.reshape(side, side), axis=1) == 0).mean())))
    return windows


def _depth_step(depth: FloatImage) -> float:
    values = np.unique(depth[(depth > 0.4) & (depth < 0.9)].astype(np.float64))
    return float(np.median(np.diff(values))) if values.size > 10 else float('nan')


def _edge_raggedness(depth: FloatImage) -> float:
    """Return how far left outlines of objects stray from straight lines over 15 rows, pixels."""
    inverse = np.nan_to_num(1.0 / depth, nan=0.1)
    step = inverse[:, 1:] - inverse[:, :-1] > 2 * _FINE_EDGE_STEP
    length = 15
    rows = np.arange(length, dtype=np.float64)
    design = np.stack([rows, np.ones(length)], axis=1)
    off_line = np.eye(length) - design @ np.linalg.pinv(design)
    deviations = []
    for top in range(0, depth.shape[0] - length, length):
        band = step[top:top + length]
        for start in np.flatnonzero(band[0]):
            column, track = int(start), [float(start)]
            for row in range(1, length):
                near = np.flatnonzero(band[row, max(column - 4, 0):column + 5])
                if not near.size:
                    break
                candidates = near + max(column - 4, 0)
                column = int(candidates[np.abs(candidates - column).argmin()])
                track.append(float(column))
            if len(track) == length:
                deviations.append(float((off_line @ np.array(track)).std()))
    return _median(deviations)


def _color_noise(grey: FloatImage) -> float:
    """Return the noise of grey in the flattest third of 8x8 tiles, by second differences."""
    rows, columns = grey.shape[0] // 8, grey.shape[1] // 8
    tiles = grey[:rows * 8, :columns * 8].reshape(rows, 8, columns, 8).swapaxes(1, 2)
    second = np.diff(tiles.reshape(-1, 8, 8), n=2, axis=2).std(axis=(1, 2)) / np.sqrt(6.0)
    return float(np.quantile(second, 1 / 3))
