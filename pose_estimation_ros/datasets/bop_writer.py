"""Writing data sets in the BOP layout, by several processes and resumable by scene.

Metres end here: whatever lies on the disk is in millimetres.

Source: https://github.com/thodan/bop_toolkit/blob/master/docs/bop_datasets_format.md
"""

from __future__ import annotations

import json
import shutil
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from pose_estimation_ros.core.errors import ConfigurationError, InvalidInputError
from pose_estimation_ros.core.symmetry import Symmetry
from pose_estimation_ros.datasets.annotated_frame import ObjectAnnotation
from pose_estimation_ros.datasets.atomic_files import publish, temporary_name, write_atomically
from pose_estimation_ros.datasets.bop_models import MODELS_INFO, OBJECT_NAMES, symmetry_entries
from pose_estimation_ros.datasets.bop_scene import BopScene
from pose_estimation_ros.datasets.bop_scene_writer import BopSceneWriter
from pose_estimation_ros.datasets.frame_files import MILLIMETRE, read_image, read_json
from pose_estimation_ros.datasets.mesh_files import (
    MeshData,
    check_extent,
    diameter,
    read_mesh,
    write_ply,
)

# Counts of 0.2 mm reach to 13 m and round finer than any depth camera measures.
DEPTH_SCALE = 0.2
# BOP asks for an object if at least a tenth of it can be seen.
_MIN_VISIBILITY = 0.1
_ENTRIES = '.entries'
_EXTENT_TOLERANCE = 0.01


