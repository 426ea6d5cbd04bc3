"""The cuboids that published neural meshes were trained with, and how they are in our frame.

Source: Ma et al., "Robust category-level 6D pose estimation with coarse-to-fine rendering of
neural features" (ECCV 2022), section 3.1, and spec 2.2. The numbers are what the rule of
`cuboid_of_models` gave for the CAD models of PASCAL3D+, whose diagonals are about 1.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pose_estimation_ros.backends.neural_mesh_published import UPRIGHT_FROM_CAD
from pose_estimation_ros.core.cuboid_mesh import CuboidMesh, cuboid_mesh
from pose_estimation_ros.core.errors import ConfigurationError, InvalidInputError
from pose_estimation_ros.datasets.pascal3d_layout import CadModels

FloatArray = NDArray[np.float64]

# Lower and upper corner: x to the right, y to the back, z up; units of the CAD models.
_CUBOIDS = {
    'aeroplane': ((-0.28379, -0.34905, -0.12756), (0.37793, 0.34508, 0.1014)),
    'bicycle': ((-0.10487, -0.41327, -0.22618), (0.11745, 0.45367, 0.24944)),
    'boat': ((-0.14976, -0.47957, -0.33473), (0.1491, 0.46459, 0.12325)),
    'bottle': ((-0.14459, -0.17792, -0.47353), (0.14, 0.13337, 0.46935)),
    'bus': ((-0.12377, -0.47232, -0.13357), (0.10698, 0.46732, 0.13468)),
    'car': ((-0.18409, -0.4408, -0.16812), (0.18409, 0.43363, 0.12016)),
    'chair': ((-0.24732, -0.27109, -0.36984), (0.2461, 0.26405, 0.3888)),
    'diningtable': ((-0.41383, -0.3017, -0.21552), (0.45536, 0.30924, 0.22489)),
    'motorbike': ((-0.14223, -0.38084, -0.18656), (0.1046, 0.39103, 0.18914)),
    'sofa': ((-0.45713, -0.2652, -0.25958), (0.45678, 0.27541, 0.24027)),
    'train': ((-0.08028, -0.48711, -0.10496), (0.08456, 0.48272, 0.09671)),
    'tvmonitor': ((-0.4296, -0.2803, -0.30395), (0.4296, 0.28342, 0.30376))}
PUBLISHED_CATEGORIES = tuple(_CUBOIDS)

_COVERED = 0.99


def published_cuboid(category: str) -> CuboidMesh:
    """Return the cuboid of a class of PASCAL3D+, in the frame and units of its CAD models.

    Raises:
        ConfigurationError: If it is none of the twelve classes.
    """
    if category not in _CUBOIDS:
        raise ConfigurationError(
            f'the cuboid of {category!r} is not known; name one of '
            f'{", ".join(PUBLISHED_CATEGORIES)}, or give the CAD models of the class')
    return cuboid_mesh(*_CUBOIDS[category])


def cuboid_of_models(models: CadModels, category: str) -> CuboidMesh:
    """Return the cuboid that covers 99 % of the vertices of all models of a class on each axis.

    Args:
        models: Of a data set in the layout of PASCAL3D+.
        category: The class.

    Raises:
        InvalidInputError: If the class has no models, or one is damaged.
    """
    numbers = models.indices(category)
    if not numbers:
        raise InvalidInputError(f'{models.folder / category} has no models 01.off, 02.off, ...; '
                                'give the folder CAD of PASCAL3D+')
    points = np.sort(np.concatenate([models.read(category, number).vertices
                                     for number in numbers]), axis=0)
    covered = max(int(_COVERED * len(points)), 1)
    widths = points[covered - 1:] - points[:len(points) - covered + 1]
    first = widths.argmin(axis=0)
    axes = np.arange(3)
    return cuboid_mesh(points[first, axes], points[first + covered - 1, axes])


def upright(cuboid: CuboidMesh) -> tuple[CuboidMesh, NDArray[np.intp]]:
    """Return a cuboid of CAD models in our frame: y up, the origin in its middle.

    Args:
        cuboid: In the frame of the CAD models.

    Returns:
        The same cuboid, and (V,) which vertex of the given one each of its vertices is.
    """
    axes = np.abs(UPRIGHT_FROM_CAD).argmax(axis=1)
    half = cuboid.extents[axes] / 2
    x, y, z = (cuboid.counts[axis] for axis in axes)
    turned = CuboidMesh(-half, half, (x, y, z))
    # Vertices at an edge are at the same place, but their faces look elsewhere.
    centred = cuboid.vertices - (cuboid.lower + cuboid.upper) / 2
    given = np.concatenate([centred, _normals(cuboid)], axis=1)
    wanted = np.concatenate([turned.vertices, _normals(turned)], axis=1)
    there = np.concatenate([given[:, :3] @ UPRIGHT_FROM_CAD.T,
                            given[:, 3:] @ UPRIGHT_FROM_CAD.T], axis=1)
    apart = np.abs(wanted[:, None] - there).sum(axis=2)
    return turned, apart.argmin(axis=1)


def _normals(cuboid: CuboidMesh) -> FloatArray:
    """Return (V, 3) unit vectors out of the face that each vertex belongs to."""
    of_face = np.stack([np.eye(3)[face.axis] * (1 if face.upper else -1)
                        for face in cuboid.faces])
    return np.asarray(of_face[cuboid.face_of_vertex])
