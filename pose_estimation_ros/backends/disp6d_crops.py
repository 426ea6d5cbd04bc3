"""What the encoder of DISP6D is shown of an object: a square crop, masked or not.

Published models differ among themselves: that of T-LESS takes crops as they are, those of REAL275
have everything but the object white and the histogram equalised.

Source: DISP6D (ECCV 2022) and its published code; facts in spec sections 3.1 and 3.6.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from pose_estimation_ros.core.errors import ModelError

FloatArray = NDArray[np.float64]

BACKGROUNDS = {'kept': None, 'black': (0, 0, 0), 'white': (255, 255, 255)}
BORDERS = ('stretched', 'padded')
INTERPOLATIONS = {'linear': cv2.INTER_LINEAR, 'cubic': cv2.INTER_CUBIC, 'area': cv2.INTER_AREA}
_CHOICES: Mapping[str, Any] = {'background': BACKGROUNDS, 'border': BORDERS,
                               'interpolation': INTERPOLATIONS}


@dataclass(frozen=True)
class CropSettings:
    """How a model wants its crops; written in its manifest.

    Attributes:
        crop: Side of the crop that the encoder takes, pixels.
        margin: Side of the square as a share of the longer side of the box.
        background: What is put in the place of what is not the object: 'kept', 'black', 'white'.
        border: Where the square leaves the image, the rest is 'stretched' to the whole crop, as
            published, or 'padded' with the background (black if it is kept).
        interpolation: 'linear', 'cubic', or 'area' which averages the pixels of large objects.
        equalized: Whether the histogram of the brightness is equalised.
    """

    crop: int = 128
    margin: float = 1.2
    background: str = 'kept'
    border: str = 'padded'
    interpolation: str = 'area'
    equalized: bool = False

    @classmethod
    def of(cls, model: str, entries: Mapping[str, Any]) -> CropSettings:
        """Return the settings of a manifest.

        Args:
            model: Its name, for messages.
            entries: Its `parameters`; what is not named has its default.

        Raises:
            ModelError: If an entry is not understood.
        """
        known = {field.name: type(field.default) for field in fields(cls)}
        given = {name: entries[name] for name in known if name in entries}
        for name, value in given.items():
            allowed = _CHOICES.get(name)
            wrong = value not in allowed if allowed else not isinstance(
                value, (int, float) if known[name] is float else known[name])
            if wrong or (name in ('crop', 'margin') and not value > 0):
                choice = f'one of {", ".join(allowed)}' if allowed else known[name].__name__
                raise ModelError(f'model {model!r}: its manifest says parameters.{name} = '
                                 f'{value!r}, which must be {choice}; export the model again')
        return cls(**given)

    @property
    def rendered_background(self) -> tuple[int, int, int]:
        """Colour around objects that are rendered; kept backgrounds are learnt as black."""
        return BACKGROUNDS[self.background] or (0, 0, 0)


def object_crop(bgr: NDArray[np.uint8], box: FloatArray, mask: NDArray[np.bool_] | None,
                settings: CropSettings) -> NDArray[np.uint8]:
    """Cut the square around an object from an image.

    Args:
        bgr: (H, W, 3) blue, green, red.
        box: (4,) x_min, y_min, x_max, y_max, pixels; not empty.
        mask: (H, W) pixels of the object; None = not known, everything is kept.
        settings: Of the model.

    Returns:
        (crop, crop, 3) uint8.
    """
    corner, extent = np.trunc(box[:2]).astype(int), np.trunc(box[2:] - box[:2]).astype(int)
    # Whole pixels, with the divisions that the published code does.
    side = max(int(settings.margin * extent.max()), 2)
    low = corner + extent // 2 - side // 2
    high = corner + extent // 2 + side // 2
    shape = np.array([bgr.shape[1], bgr.shape[0]])
    inner_low = np.clip(low, 0, shape - 1)
    inner_high = np.clip(high, inner_low + 1, shape)
    window = (slice(inner_low[1], inner_high[1]), slice(inner_low[0], inner_high[0]))
    crop: NDArray[Any] = bgr[window]
    color = BACKGROUNDS[settings.background]
    if mask is not None and color is not None:
        crop = np.where(mask[window][..., None], crop, np.array(color, np.uint8))
    if settings.border == 'padded':
        before, after = inner_low - low, high - inner_high
        left, top, right, bottom = np.maximum([*before, *after], 0).tolist()
        crop = cv2.copyMakeBorder(crop, top, bottom, left, right, cv2.BORDER_CONSTANT,
                                  value=settings.rendered_background)
    resized = cv2.resize(crop, (settings.crop, settings.crop),
                         interpolation=INTERPOLATIONS[settings.interpolation])
    return np.asarray(resized, dtype=np.uint8)


def encoder_input(crops: NDArray[np.uint8], settings: CropSettings) -> NDArray[np.float32]:
    """Return what the encoder takes.

    Args:
        crops: (N, crop, crop, 3) blue, green, red.
        settings: Of the model.

    Returns:
        (N, 3, crop, crop) float32, 0 to 1.
    """
    if settings.equalized:
        crops = np.stack([_equalized(crop) for crop in crops])
    return np.ascontiguousarray(np.moveaxis(crops, -1, 1), dtype=np.float32) / np.float32(255.0)


def _equalized(bgr: NDArray[np.uint8]) -> NDArray[np.uint8]:
    yuv = cv2.cvtColor(bgr, cv2.COLOR_BGR2YUV)
    yuv[..., 0] = cv2.equalizeHist(yuv[..., 0])
    return np.asarray(cv2.cvtColor(yuv, cv2.COLOR_YUV2BGR), dtype=np.uint8)
