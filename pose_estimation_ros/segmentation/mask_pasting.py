"""From a mask in its box to a mask in the image."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

# torchvision samples training masks and features without a half-pixel offset, so what a network
# learns lies half an input pixel further right and down than its mask says.
_MASK_SHIFT = 0.5


@dataclass(frozen=True)
class MaskWindow:
    """A soft mask in a window of the image.

    Attributes:
        probability: (h, w) float32, 0 to 1; 0 where the window is larger than the box.
        offset: (x, y) of the window's first pixel.
    """

    probability: NDArray[np.float32]
    offset: tuple[int, int]


def paste_mask(mask: NDArray[np.float32], box: NDArray[np.float64], image_size: tuple[int, int],
               input_scale: tuple[float, float], margin: int) -> MaskWindow | None:
    """Resample the mask of one box to the image's pixels.

    Args:
        mask: (m, m) float32 probabilities over the box.
        box: (4,) x_min, y_min, x_max, y_max in image pixels, upper bounds exclusive.
        image_size: (width, height) of the image.
        input_scale: Image pixels for each pixel of the network's input, along x and y.
        margin: Pixels that the window reaches beyond the box.

    Returns:
        The soft mask, or None if the box lies outside the image.
    """
    width, height = image_size
    x0, y0 = max(int(np.floor(box[0])) - margin, 0), max(int(np.floor(box[1])) - margin, 0)
    x1 = min(int(np.ceil(box[2])) + margin, width)
    y1 = min(int(np.ceil(box[3])) + margin, height)
    if x1 <= x0 or y1 <= y0 or (box[2:] <= box[:2]).any():
        return None
    scale_x, scale_y = mask.shape[1] / (box[2] - box[0]), mask.shape[0] / (box[3] - box[1])
    shift_x, shift_y = _MASK_SHIFT * input_scale[0], _MASK_SHIFT * input_scale[1]
    # Pixel centres, with the box's corner as origin, and where they lie in the mask.
    right, down = np.arange(x0, x1) + 0.5 - box[0], np.arange(y0, y1) + 0.5 - box[1]
    u0, v0 = (right[0] - shift_x) * scale_x - 0.5, (down[0] - shift_y) * scale_y - 0.5
    to_mask = np.array([[scale_x, 0.0, u0], [0.0, scale_y, v0]])
    probability = cv2.warpAffine(
        mask, to_mask, (x1 - x0, y1 - y0), flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
        borderMode=cv2.BORDER_REPLICATE)
    probability[:, (right < 0) | (right > box[2] - box[0] + shift_x)] = 0
    probability[(down < 0) | (down > box[3] - box[1] + shift_y)] = 0
    return MaskWindow(np.asarray(probability, dtype=np.float32), (x0, y0))
