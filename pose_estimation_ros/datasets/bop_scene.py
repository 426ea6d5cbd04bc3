"""The JSON files of one BOP scene, checked and converted to metres.

Source: https://github.com/thodan/bop_toolkit/blob/master/docs/bop_datasets_format.md
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pose_estimation_ros.core.errors import InvalidInputError
from pose_estimation_ros.core.rotation import nearest_rotation
from pose_estimation_ros.core.se3 import make_transform
from pose_estimation_ros.datasets.frame_files import MILLIMETRE, Calibration, read_json

FloatArray = NDArray[np.float64]

CAMERA = 'scene_camera.json'
TRUTH = 'scene_gt.json'
TRUTH_INFO = 'scene_gt_info.json'
# Released rotations are printed with few digits; what is farther from a rotation is damaged.
_ROTATION_TOLERANCE = 1e-3
_NEEDED = 'it needs obj_id, cam_R_m2c (9 numbers) and cam_t_m2c (3 numbers, mm)'


@dataclass(frozen=True, eq=False)
class BopTruth:
    """The objects annotated in one image, in the order of `scene_gt.json`.

    Attributes:
        obj_ids: (N,) int64 numbers of the models.
        T_camera_object: (N, 4, 4) float64 rigid poses, metres, camera optical frame.
        visibility: (N,) float64 share of the silhouette that is visible, NaN = unknown.
        visible_boxes: (N, 4) float64 (x_min, y_min, x_max, y_max) pixels of the visible part,
            upper bounds exclusive, NaN = unknown or nothing visible.
        boxes: (N, 4) float64 the same of the whole silhouette, also where it leaves the image.
    """

    obj_ids: NDArray[np.int64]
    T_camera_object: FloatArray
    visibility: FloatArray
    visible_boxes: FloatArray
    boxes: FloatArray


class BopScene:
    """One scene: a folder with images and `scene_camera.json`.

    The truth is read when it is first asked for and then kept, some hundred bytes per object.
    """

    def __init__(self, folder: Path) -> None:
        """Read the cameras.

        Args:
            folder: Named by the scene's number, such as `000048`.

        Raises:
            InvalidInputError: If `scene_camera.json` is missing or an entry lacks cam_K.
        """
        self.folder = folder
        self.scene_id = int(folder.name)
        cameras = folder / CAMERA
        self._cameras = {int(key): _calibration(cameras, key, values)
                         for key, values in read_json(cameras).items()}

    @property
    def image_ids(self) -> tuple[int, ...]:
        """Numbers of the images, sorted."""
        return tuple(sorted(self._cameras))

    def calibration(self, image_id: int) -> Calibration:
        """Return the camera of an image.

        Raises:
            InvalidInputError: If the scene has no such image.
        """
        if image_id not in self._cameras:
            raise InvalidInputError(f'{self.folder / CAMERA} has no image {image_id}; it has '
                                    f'{_range(self.image_ids)}')
        return self._cameras[image_id]

    def truth(self, image_id: int) -> BopTruth:
        """Return what is annotated in an image.

        Raises:
            InvalidInputError: If the scene has no annotations, or none of this image, or a value
                of them cannot be used.
        """
        if image_id not in self._truth:
            raise InvalidInputError(f'{self.folder / TRUTH} has no image {image_id}; it has '
                                    f'{_range(tuple(sorted(self._truth)))}')
        return self._truth[image_id]

    @cached_property
    def _truth(self) -> dict[int, BopTruth]:
        path = self.folder / TRUTH
        if not path.is_file():
            raise InvalidInputError(
                f'{path} is missing; the annotations of some test splits are not public: choose a '
                'split with annotations, or read the frames without them (open_frames)')
        info_path = self.folder / TRUTH_INFO
        infos = read_json(info_path) if info_path.is_file() else {}
        return {int(key): self._image_truth(key, entries, infos.get(key))
                for key, entries in read_json(path).items()}

    def _image_truth(self, image_id: str, entries: Sequence[Mapping[str, Any]],
                     infos: Sequence[Mapping[str, Any]] | None) -> BopTruth:
        poses = _poses(f'{self.folder / TRUTH}, image {image_id}', entries)
        if infos is None:
            infos = [{}] * len(entries)
        elif len(infos) != len(entries):
            raise InvalidInputError(
                f'{self.folder / TRUTH_INFO}, image {image_id} has {len(infos)} entries, '
                f'{TRUTH} has {len(entries)}; compute it anew (bop_toolkit: calc_gt_info.py)')
        return BopTruth(
            obj_ids=np.array([entry['obj_id'] for entry in entries], dtype=np.int64),
            T_camera_object=poses,
            visibility=np.array([info.get('visib_fract', np.nan) for info in infos], np.float64),
            visible_boxes=_boxes(infos, 'bbox_visib'),
            boxes=_boxes(infos, 'bbox_obj'))


def _calibration(path: Path, image_id: str, values: Mapping[str, Any]) -> Calibration:
    try:
        K = np.array(values['cam_K'], dtype=np.float64).reshape(3, 3)
        unit = MILLIMETRE * float(values.get('depth_scale', 1.0))
    except (KeyError, ValueError, TypeError) as error:
        raise InvalidInputError(f'{path}: the camera of image {image_id} cannot be used '
                                f'({error!r}); it needs cam_K with 9 numbers') from error
    return Calibration(K, np.zeros(0), unit)


def _poses(where: str, entries: Sequence[Mapping[str, Any]]) -> FloatArray:
    """Return the (N, 4, 4) poses of the entries of an image in `scene_gt.json`, metres."""
    numbers = [_numbers(f'{where}, entry {index}', entry) for index, entry in enumerate(entries)]
    values = np.array(numbers, dtype=np.float64).reshape(-1, 12)
    R, t = values[:, :9].reshape(-1, 3, 3), MILLIMETRE * values[:, 9:]
    finite = np.isfinite(values).all(axis=1)
    for index in np.nonzero(~finite)[0]:
        raise InvalidInputError(
            f'{where}, entry {index}: the pose of object {entries[index]["obj_id"]} is not '
            f'finite, R {R[index].ravel().tolist()}, t {t[index].tolist()} m; correct or remove '
            'it')
    skewed = np.abs(R @ R.swapaxes(1, 2) - np.eye(3)).max(axis=(1, 2)) > _ROTATION_TOLERANCE
    for index in np.nonzero(skewed | (np.linalg.det(R) < 0))[0]:
        raise InvalidInputError(
            f'{where}, entry {index}: cam_R_m2c of object {entries[index]["obj_id"]} is no '
            f'rotation: {R[index].ravel().tolist()}; correct it')
    # The digits of the file are too few for code that checks rotations closely.
    return make_transform(nearest_rotation(R), t)


def _numbers(where: str, entry: Mapping[str, Any]) -> list[float]:
    """Return the 9 numbers of the rotation and the 3 of the translation (mm) of an entry."""
    try:
        int(entry['obj_id'])
        numbers = [float(value) for value in (*entry['cam_R_m2c'], *entry['cam_t_m2c'])]
        lengths = len(entry['cam_R_m2c']), len(entry['cam_t_m2c'])
    except (KeyError, ValueError, TypeError) as error:
        raise InvalidInputError(f'{where} cannot be used ({error!r}); {_NEEDED}') from error
    if lengths != (9, 3):
        raise InvalidInputError(f'{where} cannot be used (it has {lengths[0]} and {lengths[1]} '
                                f'numbers); {_NEEDED}')
    return numbers


def _boxes(infos: Sequence[Mapping[str, Any]], key: str) -> FloatArray:
    boxes = np.full((len(infos), 4), np.nan)
    for index, info in enumerate(infos):
        x, y, width, height = info.get(key, (-1, -1, -1, -1))
        if width > 0 and height > 0:
            boxes[index] = x, y, x + width, y + height
    return boxes


def _range(image_ids: Sequence[int]) -> str:
    if not image_ids:
        return 'no image'
    return f'{len(image_ids)} images from {image_ids[0]} to {image_ids[-1]}'
