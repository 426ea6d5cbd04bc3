"""Fine stage of a neural mesh: poses are moved until their rendering fits the features best.

The aim is the published one: over the pixels where the rendering fits better than the clutter, the
sum of how much better (1 minus it, per pixel, is the loss of equation 5). Where the published code
takes 300 steps of Adam, this goes along the Gauss-Newton direction: a rendering that moves by one
vertex changes by the difference of two vertices' features, whose products are known beforehand.
A step's length doubles while the aim rises and shrinks where it does not, so the aim never falls.

Source: aim and rendering, Ma et al., Robust category-level 6D pose estimation with coarse-to-fine
rendering of neural features (ECCV 2022), equations 4 to 6; the steps are ours.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from pose_estimation_ros.backends.neural_mesh_scores import FeatureScores
from pose_estimation_ros.core.cuboid_mesh import CuboidMesh
from pose_estimation_ros.core.cuboid_raster import CuboidRaster, rasterize
from pose_estimation_ros.core.rotation import axis_angle_to_matrix

FloatArray = NDArray[np.float64]
Float32Array = NDArray[np.float32]
BoolArray = NDArray[np.bool_]

# Keeps the equations solvable where nothing is seen.
_LEAST_CURVATURE = 1e-9


@dataclass(frozen=True)
class RefinementSettings:
    """How far and how long poses are moved.

    Attributes:
        steps: At most.
        damping: Share of the mean curvature that is added to each direction's.
        growth: Factor of the step's length after a rise.
        shrinkage: Factor of the step's length where there was none.
        first: Length of the first step, in Gauss-Newton steps.
        longest: Most Gauss-Newton steps that one step may be long.
        shortest: A pose whose steps are shorter has arrived.
        reach: Most that a step may turn an object, radians, and shift it, in its own half
            diagonals.
        depths: Metres along the optical axis between which an object's origin stays.
    """

    steps: int = 40
    damping: float = 1e-3
    growth: float = 2.0
    shrinkage: float = 0.3
    first: float = 2.0
    longest: float = 16.0
    shortest: float = 0.05
    reach: float = 0.4
    depths: tuple[float, float] = (0.0, np.inf)


@dataclass(frozen=True)
class RenderedMesh:
    """What is rendered: a cuboid, and how much its vertices' features differ.

    Build it with `rendered_mesh`.

    Attributes:
        cuboid: In the object frame.
        curvature: (2, V, 3) float32 products of the differences along row and column, in the
            triangle whose right angle is at the vertex: row with row, row with column, column
            with column; first for triangles towards larger coordinates, then towards smaller.
    """

    cuboid: CuboidMesh
    curvature: Float32Array


def rendered_mesh(cuboid: CuboidMesh, features: Float32Array) -> RenderedMesh:
    """Prepare a cuboid with the (V, D) features of its vertices."""
    curvature = np.zeros((2, len(features), 3), dtype=np.float32)
    for face in cuboid.faces:
        grid = features[face.vertices].reshape(face.rows, face.columns, -1)
        along_row, along_column = np.diff(grid, axis=1), np.diff(grid, axis=0)
        for side, row_part, column_part, corner in (
                (0, along_row[:-1], along_column[:, :-1], (slice(None, -1), slice(None, -1))),
                (1, along_row[1:], along_column[:, 1:], (slice(1, None), slice(1, None)))):
            products = curvature[side, face.vertices].reshape(face.rows, face.columns, 3)
            products[corner] = np.stack([
                np.einsum('rcd,rcd->rc', first, second) for first, second in (
                    (row_part, row_part), (row_part, column_part), (column_part, column_part))],
                axis=-1)
    return RenderedMesh(cuboid, curvature)


@dataclass(frozen=True)
class Hypotheses:
    """B poses of cuboids.

    Attributes:
        T_camera_object: (B, 4, 4), optical frame.
        stretch: (B, 3) how many times as long as the mesh each is along its axes.
    """

    T_camera_object: FloatArray
    stretch: FloatArray

    def __len__(self) -> int:
        """Return B."""
        return len(self.stretch)

    def __getitem__(self, rows: NDArray[np.intp] | BoolArray) -> Hypotheses:
        """Return some of them."""
        return Hypotheses(self.T_camera_object[rows], self.stretch[rows])

    def moved(self, twist: FloatArray) -> Hypotheses:
        """Return them after (B, 6) motions (dt, w) in their own object frames."""
        R = self.T_camera_object[:, :3, :3]
        T = self.T_camera_object.copy()
        T[:, :3, :3] = R @ axis_angle_to_matrix(twist[:, 3:])
        T[:, :3, 3] += np.einsum('bij,bj->bi', R, twist[:, :3])
        return replace(self, T_camera_object=T)


@dataclass(frozen=True)
class Rendering:
    """B rendered cuboids beside the features of an image.

    Attributes:
        raster: The n pixels that show one.
        scores: (n,) float64 o, how well the rendering fits the pixel.
        slopes: (2, n) float64 of o along row and column, by vertices.
        gains: (n,) float64 how much better than the clutter it fits, and than nothing; 0 where it
            does not, or where the pixel is not its own.
    """

    raster: CuboidRaster
    scores: FloatArray
    slopes: FloatArray
    gains: FloatArray

    def totals(self) -> FloatArray:
        """Return the (B,) sums of gains."""
        totals = np.bincount(self.raster.pose, self.gains, minlength=self.raster.poses)
        return totals.astype(np.float64)

    def visible_shares(self) -> FloatArray:
        """Return the (B,) shares of the silhouettes where there is a gain; 0 where none is."""
        won, seen = (np.bincount(self.raster.pose, weights, minlength=self.raster.poses)
                     for weights in (self.gains > 0, None))
        return np.asarray(won / np.maximum(seen, 1))


def render(hypotheses: Hypotheses, mesh: RenderedMesh, scores: FeatureScores, K: FloatArray,
           owned: BoolArray | None = None) -> Rendering:
    """Render cuboids and compare them with an image.

    Args:
        hypotheses: B poses.
        mesh: Of the category.
        scores: Of the image with that mesh.
        K: (3, 3) camera matrix of the feature map.
        owned: (B, h w) bool, the pixels that each may use; None = all.
    """
    raster = rasterize(mesh.cuboid, hypotheses.T_camera_object, K, scores.shape,
                       hypotheses.stretch)
    value, slopes = raster.sample(scores.at(raster.pixel, raster.corners))
    gains = np.maximum(value - np.maximum(scores.clutter[raster.pixel], 0), 0)
    if owned is not None:
        gains *= owned[raster.pose, raster.pixel]
    return Rendering(raster, value, slopes, gains)


def loss(rendering: Rendering, scores: FeatureScores) -> FloatArray:
    """Return the (B,) published losses: 1 - (mean(max(o, c)) - mean(c)).

    o is zero where the object is not seen, and here also where its rendering fits worse than that.
    """
    elsewhere = np.maximum(-scores.clutter, 0).sum()
    return np.asarray(1 - (rendering.totals() + elsewhere) / scores.clutter.size)


@dataclass(frozen=True)
class Derivatives:
    """How the gain of B poses changes with them, by (dt, w) in the object frame.

    Attributes:
        gradient: (B, 6) of the gain.
        curvature: (B, 6, 6) of the squared difference between rendering and features, halved.
    """

    gradient: FloatArray
    curvature: FloatArray


def derivatives(rendering: Rendering, mesh: RenderedMesh) -> Derivatives:
    """Return the derivatives of the pixels where the rendering fits better than the clutter."""
    raster = rendering.raster
    won = np.flatnonzero(rendering.gains)
    motion = raster.motion(mesh.cuboid)[:, :, won]
    slopes = rendering.slopes[:, won]
    products = mesh.curvature[(raster.side[won] < 0).astype(np.intp), raster.corners[won, 0]]
    row_row, row_column, column_column = products.T
    by_row = row_row * motion[0] + row_column * motion[1]
    by_column = row_column * motion[0] + column_column * motion[1]
    gradient = slopes[0] * motion[0] + slopes[1] * motion[1]
    ends = np.searchsorted(raster.pose[won], np.arange(raster.poses + 1))
    parts = [slice(*ends[b:b + 2]) for b in range(raster.poses)]
    return Derivatives(
        np.array([gradient[:, part].sum(axis=1) for part in parts]),
        np.array([motion[0][:, part] @ by_row[:, part].T
                  + motion[1][:, part] @ by_column[:, part].T for part in parts]))


@dataclass(frozen=True)
class Refined:
    """B poses after the fine stage.

    Attributes:
        hypotheses: The poses.
        gains: (B,) their sums of gains.
        evaluations: (B,) how often each was rendered.
    """

    hypotheses: Hypotheses
    gains: FloatArray
    evaluations: NDArray[np.intp]


def refine(hypotheses: Hypotheses, mesh: RenderedMesh, scores: FeatureScores, K: FloatArray,
           settings: RefinementSettings, owned: BoolArray | None = None) -> Refined:
    """Move poses until their gains rise no more; for the arguments see `render`."""
    T, stretch = hypotheses.T_camera_object.copy(), hypotheses.stretch
    rendering = render(hypotheses, mesh, scores, K, owned)
    gains, slope = rendering.totals(), derivatives(rendering, mesh)
    gradient, curvature = slope.gradient, slope.curvature
    length = np.full(len(T), settings.first)
    evaluations = np.ones(len(T), dtype=np.intp)
    for _ in range(settings.steps):
        active = np.flatnonzero(length >= settings.shortest)
        if not active.size:
            break
        radius = np.linalg.norm(mesh.cuboid.extents * stretch[active], axis=1) / 2
        tried = Hypotheses(T[active], stretch[active]).moved(_step(
            gradient[active], curvature[active], length[active], radius, settings))
        rendering = render(tried, mesh, scores, K, None if owned is None else owned[active])
        total = rendering.totals()
        z = tried.T_camera_object[:, 2, 3]
        rises = ((total > gains[active]) & (z >= settings.depths[0]) & (z <= settings.depths[1]))
        length[active] = np.where(
            rises, np.minimum(length[active] * settings.growth, settings.longest),
            length[active] * settings.shrinkage)
        evaluations[active] += 1
        if rises.any():
            slope = derivatives(rendering, mesh)
            better = active[rises]
            T[better], gains[better] = tried.T_camera_object[rises], total[rises]
            gradient[better], curvature[better] = slope.gradient[rises], slope.curvature[rises]
    return Refined(Hypotheses(T, stretch), gains, evaluations)


def _step(gradient: FloatArray, curvature: FloatArray, length: FloatArray, radius: FloatArray,
          settings: RefinementSettings) -> FloatArray:
    """Return the (B, 6) motions: damped Gauss-Newton steps of the given lengths.

    Shifts count in half diagonals of the object, so that both kinds of numbers are alike.
    """
    units = np.concatenate([np.repeat(radius[:, None], 3, axis=1),
                            np.ones((len(radius), 3))], axis=1)
    scaled = curvature * units[:, :, None] * units[:, None]
    mean = np.trace(scaled, axis1=1, axis2=2) / 6
    scaled += (settings.damping * mean + _LEAST_CURVATURE)[:, None, None] * np.eye(6)
    step = length[:, None] * np.linalg.solve(scaled, (gradient * units)[..., None])[..., 0]
    reach = np.maximum(np.linalg.norm(step[:, :3], axis=1), np.linalg.norm(step[:, 3:], axis=1))
    within = np.minimum(1, settings.reach / np.maximum(reach, 1e-12))
    return np.asarray(step * within[:, None] * units)
