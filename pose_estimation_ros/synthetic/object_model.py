"""Procedural objects of the six categories, and distractors."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from pose_estimation_ros.core.errors import ConfigurationError
from pose_estimation_ros.rendering.mesh import Mesh
from pose_estimation_ros.synthetic.shapes.bottle import make_bottle
from pose_estimation_ros.synthetic.shapes.bowl import make_bowl
from pose_estimation_ros.synthetic.shapes.camera import make_camera
from pose_estimation_ros.synthetic.shapes.can import make_can
from pose_estimation_ros.synthetic.shapes.distractors import make_distractor
from pose_estimation_ros.synthetic.shapes.laptop import make_laptop
from pose_estimation_ros.synthetic.shapes.mug import make_mug
from pose_estimation_ros.synthetic.shapes.parts import PART_NAMES, join
from pose_estimation_ros.synthetic.shapes.resting import resting_rotations
from pose_estimation_ros.synthetic.shapes.second_domain import bottle as second_bottle
from pose_estimation_ros.synthetic.shapes.second_domain import bowl as second_bowl
from pose_estimation_ros.synthetic.shapes.second_domain import camera as second_camera
from pose_estimation_ros.synthetic.shapes.second_domain import can as second_can
from pose_estimation_ros.synthetic.shapes.second_domain import distractors as second_distractors
from pose_estimation_ros.synthetic.shapes.second_domain import laptop as second_laptop
from pose_estimation_ros.synthetic.shapes.second_domain import mug as second_mug
from pose_estimation_ros.synthetic.shapes.shape import Shape
from pose_estimation_ros.synthetic.splits import DISTRACTOR, OBJECT_CATEGORIES

DOMAINS: tuple[str, ...] = ('primary', 'second')

_Maker = Callable[[np.random.Generator], Shape]
_PRIMARY: dict[str, _Maker] = {
    'bottle': make_bottle,
    'bowl': make_bowl,
    'camera': make_camera,
    'can': make_can,
    'laptop': make_laptop,
    'mug': make_mug,
    DISTRACTOR: make_distractor,
}
_SECOND: dict[str, _Maker] = {
    'bottle': second_bottle.make_bottle,
    'bowl': second_bowl.make_bowl,
    'camera': second_camera.make_camera,
    'can': second_can.make_can,
    'laptop': second_laptop.make_laptop,
    'mug': second_mug.make_mug,
    DISTRACTOR: second_distractors.make_distractor,
}
_MAKERS: dict[str, dict[str, _Maker]] = {'primary': _PRIMARY, 'second': _SECOND}


@dataclass(frozen=True)
class ObjectModel:
    """An object in its own frame.

    The canonical frame has its origin at the centre of the object's tight box and +y up; that of
    a known CAD model is the CAD file's.

    NOCS coordinates are `mesh.vertices / norm(size)`.

    Attributes:
        name: Domain, category, family and seed in one word, unique to the object.
        category: One of the six categories, or 'distractor'.
        mesh: Vertices in metres, faces counter-clockwise seen from outside; a union of closed
            surfaces that may penetrate each other.
        face_parts: (F,) int32, index into `part_names` for each face.
        part_names: Names of the parts, the roles of materials.
        size: (3,) float64, extents of the tight box, metres.
        resting_rotations: R_world_object (3, 3) with world z up in which it can rest on a
            table; the first is upright.
        vertex_colors: (V, 3) float32 linear RGB, 0 to 1, that the mesh file gives; None if it
            gives none.
    """

    name: str
    category: str
    mesh: Mesh
    face_parts: npt.NDArray[np.int32]
    part_names: tuple[str, ...]
    size: npt.NDArray[np.float64]
    resting_rotations: tuple[npt.NDArray[np.float64], ...]
    vertex_colors: npt.NDArray[np.float32] | None = None


def make_object(category: str, seed: int, domain: str) -> ObjectModel:
    """Return the object of that category and seed; the same arguments give the same object.

    Args:
        category: One of the six categories, or 'distractor'.
        seed: Non-negative; see `splits.instance_seed` for the seeds of train, val and test.
        domain: 'primary', which networks train on, or 'second', made by other generators with
            other proportions, on which generalisation is judged.

    Raises:
        ConfigurationError: Unknown category or domain.
    """
    if domain not in _MAKERS:
        raise ConfigurationError(f'unknown domain {domain!r}; choose one of {", ".join(DOMAINS)}')
    if category not in OBJECT_CATEGORIES:
        known = ', '.join(OBJECT_CATEGORIES)
        raise ConfigurationError(f'unknown object category {category!r}; choose one of {known}')
    key = [DOMAINS.index(domain), OBJECT_CATEGORIES.index(category), seed]
    generator = np.random.default_rng(key)
    shape = _MAKERS[domain][category](generator)
    whole = join(shape.parts)
    low, high = whole.vertices.min(axis=0), whole.vertices.max(axis=0)
    vertices = whole.vertices - 0.5 * (low + high)
    return ObjectModel(
        name=f'{domain}_{category}_{shape.kind}_{seed}',
        category=category,
        mesh=Mesh(vertices.astype(np.float32), whole.faces.astype(np.int32)),
        face_parts=whole.labels.astype(np.int32),
        part_names=PART_NAMES,
        size=high - low,
        resting_rotations=resting_rotations(vertices, whole.faces, shape.rests_on),
    )
