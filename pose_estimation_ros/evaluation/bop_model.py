"""A CAD model as the metrics of known objects need it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from pose_estimation_ros.core.errors import InvalidInputError
from pose_estimation_ros.datasets.bop_dataset import BopDataset
from pose_estimation_ros.datasets.bop_models import OBJECT_NAMES, BopModel
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

    @classmethod
    def of(cls, model: BopModel) -> CadModel:
        """Read a model of a BOP data set.

        Raises:
            InvalidInputError: If its mesh is missing or damaged.
        """
        mesh = model.read_mesh()
        symmetries = SymmetryTransforms.of(model.discrete_symmetries, model.symmetry_lines)
        return cls(Mesh(mesh.vertices.astype(np.float32), mesh.faces), model.diameter, symmetries)

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


def object_numbers(dataset: BopDataset) -> dict[str, int]:
    """Return the number of each known object by its label.

    Raises:
        InvalidInputError: If objects share a label.
    """
    numbers: dict[str, int] = {}
    for number in dataset.models:
        label = dataset.label(number)
        if label in numbers:
            raise InvalidInputError(
                f'objects {numbers[label]} and {number} of {dataset.name} are both labelled '
                f'{label!r}, so a pose does not tell which one it is of. The metrics of BOP are '
                f'for known objects: use --protocol poses for categories, or name each object '
                f'in {OBJECT_NAMES} and use a model that knows these names')
        numbers[label] = number
    return numbers


def cad_models(dataset: BopDataset) -> dict[str, CadModel]:
    """Read the models of a data set; its metrics want those of `models_eval` where it has them.

    Returns:
        The models by their label.

    Raises:
        InvalidInputError: If a mesh is missing or damaged, or objects share a label.
    """
    return {label: CadModel.of(dataset.models[number])
            for label, number in object_numbers(dataset).items()}
