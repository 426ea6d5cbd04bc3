"""Objects made once and used in many scenes, with what rendering needs to know of them."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from pose_estimation_ros.rendering.mesh import Mesh, SurfaceSamples
from pose_estimation_ros.rendering.open3d_renderer import Open3DRayCaster
from pose_estimation_ros.rendering.renderer import RayCaster
from pose_estimation_ros.synthetic.object_model import ObjectModel
from pose_estimation_ros.synthetic.object_source import ObjectSource

# Edges sharper than this stay sharp when the surface is shaded.
_CREASE_COSINE = float(np.cos(np.radians(35.0)))
_MODEL_POINTS = 1024


@dataclass(frozen=True, eq=False)
class Solid:
    """A thing that can be put into a scene, in its own frame.

    Attributes:
        name: Unique name.
        category: That of an object, 'distractor', 'clutter' or a background role.
        mesh: Surface, metres, own frame.
        face_parts: (F,) int32 index into `part_names`.
        part_names: Roles of the parts, which decide their materials.
        size: (3,) float64 extent of the box, metres.
        resting_rotations: Rotations to the world (z up) in which it rests; the first is upright.
        vertex_colors: (V, 3) float32 linear RGB of the mesh itself, or None.
    """

    name: str
    category: str
    mesh: Mesh
    face_parts: NDArray[np.int32]
    part_names: tuple[str, ...]
    size: NDArray[np.float64]
    resting_rotations: tuple[NDArray[np.float64], ...] = (np.eye(3),)
    vertex_colors: NDArray[np.float32] | None = None

    @classmethod
    def of_model(cls, model: ObjectModel) -> Solid:
        """Return the solid of an object."""
        used, face_parts = np.unique(model.face_parts, return_inverse=True)
        return cls(model.name, model.category, model.mesh, face_parts.astype(np.int32),
                   tuple(model.part_names[index] for index in used), model.size,
                   model.resting_rotations, model.vertex_colors)

    @classmethod
    def of_mesh(cls, name: str, role: str, mesh: Mesh) -> Solid:
        """Return a solid of one part, named by its role, whose size is that of its mesh."""
        extent = mesh.bounds[1] - mesh.bounds[0]
        return cls(name, role, mesh, np.zeros(len(mesh.faces), np.int32), (role,),
                   np.maximum(extent, 1e-3).astype(np.float64))

    @property
    def diagonal(self) -> float:
        """Length of the box's diagonal, the unit of NOCS coordinates, metres."""
        return float(np.linalg.norm(self.size))

    @cached_property
    def caster(self) -> RayCaster:
        """Caster of this solid alone, in its own frame."""
        return Open3DRayCaster([self.mesh])

    @cached_property
    def part_casters(self) -> dict[str, RayCaster]:
        """Casters of single parts alone, for those whose visibility is reported."""
        return {name: Open3DRayCaster([self.mesh.select_faces(self.face_parts == index)])
                for index, name in enumerate(self.part_names)
                if name == 'handle' and (self.face_parts == index).any()}

    @cached_property
    def corner_normals(self) -> NDArray[np.float32]:
        """(F, 3, 3) float32 shading normal of every face corner, own frame."""
        return _corner_normals(self.mesh)

    def colors_at(self, faces: NDArray[np.integer],
                  barycentric: NDArray[np.float32]) -> NDArray[np.float32] | None:
        """Return the mesh's own colours at points of its faces.

        Args:
            faces: (N,) index of the faces.
            barycentric: (N, 2) weights of their second and third corners.

        Returns:
            (N, 3) float32 linear RGB, or None if the mesh has no colours.
        """
        if self.vertex_colors is None:
            return None
        first, second, third = np.moveaxis(self.vertex_colors[self.mesh.faces[faces]], 1, 0)
        u, v = barycentric[:, 0:1], barycentric[:, 1:2]
        return np.asarray(first * (1 - u - v) + second * u + third * v, dtype=np.float32)

    @cached_property
    def surface_samples(self) -> SurfaceSamples:
        """1024 points of the surface, uniform by area, metres, own frame."""
        return self.mesh.sample_surface(_MODEL_POINTS, np.random.default_rng(0))

    @cached_property
    def model_points(self) -> NDArray[np.float32]:
        """(1024, 3) float32 points of the surface, uniform by area, NOCS coordinates."""
        return np.asarray(self.surface_samples.points / self.diagonal, dtype=np.float32)


def _corner_normals(mesh: Mesh) -> NDArray[np.float32]:
    """Smooth the face normals at every vertex unless the faces meet at a crease."""
    weighted = mesh.face_normals * mesh.face_areas[:, None]
    vertex_normals = np.zeros((len(mesh.vertices), 3))
    for corner in range(3):
        np.add.at(vertex_normals, mesh.faces[:, corner], weighted)
    vertex_normals /= np.maximum(np.linalg.norm(vertex_normals, axis=1, keepdims=True), 1e-20)
    smooth = vertex_normals[mesh.faces]
    flat = np.broadcast_to(mesh.face_normals[:, None, :], smooth.shape)
    is_crease = np.einsum('fcx,fcx->fc', smooth, flat) < _CREASE_COSINE
    return np.asarray(np.where(is_crease[..., None], flat, smooth), dtype=np.float32)


class SolidCache:
    """Gets objects from their source on demand and keeps the latest ones."""

    def __init__(self, source: ObjectSource, split: str, capacity: int = 256) -> None:
        """Start empty; `capacity` solids are kept."""
        self._source = source
        self._split = split
        self._capacity = capacity
        self._solids: OrderedDict[tuple[str, int], Solid] = OrderedDict()

    def get(self, category: str, number: int) -> Solid:
        """Return an object of a category; numbers beyond the source's count start over."""
        key = (category, number % self._source.count(category, self._split))
        if key in self._solids:
            self._solids.move_to_end(key)
            return self._solids[key]
        solid = Solid.of_model(self._source.model(category, self._split, key[1]))
        self._solids[key] = solid
        if len(self._solids) > self._capacity:
            self._solids.popitem(last=False)
        return solid
