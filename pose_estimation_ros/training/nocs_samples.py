"""Training views of single objects from annotated frames, as SPD is published to be trained.

Of each frame one object is taken at random, and 1024 of its pixels. Views of
`datasets.nocs_dataset.NocsDataset` with the convention 'spd' equal the published ones before
augmentation; `full_task` augments them and turns symmetric objects to their
representative.

Source: data set code of Tian et al., ECCV 2020 (spec sections 3 and 4.2).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pose_estimation_ros.backends.point_preparation import choose_points
from pose_estimation_ros.backends.spd_preprocessing import (
    CropWindow,
    crop_pixel_index,
    crop_window,
    resized_crop,
)
from pose_estimation_ros.core.categories import CATEGORY_NAMES
from pose_estimation_ros.core.errors import InvalidInputError
from pose_estimation_ros.datasets.annotated_frame import AnnotatedFrame, ObjectAnnotation
from pose_estimation_ros.datasets.nocs_dataset import NocsDataset
from pose_estimation_ros.datasets.nocs_models import Convention
from pose_estimation_ros.training.batch_plan import Draw, PassOrder
from pose_estimation_ros.training.color_crops import POINTS, ColorCrops, stack_crops


@dataclass(frozen=True, eq=False)
class ObjectPixels:
    """The crop of an object, and its pixels in there that can become points, in raster order.

    Attributes:
        window: The crop.
        rows: (P,) rows in the image.
        columns: (P,) columns in the image.
    """

    window: CropWindow
    rows: NDArray[np.intp]
    columns: NDArray[np.intp]

    def __len__(self) -> int:
        """Return the number of pixels."""
        return len(self.rows)


def object_pixels(frame: AnnotatedFrame, annotation: ObjectAnnotation) -> ObjectPixels:
    """Return the pixels of an object inside its crop that have depth and NOCS coordinates.

    Raises:
        InvalidInputError: If the frame lacks depth, masks or NOCS coordinates, or none of the
            object's pixels has both.
    """
    depth = frame.frame.depth
    if depth is None or frame.nocs_map is None:
        raise InvalidInputError(f'{frame.name} has no depth or no NOCS coordinates; training '
                                'needs both')
    rows, columns = np.nonzero(frame.mask(annotation))
    known = (depth[rows, columns] > 0) & np.isfinite(frame.nocs_map[rows, columns]).all(axis=1)
    if not known.any():
        raise InvalidInputError(f'{frame.name}: {annotation.label} (instance '
                                f'{annotation.instance_id}) has no pixel with depth and NOCS '
                                'coordinates; leave its annotation out')
    box = (columns.min(), rows.min(), columns.max() + 1, rows.max() + 1)
    window = crop_window(box, *depth.shape)
    known &= ((rows >= window.y) & (rows < window.y + window.size)
              & (columns >= window.x) & (columns < window.x + window.size))
    return ObjectPixels(window, rows[known], columns[known])


def object_view(frame: AnnotatedFrame, annotation: ObjectAnnotation, shape: NDArray[np.float32],
                pixels: ObjectPixels, chosen: NDArray[np.intp]
                ) -> tuple[NDArray[np.generic], ...]:
    """Return the training view of an object.

    Args:
        frame: Undistorted frame.
        annotation: The object.
        shape: (V, 3) surface points of its model, NOCS coordinates, in the annotation's frame.
        pixels: Of `object_pixels`.
        chosen: (N,) indices into them, see `point_preparation.choose_points`.

    Returns:
        The fields of `ColorCrops` for one view.

    Raises:
        InvalidInputError: If the category is none of the six.
    """
    if annotation.label not in CATEGORY_NAMES:
        raise InvalidInputError(f'{frame.name}: SPD knows {", ".join(CATEGORY_NAMES)}, but not '
                                f'{annotation.label!r}; leave such objects out')
    assert frame.frame.depth is not None
    assert frame.nocs_map is not None
    rows, columns, window = pixels.rows[chosen], pixels.columns[chosen], pixels.window
    places = np.stack([columns, rows], axis=1).astype(np.float64)
    points = frame.frame.intrinsics.back_project(places, frame.frame.depth[rows, columns])
    return (
        resized_crop(frame.frame.rgb, window),
        points.astype(np.float32),
        crop_pixel_index(rows - window.y, columns - window.x, window.size).astype(np.int32),
        frame.nocs_map[rows, columns],
        np.int64(CATEGORY_NAMES.index(annotation.label)),
        annotation.T_camera_object[:3, :3].astype(np.float32),
        shape,
    )


class NocsViews:
    """Training views drawn from NOCS data sets on disk, a `SampleSource`.

    Each pass takes every frame once and of each a random object, as published. A frame without
    objects is passed over.
    """

    def __init__(self, datasets: Sequence[NocsDataset]) -> None:
        """Take the data sets, whose frames are drawn together.

        Raises:
            InvalidInputError: If one of them has no frames.
        """
        self._datasets = tuple(datasets)
        self._ends = np.cumsum([len(dataset) for dataset in self._datasets])
        self._order = PassOrder(int(self._ends[-1]))

    @property
    def conventions(self) -> frozenset[Convention]:
        """Frames of the objects in its data sets."""
        return frozenset(dataset.convention for dataset in self._datasets)

    def samples(self, draw: Draw) -> ColorCrops:
        """Return the views of a draw; the same draw gives the same views."""
        generator = np.random.default_rng((*draw.seed, draw.first))
        return stack_crops([self._view(int(item), generator) for item in self._order.items(draw)])

    def advance(self, now: int, ahead: int) -> None:
        """Do nothing."""

    def close(self) -> None:
        """Do nothing."""

    def _view(self, item: int, generator: np.random.Generator) -> tuple[NDArray[np.generic], ...]:
        for step in range(int(self._ends[-1])):
            dataset, frame = self._frame((item + step) % int(self._ends[-1]))
            if frame.objects:
                break
        else:
            raise InvalidInputError(f'no frame of {self._datasets[0].root} has a labelled object; '
                                    'check its _meta.txt files')
        annotation = frame.objects[int(generator.integers(len(frame.objects)))]
        pixels = object_pixels(frame, annotation)
        chosen = choose_points(len(pixels), POINTS, generator)
        return object_view(frame, annotation, dataset.shape(annotation), pixels, chosen)

    def _frame(self, item: int) -> tuple[NocsDataset, AnnotatedFrame]:
        number = int(np.searchsorted(self._ends, item, side='right'))
        dataset = self._datasets[number]
        return dataset, dataset[item - int(self._ends[number]) + len(dataset)]
