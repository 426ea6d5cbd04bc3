"""The neural meshes of a model: what the categories' cuboids look like, in one file.

Source: Ma et al., "Robust category-level 6D pose estimation with coarse-to-fine rendering of
neural features" (ECCV 2022), section 3.1; the file is an .npz without pickles.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pose_estimation_ros.core.cuboid_mesh import CuboidMesh
from pose_estimation_ros.core.errors import InvalidInputError, ModelError
from pose_estimation_ros.rendering.array_archive import DAMAGES, read_arrays, write_arrays

FloatArray = NDArray[np.float64]
Float32Array = NDArray[np.float32]

_ARRAYS = ('aspects', 'counts', 'features', 'clutter')


@dataclass(frozen=True)
class CategoryMesh:
    """The neural mesh of a category; its object frame is centred in the cuboid.

    Attributes:
        aspects: (A, 3) float64 metres, extents that objects of the category have; the first row
            is their mean. A feature belongs to a place relative to the cuboid, whatever its
            extents.
        counts: Vertices along x, y and z.
        features: (V, D) float32 of the vertices, in the order of `CuboidMesh.vertices`; of
            length one, or zero where training showed nothing.
        clutter: (M, D) float32 of what is not the object, each of length one.
    """

    aspects: FloatArray
    counts: tuple[int, int, int]
    features: Float32Array
    clutter: Float32Array

    def __post_init__(self) -> None:
        """Check the shapes and values.

        Raises:
            InvalidInputError: If they do not fit each other, or are no finite numbers.
        """
        if (self.aspects.ndim != 2 or self.aspects.shape[1] != 3 or self.features.ndim != 2
                or self.clutter.ndim != 2 or not len(self.aspects) or not len(self.clutter)
                or self.features.shape[1] != self.clutter.shape[1]):
            raise InvalidInputError(
                'a neural mesh has aspects (A, 3), features (V, D) and clutter (M, D), not '
                f'{self.aspects.shape}, {self.features.shape} and {self.clutter.shape}')
        if not all(np.isfinite(array).all()
                   for array in (self.aspects, self.features, self.clutter)):
            raise InvalidInputError('a neural mesh holds values that are no finite numbers')
        if min(self.counts) < 2 or not (self.aspects > 0).all():
            raise InvalidInputError('a neural mesh has at least two vertices along each axis and '
                                    f'positive extents, not {self.counts} and '
                                    f'{self.aspects.tolist()}')
        vertices = self.cuboid().faces[-1].vertices.stop
        if vertices != len(self.features):
            raise InvalidInputError(f'a neural mesh of {self.counts} has {vertices} vertices, '
                                    f'but there are features of {len(self.features)}')

    @property
    def extents(self) -> FloatArray:
        """(3,) float64 mean extents, metres."""
        return np.asarray(self.aspects[0])

    def cuboid(self, aspect: int = 0) -> CuboidMesh:
        """Return the cuboid with one of the `aspects`."""
        half = self.aspects[aspect] / 2
        return CuboidMesh(-half, half, self.counts)


def write_category_meshes(path: Path, meshes: Mapping[str, CategoryMesh]) -> None:
    """Write meshes by their categories; the file appears whole or not at all."""
    write_arrays(path, {name: {part: np.asarray(getattr(mesh, part)) for part in _ARRAYS}
                        for name, mesh in meshes.items()})


def read_category_meshes(path: Path) -> dict[str, CategoryMesh]:
    """Return the meshes of a file by their categories.

    Raises:
        ModelError: If the file is missing or damaged, or holds no neural meshes.
    """
    try:
        return {name: _mesh(*arrays) for name, arrays in read_arrays(path, _ARRAYS).items()}
    except (*DAMAGES, InvalidInputError) as error:
        raise ModelError(f'{path} holds no neural meshes ({error}); export or import the model '
                         'again') from error


def _mesh(aspects: NDArray[Any], counts: NDArray[Any], features: NDArray[Any],
          clutter: NDArray[Any]) -> CategoryMesh:
    x, y, z = counts.tolist()
    return CategoryMesh(aspects.astype(np.float64), (x, y, z), features.astype(np.float32),
                        clutter.astype(np.float32))
