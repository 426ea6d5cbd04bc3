"""A neural mesh model, checked and loaded: a feature extractor, and the meshes of categories."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from pose_estimation_ros.backends.neural_mesh_archive import CategoryMesh, read_category_meshes
from pose_estimation_ros.core.camera import CameraIntrinsics
from pose_estimation_ros.core.errors import ModelError
from pose_estimation_ros.runtime import InferenceSession, Model, ModelManifest

FloatArray = NDArray[np.float64]
Float32Array = NDArray[np.float32]

IMAGE, FEATURES = 'image', 'features'
# Sizes that vary are rounded to this many pixels, which every stride of the extractor divides.
_MULTIPLE = 32
# Of sizes of which nothing is known: most objects are within a fifth of the mean.
_UNKNOWN_SPREAD, _LEAST_SPREAD = 0.2, 0.02


@dataclass(frozen=True, eq=False)
class FeatureMap:
    """The features of an image.

    Attributes:
        features: (D, h, w) float32, of length one along D.
        K: (3, 3) camera matrix of its cells.
    """

    features: Float32Array
    K: FloatArray

    @property
    def cells(self) -> tuple[int, int]:
        """Height and width of the map."""
        return self.features.shape[1], self.features.shape[2]


class NeuralMeshModel:
    """What the folder of a neural mesh model holds, ready to run.

    Attributes:
        manifest: Of the model.
        meshes: By category, in the order of the manifest.
        size_spread: By category, the relative standard deviation of sizes.
    """

    def __init__(self, model: Model, device: str, threads: int) -> None:
        """Load extractor and meshes.

        Args:
            model: Of the backend 'neural_mesh'.
            device: 'auto', 'cpu', 'cuda' or 'tensorrt'.
            threads: CPU threads of the extractor; 0 = one per core.

        Raises:
            ModelError: If something is missing, damaged, or does not fit the manifest.
            ConfigurationError: If the device is not there.
        """
        self.manifest = model.manifest
        self.meshes = _category_meshes(model)
        self._size = _working_size(model.manifest)
        self.size_spread = {name: _spread(model.manifest, name, mesh)
                            for name, mesh in self.meshes.items()}
        self._extractor = InferenceSession(model.file('features'), device, threads)
        _check_extractor(model.manifest, self._extractor, self.meshes)

    def extract(self, rgb: NDArray[np.uint8], camera: CameraIntrinsics) -> FeatureMap:
        """Return the features of an (H, W, 3) RGB image of a camera without distortion.

        The image is scaled to the model's working size, its sides as they are in proportion.
        """
        width, height = self._scaled(rgb.shape[1], rgb.shape[0])
        shrinks = width < rgb.shape[1]
        scaled = cv2.resize(rgb, (width, height),
                            interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR)
        image = np.ascontiguousarray(scaled.transpose(2, 0, 1)[None], dtype=np.uint8)
        features = self._extractor.run({IMAGE: image})[FEATURES][0]
        return FeatureMap(features, camera.resize(features.shape[2], features.shape[1]).K)

    def describe(self) -> dict[str, str]:
        """Return the model's name, the provider that runs it and the working size."""
        return {'model': self.manifest.name, 'provider': self._extractor.providers[0],
                'working size': f'{self._size[0]}x{self._size[1]}'}

    def close(self) -> None:
        """Free the extractor."""
        self._extractor.close()

    def _scaled(self, width: int, height: int) -> tuple[int, int]:
        """Return the size at which an image goes through the extractor."""
        scale = min(self._size[0] / width, self._size[1] / height)
        sides = [max(round(scale * side / _MULTIPLE), 1) * _MULTIPLE for side in (width, height)]
        return sides[0], sides[1]


def _category_meshes(model: Model) -> dict[str, CategoryMesh]:
    path = model.file('meshes')
    found = read_category_meshes(path)
    categories = model.manifest.categories
    if missing := [name for name in categories if name not in found]:
        raise ModelError(f'model {model.manifest.name!r} knows {missing[0]!r}, but {path} has no '
                         f'neural mesh of it, only of {", ".join(found) or "nothing"}; export the '
                         'model again')
    if not categories:
        raise ModelError(f'model {model.manifest.name!r} names no categories in its manifest; '
                         'export it again')
    return {name: found[name] for name in categories}


def _working_size(manifest: ModelManifest) -> tuple[int, int]:
    try:
        size = int(manifest.parameters['width']), int(manifest.parameters['height'])
    except (KeyError, TypeError, ValueError) as error:
        raise ModelError(f'model {manifest.name!r}: its manifest must give parameters.width and '
                         f'height, the working size in pixels ({error!r}); export it '
                         'again') from error
    if min(size) < _MULTIPLE:
        raise ModelError(f'model {manifest.name!r} has the working size {size[0]}x{size[1]}; both '
                         f'must be {_MULTIPLE} or more')
    return size


def _spread(manifest: ModelManifest, name: str, mesh: CategoryMesh) -> float:
    """Return the relative standard deviation of a category's sizes.

    The manifest's own word, else that of the extents that the mesh brings. Of one size alone none
    is exactly: then even depth that is a little off would make something else of an object.
    """
    stated: Mapping[str, Any] = manifest.parameters.get('size_spread', {})
    if name in stated:
        return max(float(stated[name]), _LEAST_SPREAD)
    logs = np.log(np.linalg.norm(mesh.aspects, axis=1))
    return float(logs.std()) or _UNKNOWN_SPREAD


def _check_extractor(manifest: ModelManifest, session: InferenceSession,
                     meshes: Mapping[str, CategoryMesh]) -> None:
    inputs, outputs = ({spec.name for spec in specs} for specs in
                       (session.inputs, session.outputs))
    if inputs != {IMAGE} or FEATURES not in outputs:
        raise ModelError(
            f'the extractor of model {manifest.name!r} takes {", ".join(sorted(inputs))} and '
            f'gives {", ".join(sorted(outputs))}; it must take {IMAGE} and give {FEATURES}: '
            'export the model again')
    length = next(spec.shape for spec in session.outputs if spec.name == FEATURES)[1]
    own = {mesh.features.shape[1] for mesh in meshes.values()}
    if own != {length}:
        raise ModelError(f'the extractor of model {manifest.name!r} gives features of length '
                         f'{length}, but its neural meshes have {sorted(own)}; the files belong '
                         'to different models, export them together')
