"""Data sets in the BOP layout, with their truth.

Millimetres end here: whatever leaves this module is in metres.

Source: https://github.com/thodan/bop_toolkit/blob/master/docs/bop_datasets_format.md
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from pose_estimation_ros.core.errors import InvalidInputError
from pose_estimation_ros.datasets.annotated_frame import AnnotatedFrame, ObjectAnnotation
from pose_estimation_ros.datasets.bop import COLOR_FOLDERS, DEPTH_FOLDERS, find_image
from pose_estimation_ros.datasets.bop_models import (
    MODELS_INFO,
    BopModel,
    read_models,
    read_object_names,
)
from pose_estimation_ros.datasets.bop_scene import CAMERA, BopScene, BopTruth
from pose_estimation_ros.datasets.frame_files import FrameFiles, read_image

_VISIBLE_MASKS = 'mask_visib'


@dataclass(frozen=True)
class BopTarget:
    """An image to estimate in, and in the older form what is in it.

    Attributes:
        scene_id: Number of the scene.
        image_id: Number of the image.
        obj_id: Number of the object to find; None in the form of BOP24 (whatever is there).
        instance_count: How many of it; None in the form of BOP24.
    """

    scene_id: int
    image_id: int
    obj_id: int | None = None
    instance_count: int | None = None


class BopDataset:
    """A split of a BOP data set; implements `AnnotatedDataset`.

    Object frames are those of the CAD models, `ObjectAnnotation.size` is the extent from
    `models_info.json`, `instance_id` is the index in `scene_gt.json` plus 1. An object's label is
    its model's name ('obj_000001') unless `object_names.json` in the root gives another.
    """

    def __init__(self, root: Path, split: str, targets: str = '', models: str = 'models') -> None:
        """Find the images; poses and masks are read with the frames.

        Args:
            root: Folder of the data set, with the models and the splits in it.
            split: Name of the folder of the split, such as 'test_primesense'.
            targets: File in the root that chooses the images, such as
                'test_targets_bop19.json'; '' = all images.
            models: Folder in the root with `models_info.json`, such as 'models_eval'.

        Raises:
            InvalidInputError: If a folder or file is missing, or the targets name an image that
                is not there.
        """
        self.root, self.split = root, split
        if not (root / split).is_dir():
            raise InvalidInputError(f'{root} has no split {split!r}; it has '
                                    f'{", ".join(list_splits(root)) or "none (is it BOP?)"}')
        self.models_folder = root / models
        self.models = read_models(self.models_folder)
        self._names = read_object_names(root)
        scenes = [BopScene(folder) for folder in _scene_folders(root / split)]
        if not scenes:
            raise InvalidInputError(f'{root / split} has no scene folder (000000, 000001, ...) '
                                    f'with {CAMERA}')
        self._scenes = {scene.scene_id: scene for scene in scenes}
        self.targets = read_targets(root / targets) if targets else ()
        if targets:
            self._entries = sorted({(target.scene_id, target.image_id)
                                    for target in self.targets})
            self._check_targets(root / targets)
        else:
            self._entries = [(scene.scene_id, image_id) for scene in scenes
                             for image_id in scene.image_ids]

    @property
    def name(self) -> str:
        """Name for tables, such as 'tless-test_primesense'."""
        return f'{self.root.resolve().name}-{self.split}'

    def __len__(self) -> int:
        """Return the number of frames."""
        return len(self._entries)

    def __getitem__(self, index: int) -> AnnotatedFrame:
        """Read a frame; depth is None where the data set has no depth image.

        Raises:
            InvalidInputError: If a file of it is missing or wrong; names path and cure.
            IndexError: Past the end.
        """
        scene_id, image_id = self._entries[index]
        scene = self._scenes[scene_id]
        truth = scene.truth(image_id)
        frame = self._files(scene, image_id).load(stamp_ns=index * 1_000_000_000)
        objects = tuple(self._annotation(scene, image_id, truth, number)
                        for number in range(len(truth.obj_ids)))
        return AnnotatedFrame(self.frame_name(index), frame, objects,
                              _instance_map(scene.folder, image_id, len(objects),
                                            frame.rgb.shape[:2]))

    def __iter__(self) -> Iterator[AnnotatedFrame]:
        """Read all frames in order."""
        return (self[index] for index in range(len(self)))

    def frame_name(self, index: int) -> str:
        """Return the name of a frame without reading it: '<scene>/<image>', six digits each."""
        scene_id, image_id = self._entries[index]
        return f'{scene_id:06d}/{image_id:06d}'

    def truth(self, index: int) -> BopTruth:
        """Return poses, boxes and visibilities of a frame without reading its images.

        Raises:
            InvalidInputError: As `BopScene.truth`.
        """
        scene_id, image_id = self._entries[index]
        return self._scenes[scene_id].truth(image_id)

    def label(self, obj_id: int) -> str:
        """Return the label of an object."""
        return self._names.get(obj_id, self.models[obj_id].name)

    def _check_targets(self, path: Path) -> None:
        missing = [entry for entry in self._entries if entry[0] not in self._scenes
                   or entry[1] not in self._scenes[entry[0]].image_ids]
        if missing:
            raise InvalidInputError(
                f'{path} names {len(missing)} images that {self.root / self.split} lacks, first '
                f'scene {missing[0][0]} image {missing[0][1]}; download the whole split or give '
                'the targets of this split')

    def _files(self, scene: BopScene, image_id: int) -> FrameFiles:
        color = find_image(scene.folder, COLOR_FOLDERS, image_id)
        if color is None:
            raise InvalidInputError(
                f'{scene.folder} has no image {image_id:06d} in rgb/ or gray/ (.png, .jpg, .tif); '
                'download the images of the split')
        depth = find_image(scene.folder, DEPTH_FOLDERS, image_id)
        return FrameFiles(f'{image_id:06d}', color, depth, scene.calibration(image_id))

    def _annotation(self, scene: BopScene, image_id: int, truth: BopTruth,
                    number: int) -> ObjectAnnotation:
        model = self._model(scene, image_id, int(truth.obj_ids[number]))
        return ObjectAnnotation(
            instance_id=number + 1, label=self.label(model.obj_id), model=model.name,
            T_camera_object=truth.T_camera_object[number], size=model.size,
            symmetry=model.symmetry, visibility=float(truth.visibility[number]))

    def _model(self, scene: BopScene, image_id: int, obj_id: int) -> BopModel:
        if obj_id not in self.models:
            raise InvalidInputError(
                f'{scene.folder}, image {image_id}: there is no object {obj_id} in '
                f'{self.models_folder / MODELS_INFO}; it has {sorted(self.models)}. Download the '
                'models of this data set or correct obj_id')
        return self.models[obj_id]


def list_splits(root: Path) -> list[str]:
    """Return the folders of a BOP data set that hold scenes."""
    return sorted({path.parents[1].name for path in root.glob(f'*/*/{CAMERA}')
                   if path.parent.name.isdigit()})


def read_targets(path: Path) -> tuple[BopTarget, ...]:
    """Read a file of test targets, in the form of BOP19 or BOP24.

    Raises:
        InvalidInputError: If the file is missing or an entry lacks scene_id or im_id.
    """
    try:
        return tuple(BopTarget(int(entry['scene_id']), int(entry['im_id']),
                               entry.get('obj_id'), entry.get('inst_count'))
                     for entry in json.loads(path.read_text(encoding='utf-8')))
    except OSError as error:
        there = ', '.join(sorted(file.name for file in path.parent.glob('*targets*.json')))
        raise InvalidInputError(f'cannot read the targets {path}: {error.strerror}; the folder '
                                f'has {there or "no file of targets, leave the option out"}'
                                ) from error
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise InvalidInputError(f'cannot use {path} ({error!r}); targets are a JSON list of '
                                'objects with scene_id, im_id and, before 2024, obj_id and '
                                'inst_count') from error


def _scene_folders(split: Path) -> list[Path]:
    return sorted(path.parent for path in split.glob(f'*/{CAMERA}')
                  if path.parent.name.isdigit())


def _instance_map(scene: Path, image_id: int, count: int,
                  shape: tuple[int, int]) -> NDArray[np.int32] | None:
    """Return the (H, W) map of the visible masks; None if the scene has none."""
    folder = scene / _VISIBLE_MASKS
    if not folder.is_dir():
        return None
    instances = np.zeros(shape, dtype=np.int32)
    for number in range(count):
        path = folder / f'{image_id:06d}_{number:06d}.png'
        mask = read_image(path, cv2.IMREAD_GRAYSCALE)
        if mask.shape != shape:
            raise InvalidInputError(f'{path} is {mask.shape[1]}x{mask.shape[0]}, its image is '
                                    f'{shape[1]}x{shape[0]}; compute the masks anew')
        instances[mask > 0] = number + 1
    return instances
