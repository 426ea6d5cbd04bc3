"""What an object looks like, as a histogram of the colours inside its mask.

It tells a red can from a blue one, not two of one kind; and a change of light changes it.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from pose_estimation_ros.core.detection import Detection

FloatArray = NDArray[np.float64]

_LEVELS = 4  # of each channel
_BINS = _LEVELS ** 3
# Some hundred pixels tell the colours as well as all of them.
_SAMPLES = 400
_FEWEST = 20


def _blur() -> FloatArray:
    """Return the (B, B) matrix that shares each bin with its neighbours in the colour cube."""
    line = np.eye(_LEVELS) + 0.5 * (np.eye(_LEVELS, k=1) + np.eye(_LEVELS, k=-1))
    line /= line.sum(axis=0)
    return np.asarray(np.kron(line, np.kron(line, line)))


# A colour at the edge of two bins must not fall now into this, now into that one.
_BLUR = _blur()


def appearances(rgb: NDArray[np.uint8], detections: Sequence[Detection | None]) -> FloatArray:
    """Return the (P, B) shares of the colours of P objects, rows of NaN where none can be told.

    Args:
        rgb: (H, W, 3) uint8.
        detections: Their masks in this image; None = unknown.
    """
    histograms = np.full((len(detections), _BINS), np.nan)
    found = [(row, *_samples(detection, rgb.shape[:2]))
             for row, detection in enumerate(detections) if detection is not None]
    found = [entry for entry in found if len(entry[1]) >= _FEWEST]
    if not found:
        return histograms
    rows, pixel_rows, pixel_columns = zip(*found, strict=True)
    counts = np.array([len(pixels) for pixels in pixel_rows])
    level = rgb[np.concatenate(pixel_rows), np.concatenate(pixel_columns)] // (256 // _LEVELS)
    bins = level.astype(np.intp) @ np.array([_LEVELS ** 2, _LEVELS, 1])
    bins += np.repeat(np.arange(len(rows)) * _BINS, counts)
    tally = np.bincount(bins, minlength=len(rows) * _BINS).reshape(len(rows), _BINS)
    histograms[list(rows)] = (tally / counts[:, None]) @ _BLUR.T
    return histograms


def appearance_distance(a: FloatArray, b: FloatArray) -> FloatArray:
    """Return the (A, B) Hellinger distances of histograms, 0 = equal to 1; NaN = unknown."""
    overlap = np.sqrt(a) @ np.sqrt(b).T
    return np.sqrt(np.clip(1.0 - overlap, 0.0, 1.0))


def _samples(detection: Detection, image_size: tuple[int, ...]
             ) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Return rows and columns of some pixels of a mask that lie inside the image."""
    mask, (x, y) = detection.mask, detection.offset
    top, left = max(-y, 0), max(-x, 0)
    inside = mask[top:max(image_size[0] - y, 0), left:max(image_size[1] - x, 0)]
    step = max(1, int(np.sqrt(inside.size / _SAMPLES)))
    rows, columns = np.nonzero(inside[::step, ::step])
    return rows * step + (top + y), columns * step + (left + x)
