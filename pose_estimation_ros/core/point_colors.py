"""The colours of an object's points, at three sizes of detail.

Training and run time share this file, so a network sees the same in both.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

# Widths of the box filters as shares of the longer side of the object's box. In shares, not in
# pixels, so that an object looks the same from near and from far.
BLUR_SHARES = (1.0 / 24.0, 1.0 / 8.0)
COLOR_CHANNELS = 3 * (1 + len(BLUR_SHARES))


def point_colors(rgb: NDArray[np.uint8], box: ArrayLike, rows: NDArray[np.integer],
                 columns: NDArray[np.integer]) -> NDArray[np.float32]:
    """Return the colours at some pixels of an object: sharp, blurred and more blurred.

    The blurs are means over squares centred on the pixel, at least one pixel wide and of any
    fractional width; beyond the image its border is repeated.

    Args:
        rgb: (H, W, 3) uint8 image.
        box: (4,) x_min, y_min, x_max, y_max of the object, pixels; its longer side sets the
            widths.
        rows: (N,) rows of the pixels, inside the image.
        columns: (N,) columns of the pixels, inside the image.

    Returns:
        (N, 9) float32 in [0, 1]: RGB of the pixel, of the mean over 1/24 and over 1/8 of the
        box's longer side.
    """
    if len(rows) == 0:
        return np.empty((0, COLOR_CHANNELS), np.float32)
    x_min, y_min, x_max, y_max = (float(side) for side in np.asarray(box))
    longer = max(x_max - x_min, y_max - y_min)
    widths = [max(longer * share, 1.0) for share in BLUR_SHARES]
    margin = int(np.ceil(0.5 * max(widths)))
    v, u = np.asarray(rows, np.intp), np.asarray(columns, np.intp)
    integral, top, left = _integral_image(rgb, v, u, margin)
    levels = [rgb[v, u].astype(np.float64)]
    levels += [_box_means(integral, v - top, u - left, width) for width in widths]
    return (np.concatenate(levels, axis=1) / 255.0).astype(np.float32)


def _integral_image(rgb: NDArray[np.uint8], rows: NDArray[np.intp], columns: NDArray[np.intp],
                    margin: int) -> tuple[NDArray[np.float64], int, int]:
    """Return the integral of the pixels' surroundings, and the row and column of its origin."""
    height, width = rgb.shape[:2]
    top, bottom = int(rows.min()) - margin, int(rows.max()) + margin + 1
    left, right = int(columns.min()) - margin, int(columns.max()) + margin + 1
    crop = rgb[max(top, 0):min(bottom, height), max(left, 0):min(right, width)]
    padded = np.pad(crop, ((max(-top, 0), max(bottom - height, 0)),
                           (max(-left, 0), max(right - width, 0)), (0, 0)), mode='edge')
    integral = np.zeros((padded.shape[0] + 1, padded.shape[1] + 1, 3))
    np.cumsum(padded, axis=0, dtype=np.float64, out=integral[1:, 1:])
    np.cumsum(integral[1:, 1:], axis=1, out=integral[1:, 1:])
    return integral, top, left


def _box_means(integral: NDArray[np.float64], rows: NDArray[np.intp],
               columns: NDArray[np.intp], width: float) -> NDArray[np.float64]:
    """Return the (N, 3) means over squares of some width about pixels of the integrated image.

    The integral is linear between its samples, so edges between pixels are exact. They lie at
    the same fraction of a pixel for every point, which makes the mean 16 weighted samples.
    """
    edges = np.array([0.5 - 0.5 * width, 0.5 + 0.5 * width])
    whole = np.floor(edges).astype(np.intp)
    part = edges - whole
    offsets = np.array([whole[0], whole[0] + 1, whole[1], whole[1] + 1])
    weights = np.array([part[0] - 1.0, -part[0], 1.0 - part[1], part[1]]) / width
    stride = integral.shape[1]
    taps = (offsets[:, None] * stride + offsets).ravel()
    samples = integral.reshape(-1, 3)[taps[:, None] + (rows * stride + columns)]
    return np.asarray(np.tensordot(np.outer(weights, weights).ravel(), samples, axes=1))
