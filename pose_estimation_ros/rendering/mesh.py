"""Triangle meshes as plain values."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pose_estimation_ros.core.errors import InvalidInputError


@dataclass(frozen=True)
class SurfaceSamples:
    """Points drawn from the surface of a mesh.

    Attributes:
        points: (N, 3) float32 metres, mesh frame.
        normals: (N, 3) float32 unit normals of the faces they lie on.
        faces: (N,) int32 index of those faces.
    """

    points: NDArray[np.float32]
    normals: NDArray[np.float32]
    faces: NDArray[np.int32]


@dataclass(frozen=True)
class Mesh:
    """A triangle mesh.

    Attributes:
        vertices: (V, 3) float32 metres.
        faces: (F, 3) int32 vertex indices, counter-clockwise seen from outside.
    """

    vertices: NDArray[np.float32]
    faces: NDArray[np.int32]

    def __post_init__(self) -> None:
        """Normalise types and check the indices.

        Raises:
            InvalidInputError: If a shape is wrong or a face names a vertex that does not exist.
        """
        vertices = np.ascontiguousarray(self.vertices, dtype=np.float32)
        faces = np.ascontiguousarray(self.faces, dtype=np.int32)
        if vertices.ndim != 2 or vertices.shape[1] != 3 or faces.ndim != 2 or faces.shape[1] != 3:
            raise InvalidInputError(f'a mesh needs (V, 3) vertices and (F, 3) faces, got '
                                    f'{vertices.shape} and {faces.shape}')
        if faces.size and (faces.min() < 0 or faces.max() >= len(vertices)):
            raise InvalidInputError(f'mesh faces name vertices {faces.min()} to {faces.max()}, '
                                    f'but there are {len(vertices)}: count from 0')
        object.__setattr__(self, 'vertices', vertices)
        object.__setattr__(self, 'faces', faces)

    @cached_property
    def bounds(self) -> NDArray[np.float32]:
        """(2, 3) float32 lowest and highest corner of the axis-aligned box, metres."""
        return np.stack([self.vertices.min(axis=0), self.vertices.max(axis=0)])

    @cached_property
    def _face_vectors(self) -> NDArray[np.float64]:
        a, b, c = np.moveaxis(self.vertices[self.faces].astype(np.float64), 1, 0)
        return np.cross(b - a, c - a)

    @cached_property
    def face_areas(self) -> NDArray[np.float64]:
        """(F,) float64 areas, square metres."""
        return np.asarray(0.5 * np.linalg.norm(self._face_vectors, axis=1))

    @cached_property
    def face_normals(self) -> NDArray[np.float32]:
        """(F, 3) float32 unit normals, outward for counter-clockwise faces; zero if degenerate."""
        lengths = np.linalg.norm(self._face_vectors, axis=1, keepdims=True)
        return np.asarray(self._face_vectors / np.maximum(lengths, 1e-20), dtype=np.float32)

    @cached_property
    def vertex_normals(self) -> NDArray[np.float32]:
        """(V, 3) float32 unit normals: faces weigh by area; zero where no face has any."""
        sums = np.zeros((len(self.vertices), 3))
        for corner in range(3):
            np.add.at(sums, self.faces[:, corner], self._face_vectors)
        lengths = np.linalg.norm(sums, axis=1, keepdims=True)
        return np.asarray(sums / np.maximum(lengths, 1e-20), dtype=np.float32)

    @cached_property
    def signed_volume(self) -> float:
        """Cubic metres inside; negative if the mesh is inside out.

        It is summed over cones from the middle of the box to the faces, so that small holes do
        not matter, wherever the origin is.
        """
        from_middle = self.vertices[self.faces].mean(axis=1) - self.bounds.mean(axis=0)
        return float((from_middle * self._face_vectors).sum() / 6.0)

    def transformed(self, T: ArrayLike) -> Mesh:
        """Return the mesh moved by a (4, 4) rigid transform."""
        matrix = np.asarray(T, dtype=np.float64)
        moved = self.vertices @ matrix[:3, :3].T + matrix[:3, 3]
        return Mesh(moved.astype(np.float32), self.faces)

    def select_faces(self, chosen: NDArray[np.bool_]) -> Mesh:
        """Return the mesh of the (F,) chosen faces; the vertices are kept as they are."""
        return Mesh(self.vertices, self.faces[chosen])

    def sample_surface(self, count: int, generator: np.random.Generator) -> SurfaceSamples:
        """Draw points uniformly by area.

        Args:
            count: Number of points.
            generator: Source of randomness.

        Returns:
            `count` points with normals and faces.

        Raises:
            InvalidInputError: If the mesh has no area.
        """
        cumulative = np.cumsum(self.face_areas)
        if cumulative.size == 0 or cumulative[-1] <= 0:
            raise InvalidInputError(f'cannot sample a mesh of {len(self.faces)} faces without '
                                    'area: give it at least one proper triangle')
        # The clip guards against rounding at the very end of the cumulative sum.
        chosen = np.searchsorted(cumulative, generator.random(count) * cumulative[-1], 'right')
        chosen = np.minimum(chosen, len(self.faces) - 1)
        root, second = np.sqrt(generator.random(count)), generator.random(count)
        weights = np.stack([1 - root, root * (1 - second), root * second], axis=1)
        corners = self.vertices[self.faces[chosen]]
        points = np.einsum('nc,ncx->nx', weights, corners).astype(np.float32)
        return SurfaceSamples(points, self.face_normals[chosen], chosen.astype(np.int32))


def concatenate(meshes: Sequence[Mesh]) -> Mesh:
    """Return one mesh of all faces of several, in order."""
    offsets = np.cumsum([0] + [len(mesh.vertices) for mesh in meshes])
    return Mesh(np.concatenate([mesh.vertices for mesh in meshes]),
                np.concatenate([mesh.faces + offset
                                for mesh, offset in zip(meshes, offsets, strict=False)]))
