"""The cuboids of the categories: from the sizes of what is trained on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pose_estimation_ros.core.categories import Category
from pose_estimation_ros.core.cuboid_mesh import CuboidMesh, centered_cuboid
from pose_estimation_ros.core.errors import InvalidInputError

FloatArray = NDArray[np.float64]

# How many typical shapes of a category are kept besides the mean.
_ASPECTS = 6
_ROUNDS = 30


@dataclass(frozen=True)
class CategoryShape:
    """What boxes the objects of a category have.

    Attributes:
        category: The category.
        extents: (3,) mean extents, metres.
        aspects: (A, 3) typical extents, the mean first; all have the volume of the mean.
        vertices: How many squares cover the cuboid, see `cuboid_mesh`.
    """

    category: Category
    extents: FloatArray
    aspects: FloatArray
    vertices: int

    @cached_property
    def mesh(self) -> CuboidMesh:
        """The cuboid of mean extents."""
        return centered_cuboid(self.extents, self.vertices)

    @property
    def turns(self) -> bool:
        """Whether the category looks the same however it is turned about its y axis."""
        return self.category.symmetry.axis is not None

    def as_plain(self) -> dict[str, Any]:
        """Return everything in plain values, for a checkpoint; see `from_plain`."""
        return {'category': self.category.as_plain(), 'extents': self.extents.tolist(),
                'aspects': self.aspects.tolist(), 'vertices': self.vertices}

    @classmethod
    def from_plain(cls, plain: Mapping[str, Any]) -> CategoryShape:
        """Return the shape that `as_plain` described."""
        return cls(Category.from_plain(plain['category']), np.array(plain['extents']),
                   np.array(plain['aspects']), int(plain['vertices']))


def category_shapes(categories: Sequence[Category], category: NDArray[np.int64],
                    size: FloatArray, vertices: int) -> tuple[CategoryShape, ...]:
    """Return the shapes of categories from the boxes of their objects.

    Args:
        categories: The categories; those with an axis of symmetry have it along y.
        category: (N,) which of them each object is.
        size: (N, 3) extents, metres.
        vertices: How many squares cover a cuboid, see `cuboid_mesh`.

    Raises:
        InvalidInputError: If there is no object of a category.
    """
    shapes = []
    for number, entry in enumerate(categories):
        own = np.unique(np.round(size[category == number], 6), axis=0)
        if not len(own):
            raise InvalidInputError(f'the training data show no {entry.name}; add pictures that '
                                    'do, or leave the category out of the frames')
        own = own if entry.symmetry.axis is None else turned_extents(own)
        mean = own.mean(axis=0)
        shapes.append(CategoryShape(entry, mean, _typical(own, mean), vertices))
    return tuple(shapes)


def turned_extents(size: FloatArray) -> FloatArray:
    """Return (..., 3) extents with those along x and z made equal, for what turns about y."""
    across = 0.5 * (size[..., 0] + size[..., 2])
    return np.stack([across, size[..., 1], across], axis=-1)


def _typical(size: FloatArray, mean: FloatArray) -> FloatArray:
    """Return the mean and the centres of clusters of (N, 3) extents of equal volume."""
    logs = np.log(size)
    logs = logs - logs.mean(axis=1, keepdims=True)
    # Far from each other first, so that the result depends on nothing but the sizes.
    centers = logs[[int(np.linalg.norm(logs - logs.mean(axis=0), axis=1).argmin())]]
    while len(centers) < min(_ASPECTS, len(logs)):
        distance = np.linalg.norm(logs[:, None] - centers, axis=2).min(axis=1)
        centers = np.concatenate([centers, logs[[int(distance.argmax())]]])
    for _ in range(_ROUNDS):
        nearest = np.linalg.norm(logs[:, None] - centers, axis=2).argmin(axis=1)
        centers = np.stack([logs[nearest == number].mean(axis=0) if (nearest == number).any()
                            else centers[number] for number in range(len(centers))])
    volume = np.exp(np.log(mean).mean())
    return np.concatenate([mean[None], volume * np.exp(centers)])
