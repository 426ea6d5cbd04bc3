"""Coarse stage of a neural mesh: where in an image its objects may be, and turned how.

A pose scores by its visible vertices: each brings the product of its feature with that of the
cell where it projects to. Where the vertices lie around the object's origin is the same all over
the image, so it is worked out once for each rotation and distance. The official code scores all
poses at all places at once, in gigabytes. Here places are searched first, with few rotations and a
sample of the vertices; then, at the peaks, all rotations. Memory does not grow with the grid.

Source: Ma et al., Robust category-level 6D pose estimation with coarse-to-fine rendering of
neural features (ECCV 2022), section 3.4; places before rotations, and the areas, are ours.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pose_estimation_ros.backends.neural_mesh_scores import clutter_scores
from pose_estimation_ros.core.cuboid_mesh import CuboidMesh, view_vertices
from pose_estimation_ros.core.rotation import axis_rotation
from pose_estimation_ros.core.se3 import make_transform

FloatArray = NDArray[np.float64]
Float32Array = NDArray[np.float32]
IndexArray = NDArray[np.intp]

# Products that are gathered at once: 32 MiB with their addresses.
_GATHERED = 1 << 21


def standing_rotations(azimuths: ArrayLike, elevations: ArrayLike,
                       thetas: ArrayLike = (0.0,)) -> FloatArray:
    """Return rotations of standing objects (y up) on the optical axis of a camera.

    Args:
        azimuths: Radians about y; at 0 the camera is over the object's +z, at a quarter over +x.
        elevations: Radians of the camera above the object's xz plane.
        thetas: Radians by which the object is turned in the image, counter-clockwise.

    Returns:
        (A E T, 3, 3) R_camera_object, thetas fastest.
    """
    a, e, th = (grid.ravel() for grid in np.meshgrid(
        *(np.atleast_1d(np.asarray(angles, dtype=np.float64))
          for angles in (azimuths, elevations, thetas)), indexing='ij'))
    upright = np.diag([1.0, -1.0, -1.0])
    return np.asarray(axis_rotation((0, 0, 1), -th) @ upright @ axis_rotation((1, 0, 0), e)
                      @ axis_rotation((0, 1, 0), -a))


@dataclass(frozen=True, eq=False)
class ViewGrid:
    """Poses of an object on the optical axis, and where vertices lie around its origin then.

    Build it with `view_grid`.

    Attributes:
        R: (P, 3, 3) R_camera_object.
        distance: (P,) metres along the optical axis.
        vertices: (P, n) visible vertices; fewer are filled up with any at weight 0.
        offsets: (P, n, 2) float32 cells (u, v) from the projection of the origin.
        weights: (P, n) float32 cells of the feature map that a vertex stands for.
    """

    R: FloatArray
    distance: FloatArray
    vertices: IndexArray
    offsets: Float32Array
    weights: Float32Array

    def __len__(self) -> int:
        """Return P."""
        return len(self.distance)

    def __getitem__(self, rows: IndexArray) -> ViewGrid:
        """Return some of the poses."""
        return ViewGrid(self.R[rows], self.distance[rows], self.vertices[rows],
                        self.offsets[rows], self.weights[rows])


def view_grid(mesh: CuboidMesh, R: FloatArray, distance: FloatArray, K: FloatArray,
              sample: int | None = None) -> ViewGrid:
    """Project a cuboid's visible vertices for each of P poses on the optical axis.

    Args:
        mesh: In the object frame.
        R: (P, 3, 3) R_camera_object.
        distance: (P,) metres.
        K: (3, 3) camera matrix of the feature map.
        sample: Take so many of the visible vertices of each pose, evenly; None = all.
    """
    focal = K[:2, :2].diagonal()
    view = view_vertices(mesh, make_transform(R, distance[:, None] * np.array([0.0, 0.0, 1.0])),
                         np.diag([*focal, 1.0]))
    count = view.visible.sum(axis=1)
    size = int(count.max(initial=1)) if sample is None else sample
    # The visible vertices of a pose, in order, are those before its `count` in the sorted row.
    order = np.argsort(~view.visible, axis=1, kind='stable')
    place = np.broadcast_to(np.arange(size), (len(R), size))
    if sample is not None:
        place = (place + 0.5) * count[:, None] / size
    within = np.minimum(place.astype(np.intp), np.maximum(count - 1, 0)[:, None])
    vertices = np.take_along_axis(order, within, axis=1)
    rows = np.arange(len(R))[:, None]
    used = np.arange(size) < (count[:, None] if sample is None else np.where(count, size, 0)[
        :, None])
    share = 1.0 if sample is None else count[:, None] / size
    areas = _areas(mesh, R, distance, focal)[rows, mesh.face_of_vertex[vertices]]
    return ViewGrid(R, distance, vertices,
                    np.where(used[..., None], view.pixels[rows, vertices], 0).astype(np.float32),
                    (used * areas * share).astype(np.float32))


@dataclass(frozen=True, eq=False)
class ScoreMap:
    """What vertices bring in each cell, with a margin of zeros on the right and below.

    Attributes:
        shape: (height, width) of the feature map, cells.
        values: (V, height + 1, width + 1) float32.
    """

    shape: tuple[int, int]
    values: Float32Array


def score_map(features: Float32Array, vertices: Float32Array) -> ScoreMap:
    """Return the published scores: products of the (V, D) vertices with the (D, h, w) features."""
    padded = np.pad(features, ((0, 0), (0, 1), (0, 1)))
    values = vertices @ padded.reshape(len(features), -1)
    return ScoreMap((features.shape[1], features.shape[2]),
                    values.reshape(len(vertices), *padded.shape[1:]))


def gain_map(features: Float32Array, vertices: Float32Array, clutter: Float32Array,
             background: float, worst: float) -> ScoreMap:
    """Return by how much vertices fit cells better than clutter does.

    Args:
        features: (D, h, w) float32.
        vertices: (V, D) float32.
        clutter: (M, D) float32; the best counts.
        background: Least score of the clutter; see `feature_scores`.
        worst: Least value, at most 0: something in front of the object may look like anything.
    """
    result = score_map(features, vertices)
    best = clutter_scores(features.reshape(len(features), -1), clutter, max(background, 0.0))
    inner = result.values[:, :-1, :-1]
    inner -= best.reshape(result.shape)
    np.maximum(inner, worst, out=inner)
    return result


def pose_scores(scores: ScoreMap, views: ViewGrid, columns: FloatArray,
                rows: FloatArray) -> Float32Array:
    """Return the scores of P poses with their origins at all of a grid of places.

    A vertex counts in the cell nearest to it; as published, those that fall outside the map or
    into its last row or column bring nothing.

    Args:
        scores: Of the vertices.
        views: P poses.
        columns: (U,) cells, u of the places.
        rows: (W,) cells, v of the places.

    Returns:
        (P, W, U) float32.
    """
    height, width = scores.shape
    flat = scores.values.reshape(-1)
    size = views.vertices.shape[1] * columns.size * rows.size
    found = np.empty((len(views), rows.size, columns.size), dtype=np.float32)
    step = max(_GATHERED // size, 1)
    for first in range(0, len(views), step):
        part = slice(first, first + step)
        x = _cells(views.offsets[part, :, :1] + columns.astype(np.float32), width)
        y = _cells(views.offsets[part, :, 1:] + rows.astype(np.float32), height) * (width + 1)
        y += views.vertices[part, :, None] * ((height + 1) * (width + 1))
        addresses = (y[..., None] + x[..., None, :]).reshape(*x.shape[:2], -1)
        found[part] = (views.weights[part, None] @ flat.take(addresses, mode='clip')).reshape(
            -1, rows.size, columns.size)
    return found


def peaks(scores: NDArray[np.floating], distance: int, least: float, most: int) -> IndexArray:
    """Return the peaks of a picture: pixels that are the largest of their surroundings.

    Args:
        scores: (H, W).
        distance: Pixels of the surroundings in each direction.
        least: Score of a peak at least.
        most: Number of peaks.

    Returns:
        (n, 2) row and column, the highest first.
    """
    side = 2 * distance + 1
    padded = np.pad(scores, distance, constant_values=-np.inf)
    around = np.lib.stride_tricks.sliding_window_view(padded, (side, side)).max(axis=(2, 3))
    found = np.argwhere((scores >= around) & (scores >= least))
    order = np.argsort(-scores[found[:, 0], found[:, 1]], kind='stable')
    return np.asarray(found[order[:most]])


def _cells(places: Float32Array, size: int) -> IndexArray:
    """Return the nearest cells; `size` = the margin for those that do not count."""
    cells = np.rint(places)
    return np.where((cells >= 0) & (cells < size - 1), cells, size).astype(np.intp)


def _areas(mesh: CuboidMesh, R: FloatArray, distance: FloatArray,
           focal: FloatArray) -> FloatArray:
    """Return the (P, 6) cells of the feature map that a vertex of each face stands for."""
    areas = np.zeros((len(R), 6))
    for number, face in enumerate(mesh.faces):
        center = (mesh.lower + mesh.upper) / 2
        center[face.axis] = (mesh.upper if face.upper else mesh.lower)[face.axis]
        points = R @ center + distance[:, None] * np.array([0.0, 0.0, 1.0])
        facing = np.abs(np.einsum('pi,pi->p', R[:, :, face.axis], points))
        surface = mesh.extents[face.fast_axis] * mesh.extents[face.slow_axis]
        areas[:, number] = (surface / (face.rows * face.columns) * focal.prod() * facing
                            / np.maximum(points[:, 2], 1e-9) ** 3)
    return areas
