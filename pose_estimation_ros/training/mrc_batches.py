"""Batches of crops for MRC-Net, with what is true of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pose_estimation_ros.backends.mrc_crops import (
    QUARTER_TURNS,
    CropView,
    classifier_aux,
    color_input,
    crop_pixels,
    crop_square,
    crop_view,
    detection_box_map,
)
from pose_estimation_ros.training.mrc_augmentation import (
    AugmentationSettings,
    changed_colors,
    patch_shape,
    with_background,
    with_occluder,
)
from pose_estimation_ros.training.mrc_views import LEAST_SIDE, LEAST_VISIBILITY, ObjectView

# The mask is learnt at this share of the crop's resolution.
_MASK_STRIDE = 4
_MOST_OCCLUDERS = 3
# MSPD is defined for images of this width.
_STANDARD_WIDTH = 640

AnotherView = Callable[[np.random.Generator], ObjectView]


@dataclass(frozen=True, eq=False)
class CropBatch:
    """Crops of B objects; poses are those in the turned camera, see `backends.mrc_crops`.

    Attributes:
        image: (B, 4, S, S) float32, blue, green, red from 0 to 1 and the map of the box.
        mask: (B, 1, S/4, S/4) float32, 1 where the object is seen.
        index: (B,) int64 objects.
        aux: (B, 3) float32 for the classifier.
        K_crop: (B, 3, 3) float32 cameras of the crops.
        R: (B, 3, 3) float32 true rotations.
        t: (B, 3) float32 true positions, metres.
        pixel: (B,) float32 side of a crop's pixel in pixels of an image of width 640.
    """

    image: Tensor
    mask: Tensor
    index: Tensor
    aux: Tensor
    K_crop: Tensor
    R: Tensor
    t: Tensor
    pixel: Tensor


def training_crop(view: ObjectView, another: AnotherView, crop: int, turned: float,
                  settings: AugmentationSettings, generator: np.random.Generator) -> CropBatch:
    """Return a batch of one changed and jittered view.

    Args:
        view: What is shown.
        another: Draws other views, for backgrounds and occluders. What shows the same object is
            no background, and is pasted in parts only: which of two is meant, nobody could tell.
        crop: Side of the crop, pixels.
        turned: Chance that the camera is turned by a random number of quarter turns.
        settings: How often the picture is changed, and how far the crop is moved.
        generator: Source of randomness.
    """
    if generator.random() < settings.background:
        other = another(generator)
        if other.object != view.object:
            view = replace(view, rgb=with_background(view.rgb, view.mask, other.rgb, generator))
    if generator.random() < settings.occluders:
        view = _occluded(view, another, generator)
    turns = int(generator.integers(QUARTER_TURNS)) if generator.random() < turned else 0
    shift = settings.jitter * generator.uniform(-1, 1, 2)
    square = crop_square(view.box, shift, settings.jitter * generator.uniform(-1, 1),
                         float(view.image_size.max()))
    seen = crop_view(view.K, square, crop, turns)
    rgb, mask = _pixels(view, seen)
    changed, mask = changed_colors(rgb, mask, settings, generator)
    return _one(view, seen, np.where(_outside(view, seen), rgb, changed), mask)


def plain_crop(view: ObjectView, crop: int, quarter_turns: int = 0) -> CropBatch:
    """Return a batch of one view as the run time sees it in the true box.

    Args:
        view: What is shown.
        crop: Side of the crop, pixels.
        quarter_turns: How often the camera is turned, 0 to 3.
    """
    seen = crop_view(view.K, crop_square(view.box), crop, quarter_turns)
    return _one(view, seen, *_pixels(view, seen))


def joined(batches: Sequence[CropBatch]) -> CropBatch:
    """Return one batch of several."""
    return CropBatch(*(torch.cat([getattr(batch, name) for batch in batches])
                       for name in CropBatch.__dataclass_fields__))


def _occluded(view: ObjectView, another: AnotherView,
              generator: np.random.Generator) -> ObjectView:
    """Paste things before the object, unless they hide too much of it."""
    for _ in range(int(generator.integers(1, _MOST_OCCLUDERS + 1))):
        other = another(generator)
        if other.object != view.object and generator.random() < 0.5:
            x, y, width, height = cv2.boundingRect(other.mask)
            window = (slice(y, y + height), slice(x, x + width))
            picture, shape = other.rgb[window], other.mask[window]
        else:
            picture, shape = other.rgb, patch_shape(other.mask.shape, generator)
        if not shape.any():
            continue
        rgb, mask = with_occluder(view.rgb, view.mask, np.ascontiguousarray(picture),
                                  np.ascontiguousarray(shape), generator)
        left = float(mask.sum()) / max(float(view.mask.sum()), 1.0)
        box = _box_in_image(mask, view.from_image)
        if (left * view.visibility < LEAST_VISIBILITY
                or min(box[2:] - box[:2]) <= LEAST_SIDE):
            continue
        # A detector's box is sometimes that of the part that is seen, sometimes of all.
        view = replace(view, rgb=rgb, mask=mask, visibility=left * view.visibility,
                       box=box if generator.random() < 0.7 else view.box)
    return view


def _box_in_image(mask: NDArray[np.uint8], from_image: NDArray[np.float64]
                  ) -> NDArray[np.float64]:
    """Return (4,) the box of a stored mask in pixels of the frame, upper bounds exclusive."""
    x, y, width, height = cv2.boundingRect(mask)
    corners = np.array([[x, y], [x + width, y + height]], dtype=np.float64) - 0.5
    scale, shift = from_image[[0, 1], [0, 1]], from_image[:, 2]
    return np.asarray(((corners - shift) / scale + 0.5).ravel())


def _pixels(view: ObjectView, seen: CropView) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return the (S, S, 3) colours, 0 to 255, and the (S, S) mask of a crop."""
    here = replace(seen, from_image=_after(seen.from_image, view.from_image))
    return crop_pixels(view.rgb, here), crop_pixels(view.mask, here)


