"""Batches of windows for the features of neural meshes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pose_estimation_ros.training.neural_mesh_labels import WindowLabels
from pose_estimation_ros.training.neural_mesh_shapes import CategoryShape
from pose_estimation_ros.training.neural_mesh_windows import Window
from pose_estimation_ros.training.object_pictures import PictureShards

# What is hardly seen is learnt from beside other objects, not for its own sake.
_LEAST_VISIBILITY, _LEAST_SIDE = 0.25, 12.0


@dataclass(frozen=True, eq=False)
class WindowBatch:
    """B windows with N vertices of their objects, ordered by category, and M cells of clutter.

    Attributes:
        image: (B, 3, H, W) uint8 RGB.
        cell: (N,) int64 which of all cells of the batch's features shows each vertex.
        vertex: (N,) int64 the vertices, in the order of the feature bank.
        category: (N,) int64, ascending.
        view: (N,) int64 classes of `view_class`.
        near: (N, W) bool vertices of the category too near to be told apart.
        clutter: (M,) int64 cells of clutter.
    """

    image: Tensor
    cell: Tensor
    vertex: Tensor
    category: Tensor
    view: Tensor
    near: Tensor
    clutter: Tensor


def window_batch(windows: Sequence[Window], labels: Sequence[WindowLabels],
                 shapes: Sequence[CategoryShape], stride: int) -> WindowBatch:
    """Return a batch of windows of equal size.

    Args:
        windows: The windows.
        labels: What each teaches.
        shapes: The categories' cuboids.
        stride: Pixels of a cell's side.
    """
    height, width = windows[0].object_map.shape
    cells = (height // stride) * (width // stride)
    first = np.cumsum([0, *(len(shape.mesh.vertices) for shape in shapes)])
    category = np.concatenate([label.category for label in labels])
    order = np.argsort(category, kind='stable')
    cell = np.concatenate([label.cell + number * cells for number, label in enumerate(labels)])
    vertex = np.concatenate([label.vertex for label in labels]) + first[category]
    view = np.concatenate([label.view for label in labels])
    near = np.concatenate([label.near for label in labels])
    clutter = np.concatenate([label.clutter + number * cells
                              for number, label in enumerate(labels)])
    image = np.stack([window.rgb.transpose(2, 0, 1) for window in windows])
    return WindowBatch(*(torch.from_numpy(values) for values in (
        image, cell[order], vertex[order], category[order], view[order], near[order], clutter)))


def focus_weights(pictures: PictureShards, lying: float) -> NDArray[np.float64]:
    """Return the (N,) chances of all objects to be in the middle of a window.

    All categories get the same share.

    Args:
        pictures: The objects.
        lying: Chance of an object that does not stand, beside one that does.
    """
    objects = pictures.objects
    side = (objects.box[:, 2:] - objects.box[:, :2]).max(axis=1)
    fit = (objects.visibility >= _LEAST_VISIBILITY) & (side >= _LEAST_SIDE)
    weight = np.where(objects.standing, 1.0, lying) * fit
    share = np.bincount(objects.category, weight, minlength=len(pictures.categories))
    return np.asarray(weight / np.maximum(share, 1e-9)[objects.category])
