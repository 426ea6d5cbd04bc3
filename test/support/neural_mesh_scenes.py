"""Feature maps of made-up neural meshes: what an ideal extractor would see of known poses."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pose_estimation_ros.backends.neural_mesh_archive import CategoryMesh
from pose_estimation_ros.core.cuboid_mesh import centered_cuboid
from pose_estimation_ros.core.cuboid_raster import rasterize

K = np.array([[75.0, 0.0, 39.5], [0.0, 75.0, 29.5], [0.0, 0.0, 1.0]])
SHAPE = (60, 80)
CHANNELS = 32


def made_up_mesh(extents, seed: int, aspects=()) -> CategoryMesh:
    """Return a mesh whose features change smoothly over its surface, as trained ones do."""
    generator = np.random.default_rng(seed)
    cuboid = centered_cuboid(extents, 400)
    waves = generator.normal(0, 2.5, (3, CHANNELS))
    place = cuboid.vertices / np.linalg.norm(cuboid.extents)
    features = np.sin(2 * np.pi * place @ waves / 2 + generator.uniform(0, 6.28, CHANNELS))
    clutter = generator.standard_normal((2, CHANNELS))
    return CategoryMesh(np.array([extents, *aspects], dtype=np.float64), cuboid.counts,
                        unit(features), unit(clutter))


def unit(features) -> NDArray[np.float32]:
    return (features / np.linalg.norm(features, axis=-1, keepdims=True)).astype(np.float32)


@dataclass(frozen=True)
class Thing:
    """An object of a scene: its mesh, its pose, its extents if they are not the mesh's."""

    mesh: CategoryMesh
    T_camera_object: NDArray[np.float64]
    extents: NDArray[np.float64] | None = None


def feature_picture(things, noise: float, seed: int = 0) -> NDArray[np.float32]:
    """Return the (D, h, w) features of objects, the nearest in front, before clutter."""
    generator = np.random.default_rng(seed)
    clutter = np.concatenate([thing.mesh.clutter for thing in things])
    picture = clutter[generator.integers(0, len(clutter), SHAPE)].astype(np.float64)
    nearest = np.full(SHAPE, np.inf)
    for thing in things:
        extents = thing.mesh.extents if thing.extents is None else thing.extents
        raster = rasterize(thing.mesh.cuboid(), thing.T_camera_object[None], K, SHAPE,
                           (extents / thing.mesh.extents)[None])
        depth = np.full(SHAPE, np.inf)
        depth.ravel()[raster.pixel] = raster.depth
        front = depth < nearest
        picture[front] = raster.images(raster.interpolate(thing.mesh.features))[0][front]
        nearest = np.minimum(nearest, depth)
    return unit(unit(picture) + noise * generator.standard_normal(
        picture.shape) / np.sqrt(CHANNELS)).transpose(2, 0, 1).copy()
