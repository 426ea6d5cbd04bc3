"""The CAD models that a network was trained for, as its checkpoints keep them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from pose_estimation_ros.core.errors import ModelError, PoseEstimationError
from pose_estimation_ros.core.symmetry import Symmetry
from pose_estimation_ros.rendering.mesh import Mesh


@dataclass(frozen=True, eq=False)
class CadObject:
    """A known object.

    Attributes:
        name: Its name, which detections of it have as label.
        mesh: What is rendered of it: metres, frame of the CAD file.
        symmetry: Of the mesh.
    """

    name: str
    mesh: Mesh
    symmetry: Symmetry


def objects_as_notes(objects: Sequence[CadObject]) -> list[dict[str, Any]]:
    """Return what a checkpoint is to note of its objects: tensors and plain values."""
    return [{'name': known.name, 'symmetry': known.symmetry.as_plain(),
             'vertices': torch.from_numpy(known.mesh.vertices),
             'faces': torch.from_numpy(known.mesh.faces)} for known in objects]


def objects_from_notes(notes: Sequence[Mapping[str, Any]]) -> list[CadObject]:
    """Return the objects that `objects_as_notes` described.

    Raises:
        KeyError: If something is not described.
        InvalidInputError: If a mesh or a symmetry is none.
    """
    return [CadObject(note['name'], Mesh(note['vertices'].numpy(), note['faces'].numpy()),
                      Symmetry.from_plain(note['symmetry'])) for note in notes]


def objects_of(notes: Mapping[str, Any], checkpoint: Path) -> list[CadObject]:
    """Return the objects of a checkpoint.

    Raises:
        ModelError: If its notes do not tell them.
    """
    try:
        return objects_from_notes(notes['objects'])
    except (KeyError, TypeError, AttributeError, PoseEstimationError) as error:
        raise ModelError(f'{checkpoint} does not tell its objects ({error!r}); give the last.pt '
                         'of `pose-estimation train mrc-lite` or mrc-full') from error
