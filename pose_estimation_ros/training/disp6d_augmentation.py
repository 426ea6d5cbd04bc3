"""Random changes of pictures of objects before DISP6D sees them.

What the published augmentation does to colours (spec 3.5) is done by `mrc_augmentation`, which
has the same changes; here is what DISP6D needs besides: coarse pictures of far objects, masks
with errors, boxes that are a little off.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import cv2
import numpy as np
from numpy.typing import NDArray

from pose_estimation_ros.training.mrc_augmentation import (
    AugmentationSettings,
    changed_colors,
    patch_shape,
    with_background,
    with_occluder,
)

Image = NDArray[np.uint8]
Mask = NDArray[np.uint8]
FloatArray = NDArray[np.float64]

_COARSEST_SIDE = 24
_MOST_MASK_ERROR = 0.04


@dataclass(frozen=True)
class ViewAugmentation:
    """How often a picture is changed in which way.

    Attributes:
        jitter: How far a box is shifted at most, in its longer side, and how much larger or
            smaller it is at most.
        masked: Chance that the mask is known, where the background is replaced at run time.
        coarse: Chance that a picture is made as coarse as that of a far object.
        mask_errors: Chance that the mask is a little too large or too small.
        occluders: Chance that something is pasted before the object.
        clutter: Chance that what was drawn before nothing stands before clutter where it is seen
            behind or before another object; 0 for what was cut out of scenes.
        pictures: What happens to colours.
    """

    jitter: float = 0.06
    masked: float = 1.0
    coarse: float = 0.3
    mask_errors: float = 0.5
    occluders: float = 0.2
    clutter: float = 0.0
    pictures: AugmentationSettings = field(default_factory=AugmentationSettings)


@dataclass(frozen=True, eq=False)
class Picture:
    """A picture to cut a crop from.

    Attributes:
        rgb: (h, w, 3) uint8.
        mask: (h, w) uint8, 1 where the object is said to be; None = not known.
        box: (4,) x_min, y_min, x_max, y_max, pixels.
    """

    rgb: Image
    mask: Mask | None
    box: FloatArray


def changed(rgb: Image, mask: Mask, box: FloatArray, other: Image, settings: ViewAugmentation,
            generator: np.random.Generator) -> Picture:
    """Return a picture as a robot may meet it.

    Args:
        rgb: (h, w, 3) uint8.
        mask: (h, w) uint8, 1 where the object is seen.
        box: (4,) of the object, pixels.
        other: (h2, w2, 3) uint8 of something else, for background and occluder.
        settings: How often what happens.
        generator: Source of randomness.
    """
    known = generator.random() < settings.masked
    if not known or generator.random() < settings.pictures.background:
        rgb = with_background(rgb, mask, other, generator)
    if generator.random() < settings.occluders:
        rgb, left = with_occluder(rgb, mask, other, patch_shape(other.shape[:2], generator),
                                  generator)
        mask = left if left.sum() > 0.4 * mask.sum() else mask
    if generator.random() < settings.coarse:
        rgb = _coarser(rgb, box, generator)
    colors, kept = changed_colors(rgb.astype(np.float32), mask.astype(np.float32),
                                  settings.pictures, generator)
    if generator.random() < settings.mask_errors:
        kept = _with_error(kept, box, generator)
    moved = _moved(box, settings.jitter, generator)
    return Picture(colors.astype(np.uint8), (kept > 0.5).astype(np.uint8) if known else None,
                   moved)


def before_clutter(rgb: Image, mask: Mask, generator: np.random.Generator) -> Image:
    """Return an object that was drawn before nothing before patches of colours.

    Args:
        rgb: (h, w, 3) uint8.
        mask: (h, w) uint8, 1 where the object is.
        generator: Source of randomness.
    """
    height, width = mask.shape
    clutter = np.zeros((height, width, 3), dtype=np.float32)
    for cells in generator.integers(1, 24, 3):
        colors = generator.uniform(0, 255, (int(cells), int(cells), 3)).astype(np.float32)
        kind = cv2.INTER_CUBIC if generator.random() < 0.5 else cv2.INTER_NEAREST
        clutter += generator.uniform(0.1, 0.6) * np.asarray(
            cv2.resize(colors, (width, height), interpolation=kind))
    return np.where(mask[..., None] > 0, rgb, np.clip(clutter, 0, 255)).astype(np.uint8)


def _coarser(rgb: Image, box: FloatArray, generator: np.random.Generator) -> Image:
    extent = float((box[2:] - box[:2]).max())
    scale = generator.uniform(min(_COARSEST_SIDE / extent, 1.0), 1.0)
    small = cv2.resize(rgb, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    return np.asarray(cv2.resize(small, rgb.shape[1::-1], interpolation=cv2.INTER_LINEAR),
                      dtype=np.uint8)


def _with_error(mask: NDArray[np.float32], box: FloatArray, generator: np.random.Generator
                ) -> NDArray[np.float32]:
    """Return the mask grown or shrunk, by an amount that changes along its edge."""
    extent = float((box[2:] - box[:2]).max())
    noise = generator.standard_normal(mask.shape, dtype=np.float32)
    wavelength = generator.uniform(0.03, 0.15) * extent
    blurred = cv2.GaussianBlur(noise, (0, 0), max(wavelength, 0.5))
    waves = np.asarray(blurred, dtype=np.float32) / max(float(blurred.std()), 1e-9)
    soft = cv2.GaussianBlur(mask, (0, 0), max(_MOST_MASK_ERROR * extent, 0.5))
    level = 0.5 + generator.uniform(-0.25, 0.25) + 0.15 * waves
    return np.asarray(soft > level, dtype=np.float32)


def _moved(box: FloatArray, jitter: float, generator: np.random.Generator) -> FloatArray:
    low, high = box.reshape(2, 2)
    extent = (high - low).max()
    middle = 0.5 * (low + high) + jitter * extent * generator.uniform(-1, 1, 2)
    half = 0.5 * (high - low) * (1.0 + jitter * generator.uniform(-1, 1))
    return np.concatenate([middle - half, middle + half])
