"""Writing the files of one BOP scene.

Source: https://github.com/thodan/bop_toolkit/blob/master/docs/bop_datasets_format.md
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from pose_estimation_ros.core.errors import InvalidInputError
from pose_estimation_ros.core.se3 import is_rigid, transform_points
from pose_estimation_ros.datasets.annotated_frame import AnnotatedFrame, ObjectAnnotation
from pose_estimation_ros.datasets.bop_scene import CAMERA, TRUTH, TRUTH_INFO
from pose_estimation_ros.datasets.frame_files import MILLIMETRE
from pose_estimation_ros.datasets.mesh_files import MeshData

FullMasks = Mapping[int, NDArray[np.bool_]]
ModelOf = Callable[[ObjectAnnotation], tuple[int, MeshData]]

_NO_BOX = [-1, -1, -1, -1]
_MAX_COUNT = 65535


class BopSceneWriter:
    """Writes the frames of a scene; made by `BopWriter.scene`."""

    def __init__(self, folder: Path, model_of: ModelOf, depth_scale: float) -> None:
        """Begin an empty scene.

        Args:
            folder: Where to write; made if needed.
            model_of: Returns the number and the mesh (metres) of an annotation's model.
            depth_scale: Millimetres per count of the depth images.
        """
        self._folder, self._model_of, self._depth_scale = folder, model_of, depth_scale
        self._cameras: dict[str, Any] = {}
        self._truth: dict[str, Any] = {}
        self._infos: dict[str, Any] = {}
        self._has_full_masks: bool | None = None
        for name in ('rgb', 'depth', 'mask', 'mask_visib'):
            (folder / name).mkdir(parents=True, exist_ok=True)

    def write(self, frame: AnnotatedFrame, full_masks: FullMasks | None = None) -> int:
        """Write one frame.

        Args:
            frame: With masks. Its name is not kept: images are numbered in their order.
            full_masks: (H, W) silhouette of each object, by instance id, as if nothing covered
                it. Without them the folder `mask` and `px_count_valid` are left out, and
                `px_count_all` follows from the annotation's visibility.

        Returns:
            The number of the image, 0 for the first.

        Raises:
            InvalidInputError: If masks are missing or contradict each other, a pose is not
                rigid, a depth does not fit into 16 bits, or only some frames have full masks.
        """
        if frame.instance_map is None:
            raise InvalidInputError(f'{frame.name} has no instance map; BOP needs the masks')
        if self._has_full_masks not in (None, full_masks is not None):
            raise InvalidInputError(f'{frame.name}: give full masks for all frames of a scene or '
                                    'for none')
        self._has_full_masks = full_masks is not None
        image_id = len(self._cameras)
        key, stem = str(image_id), f'{image_id:06d}'
        self._write_images(frame, stem)
        self._cameras[key] = {'cam_K': frame.frame.intrinsics.K.ravel().tolist(),
                              'depth_scale': self._depth_scale}
        self._truth[key], self._infos[key] = [], []
        for number, annotation in enumerate(frame.objects):
            full = None
            if full_masks is not None:
                full = _full_mask(frame, annotation, full_masks)
                _write_mask(self._folder / 'mask' / f'{stem}_{number:06d}.png', full)
            _write_mask(self._folder / 'mask_visib' / f'{stem}_{number:06d}.png',
                        frame.mask(annotation))
            obj_id, mesh = self._model_of(annotation)
            self._truth[key].append(_truth_entry(frame, annotation, obj_id))
            self._infos[key].append(_info_entry(frame, annotation, mesh, full))
        return image_id

    def close(self) -> None:
        """Write the JSON files, the last ones of a scene."""
        for name in ('mask', 'depth'):
            folder = self._folder / name
            if not any(folder.iterdir()):
                folder.rmdir()
        for name, content in ((CAMERA, self._cameras), (TRUTH, self._truth),
                              (TRUTH_INFO, self._infos)):
            (self._folder / name).write_text(json.dumps(content, indent=1) + '\n')

    def _write_images(self, frame: AnnotatedFrame, stem: str) -> None:
        _write_image(self._folder / 'rgb' / f'{stem}.png',
                     cv2.cvtColor(frame.frame.rgb, cv2.COLOR_RGB2BGR))
        depth = frame.frame.depth
        if depth is None:
            return
        counts = np.round(np.nan_to_num(depth.astype(np.float64), posinf=np.inf)
                          / (MILLIMETRE * self._depth_scale))
        if counts.max(initial=0) > _MAX_COUNT or counts.min(initial=0) < 0:
            raise InvalidInputError(
                f'{frame.name} has depths from {np.nanmin(depth):.4g} to '
                f'{np.nanmax(depth):.4g} m; with {self._depth_scale:g} mm per count 0 to '
                f'{_MAX_COUNT * MILLIMETRE * self._depth_scale:.4g} m fit: give a larger '
                'depth_scale or mark far depths as unknown (NaN)')
        _write_image(self._folder / 'depth' / f'{stem}.png', counts.astype(np.uint16))


def _full_mask(frame: AnnotatedFrame, annotation: ObjectAnnotation,
               full_masks: FullMasks) -> NDArray[np.bool_]:
    what = f'{frame.name}, instance {annotation.instance_id} ({annotation.label})'
    if annotation.instance_id not in full_masks:
        raise InvalidInputError(f'{what} has no full mask; there are {sorted(full_masks)}')
    full = np.asarray(full_masks[annotation.instance_id], dtype=bool)
    visible = frame.mask(annotation)
    if full.shape != visible.shape or (visible & ~full).any():
        raise InvalidInputError(f'{what}: the full mask must be {visible.shape} and hold every '
                                'visible pixel; render it with the camera of the frame')
    return full


def _truth_entry(frame: AnnotatedFrame, annotation: ObjectAnnotation,
                 obj_id: int) -> dict[str, Any]:
    T = annotation.T_camera_object
    if not is_rigid(T):
        raise InvalidInputError(f'{frame.name}: the pose of instance {annotation.instance_id} '
                                f'({annotation.label}) is not rigid: {T.tolist()}; BOP has no '
                                'scale, write it into the mesh')
    return {'obj_id': obj_id, 'cam_R_m2c': T[:3, :3].ravel().tolist(),
            'cam_t_m2c': (T[:3, 3] / MILLIMETRE).tolist()}


def _info_entry(frame: AnnotatedFrame, annotation: ObjectAnnotation, mesh: MeshData,
                full: NDArray[np.bool_] | None) -> dict[str, Any]:
    visible = frame.mask(annotation)
    count = int(np.count_nonzero(visible))
    info: dict[str, Any] = {'bbox_obj': _silhouette_box(frame, annotation, mesh),
                            'bbox_visib': _mask_box(visible), 'px_count_visib': count}
    if full is not None:
        depth = frame.frame.depth
        measured = np.zeros_like(full) if depth is None else np.isfinite(depth)
        info['px_count_all'] = int(np.count_nonzero(full))
        info['px_count_valid'] = int(np.count_nonzero(full & measured))
        info['visib_fract'] = count / max(info['px_count_all'], 1)
    elif np.isfinite(annotation.visibility):
        info['visib_fract'] = float(annotation.visibility)
        info['px_count_all'] = round(count / max(annotation.visibility, 1e-9)) if count else 0
    else:
        raise InvalidInputError(
            f'{frame.name}: how much of instance {annotation.instance_id} ({annotation.label}) is '
            'visible is not known; give its full mask or its visibility')
    return info


def _silhouette_box(frame: AnnotatedFrame, annotation: ObjectAnnotation,
                    mesh: MeshData) -> list[int]:
    """Return x, y, width and height of the whole silhouette, also where it leaves the image."""
    points = transform_points(annotation.T_camera_object, mesh.vertices)
    if points[:, 2].min() <= 0:
        return _NO_BOX
    pixels = frame.frame.intrinsics.project(points)
    low = np.ceil(pixels.min(axis=0)).astype(int)
    high = np.floor(pixels.max(axis=0)).astype(int)
    return [*low.tolist(), *np.maximum(high - low + 1, 1).tolist()]


def _mask_box(mask: NDArray[np.bool_]) -> list[int]:
    if not mask.any():
        return _NO_BOX
    rows, columns = np.nonzero(mask.any(axis=1))[0], np.nonzero(mask.any(axis=0))[0]
    return [int(columns[0]), int(rows[0]), int(columns[-1] - columns[0] + 1),
            int(rows[-1] - rows[0] + 1)]


def _write_mask(path: Path, mask: NDArray[np.bool_]) -> None:
    _write_image(path, mask.astype(np.uint8) * 255)


def _write_image(path: Path, image: NDArray[Any]) -> None:
    if not cv2.imwrite(str(path), image):
        raise InvalidInputError(f'cannot write {path}; check the folder and the space on the disk')