def _after(to_crop: NDArray[np.float64], to_stored: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the (2, 3) map from the stored picture to the crop; both come from the frame."""
    full = np.vstack([to_stored, [0.0, 0.0, 1.0]])
    return np.asarray(to_crop @ np.linalg.inv(full))


def _outside(view: ObjectView, seen: CropView) -> NDArray[np.bool_]:
    """Return (S, S, 1): which pixels of the crop lie beyond the frame, where all is black."""
    corners = np.linalg.inv(np.vstack([seen.from_image, [0.0, 0.0, 1.0]]))[:2] @ [
        [0, seen.crop], [0, seen.crop], [1, 1]]
    if corners.min() >= 0 and (corners.max(axis=1) < view.image_size).all():
        return np.zeros((1, 1, 1), dtype=np.bool_)
    inside = crop_pixels(np.ones(view.image_size[::-1], dtype=np.float32), seen)
    return np.asarray(inside < 0.5)[..., None]


def _one(view: ObjectView, seen: CropView, rgb: NDArray[np.float32],
         mask: NDArray[np.float32]) -> CropBatch:
    small = cv2.resize(mask, (seen.crop // _MASK_STRIDE,) * 2, interpolation=cv2.INTER_AREA)
    pose = seen.R_turned_camera @ view.T_camera_object[:3]
    pixel = seen.square.side / seen.crop * _STANDARD_WIDTH / view.image_size[0]
    arrays = (color_input(rgb.astype(np.float32, copy=False), detection_box_map(seen)),
              (np.asarray(small) > 0.5)[None], view.object, classifier_aux(seen), seen.K,
              pose[:, :3], pose[:, 3], pixel)
    kinds = (np.float32, np.float32, np.int64, *(5 * [np.float32]))
    return CropBatch(*(torch.from_numpy(np.asarray(array, dtype=kind)[None])
                       for array, kind in zip(arrays, kinds, strict=True)))