class BopWriter:
    """Writes a split of a BOP data set.

    Processes share nothing but the folder. Each calls `add_model` for what it needs (a model that
    is there is not written again) and writes whole scenes; one calls `finish` at the end:

        writer = BopWriter(root, 'test', {'mug_a': 1})
        writer.add_model('mug_a', 'mug', vertices, faces, symmetry)
        if not writer.is_written(0):
            with writer.scene(0) as scene:
                scene.write(frame)
        writer.finish()
    """

    def __init__(self, root: Path, split: str, object_ids: Mapping[str, int],
                 depth_scale: float = DEPTH_SCALE) -> None:
        """Prepare to write.

        Args:
            root: Folder of the data set; made if needed.
            split: Name of the split, such as 'train_pbr' or 'test'.
            object_ids: Number (1 to 999999) of every model by its name in
                `ObjectAnnotation.model`; the same in all processes.
            depth_scale: Millimetres per count of the depth images.

        Raises:
            ConfigurationError: If a number is used twice or out of range.
        """
        repeated = [number for number, times in Counter(object_ids.values()).items() if times > 1]
        outside = [number for number in object_ids.values() if not 1 <= number <= 999999]
        if repeated or outside:
            raise ConfigurationError(f'object ids must differ and be 1 to 999999; repeated: '
                                     f'{repeated}, out of range: {outside}')
        if not split.split('_', maxsplit=1)[0]:
            raise ConfigurationError(f'split {split!r} has no name; give train, val or test, with '
                                     'a type if needed (train_pbr)')
        self._root, self._split_folder, self._split = Path(root), Path(root) / split, split
        self._object_ids, self._depth_scale = dict(object_ids), depth_scale
        self._meshes: dict[str, MeshData] = {}

    def add_model(self, name: str, label: str, vertices: NDArray[np.floating],
                  faces: NDArray[np.integer], symmetry: Symmetry,
                  colors: NDArray[np.uint8] | None = None) -> None:
        """Write a model unless it is there.

        Args:
            name: As in `object_ids`.
            label: What it is called when read again, such as its category.
            vertices: (V, 3) metres, object frame.
            faces: (F, 3) vertex indices, counter-clockwise seen from outside.
            symmetry: Of the model.
            colors: (V, 3) red, green, blue of the vertices; None = none.

        Raises:
            InvalidInputError: If the name has no number or the mesh is not in metres.
        """
        if name in self._meshes:
            return
        points = np.asarray(vertices, dtype=np.float64)
        check_extent(np.ptp(points, axis=0), f'model {name!r}', 'metres')
        obj_id = self._object_id(name)
        self._meshes[name] = MeshData(points, np.asarray(faces, dtype=np.int32))
        path = self._model_path(obj_id)
        entry_path = path.parent / _ENTRIES / f'{path.stem}.json'
        if path.is_file() and (entry_path.is_file() or str(obj_id) in self._merged_entries()):
            return
        path.parent.mkdir(parents=True, exist_ok=True)
        write_ply(path, points, faces, MILLIMETRE, colors)
        low, size = points.min(axis=0) / MILLIMETRE, np.ptp(points, axis=0) / MILLIMETRE
        info = {'diameter': diameter(points) / MILLIMETRE}
        info |= {f'min_{axis}': float(value) for axis, value in zip('xyz', low, strict=True)}
        info |= {f'size_{axis}': float(value) for axis, value in zip('xyz', size, strict=True)}
        _write_json(entry_path, {'label': label, 'info': info | symmetry_entries(symmetry)})

    def is_written(self, scene_id: int) -> bool:
        """Tell whether a scene is there, whole."""
        return self._scene_folder(scene_id).is_dir()

    @contextmanager
    def scene(self, scene_id: int) -> Iterator[BopSceneWriter]:
        """Open a scene; it appears under its name when the block ends without an error.

        Raises:
            InvalidInputError: If the scene is there already.
        """
        folder = self._scene_folder(scene_id)
        if folder.is_dir():
            raise InvalidInputError(f'{folder} is written already; ask is_written first, or '
                                    'delete it')
        partial = temporary_name(folder)
        try:
            writer = BopSceneWriter(partial, self._numbered_model, self._depth_scale)
            yield writer
            writer.close()
            publish(partial, folder)
        finally:
            shutil.rmtree(partial, ignore_errors=True)

    def finish(self) -> None:
        """Write what describes the whole data set; call it once, when all scenes are written.

        Writes `models_info.json`, `object_names.json`, `camera.json` and the targets of the
        split (`test_targets_bop19.json` for 'test'), and removes what interrupted processes left.

        Raises:
            InvalidInputError: If the split has no scene.
        """
        for partial in self._split_folder.glob('.*.partial'):
            shutil.rmtree(partial)
        scenes = [BopScene(folder) for folder in sorted(self._split_folder.glob('[0-9]*'))]
        if not scenes:
            raise InvalidInputError(f'{self._split_folder} has no scene; write one before finish')
        self._merge_models()
        self._write_camera(scenes[0])
        targets = [target for scene in scenes for target in _targets(scene)]
        kind = self._split.split('_')[0]
        _write_json(self._root / f'{kind}_targets_bop19.json', targets)

    def _object_id(self, name: str) -> int:
        if name not in self._object_ids:
            raise InvalidInputError(f'model {name!r} has no object id; give one for each of the '
                                    f'models, there are {len(self._object_ids)}')
        return self._object_ids[name]

    def _model_path(self, obj_id: int) -> Path:
        return self._root / 'models' / f'obj_{obj_id:06d}.ply'

    def _scene_folder(self, scene_id: int) -> Path:
        return self._split_folder / f'{scene_id:06d}'

    def _numbered_model(self, annotation: ObjectAnnotation) -> tuple[int, MeshData]:
        """Return the number and mesh of an annotation's model, after checking its size."""
        obj_id = self._object_id(annotation.model)
        if annotation.model not in self._meshes:
            path = self._model_path(obj_id)
            if not path.is_file():
                raise InvalidInputError(f'{path} is not written; call add_model for '
                                        f'{annotation.model!r} first')
            self._meshes[annotation.model] = read_mesh(path, MILLIMETRE)
        mesh = self._meshes[annotation.model]
        if not np.allclose(annotation.size, mesh.size, rtol=_EXTENT_TOLERANCE, atol=1e-4):
            raise InvalidInputError(
                f'instance {annotation.instance_id} is {np.round(annotation.size, 4).tolist()} m '
                f'large, its model {annotation.model!r} {np.round(mesh.size, 4).tolist()} m; BOP '
                'has no scale per instance: add a model of that size')
        return obj_id, mesh

    def _merged_entries(self) -> dict[str, Any]:
        path = self._root / 'models' / MODELS_INFO
        return read_json(path) if path.is_file() else {}

    def _merge_models(self) -> None:
        infos = self._merged_entries()
        names_path = self._root / OBJECT_NAMES
        names = read_json(names_path) if names_path.is_file() else {}
        folder = self._root / 'models' / _ENTRIES
        for path in sorted(folder.glob('obj_*.json')):
            entry, key = read_json(path), str(int(path.stem.removeprefix('obj_')))
            infos[key], names[key] = entry['info'], entry['label']
        _write_json(names_path, _sorted_by_number(names))
        _write_json(self._root / 'models' / MODELS_INFO, _sorted_by_number(infos))
        shutil.rmtree(folder, ignore_errors=True)

    def _write_camera(self, scene: BopScene) -> None:
        image_id = scene.image_ids[0]
        K = scene.calibration(image_id).K
        rgb = next((scene.folder / 'rgb').glob(f'{image_id:06d}.*'))
        height, width = read_image(rgb, cv2.IMREAD_COLOR).shape[:2]
        _write_json(self._root / 'camera.json', {
            'fx': K[0, 0], 'fy': K[1, 1], 'cx': K[0, 2], 'cy': K[1, 2],
            'width': width, 'height': height, 'depth_scale': self._depth_scale})


def _targets(scene: BopScene) -> list[dict[str, int]]:
    """Return what BOP19 asks for in a scene: objects of which a tenth or more is visible."""
    targets = []
    for image_id in scene.image_ids:
        truth = scene.truth(image_id)
        seen = Counter(truth.obj_ids[truth.visibility >= _MIN_VISIBILITY].tolist())
        targets += [{'scene_id': scene.scene_id, 'im_id': image_id, 'obj_id': obj_id,
                     'inst_count': count} for obj_id, count in sorted(seen.items())]
    return targets


def _sorted_by_number(entries: Mapping[str, Any]) -> dict[str, Any]:
    return {key: entries[key] for key in sorted(entries, key=int)}


def _write_json(path: Path, content: object) -> None:
    write_atomically(path, (json.dumps(content, indent=1) + '\n').encode())
