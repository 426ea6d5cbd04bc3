"""Training samples of the detector from stored synthetic frames."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pose_estimation_ros.core.camera import CameraIntrinsics
from pose_estimation_ros.core.categories import CATEGORY_NAMES
from pose_estimation_ros.segmentation.preprocessing import (
    CHANNEL_NAMES,
    COLOR_CHANNELS,
    InputSize,
    resize_color,
    resize_depth,
    stack_channels,
)
from pose_estimation_ros.training.maskrcnn_augmentation import (
    ANY_COLORS,
    OWN_COLORS,
    ColorChanges,
    augment_color,
    augment_depth,
    place_occluders,
)

if TYPE_CHECKING:
    from pose_estimation_ros.synthetic.synthetic_frame import SyntheticFrame

Target = dict[str, Tensor]
Sample = tuple[Tensor, Target]

# Less visible or smaller objects are neither examples nor counter-examples.
LEAST_VISIBILITY = 0.15
LEAST_SIDE = 8
LEAST_AREA = 40


@dataclass(frozen=True)
class InputStyle:
    """What a detector gets to see.

    Attributes:
        channels: Names of its input's channels, all of `CHANNEL_NAMES` or the colours.
        colors: How its training pictures are recoloured.
    """

    channels: tuple[str, ...]
    colors: ColorChanges


COLOR_AND_DEPTH = InputStyle(CHANNEL_NAMES, ANY_COLORS)
# Known objects have colours of their own, and are found without depth.
COLORS_OF_KNOWN_OBJECTS = InputStyle(COLOR_CHANNELS, OWN_COLORS)


@dataclass(frozen=True)
class View:
    """One picture at the detector's input size, with what is in it.

    Attributes:
        rgb: (h, w, 3) uint8.
        depth: (h, w) float32 metres, NaN = unknown.
        instances: (h, w) int16, 0 = none, k = k-th object.
        intrinsics: Camera of this picture.
        pixels: Pixels of each object that would be seen if nothing hid it and the picture had no
            border, by object id, at this picture's scale.
        labels: Category of each object by its id; distractors have none.
    """

    rgb: NDArray[np.uint8]
    depth: NDArray[np.float32]
    instances: NDArray[np.int16]
    intrinsics: CameraIntrinsics
    pixels: dict[int, float]
    labels: dict[int, str]


def random_view(frame: SyntheticFrame, size: InputSize, generator: np.random.Generator) -> View:
    """Return a randomly cropped, scaled and mirrored view of a frame, at the input size."""
    width = frame.instance_map.shape[1]
    span = np.exp(generator.uniform(np.log(0.55), np.log(1.2)))
    stretch = np.exp(generator.normal(0, 0.05))
    window_width = span * width * stretch
    window_height = span * width / stretch * size.height / size.width
    left, top = _random_corner(frame, (window_width, window_height), generator)
    window = (left, top, window_width, window_height)
    view = _cut(frame, window, size, int(generator.integers(0, 256)))
    return _mirrored(view) if generator.random() < 0.5 else view


def _random_corner(frame: SyntheticFrame, window: tuple[float, float],
                   generator: np.random.Generator) -> tuple[float, float]:
    """Return where a window of that size begins; mostly so that a chosen object is in it."""
    height, width = frame.instance_map.shape
    low, high = np.zeros(2), np.array([width, height]) - window
    low, high = np.minimum(low, high), np.maximum(low, high)
    boxes = [instance.box for instance in frame.instances if instance.box.any()]
    if boxes and generator.random() < 0.75:
        box = boxes[int(generator.integers(len(boxes)))]
        centre = (box[:2] + box[2:]) / 2
        low, high = (np.clip(edge, low, high) for edge in (centre - window, centre))
    left, top = generator.uniform(low, high)
    return float(left), float(top)


def whole_view(frame: SyntheticFrame, size: InputSize) -> View:
    """Return the frame as the detector sees it at run time."""
    height, width = frame.instance_map.shape
    fitted_width, fitted_height = size.fit(width, height)
    window = (0.0, 0.0, width * size.width / fitted_width, height * size.height / fitted_height)
    return _cut(frame, window, size, 0)


def _cut(frame: SyntheticFrame, window: tuple[float, float, float, float], size: InputSize,
         filling: int) -> View:
    """Resample a window (x, y, width, height) of the frame; outside it there is one grey."""
    height, width = frame.instance_map.shape
    x, y, window_width, window_height = window
    x0, x1 = max(round(x), 0), min(round(x + window_width), width)
    y0, y1 = max(round(y), 0), min(round(y + window_height), height)
    scale_x, scale_y = size.width / window_width, size.height / window_height
    # The visible part of the window takes these pixels of the view.
    column = min(max(round((x0 - x) * scale_x), 0), size.width - 1)
    row = min(max(round((y0 - y) * scale_y), 0), size.height - 1)
    columns = min(max(round((x1 - x0) * scale_x), 1), size.width - column)
    rows = min(max(round((y1 - y0) * scale_y), 1), size.height - row)
    source = (slice(y0, y1), slice(x0, x1))
    place = (slice(row, row + rows), slice(column, column + columns))
    rgb = np.full((size.height, size.width, 3), filling, dtype=np.uint8)
    rgb[place] = resize_color(np.ascontiguousarray(frame.frame.rgb[source]), columns, rows)
    depth = np.full((size.height, size.width), np.nan, dtype=np.float32)
    if frame.frame.depth is not None:
        depth[place] = resize_depth(
            np.ascontiguousarray(frame.frame.depth[source]), columns, rows)
    instances = np.zeros((size.height, size.width), dtype=np.int16)
    instances[place] = cv2.resize(np.ascontiguousarray(frame.instance_map[source]),
                                  (columns, rows), interpolation=cv2.INTER_NEAREST)
    intrinsics = frame.frame.intrinsics.crop(x0, y0, x1 - x0, y1 - y0).resize(
        columns, rows).crop(-column, -row, size.width, size.height)
    seen = np.bincount(frame.instance_map[frame.instance_map > 0].ravel())
    scale = columns * rows / ((x1 - x0) * (y1 - y0))
    pixels = {
        instance.id: seen[instance.id] * scale / max(instance.visibility * instance.in_image, 1e-3)
        for instance in frame.instances if instance.id < len(seen)}
    labels = {instance.id: instance.category for instance in frame.instances}
    return View(rgb, depth, instances, intrinsics, pixels, labels)


def _mirrored(view: View) -> View:
    K = view.intrinsics.K.copy()
    K[0, 2] = view.intrinsics.width - 1 - K[0, 2]
    return replace(
        view, rgb=np.ascontiguousarray(view.rgb[:, ::-1]),
        depth=np.ascontiguousarray(view.depth[:, ::-1]),
        instances=np.ascontiguousarray(view.instances[:, ::-1]),
        intrinsics=CameraIntrinsics(view.intrinsics.width, view.intrinsics.height, K))


def training_sample(frame: SyntheticFrame, size: InputSize,
                    generator: np.random.Generator,
                    categories: Sequence[str] = CATEGORY_NAMES,
                    style: InputStyle = COLOR_AND_DEPTH) -> Sample:
    """Return the augmented input tensor (C, h, w) of a frame and its target."""
    view = random_view(frame, size, generator)
    rgb, depth, instances = view.rgb, view.depth, view.instances
    if generator.random() < 0.25:
        rgb, depth, instances = place_occluders(rgb, depth, instances, generator)
    target = instance_targets(replace(view, instances=instances), categories)
    view = replace(view, rgb=augment_color(rgb, instances, generator, style.colors))
    return _input(view, augment_depth(depth, generator), style), target


def whole_sample(frame: SyntheticFrame, size: InputSize,
                 categories: Sequence[str] = CATEGORY_NAMES,
                 style: InputStyle = COLOR_AND_DEPTH) -> Sample:
    """Return the input tensor (C, h, w) of a frame as at run time, and its target."""
    view = whole_view(frame, size)
    return _input(view, view.depth, style), instance_targets(view, categories)


def _input(view: View, depth: NDArray[np.float32] | None, style: InputStyle) -> Tensor:
    if style.channels == COLOR_CHANNELS:
        depth = None
    channels = stack_channels(view.rgb, depth, view.intrinsics)
    return torch.from_numpy(channels[:len(style.channels)])


def instance_targets(view: View, categories: Sequence[str] = CATEGORY_NAMES) -> Target:
    """Return what the network shall find in a view, in torchvision's terms.

    Args:
        view: The view.
        categories: Names of the classes, from 1; objects of others are background.

    Returns:
        boxes (N, 4) float32, labels (N,) int64, masks (N, h, w) uint8,
        ignored_boxes (M, 4) float32.
    """
    boxes, labels, masks, ignored = [], [], [], []
    classes = {name: number for number, name in enumerate(categories, start=1)}
    for identity, label in view.labels.items():
        if label not in classes:
            continue
        mask = (view.instances == identity).astype(np.uint8)
        area = cv2.countNonZero(mask)
        if area == 0:
            continue
        x, y, w, h = cv2.boundingRect(mask)
        box = (x, y, x + w, y + h)
        visible = area / max(view.pixels.get(identity, 0.0), 1.0)
        if visible < LEAST_VISIBILITY or min(w, h) < LEAST_SIDE or area < LEAST_AREA:
            ignored.append(box)
            continue
        boxes.append(box)
        labels.append(classes[label])
        masks.append(mask)
    size = view.instances.shape
    return {
        'boxes': torch.tensor(boxes, dtype=torch.float32).reshape(-1, 4),
        'labels': torch.tensor(labels, dtype=torch.int64),
        'masks': torch.from_numpy(np.stack(masks) if masks else np.zeros((0, *size), np.uint8)),
        'ignored_boxes': torch.tensor(ignored, dtype=torch.float32).reshape(-1, 4)}


def collate(samples: list[Sample]) -> tuple[Tensor, list[Target]]:
    """Stack the inputs of a batch; targets stay a list."""
    return torch.stack([inputs for inputs, _ in samples]), [target for _, target in samples]
