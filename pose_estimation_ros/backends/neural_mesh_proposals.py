"""First poses of a neural mesh's objects: places first, then rotations at the best of them.

Source: Ma et al., Robust category-level 6D pose estimation with coarse-to-fine rendering of
neural features (ECCV 2022), section 3.4; the order of the search and the areas are ours.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

from pose_estimation_ros.backends.neural_mesh_archive import CategoryMesh
from pose_estimation_ros.backends.neural_mesh_refinement import Hypotheses
from pose_estimation_ros.backends.neural_mesh_search import (
    ScoreMap,
    ViewGrid,
    gain_map,
    peaks,
    pose_scores,
    view_grid,
)
from pose_estimation_ros.core.cuboid_mesh import CuboidMesh
from pose_estimation_ros.core.farthest_points import farthest_point_order
from pose_estimation_ros.core.rotation import angle_between, axis_angle_to_matrix
from pose_estimation_ros.core.se3 import make_transform

FloatArray = NDArray[np.float64]
Float32Array = NDArray[np.float32]
IndexArray = NDArray[np.intp]

# A box of a detector is about as large as the object: factor at most, either way.
_SIZE_TOLERANCE = 1.5
# Poses whose vertices are projected at once: some tens of megabytes.
_PORTION = 256


@dataclass(frozen=True)
class SearchSettings:
    """How finely an image is searched.

    Attributes:
        distances: Metres along the optical axis, ascending; neighbours differ by a factor of
            about 1.25.
        peaks: Places of a category that are looked at closely, at most.
        initial_poses: Of a place that are refined, at most.
        separation: Radians between the initial poses of a place, at least.
        pool: Cells of the feature map, along each side, that are one cell of the search.
        step: Cells of the search between two places.
        location_rotations: Rotations, spread evenly, that look for places.
        sample: Visible vertices that a pose is scored with.
        background: What a cell of the clutter scores at least; see `feature_scores`.
        worst: What a cell costs at most that fits the clutter better; see `gain_map`.
    """

    distances: tuple[float, ...] = tuple(np.geomspace(0.35, 1.8, 8).tolist())
    peaks: int = 6
    initial_poses: int = 3
    separation: float = 0.5
    pool: int = 2
    step: int = 2
    location_rotations: int = 36
    sample: int = 32
    background: float = 0.3
    worst: float = -0.2


@dataclass(frozen=True)
class CellBox:
    """Where a detector saw an object.

    Attributes:
        label: Its category.
        box: (4,) x_min, y_min, x_max, y_max in cells of the feature map.
    """

    label: str
    box: FloatArray


@dataclass(frozen=True)
class Proposals:
    """First poses of a category's objects.

    Attributes:
        hypotheses: B poses.
        place: (B,) which of the places each belongs to; a place is one object.
        box: (B,) which of the given boxes it comes from, -1 for none.
    """

    hypotheses: Hypotheses
    place: IndexArray
    box: IndexArray


@dataclass(frozen=True, eq=False)
class SearchViews:
    """The poses of a search for one camera, with the projections of vertices.

    Attributes:
        views: All rotations at all distances.
        level: (P,) which distance.
        scouts: Rows of `views` that look for places.
        K: (3, 3) camera matrix of the cells of the search.
    """

    views: ViewGrid
    level: IndexArray
    scouts: IndexArray
    K: FloatArray

    @classmethod
    def of(cls, cuboid: CuboidMesh, rotations: FloatArray, K: FloatArray,
           settings: SearchSettings) -> SearchViews:
        """Project a cuboid.

        Args:
            cuboid: Of the category.
            rotations: (R, 3, 3) R_camera_object of an object on the optical axis.
            K: (3, 3) camera matrix of the feature map.
            settings: Of the search.
        """
        levels = len(settings.distances)
        scouts = farthest_point_order(rotations.reshape(len(rotations), 9),
                                      min(settings.location_rotations, len(rotations)))
        level = np.tile(np.arange(levels), len(rotations))
        pooled = _pooled_camera(K, settings.pool)
        R, distance = np.repeat(rotations, levels, axis=0), np.array(settings.distances)[level]
        parts = [view_grid(cuboid, R[first:first + _PORTION], distance[first:first + _PORTION],
                           pooled, settings.sample) for first in range(0, len(R), _PORTION)]
        views = ViewGrid(*(np.concatenate([getattr(part, one.name) for part in parts])
                           for one in fields(ViewGrid)))
        rows = (scouts[:, None] * levels + np.arange(levels)).ravel()
        return cls(views, level, rows, pooled)


def propose(features: Float32Array, mesh: CategoryMesh, search: SearchViews,
            settings: SearchSettings) -> Proposals:
    """Search an image for the objects of a category.

    Args:
        features: (D, h, w) float32.
        mesh: Of the category.
        search: Its views.
        settings: Of the search.

    Returns:
        Some at each place; none in a map that is smaller than a place.
    """
    gains = _pooled_gains(features, mesh, settings)
    height, width = gains.shape
    columns = np.arange(settings.step // 2, width, settings.step, dtype=np.float64)
    rows = np.arange(settings.step // 2, height, settings.step, dtype=np.float64)
    if not (columns.size and rows.size):
        return _together([], [])
    scouted = pose_scores(gains, search.views[search.scouts], columns, rows)
    places = peaks(scouted.max(axis=0), 2, float(np.finfo(np.float32).tiny), settings.peaks)
    found = []
    for row, column in places:
        level = search.level[search.scouts[scouted[:, row, column].argmax()]]
        near = np.flatnonzero(np.abs(search.level - level) <= 1)
        found.append(_initial_poses(gains, search, near, (columns[column], rows[row]), settings))
    return _together(found, [-1] * len(found))


def propose_in_box(features: Float32Array, mesh: CategoryMesh, search: SearchViews,
                   settings: SearchSettings,
                   boxes: Sequence[tuple[int, CellBox]]) -> Proposals:
    """Return first poses of objects where a detector saw some of the category.

    Args:
        features: (D, h, w) float32.
        mesh: Of the category.
        search: Its views.
        settings: Of the search.
        boxes: With their numbers.
    """
    if not boxes:
        return _together([], [])
    gains = _pooled_gains(features, mesh, settings)
    offsets = search.views.offsets
    spread = np.linalg.norm(offsets.max(axis=1) - offsets.min(axis=1), axis=1)
    found = []
    for _, one in boxes:
        low, high = (np.asarray(corner) / settings.pool - 0.5 + 0.5 / settings.pool
                     for corner in (one.box[:2], one.box[2:]))
        ratio = np.abs(np.log(np.maximum(spread, 1e-6) / np.linalg.norm(high - low)))
        alike = np.flatnonzero(ratio <= max(np.log(_SIZE_TOLERANCE), ratio.min()))
        center = (low + high) / 2
        found.append(_initial_poses(gains, search, alike, (center[0], center[1]), settings))
    return _together(found, [number for number, _ in boxes])


def _initial_poses(gains: ScoreMap, search: SearchViews, rows: IndexArray,
                   place: tuple[float, float], settings: SearchSettings) -> FloatArray:
    """Return the (n, 4, 4) best poses at and next to a place whose rotations differ."""
    around = np.array([-1.0, 0.0, 1.0])
    scores = pose_scores(gains, search.views[rows], place[0] + around, place[1] + around)
    best_cell = scores.reshape(len(rows), -1).argmax(axis=1)
    order = np.argsort(-scores.reshape(len(rows), -1).max(axis=1), kind='stable')
    chosen: list[int] = []
    for row in order:
        R = search.views.R[rows[row]]
        if not chosen or angle_between(search.views.R[rows[chosen]],
                                       R).min() >= settings.separation:
            chosen.append(int(row))
        if len(chosen) == settings.initial_poses:
            break
    v, u = np.divmod(best_cell[chosen], around.size)
    return _poses_at(search, rows[chosen], place[0] + around[u], place[1] + around[v])


def _poses_at(search: SearchViews, rows: IndexArray, u: FloatArray,
              v: FloatArray) -> FloatArray:
    """Return the (n, 4, 4) poses that look at cells (u, v) as they do on the optical axis."""
    rays = np.stack([u, v, np.ones_like(u)], axis=1) @ np.linalg.inv(search.K).T
    # The shortest rotation from the optical axis to the ray.
    lateral = np.linalg.norm(rays[:, :2], axis=1)
    axis = np.stack([-rays[:, 1], rays[:, 0], np.zeros_like(u)], axis=1)
    turn = axis_angle_to_matrix(axis * (np.arctan(lateral) / np.maximum(lateral, 1e-12))[:, None])
    return make_transform(turn @ search.views.R[rows], search.views.distance[rows, None] * rays)


def _together(found: Sequence[FloatArray], boxes: Sequence[int]) -> Proposals:
    counts = [len(poses) for poses in found]
    T = np.concatenate([np.empty((0, 4, 4)), *found])
    return Proposals(Hypotheses(T, np.ones((len(T), 3))), np.repeat(np.arange(len(found)), counts),
                     np.repeat(np.array(boxes, dtype=np.intp), counts))


def _pooled_gains(features: Float32Array, mesh: CategoryMesh,
                  settings: SearchSettings) -> ScoreMap:
    channels, height, width = features.shape
    side = settings.pool
    whole = features[:, :height // side * side, :width // side * side]
    pooled = whole.reshape(channels, height // side, side, width // side, side).mean(axis=(2, 4))
    return gain_map(pooled, mesh.features, mesh.clutter, settings.background,
                    settings.worst)


def _pooled_camera(K: FloatArray, pool: int) -> FloatArray:
    """Return the camera matrix of cells of `pool` x `pool`, whose outer borders coincide."""
    scale = np.array([[1 / pool, 0, 0.5 / pool - 0.5], [0, 1 / pool, 0.5 / pool - 0.5],
                      [0, 0, 1]])
    return np.asarray(scale @ K)
