"""One object found in an image: what it is and which pixels it covers."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pose_estimation_ros.core.errors import InvalidInputError


@dataclass(frozen=True)
class Detection:
    """A labelled instance mask.

    Attributes:
        label: Category, or the name of a known CAD object.
        score: Confidence of the detector, 0 to 1.
        box: (4,) float64 (x_min, y_min, x_max, y_max), pixels, upper bounds exclusive.
        mask: (h, w) bool, the mask inside the window that starts at `offset`.
        offset: (x, y) pixel of the mask's first element; (0, 0) with a full-image mask.
    """

    label: str
    score: float
    box: NDArray[np.float64]
    mask: NDArray[np.bool_]
    offset: tuple[int, int] = (0, 0)

    @property
    def edges(self) -> NDArray[np.float64]:
        """(4,) the box in coordinates of a camera, where centres of pixels are whole numbers."""
        return self.box - 0.5

    def __post_init__(self) -> None:
        """Check shapes and ranges.

        Raises:
            InvalidInputError: If the box or the mask is malformed.
        """
        box = np.ascontiguousarray(self.box, dtype=np.float64)
        if box.shape != (4,) or not np.isfinite(box).all() or (box[2:] < box[:2]).any():
            raise InvalidInputError(
                f'detection box must be x_min, y_min, x_max, y_max, got {self.box}')
        if self.mask.ndim != 2 or self.mask.dtype != np.bool_:
            raise InvalidInputError(
                f'detection mask must be HxW bool, got {self.mask.shape} {self.mask.dtype}')
        object.__setattr__(self, 'box', box)

    def pixels(self) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
        """Return the (rows, columns) of the mask in the full image, in raster order."""
        # On masks of whole images several times as fast as np.nonzero, on dense ones the same.
        rows, columns = np.divmod(np.flatnonzero(self.mask), self.mask.shape[1])
        return rows + self.offset[1], columns + self.offset[0]

    def full_mask(self, height: int, width: int) -> NDArray[np.bool_]:
        """Return the mask as a (height, width) bool image; parts outside are cut off."""
        rows, columns = self.pixels()
        inside = (rows >= 0) & (rows < height) & (columns >= 0) & (columns < width)
        full = np.zeros((height, width), dtype=np.bool_)
        full[rows[inside], columns[inside]] = True
        return full
