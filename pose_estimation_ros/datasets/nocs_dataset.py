"""Reader of the NOCS data sets CAMERA and REAL, and of our own data in their layout.

Source: Wang et al., Normalized Object Coordinate Space, CVPR 2019; labels as prepared by Tian et
al., ECCV 2020 (spec sections 3 and 4.1).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Literal, get_args

import cv2
import numpy as np
from numpy.typing import NDArray

from pose_estimation_ros.core.camera import CameraIntrinsics
from pose_estimation_ros.core.categories import Category
from pose_estimation_ros.core.errors import ConfigurationError, InvalidInputError
from pose_estimation_ros.core.frame import RGBDFrame
from pose_estimation_ros.core.se3 import make_transform
from pose_estimation_ros.datasets.annotated_frame import AnnotatedFrame, ObjectAnnotation
from pose_estimation_ros.datasets.frame_files import FRAME_ID
from pose_estimation_ros.datasets.nocs_images import (
    read_depth,
    read_instance_map,
    read_meta,
    read_nocs_map,
    read_png,
)
from pose_estimation_ros.datasets.nocs_labels import NocsLabel, read_labels, visible_objects
from pose_estimation_ros.datasets.nocs_layout import NocsLayout, Subset
from pose_estimation_ros.datasets.nocs_models import (
    Convention,
    NocsModels,
    centred_extent,
    read_extent,
)
from pose_estimation_ros.datasets.nocs_poses import (
    align_with_depth,
    fit_all_pixels,
    match_truth,
    solve_perspective,
)
from pose_estimation_ros.datasets.nocs_results import NocsTruth, read_truth

DepthImages = Literal['objects', 'composed']


@dataclass(frozen=True)
class NocsDataset:
    """A subset of the NOCS data sets as annotated frames.

    Objects are annotated from `_label.pkl` where the frame has one, else from the raw data as
    published: CAMERA train by aligning coordinates with depth, REAL train by perspective, the
    test sets by the poses that NOCS published (where these are missing, by the least squares
    they came from; then every handle counts as visible). What the published preparation leaves
    out stays in the instance map without an annotation: distractors, objects with fewer than 64
    pixels of known depth, those of an improper mesh, and all objects of an image in which one is
    as large as the image.

    Attributes:
        root: Folder with `CAMERA/` or `Real/`, `obj_models/` and, for tests, `gts/`.
        subset: Which of the four.
        convention: Frame and size of the objects. 'nocs': the centred box of the mesh. 'spd': as
            the SPD family trains and is judged: mugs re-centred on their cup's axis, size twice
            the largest coordinate of 1024 surface points.
        depth: Which depth images of CAMERA. 'objects': those beside the colour images, which hold
            the rendered objects only, as published trainings use them. 'composed': those of
            `camera_full_depths/` with the real background.
    """

    root: Path
    subset: Subset
    convention: Convention = 'nocs'
    depth: DepthImages = 'objects'

    def __post_init__(self) -> None:
        """Check the choices.

        Raises:
            ConfigurationError: If a choice is unknown.
        """
        for name, value, known in (('convention', self.convention, get_args(Convention)),
                                   ('depth', self.depth, get_args(DepthImages))):
            if value not in known:
                raise ConfigurationError(f'unknown {name} {value!r} of a NOCS data set; choose '
                                         f'one of {", ".join(known)}')
        object.__setattr__(self, 'root', Path(self.root))

    @cached_property
    def layout(self) -> NocsLayout:
        """Where the files lie."""
        return NocsLayout(self.root, self.subset)

    @cached_property
    def models(self) -> NocsModels:
        """The models of the subset."""
        return NocsModels(self.layout)

    @cached_property
    def categories(self) -> tuple[Category, ...]:
        """The categories by class id, from 1."""
        return self.layout.categories()

    @cached_property
    def frame_names(self) -> tuple[str, ...]:
        """The names of the frames in order, such as 'val/00000/0003'."""
        return self.layout.frames()

    @property
    def name(self) -> str:
        """Name for tables, such as 'REAL275-test'; see `NocsLayout.title`."""
        return self.layout.title

    def __len__(self) -> int:
        """Return the number of frames."""
        return len(self.frame_names)

    def __iter__(self) -> Iterator[AnnotatedFrame]:
        """Read all frames in order."""
        return (self[index] for index in range(len(self)))

    def __getitem__(self, index: int) -> AnnotatedFrame:
        """Read a frame.

        Raises:
            InvalidInputError: If a file of it is missing or wrong; names path and cure.
            IndexError: Past the end.
        """
        name = self.frame_names[index]
        frame = self._read_frame(name, index)
        instance_map, nocs_map = self._read_maps(name, frame)
        label_file = self.layout.file(name, 'label.pkl')
        labels = (read_labels(label_file, self.categories, self.models) if label_file.is_file()
                  else self._labels_of(name, frame, instance_map, nocs_map))
        try:
            objects = tuple(self._annotation(label) for label in labels)
        except InvalidInputError as error:
            raise InvalidInputError(f'{self.layout.file(name, "*")}: {error}') from error
        unseen = {label.instance_id for label in labels} - set(np.unique(instance_map).tolist())
        if unseen:
            raise InvalidInputError(
                f'{label_file} names the instances {sorted(unseen)}, which are not in the mask '
                'beside it; make the label again from the raw data')
        return AnnotatedFrame(name, frame, objects, instance_map,
                              self._object_nocs(nocs_map, instance_map, labels))

    def shape(self, annotation: ObjectAnnotation) -> NDArray[np.float32]:
        """Return (1024, 3) surface points of an object's model, NOCS coordinates.

        Raises:
            InvalidInputError: If the model is missing.
        """
        points = self.models.points(annotation.model)
        if self.convention == 'spd':
            return points
        back = self.models.recentring(annotation.model, annotation.label).inverse
        return np.asarray(back.points(points), dtype=np.float32)

    def raw_labels(self, name: str) -> tuple[NocsLabel, ...]:
        """Return the labels of a frame, computed from its raw data though it may have some.

        Raises:
            InvalidInputError: If a file of it is missing or wrong; names path and cure.
        """
        frame = self._read_frame(name, 0)
        return self._labels_of(name, frame, *self._read_maps(name, frame))

    def _read_frame(self, name: str, index: int) -> RGBDFrame:
        layout = self.layout
        calibration = layout.calibration(name)
        bgr = read_png(layout.file(name, 'color.png'), cv2.IMREAD_COLOR)
        depth_file = (layout.composed_depth_file(name)
                      if self.depth == 'composed' and layout.is_synthetic
                      else layout.file(name, 'depth.png'))
        depth = read_depth(depth_file, calibration.depth_unit)
        _check_size(depth_file, depth, bgr)
        camera = CameraIntrinsics(bgr.shape[1], bgr.shape[0], calibration.K,
                                  calibration.distortion_model, calibration.D)
        return RGBDFrame(index * 1_000_000_000, FRAME_ID, np.ascontiguousarray(bgr[..., ::-1]),
                         depth, camera)

    def _read_maps(self, name: str,
                   frame: RGBDFrame) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
        mask = self.layout.file(name, 'mask.png')
        coordinates = self.layout.file(name, 'coord.png')
        instance_map, nocs_map = read_instance_map(mask), read_nocs_map(coordinates)
        _check_size(mask, instance_map, frame.rgb)
        _check_size(coordinates, nocs_map, frame.rgb)
        return instance_map, nocs_map

    def _labels_of(self, name: str, frame: RGBDFrame, instance_map: NDArray[np.int32],
                   nocs_map: NDArray[np.float32]) -> tuple[NocsLabel, ...]:
        assert frame.depth is not None
        meta = read_meta(self.layout.file(name, 'meta.txt'), len(self.categories))
        objects = visible_objects(instance_map, frame.depth, meta)
        try:
            if self.subset == 'camera_train':
                return align_with_depth(objects, nocs_map, frame.depth, frame.intrinsics)
            if self.subset == 'real_train':
                scales = [self._metric_scale(seen.model) for seen in objects]
                return solve_perspective(objects, nocs_map, frame.intrinsics, scales)
            fitted = fit_all_pixels(objects, nocs_map, frame.depth, frame.intrinsics)
            truth = self._truth(name)
            return fitted if truth is None else match_truth(objects, truth, fitted)
        except InvalidInputError as error:
            raise InvalidInputError(f'{self.layout.file(name, "*")}: {error}') from error

    def _metric_scale(self, model: str) -> float:
        """Return the metres per NOCS unit of a scanned object."""
        return float(np.linalg.norm(read_extent(self.layout.models_folder / f'{model}.txt')))

    def _truth(self, name: str) -> NocsTruth | None:
        """Return what NOCS published, from the file that tells most, or None without a file."""
        truths = [read_truth(path) for path in self.layout.truth_files(name) if path.is_file()]
        complete = [truth for truth in truths if truth.class_ids is not None]
        return next(iter(complete + truths), None)

    def _annotation(self, label: NocsLabel) -> ObjectAnnotation:
        category = self.categories[label.class_id - 1]
        if self.convention == 'spd':
            recentring = self.models.recentring(label.model, category.name)
            scale, t = recentring.similarity(label.scale, label.R, label.t)
            size = scale * centred_extent(self.models.points(label.model))
        else:
            t = label.t
            size = (label.size if label.size is not None
                    else label.scale * self.models.plain_size(label.model, category.name))
        return ObjectAnnotation(label.instance_id, category.name, label.model,
                                make_transform(label.R, t), size, category.symmetry,
                                label.visibility, label.handle_visible)

    def _object_nocs(self, nocs_map: NDArray[np.float32], instance_map: NDArray[np.int32],
                     labels: Sequence[NocsLabel]) -> NDArray[np.float32]:
        """Return the coordinates in the chosen convention, NaN off the annotated objects."""
        known = np.full_like(nocs_map, np.nan)
        for label in labels:
            mask = instance_map == label.instance_id
            nocs = nocs_map[mask]
            if self.convention == 'spd':
                category = self.categories[label.class_id - 1].name
                nocs = self.models.recentring(label.model, category).points(nocs)
            known[mask] = nocs
        return known


def _check_size(path: Path, image: NDArray[np.generic], color: NDArray[np.generic]) -> None:
    if image.shape[:2] != color.shape[:2]:
        height, width = image.shape[:2]
        raise InvalidInputError(
            f'{path} is {width}x{height} but the colour image beside it is {color.shape[1]}x'
            f'{color.shape[0]}; all images of a frame must have one size')
