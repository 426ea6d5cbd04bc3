"""Writing the files of one folder of NOCS frames."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pose_estimation_ros.core.camera import CameraIntrinsics
from pose_estimation_ros.core.categories import CATEGORY_NAMES, Category
from pose_estimation_ros.core.errors import InvalidInputError
from pose_estimation_ros.core.se3 import is_rigid
from pose_estimation_ros.datasets.annotated_frame import AnnotatedFrame, ObjectAnnotation
from pose_estimation_ros.datasets.atomic_files import write_atomically
from pose_estimation_ros.datasets.nocs_images import (
    MetaLine,
    depth_as_counts,
    exchange_background,
    in_two_channels,
    nocs_map_image,
    write_meta,
    write_png,
)
from pose_estimation_ros.datasets.nocs_labels import (
    NocsLabel,
    VisibleObject,
    visible_objects,
    write_labels,
)
from pose_estimation_ros.datasets.nocs_layout import SYNSETS, NocsLayout
from pose_estimation_ros.datasets.nocs_models import ModelFrames
from pose_estimation_ros.datasets.nocs_pickles import write_pickle

_NO_SYNSET = '00000000'
_LARGEST_ID = 255


class NocsSceneWriter:
    """Writes the frames of a folder; made by `NocsWriter.scene`."""

    def __init__(self, folder: Path, scene: str, layout: NocsLayout,
                 categories: Sequence[Category], models: ModelFrames) -> None:
        """Begin an empty folder.

        Args:
            folder: Where to write; made if needed.
            scene: Name that the folder will have.
            layout: Of the subset.
            categories: By class id, from 1.
            models: The models that the objects are instances of.
        """
        self._folder, self._scene, self._layout = folder, scene, layout
        self._categories, self._models = categories, models
        self._class_ids = {category.name: i for i, category in enumerate(categories, start=1)}
        self._camera: CameraIntrinsics | None = None
        self._frames = 0
        folder.mkdir(parents=True, exist_ok=True)

    def write(self, frame: AnnotatedFrame) -> str:
        """Write one frame.

        Depth is kept in millimetres, NOCS coordinates in steps of 1/255. Objects without a pixel
        are not kept; what the published preparation leaves out (see `nocs_labels`) is kept in the
        mask and in the list of objects, without a label.

        Args:
            frame: With depth, instance map and NOCS map. Its name is not kept.

        Returns:
            The name that the frame has in this data set.

        Raises:
            InvalidInputError: If something is missing, the cameras of the folder differ, an id
                does not fit into a mask, a category or model is unknown, or a pose is not rigid.
        """
        if frame.instance_map is None or frame.nocs_map is None or frame.frame.depth is None:
            raise InvalidInputError(f'{frame.name} lacks depth, instance map or NOCS map; the '
                                    'NOCS layout needs all of them')
        largest, smallest = int(frame.instance_map.max()), int(frame.instance_map.min())
        if smallest < 0 or largest > _LARGEST_ID:
            raise InvalidInputError(f'{frame.name} has instances {smallest} to {largest}; a mask '
                                    f'of 8 bits can hold 1 to {_LARGEST_ID}: number them anew')
        self._keep_camera(frame)
        name = f'{self._frames:04d}'
        counts = depth_as_counts(frame.frame.depth)
        mask = exchange_background(frame.instance_map.astype(np.uint8))
        if self._layout.is_synthetic:
            self._image(name, 'depth', in_two_channels(counts))
            self._image(name, 'mask', np.repeat(mask[..., None], 3, axis=2))
        else:
            self._image(name, 'depth', counts)
            self._image(name, 'mask', mask)
        self._image(name, 'color', np.ascontiguousarray(frame.frame.rgb[..., ::-1]))
        self._image(name, 'coord', nocs_map_image(frame.nocs_map))
        meta = self._meta(frame)
        write_meta(self._folder / f'{name}_meta.txt', [_as_in_mask(line) for line in meta])
        kept = visible_objects(frame.instance_map, counts.astype(np.float32), meta)
        truth = {annotation.instance_id: annotation for annotation in frame.objects}
        labels = [_label(seen, truth[seen.instance_id]) for seen in kept]
        write_labels(self._folder / f'{name}_label.pkl', labels, self._categories, self._models)
        full_name = f'{self._layout.split}/{self._scene}/{name}'
        if self._layout.split != 'train':
            self._write_truth(full_name, labels)
        self._frames += 1
        return full_name

    def close(self) -> None:
        """Write the camera, which makes the folder complete.

        Raises:
            InvalidInputError: If no frame was written.
        """
        if self._camera is None:
            raise InvalidInputError(f'{self._folder} has no frame; write one or leave it out')
        content = {'K': self._camera.K.tolist(), 'D': self._camera.D.tolist()}
        write_atomically(self._folder / 'camera.json', json.dumps(content).encode())

    def _image(self, name: str, kind: str, image: NDArray[np.generic]) -> None:
        write_png(self._folder / f'{name}_{kind}.png', image)

    def _keep_camera(self, frame: AnnotatedFrame) -> None:
        camera = frame.frame.intrinsics
        if camera.is_distorted and camera.distortion_model != 'plumb_bob':
            raise InvalidInputError(f'{frame.name} has the distortion model '
                                    f'{camera.distortion_model!r}; only plumb_bob can be kept: '
                                    'undistort the frame')
        before = self._camera or camera
        if not (np.array_equal(before.K, camera.K) and np.array_equal(before.D, camera.D)):
            raise InvalidInputError(
                f'{frame.name} has the camera {camera.K.tolist()}, frames before it '
                f'{before.K.tolist()}; a folder has one camera: begin another folder')
        self._camera = camera

    def _meta(self, frame: AnnotatedFrame) -> list[MetaLine]:
        """Return a line for every instance of the mask; unannotated ones are distractors."""
        assert frame.instance_map is not None
        annotated = {annotation.instance_id: annotation for annotation in frame.objects}
        lines = []
        for instance_id in map(int, np.unique(frame.instance_map[frame.instance_map > 0])):
            if instance_id in annotated:
                lines.append(self._object_line(frame, annotated[instance_id]))
            else:
                synset = _NO_SYNSET if self._layout.is_synthetic else ''
                lines.append(MetaLine(instance_id, 0, 'distractor', synset))
        return lines

    def _object_line(self, frame: AnnotatedFrame, annotation: ObjectAnnotation) -> MetaLine:
        if annotation.label not in self._class_ids:
            raise InvalidInputError(
                f'{frame.name}: {annotation.label!r} (instance {annotation.instance_id}) is none '
                f'of the categories {", ".join(self._class_ids)}; give the writer all of them')
        if not is_rigid(annotation.T_camera_object):
            raise InvalidInputError(
                f'{frame.name}: the pose of instance {annotation.instance_id} '
                f'({annotation.label}) is not rigid: {annotation.T_camera_object.tolist()}; '
                'divide its scale out')
        # Ask for it now: a missing model must not be found out at the end of the folder.
        self._models.points(annotation.model)
        class_id = self._class_ids[annotation.label]
        synset = ''
        if self._layout.is_synthetic:
            synset = (SYNSETS[CATEGORY_NAMES.index(annotation.label)]
                      if annotation.label in CATEGORY_NAMES else _NO_SYNSET)
        return MetaLine(annotation.instance_id, class_id, annotation.model, synset)

    def _write_truth(self, name: str, labels: Sequence[NocsLabel]) -> None:
        """Write what NOCS keeps in `gts/` about its test sets."""
        count = len(labels)
        sRT = np.tile(np.eye(4), (count, 1, 1))
        sizes = np.zeros((count, 3))
        for i, label in enumerate(labels):
            sRT[i, :3, :3], sRT[i, :3, 3] = label.scale * label.R, label.t
            sizes[i] = np.asarray(label.size) / label.scale
        visible = np.array([label.handle_visible for label in labels], dtype=np.int64)
        write_pickle(self._layout.gts_file(name), {
            'image_id': int(name.split('/')[2]),
            'obj_list': [label.model for label in labels],
            'gt_class_ids': np.array([label.class_id for label in labels], dtype=np.int64),
            'gt_bboxes': np.array([label.box for label in labels],
                                  dtype=np.int32).reshape(count, 4),
            'gt_RTs': sRT, 'gt_scales': sizes,
            'handle_visibility': visible, 'gt_handle_visibility': visible,
        })


def _label(seen: VisibleObject, annotation: ObjectAnnotation) -> NocsLabel:
    T = annotation.T_camera_object
    return NocsLabel(seen.instance_id, seen.class_id, seen.model, seen.box, annotation.diagonal,
                     T[:3, :3], T[:3, 3], annotation.size, annotation.handle_visible,
                     annotation.visibility)


def _as_in_mask(line: MetaLine) -> MetaLine:
    """Return the line with the instance's value in the mask file, where 255 is background."""
    instance_id = int(exchange_background(np.array([line.instance_id]))[0])
    return MetaLine(instance_id, line.class_id, line.model, line.synset)
