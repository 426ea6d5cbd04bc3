"""Batches of crops for DISP6D, with what is to be decoded of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pose_estimation_ros.backends.disp6d_crops import CropSettings, encoder_input, object_crop
from pose_estimation_ros.core.hyperspherical_harmonics import RotationEncoding, encode_rotations
from pose_estimation_ros.training.disp6d_augmentation import (
    Picture,
    ViewAugmentation,
    before_clutter,
    changed,
)
from pose_estimation_ros.training.disp6d_views import Target, TurnedObject


@dataclass(frozen=True, eq=False)
class ViewBatch:
    """Crops of B objects.

    Attributes:
        image: (B, 3, S, S) float32, blue, green, red from 0 to 1.
        color: (B, 3, S, S) float32 that is to be decoded.
        depth: (B, 1, S, S) float32 that is to be decoded.
        rotation: (B, 1, E) float32 harmonics of the rotations.
        label: (B,) int64 which object it is; -1 = not one of the training.
        rivals: (B, N, E) float32 harmonics of other rotations to compare with; N may be 0.
        anchors: (B, 3, S, S) float32 plain views of the same objects in the same rotations, to
            compare each crop with all of them; or (0, 3, S, S).
        share: (B, N) float32 how right each rival, or (B, B) each anchor is, see
            `disp6d_rivals`.
    """

    image: Tensor
    color: Tensor
    depth: Tensor
    rotation: Tensor
    label: Tensor
    rivals: Tensor
    anchors: Tensor
    share: Tensor


def training_view(item: TurnedObject, label: int, other: TurnedObject, crops: CropSettings,
                  encoding: RotationEncoding, augmentation: ViewAugmentation,
                  generator: np.random.Generator) -> ViewBatch:
    """Return a batch of one changed picture.

    Args:
        item: What is shown.
        label: Which object it is.
        other: Another picture, for background and occluder.
        crops: How crops are cut.
        encoding: How rotations are told to the network.
        augmentation: How often the picture is changed.
        generator: Source of randomness.
    """
    behind = other.rgb
    if generator.random() < augmentation.clutter:
        behind = before_clutter(behind, other.mask, generator)
    picture = changed(item.rgb, item.mask, item.box, behind, augmentation, generator)
    return _one(picture, item, label, crops, encoding)


def plain_view(item: TurnedObject, label: int, crops: CropSettings, encoding: RotationEncoding
               ) -> ViewBatch:
    """Return a batch of one picture as the run time sees it with the true box and mask."""
    return _one(Picture(item.rgb, item.mask, item.box), item, label, crops, encoding)


def joined(batches: Sequence[ViewBatch]) -> ViewBatch:
    """Return one batch of several."""
    return ViewBatch(*(torch.cat([getattr(batch, field.name) for batch in batches])
                       for field in fields(ViewBatch)))


def with_rivals(batch: ViewBatch, rivals: NDArray[np.float64], share: NDArray[np.float64],
                encoding: RotationEncoding) -> ViewBatch:
    """Return a batch with rotations to compare with.

    Args:
        batch: The batch.
        rivals: (B, N, 3, 3) rotations.
        share: (B, N) how right each is.
        encoding: How rotations are told to the network.
    """
    encoded = encode_rotations(rivals, encoding).astype(np.float32)
    return replace(batch, rivals=torch.from_numpy(encoded),
                   share=torch.from_numpy(share.astype(np.float32)))


def with_anchors(batch: ViewBatch, items: Sequence[TurnedObject], share: NDArray[np.float64],
                 crops: CropSettings) -> ViewBatch:
    """Return a batch with plain views to compare with.

    Args:
        batch: The batch.
        items: What it shows.
        share: (B, B) how right each one's view is for each.
        crops: How crops are cut.
    """
    return replace(batch, anchors=torch.from_numpy(anchor_crops(items, crops)),
                   share=torch.from_numpy(share.astype(np.float32)))


def anchor_crops(items: Sequence[TurnedObject], crops: CropSettings) -> NDArray[np.float32]:
    """Return (B, 3, S, S) crops of plain views: as of a CAD model without colours."""
    return encoder_input(np.stack([_anchor(item.target, crops) for item in items]), crops)


def _anchor(target: Target, crops: CropSettings) -> NDArray[np.uint8]:
    mask = target.depth < np.iinfo(np.uint8).max
    x, y, width, height = cv2.boundingRect(mask.astype(np.uint8))
    return object_crop(np.repeat(target.shade[..., None], 3, axis=2),
                       np.array([x, y, x + width, y + height], dtype=np.float64), mask, crops)


def _one(picture: Picture, item: TurnedObject, label: int, crops: CropSettings,
         encoding: RotationEncoding) -> ViewBatch:
    mask = None if picture.mask is None else picture.mask > 0
    crop = object_crop(np.ascontiguousarray(picture.rgb[..., ::-1]), picture.box, mask, crops)
    shade, depth = _decoded(item.target, crops.crop)
    rotation = encode_rotations(item.R, encoding).astype(np.float32)
    return ViewBatch(
        torch.from_numpy(encoder_input(crop[None], crops)),
        torch.from_numpy(np.broadcast_to(shade, (1, 3, *shade.shape)).copy()),
        torch.from_numpy(depth[None, None]), torch.from_numpy(rotation[None, None]),
        torch.tensor([label]), torch.zeros(1, 0, len(rotation)),
        torch.zeros(0, 3, crops.crop, crops.crop), torch.zeros(1, 0))


def _decoded(target: Target, side: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return shade and depth from 0 to 1, (side, side)."""
    images = []
    for image in (target.shade, target.depth):
        value = image.astype(np.float32) / np.float32(255.0)
        if value.shape[0] != side:
            value = np.asarray(cv2.resize(value, (side, side), interpolation=cv2.INTER_AREA),
                               dtype=np.float32)
        images.append(value)
    return images[0], images[1]
