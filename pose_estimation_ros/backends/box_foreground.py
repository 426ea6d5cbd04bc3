"""Which pixels of a box are the object's, where a detector tells boxes and no masks.

Depth leaves out what is further from the middle of the box than the object is large; colours then
tell the object from its neighbours and from the ground on which it stands (GrabCut, of OpenCV).
Where colours find next to nothing of what depth has left, depth alone decides.

Source of GrabCut: Rother et al., GrabCut: interactive foreground extraction using iterated graph
cuts, SIGGRAPH 2004.
"""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
from numpy.typing import NDArray

from pose_estimation_ros.core.detection import Detection
from pose_estimation_ros.core.frame import RGBDFrame

Mask = NDArray[np.bool_]

# Boxes with depth in a smaller share of their pixels stay boxes.
_LEAST_KNOWN = 0.5
# What is nearer or further than the middle by more than this share of the object's extent.
_HALF_EXTENT = 0.5
# Pixels around the box show what is not the object, as a share of its sides.
_RIM = 0.3
# Corners of the box beyond this ellipse, as a share of the inscribed one, are hardly the object.
_ELLIPSE = 1.15
_ITERATIONS = 3
# Longest side of what GrabCut is given, pixels: its time follows their number.
_LONGEST_SIDE = 128
# Depths that most of the rim has too are the background's, if something is before them.
_LEAST_OUTSIDE, _LEAST_BEFORE = 0.7, 0.05
# Colours that leave less than this share of what depth has left have found something else.
_LEAST_SHARE = 0.5


def has_no_mask(detection: Detection) -> bool:
    """Return whether a detection is a mere box: its mask is a whole rectangle."""
    rows, columns = detection.pixels()
    if not len(rows):
        return False
    return bool(len(rows) == (np.ptp(rows) + 1) * (np.ptp(columns) + 1))


def with_mask(frame: RGBDFrame, detection: Detection, extent: float) -> Detection:
    """Return a detection with the pixels of the object in its box as its mask.

    Args:
        frame: With depth; where there is none in half of the box, the detection comes back as it
            is.
        detection: Its box is looked at, its mask is not.
        extent: Largest extent of the object, metres.
    """
    height, width = frame.rgb.shape[:2]
    corners = np.clip(np.rint(detection.box).astype(int), 0, [width, height] * 2)
    x_min, y_min, x_max, y_max = (int(value) for value in corners)
    if frame.depth is None or x_max <= x_min or y_max <= y_min:
        return detection
    depth = frame.depth[y_min:y_max, x_min:x_max]
    known = np.isfinite(depth) & (depth > 0)
    if known.mean() < _LEAST_KNOWN:
        return detection
    near = _near_the_middle(depth, known, extent)
    if not near.any():
        return detection
    before = known & ~near & (np.where(known, depth, np.inf) < depth[near].min())
    box = (x_min, y_min, x_max, y_max)
    if before.mean() > _LEAST_BEFORE and _goes_on_outside(frame.depth, box, near):
        # What is in the middle is the background, seen through a hole of the object.
        return detection
    # Of pixels without depth, as on what shines, colours alone tell.
    colored = (near | ~known) & _of_its_colors(frame.rgb, box, near)
    mask = colored if (colored & near).sum() > _LEAST_SHARE * near.sum() else near
    return replace(detection, mask=mask, offset=(x_min, y_min))


def _near_the_middle(depth: NDArray[np.float32], known: Mask, extent: float) -> Mask:
    """Return which pixels of (h, w) depth are about as far as those of the middle quarter."""
    height, width = depth.shape
    middle = np.zeros_like(known)
    middle[height // 4:height - height // 4, width // 4:width - width // 4] = True
    if not (known & middle).any():
        return known
    # The lower median: between two depths there may be nothing.
    depths = depth[known & middle]
    lower = (depths.size - 1) // 2
    distance = np.partition(depths, lower)[lower]
    away = np.abs(np.where(known, depth, np.inf) - distance)
    return np.asarray(away < _HALF_EXTENT * extent, dtype=np.bool_)


def _goes_on_outside(depth: NDArray[np.float32], box: tuple[int, int, int, int],
                     near: Mask) -> bool:
    """Return whether most of what surrounds a box is as far as the (h, w) pixels `near` in it."""
    x_min, y_min, x_max, y_max = box
    height, width = near.shape
    rim_x, rim_y = int(_RIM * width) + 3, int(_RIM * height) + 3
    top, left = max(y_min - rim_y, 0), max(x_min - rim_x, 0)
    around = np.array(depth[top:y_max + rim_y, left:x_max + rim_x])
    own = around[y_min - top:y_max - top, x_min - left:x_max - left][near]
    around[y_min - top:y_max - top, x_min - left:x_max - left] = np.nan
    known = around[np.isfinite(around) & (around > 0)]
    return bool(len(known) and ((known >= own.min()) & (known <= own.max())).mean()
                > _LEAST_OUTSIDE)


def _of_its_colors(rgb: NDArray[np.uint8], box: tuple[int, int, int, int], near: Mask) -> Mask:
    """Return (h, w) which pixels of a box GrabCut takes for the object.

    Args:
        rgb: (H, W, 3) the image.
        box: Whole pixels inside it, upper bounds exclusive.
        near: (h, w) the pixels of the box that may be the object.
    """
    x_min, y_min, x_max, y_max = box
    height, width = near.shape
    rows, columns = np.ogrid[:height, :width]
    outside = (((columns + 0.5) / (width / 2) - 1) ** 2
               + ((rows + 0.5) / (height / 2) - 1) ** 2) > _ELLIPSE
    rim_x, rim_y = int(_RIM * width) + 3, int(_RIM * height) + 3
    top, left = max(y_min - rim_y, 0), max(x_min - rim_x, 0)
    window = rgb[top:y_max + rim_y, left:x_max + rim_x]
    labels = np.full(window.shape[:2], cv2.GC_BGD, np.uint8)
    inner = (slice(y_min - top, y_max - top), slice(x_min - left, x_max - left))
    labels[inner] = np.where(near & ~outside, cv2.GC_PR_FGD, cv2.GC_PR_BGD)
    scale = min(1.0, _LONGEST_SIDE / max(labels.shape))
    size = tuple(max(round(side * scale), 1) for side in labels.shape[::-1])
    small = cv2.resize(labels, size, interpolation=cv2.INTER_NEAREST)
    if not ((small == cv2.GC_PR_FGD).any() and (small == cv2.GC_BGD).any()):
        return near
    # Its clusters begin at random: equal frames are to give equal masks.
    cv2.setRNGSeed(0)
    cv2.grabCut(cv2.resize(window, size, interpolation=cv2.INTER_AREA), small, None,
                np.zeros((1, 65)), np.zeros((1, 65)), _ITERATIONS, cv2.GC_INIT_WITH_MASK)
    found = cv2.resize(small, labels.shape[::-1], interpolation=cv2.INTER_NEAREST)[inner]
    return np.asarray(found == cv2.GC_PR_FGD, dtype=np.bool_)
