"""The labels of a NOCS frame: which objects count, where they are, and `_label.pkl`.

Values of this module are in the frames of NOCS: centred boxes, mugs too. Files are in those of
the SPD family (see `nocs_models`), as its published code writes and expects them.

Source: data preparation of Tian et al., ECCV 2020 (spec section 4.1).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pose_estimation_ros.core.categories import Category
from pose_estimation_ros.core.errors import InvalidInputError
from pose_estimation_ros.datasets.nocs_images import MetaLine
from pose_estimation_ros.datasets.nocs_models import (
    UNUSABLE_MODEL,
    ModelFrames,
    centred_extent,
)
from pose_estimation_ros.datasets.nocs_pickles import entry, read_pickle, write_pickle

FloatArray = NDArray[np.float64]

MINIMUM_PIXELS = 64
# A box larger than this share of the image (600 of 640, 440 of 480 pixels) is a fault of the
# renderer, and the whole image is dropped.
_LARGEST_WIDTH, _LARGEST_HEIGHT = 600 / 640, 440 / 480


@dataclass(frozen=True, eq=False)
class VisibleObject:
    """An object that the published preparation keeps.

    Attributes:
        instance_id: Its value in the instance map.
        class_id: From 1.
        model: Name of its model.
        box: (4,) int64 (y1, x1, y2, x2) of its mask, pixels, upper bounds exclusive.
        rows: (P,) rows of its mask, in raster order.
        columns: (P,) columns.
        known: (P,) bool, which of these pixels have depth.
    """

    instance_id: int
    class_id: int
    model: str
    box: NDArray[np.int64]
    rows: NDArray[np.intp]
    columns: NDArray[np.intp]
    known: NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class NocsLabel:
    """The label of one object, in the frame of NOCS.

    Attributes:
        instance_id: Its value in the instance map.
        class_id: From 1.
        model: Name of its model.
        box: (4,) int64 (y1, x1, y2, x2), pixels, upper bounds exclusive.
        scale: Metres per NOCS unit.
        R: (3, 3) float64 R_camera_object.
        t: (3,) float64 metres, camera optical frame.
        size: (3,) float64 extent of its box, metres; None = only its model tells.
        handle_visible: Whether a mug's handle can be seen; True for all else.
        visibility: Share of its pixels that nothing covers; NaN = unknown.
    """

    instance_id: int
    class_id: int
    model: str
    box: NDArray[np.int64]
    scale: float
    R: FloatArray
    t: FloatArray
    size: FloatArray | None = None
    handle_visible: bool = True
    visibility: float = float('nan')


def visible_objects(instance_map: NDArray[np.int32], depth: NDArray[np.float32],
                    meta: Sequence[MetaLine]) -> tuple[VisibleObject, ...]:
    """Return the objects of a frame that the published preparation keeps.

    Distractors, objects out of sight, those with fewer than 64 pixels of known depth and those of
    an improper mesh are left out. A box that nearly fills the image drops the whole image.

    Args:
        instance_map: (H, W) instance ids, 0 = background.
        depth: (H, W) metres, NaN = unknown.
        meta: The frame's list of objects.
    """
    height, width = instance_map.shape
    found = []
    for line in meta:
        if line.class_id == 0 or line.model == UNUSABLE_MODEL:
            continue
        rows, columns = np.nonzero(instance_map == line.instance_id)
        if not rows.size:
            continue
        box = np.array([rows.min(), columns.min(), rows.max() + 1, columns.max() + 1])
        if (box[3] - box[1] > _LARGEST_WIDTH * width
                or box[2] - box[0] > _LARGEST_HEIGHT * height):
            return ()
        known = depth[rows, columns] > 0
        if known.sum() >= MINIMUM_PIXELS:
            found.append(VisibleObject(line.instance_id, line.class_id, line.model, box, rows,
                                       columns, known))
    return tuple(found)


def read_labels(path: Path, categories: Sequence[Category],
                models: ModelFrames) -> tuple[NocsLabel, ...]:
    """Read a `_label.pkl`.

    Args:
        path: The file.
        categories: By class id, from 1.
        models: Models of the subset, which tell how mugs were re-centred.

    Raises:
        InvalidInputError: If the file is missing or damaged, a number is NaN, a class id is out
            of range, or a rotation is none.
    """
    content = read_pickle(path)
    names = [str(name) for name in content.get('model_list', ())]
    count = len(names)
    class_ids = entry(content, 'class_ids', (count,), path).astype(int)
    instance_ids = entry(content, 'instance_ids', (count,), path).astype(int)
    boxes = entry(content, 'bboxes', (count, 4), path).astype(np.int64)
    scales = entry(content, 'scales', (count,), path)
    rotations = entry(content, 'rotations', (count, 3, 3), path)
    translations = entry(content, 'translations', (count, 3), path)
    visible = (entry(content, 'handle_visibility', (count,), path) > 0
               if 'handle_visibility' in content else np.ones(count, dtype=np.bool_))
    # Our own additions to the format.
    visibility = (np.asarray(content['visibility'], dtype=np.float64)
                  if 'visibility' in content else np.full(count, np.nan))
    if visibility.shape != (count,):
        raise InvalidInputError(f'{path}: visibility must be ({count},), it is '
                                f'{visibility.shape}; make the file again')
    sizes = (entry(content, 'box_sizes', (count, 3), path) if 'box_sizes' in content
             else [None] * count)
    labels = []
    for i, model in enumerate(names):
        if not 1 <= class_ids[i] <= len(categories):
            raise InvalidInputError(f'{path}: {model} has class {class_ids[i]}; classes are 1 to '
                                    f'{len(categories)}: correct or make the file again')
        check_rotation(rotations[i], f'{path}: rotation of {model}')
        category = categories[class_ids[i] - 1].name
        scale, t = models.recentring(model, category).inverse.similarity(
            scales[i], rotations[i], translations[i])
        labels.append(NocsLabel(int(instance_ids[i]), int(class_ids[i]), model, boxes[i],
                                float(scale), rotations[i], t, sizes[i], bool(visible[i]),
                                float(visibility[i])))
    return tuple(labels)


def write_labels(path: Path, labels: Sequence[NocsLabel], categories: Sequence[Category],
                 models: ModelFrames) -> None:
    """Write a `_label.pkl` that the published code can use, all of it or nothing.

    Besides the published entries it keeps each object's plain box ('box_sizes', metres) where it
    is known, and its visibility.

    Args:
        path: The file.
        labels: The objects.
        categories: By class id, from 1.
        models: Models of the subset.

    Raises:
        InvalidInputError: If a model is missing.
    """
    count = len(labels)
    scales, translations = np.zeros(count), np.zeros((count, 3))
    sizes, sRT = np.zeros((count, 3)), np.tile(np.eye(4), (count, 1, 1))
    for i, label in enumerate(labels):
        recentring = models.recentring(label.model, categories[label.class_id - 1].name)
        scales[i], translations[i] = recentring.similarity(label.scale, label.R, label.t)
        sizes[i] = centred_extent(models.points(label.model))
        sRT[i, :3, :3], sRT[i, :3, 3] = scales[i] * label.R, translations[i]
    content = {
        'class_ids': [label.class_id for label in labels],
        'instance_ids': [label.instance_id for label in labels],
        'model_list': [label.model for label in labels],
        'bboxes': np.array([label.box for label in labels], dtype=np.int32).reshape(count, 4),
        'scales': scales.astype(np.float32),
        'rotations': np.array([label.R for label in labels],
                              dtype=np.float32).reshape(count, 3, 3),
        'translations': translations.astype(np.float32),
        'size': sizes.astype(np.float32),
        'poses': sRT.astype(np.float32),
        'handle_visibility': np.array([label.handle_visible for label in labels],
                                      dtype=np.int32),
        'visibility': np.array([label.visibility for label in labels], dtype=np.float64),
    }
    plain = [label.size for label in labels if label.size is not None]
    if len(plain) == count:
        content['box_sizes'] = np.array(plain, dtype=np.float64).reshape(count, 3)
    write_pickle(path, content)


def check_rotation(R: FloatArray, what: str) -> None:
    """Refuse a (3, 3) matrix that is no rotation.

    Raises:
        InvalidInputError: If it is not orthonormal to 1e-3, or mirrors.
    """
    if np.abs(R @ R.T - np.eye(3)).max() > 1e-3 or np.linalg.det(R) < 0:
        raise InvalidInputError(f'{what} is {R.tolist()}, which is no rotation; make the label '
                                'again from the raw data')
