"""How well placed surfaces agree with the depth that was observed, and with the masks.

A point of the surface in front of what was observed there stands in free space, which is seen to
be empty: a wrong pose. A point behind is hidden, which is what back sides are, and says nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pose_estimation_ros.core.detection import Detection
from pose_estimation_ros.core.frame import RGBDFrame

FloatArray = NDArray[np.float64]

# Of the object's diagonal: what depth noise and the coarse surface leave open.
_TOLERANCE = 0.05
# Of the same, seen from the object's distance: the spacing of the surface's points.
_WINDOW = 0.1
_PIXELS = 128


@dataclass(frozen=True)
class DepthAgreement:
    """Shares, 0 to 1, for B objects.

    Attributes:
        violation: (B,) of the surface's points, those in front of the observed depth.
        support: (B,) of the surface's points, those at the observed depth.
        explained: (B,) of the mask's pixels, those near the projection of a surface point.
    """

    violation: FloatArray
    support: FloatArray
    explained: FloatArray


def depth_agreement(frame: RGBDFrame, detections: Sequence[Detection],
                    surfaces: NDArray[np.floating], diagonals: FloatArray) -> DepthAgreement:
    """Compare B placed surfaces with a frame.

    Args:
        frame: With depth, undistorted.
        detections: B detections whose masks the surfaces are to explain.
        surfaces: (B, V, 3) points of each whole surface, metres, camera optical frame.
        diagonals: (B,) lengths that tolerances are relative to, metres.

    Returns:
        The shares. Points outside the image, behind the camera or where no depth was measured
        are neither violations nor support.
    """
    assert frame.depth is not None
    height, width = frame.depth.shape
    camera = frame.intrinsics
    z = np.asarray(surfaces[..., 2], dtype=np.float64)
    ahead = z > 0
    distance = np.where(ahead, z, 1.0)
    column = camera.fx * surfaces[..., 0] / distance + camera.cx
    row = camera.fy * surfaces[..., 1] / distance + camera.cy
    inside = (ahead & (row > -0.5) & (row < height - 0.5)
              & (column > -0.5) & (column < width - 0.5))
    depth = np.full(z.shape, np.nan)
    depth[inside] = frame.depth[np.rint(row[inside]).astype(np.intp),
                                np.rint(column[inside]).astype(np.intp)]
    with np.errstate(invalid='ignore'):
        gap = (z - depth) / diagonals[:, None]
        violation, support = gap < -_TOLERANCE, np.abs(gap) <= _TOLERANCE
    window = _WINDOW * diagonals * np.sqrt(camera.fx * camera.fy) / np.maximum(
        np.median(distance, axis=1), 1e-3)
    explained = [_explained(detection, row[index][ahead[index]], column[index][ahead[index]],
                            float(window[index])) for index, detection in enumerate(detections)]
    return DepthAgreement(violation.mean(axis=1), support.mean(axis=1), np.array(explained))


def _explained(detection: Detection, row: FloatArray, column: FloatArray, window: float) -> float:
    """Return the share of a sample of the mask's pixels that lie near a projected point."""
    rows, columns = detection.pixels()
    if len(rows) == 0 or len(row) == 0:
        return 0.0
    sample = np.linspace(0, len(rows) - 1, min(_PIXELS, len(rows))).astype(np.intp)
    squared = ((rows[sample, None] - row) ** 2 + (columns[sample, None] - column) ** 2)
    return float((squared.min(axis=1) <= window ** 2).mean())
