"""A CAD model as the metrics of known objects need it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from pose_estimation_ros.evaluation.bop_symmetries import SymmetryTransforms
from pose_estimation_ros.rendering.mesh import Mesh
from pose_estimation_ros.rendering.open3d_renderer import Open3DRayCaster
from pose_estimation_ros.rendering.renderer import RayCaster


@dataclass(frozen=True, eq=False)
class CadModel:
    """A known object.

    Attributes:
        mesh: Its surface in its own frame (BOP: of `models_eval`, where there is one), metres.
        diameter: Largest distance of two of its points, metres.
        symmetries: What cannot be told apart.
    """

    mesh: Mesh
    diameter: float
    symmetries: SymmetryTransforms

    @property
    def is_symmetric(self) -> bool:
        """Whether ADD(-S) takes ADD-S for it."""
        return len(self.symmetries) > 1

    @cached_property
    def points(self) -> NDArray[np.float64]:
        """(V, 3) float64 vertices, metres."""
        return self.mesh.vertices.astype(np.float64)

    @cached_property
    def caster(self) -> RayCaster:
        """Finds what rays hit of it, in its own frame."""
        return Open3DRayCaster([self.mesh])

    def __reduce__(self) -> tuple[object, ...]:
        """Leave the ray caster's search tree behind when another process gets the model."""
        return CadModel, (self.mesh, self.diameter, self.symmetries)
