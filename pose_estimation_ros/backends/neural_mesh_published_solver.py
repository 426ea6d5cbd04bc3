"""The neural mesh's published solver as a whole: search on its grid, two passes, competition.

All its scores are found, without its gigabytes: exhaustively in portions, or places first.

Source: Ma et al., Robust category-level 6D pose estimation with coarse-to-fine rendering of
neural features (ECCV 2022), section 3.4; the grid is that of the released default.yml.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import product

import numpy as np
from numpy.typing import NDArray

from pose_estimation_ros.backends.neural_mesh_competition import compete
from pose_estimation_ros.backends.neural_mesh_published import (
    PUBLISHED,
    PublishedPose,
    PublishedSettings,
    evaluate,
    refine,
)
from pose_estimation_ros.backends.neural_mesh_scores import FeatureScores
from pose_estimation_ros.backends.neural_mesh_search import (
    ScoreMap,
    ViewGrid,
    peaks,
    pose_scores,
    view_grid,
)
from pose_estimation_ros.core.cuboid_mesh import CuboidMesh

FloatArray = NDArray[np.float64]
Float32Array = NDArray[np.float32]
IndexArray = NDArray[np.intp]

# Poses whose vertices are projected at once: some tens of megabytes.
_PORTION = 256
_EVERYWHERE = slice(None), slice(None)


@dataclass(frozen=True)
class PublishedGrid:
    """What the published search tries: all poses at all places.

    Attributes:
        azimuths: Radians.
        elevations: Radians.
        thetas: Radians.
        distances: Units of the mesh.
        columns: Principal points, x, pixels of the image.
        rows: Principal points, y, pixels.
        least: Score of a peak at least.
        peak_distance: Places around a peak that score less, in each direction.
    """

    azimuths: FloatArray
    elevations: FloatArray
    thetas: FloatArray
    distances: FloatArray
    columns: FloatArray
    rows: FloatArray
    least: float = 80.0
    peak_distance: int = 2

    @classmethod
    def default(cls, settings: PublishedSettings = PUBLISHED) -> PublishedGrid:
        """Return the grid of default.yml: 7776 poses at 144 places."""
        height, width = (side * settings.stride for side in settings.shape)
        return cls(np.linspace(0, 2 * np.pi, 24, endpoint=False),
                   np.linspace(-np.pi / 6, np.pi / 3, 6), np.linspace(-np.pi / 6, np.pi / 6, 6),
                   np.linspace(4.0, 20.0, 9),
                   np.linspace(0.0, width, 12), np.linspace(0.0, height, 12))

    @property
    def poses(self) -> FloatArray:
        """(P, 4) azimuth, elevation, theta, distance; the last varies fastest."""
        return np.array(list(product(self.azimuths, self.elevations, self.thetas,
                                     self.distances)))


@dataclass(frozen=True)
class PublishedPlaces:
    """The best pose at each place.

    Attributes:
        scores: (12, 12) float32 by row and column of the grid.
        best: (12, 12) which of the grid's poses it is.
    """

    scores: Float32Array
    best: IndexArray


def search_everything(scores: ScoreMap, mesh: CuboidMesh, grid: PublishedGrid,
                      settings: PublishedSettings = PUBLISHED) -> PublishedPlaces:
    """Score all poses at all places."""
    return _best_of(scores, mesh, grid, np.arange(len(grid.poses)), [_EVERYWHERE], settings)


def search_places_first(scores: ScoreMap, mesh: CuboidMesh, grid: PublishedGrid, scouts: int,
                        settings: PublishedSettings = PUBLISHED) -> PublishedPlaces:
    """Score some poses at all places, then all poses at the peaks and next to them.

    Args:
        scores: Of the vertices.
        mesh: The cuboid.
        grid: What is tried.
        scouts: How many poses, evenly taken, look for places.
        settings: Of the released code.

    Returns:
        As `search_everything`, but places far from a peak as the scouts saw them.
    """
    every = len(grid.poses)
    places = _best_of(scores, mesh, grid,
                      np.linspace(0, every - 1, min(scouts, every)).astype(np.intp), [_EVERYWHERE],
                      settings)
    around = [(slice(max(row - 1, 0), row + 2), slice(max(column - 1, 0), column + 2))
              for row, column in peaks(places.scores, grid.peak_distance, -np.inf,
                                       places.best.size)]
    closely = _best_of(scores, mesh, grid, np.arange(every), around, settings)
    better = closely.scores > places.scores
    return PublishedPlaces(np.where(better, closely.scores, places.scores),
                           np.where(better, closely.best, places.best))


def initial_poses(places: PublishedPlaces, grid: PublishedGrid,
                  settings: PublishedSettings = PUBLISHED) -> list[PublishedPose]:
    """Return the best pose of each peak, the highest first."""
    found = peaks(places.scores, grid.peak_distance, grid.least, places.best.size)
    poses = grid.poses[places.best[found[:, 0], found[:, 1]]]
    return [PublishedPose.of(azimuth, elevation, theta, distance,
                             (float(grid.columns[column]), float(grid.rows[row])), settings)
            for (azimuth, elevation, theta, distance), (row, column) in zip(poses, found,
                                                                            strict=True)]


@dataclass(frozen=True)
class PublishedObject:
    """An object of the published solver.

    Attributes:
        pose: After both passes.
        loss: Of equation 5, in the pixels that it kept.
        score: Sum of how well it explains its pixels.
    """

    pose: PublishedPose
    loss: float
    score: float


def solve(starts: Sequence[PublishedPose], mesh: CuboidMesh, scores: FeatureScores,
          settings: PublishedSettings = PUBLISHED) -> list[PublishedObject]:
    """Refine poses, let them compete for pixels, and refine them again with what they keep."""
    if not starts:
        return []
    poses = [refine(start, mesh, scores, settings=settings) for start in starts]
    seen = [evaluate(pose, mesh, scores, settings=settings).object_scores for pose in poses]
    kept = compete(np.array([_claims(one, scores) for one in seen]), np.array(seen))
    objects = []
    for start, own in zip(poses, kept, strict=True):
        pose = refine(start, mesh, scores, own, settings)
        fit = evaluate(pose, mesh, scores, own, settings)
        claims = _claims(fit.object_scores, scores)
        objects.append(PublishedObject(pose, fit.loss, float(fit.object_scores[claims].sum())))
    return objects


def _claims(object_scores: FloatArray, scores: FeatureScores) -> NDArray[np.bool_]:
    return np.asarray((object_scores > scores.clutter) & (object_scores > 0))


def _best_of(scores: ScoreMap, mesh: CuboidMesh, grid: PublishedGrid, rows: IndexArray,
             windows: Sequence[tuple[slice, slice]],
             settings: PublishedSettings) -> PublishedPlaces:
    """Return the best of some of the grid's poses in windows of places, portion by portion."""
    highest = np.full((grid.rows.size, grid.columns.size), -np.inf, dtype=np.float32)
    best = np.zeros(highest.shape, dtype=np.intp)
    poses = grid.poses
    for first in range(0, rows.size, _PORTION):
        portion = rows[first:first + _PORTION]
        views = _equal_views(mesh, poses[portion], settings)
        for window in windows:
            found = pose_scores(scores, views, grid.columns[window[1]] / settings.stride,
                                grid.rows[window[0]] / settings.stride)
            better = found.max(axis=0) > highest[window]
            best[window][better] = portion[found.argmax(axis=0)][better]
            highest[window] = np.maximum(highest[window], found.max(axis=0))
    return PublishedPlaces(highest, best)


def _equal_views(mesh: CuboidMesh, poses: FloatArray, settings: PublishedSettings) -> ViewGrid:
    """Return views whose vertices all count the same, as published.

    The published rule of visibility, so many of the faces nearest to the camera, gives the same
    faces as those that are turned to it.
    """
    T = np.array([PublishedPose.of(azimuth, elevation, theta, distance, settings.image_center,
                                   settings).T_camera_mesh
                  for azimuth, elevation, theta, distance in poses])
    focal = settings.search_focal / settings.stride
    views = view_grid(mesh, T[:, :3, :3], T[:, 2, 3], np.diag([focal, focal, 1.0]))
    return replace(views, weights=(views.weights > 0).astype(np.float32))
