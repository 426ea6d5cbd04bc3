"""Fits the CAD model of a known object to the depth image, where there is one.

The look-up leaves two things open: the rotation between two views, and the distance, which the
size of a box tells badly, above all of an object that something hides in part. Depth of the
object's pixels tells both. Points that were seen are fitted to the side of the model that faces
the camera, and not the other way round, so what is hidden does not matter. Of a mask that is too
large, or a mere box, only points near the model take part. An object without depth of its own, as
of what is black, shines or is of glass, is left where colour has found it: around it depth is of
something else. The registration is that of small_gicp
(generalized ICP), which is optional.
"""

from __future__ import annotations

import importlib.util
import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from pose_estimation_ros.backends.box_foreground import has_no_mask, with_mask
from pose_estimation_ros.backends.disp6d_depth_alignment import thinned
from pose_estimation_ros.backends.point_preparation import masked_pixels
from pose_estimation_ros.core.detection import Detection
from pose_estimation_ros.core.frame import RGBDFrame
from pose_estimation_ros.core.object_pose import ObjectPose
from pose_estimation_ros.core.pose_covariance import (
    at_other_point,
    sight_covariance,
    with_unknown_spin,
)
from pose_estimation_ros.core.rotation import angle_between
from pose_estimation_ros.core.se3 import at_point
from pose_estimation_ros.rendering.mesh import Mesh, SurfaceSamples

FloatArray = NDArray[np.float64]
Pixels: TypeAlias = NDArray[np.intp]

_logger = logging.getLogger(__name__)

_SURFACE_POINTS, _MOST_POINTS, _FEWEST_POINTS, _FEWEST_FITTED = 2000, 1000, 50, 20
# Lengths are shares of the object's diagonal.
_SPACING, _CELL, _REACH = 0.025, 0.06, 0.12
_MOST_ITERATIONS = 30
# Where a smaller share of an object's pixels has depth, that is mostly of its surroundings.
_LEAST_KNOWN = 0.4
# Points further from the model than this are not the object's.
_FARTHEST_POINT = 0.2
# A fit that turns an object further than views are apart, or shifts it further, or after which
# fewer of the points where the model is seen lie near its surface, has found something else.
_FARTHEST_TURN, _FARTHEST_SHIFT = np.radians(30.0), 0.3
_NEAR, _LEAST_NEAR = 0.04, 0.7
# The same of all points of the mask: not of those that the model explains alone.
_LEAST_OWN = 0.5
# The second one begins with the points that are near the first.
_FITS = 2
# What is nearer to the camera than the model by more than this hides it.
_HIDING = 0.15
# How exactly the median depth tells the distance of an object whose rotation may be wrong.
_MOVED_DEVIATION = 0.1
# What a fit leaves open at least: depth cameras are off by as much, metres and radians.
_LEAST_DEVIATION, _LEAST_TURN = 0.002, np.radians(1.0)


@dataclass(frozen=True, eq=False)
class ModelSurface:
    """The surface of a known object about the middle of its box, wherever its file's origin is.

    Attributes:
        middle: (3,) of the box, metres, object's frame.
        samples: Points of the surface with their normals; their origin is that middle.
        diagonal: Of the box, metres.
        tree: Of the points.
    """

    middle: FloatArray
    samples: SurfaceSamples
    diagonal: float
    tree: cKDTree

    @classmethod
    def of(cls, mesh: Mesh) -> ModelSurface:
        """Draw points from a mesh, the same ones each time.

        A mesh that is inside out is turned round: which side faces the camera depends on it.
        """
        if mesh.signed_volume < 0:
            mesh = Mesh(mesh.vertices, mesh.faces[:, ::-1])
        samples = mesh.sample_surface(_SURFACE_POINTS, np.random.default_rng(0))
        middle = mesh.bounds.mean(axis=0, dtype=np.float64)
        samples = replace(samples, points=(samples.points - middle).astype(np.float32))
        return cls(middle, samples, float(np.linalg.norm(np.ptp(mesh.bounds, axis=0))),
                   cKDTree(samples.points))

    def distances(self, T: FloatArray, seen: FloatArray) -> FloatArray:
        """Return how far (N, 3) points of the camera's frame are from the surface, diagonals."""
        distance, _ = self.tree.query((seen - T[:3, 3]) @ T[:3, :3])
        return np.asarray(distance / self.diagonal, dtype=np.float64)

    def agreement(self, T: FloatArray, seen: FloatArray) -> float:
        """Return which share of the points where the surface is to be seen lies near it.

        Points (N, 3) of the camera's frame beside it, or well before it, say nothing; NaN if
        hardly any is left.
        """
        cell = _cell(self, T)
        expected = _nearest_by_cell(self.facing(T), cell)
        depth = np.array([expected.get(key, np.nan) for key in _cells(seen, cell)])
        comparable = seen[seen[:, 2] > depth - _HIDING * self.diagonal]
        if len(comparable) < _FEWEST_FITTED:
            return float('nan')
        return float((self.distances(T, comparable) < _NEAR).mean())

    def facing(self, T: FloatArray) -> FloatArray:
        """Return the (N, 3) points, in the camera's frame, that face a camera at its origin."""
        points = self.samples.points @ T[:3, :3].T + T[:3, 3]
        normals = self.samples.normals @ T[:3, :3].T
        return np.asarray(points[(points * normals).sum(axis=1) < 0], dtype=np.float64)


Refinement: TypeAlias = Callable[[ObjectPose, ModelSurface, RGBDFrame], ObjectPose]


def chosen_refinement(choice: str) -> Refinement | None:
    """Return the fit that 'auto' or 'none' means; None = poses stay as they are."""
    if choice == 'none':
        return None
    if importlib.util.find_spec('small_gicp') is not None:
        return refined
    _logger.info('known objects are not fitted to depth: small_gicp is not installed; get it '
                 'with: pip install small_gicp')
    return None


def refined(pose: ObjectPose, surface: ModelSurface, frame: RGBDFrame) -> ObjectPose:
    """Return a pose fitted to depth; the same one where depth tells nothing.

    In a mere box something else may lie before or behind the object. Its pixels are looked for
    by depth and colours, and the pose is fitted to these and to the whole box; what agrees best
    with the box is taken, which may be the pose as it was.

    Where fewer than 40 % of the pixels in which the pose shows the object have depth, or of those
    of its mask, the pose stays as it was, too.

    Args:
        pose: Of a known object, with its detection.
        surface: Of its CAD model.
        frame: The undistorted frame.

    Returns:
        The pose; its detection has the mask that was found, if a fit to that was the best.
    """
    if frame.depth is None or pose.detection is None:
        return pose
    # Turned about a far origin, a well placed object would seem to be moved.
    about_middle = _about(pose, surface.middle)
    best = _best_fit(about_middle, pose.detection, surface, frame)
    return pose if best is about_middle else _about(best, -surface.middle)


def _about(pose: ObjectPose, shift: FloatArray) -> ObjectPose:
    """Return a pose told by another point of the object, (3,) metres from its origin."""
    T, covariance = pose.T_camera_object, pose.covariance
    return replace(pose, T_camera_object=at_point(T, shift), covariance=None if covariance is None
                   else at_other_point(covariance, T[:3, :3] @ shift))


def _best_fit(pose: ObjectPose, detection: Detection, surface: ModelSurface,
              frame: RGBDFrame) -> ObjectPose:
    """Return what `refined` does, of a pose about the surface's middle."""
    has_mask = not has_no_mask(detection)
    # The pose tells where a box shows the object. A mask tells it also where the pose is off.
    pixels = [_shown_pixels(surface, pose.T_camera_object, frame)]
    if has_mask:
        pixels.append(detection.pixels())
    if any(_known_share(frame, *places) < _LEAST_KNOWN for places in pixels):
        return pose
    seen = _seen(frame, detection)
    if has_mask:
        return _fitted(pose, surface, seen)
    found = with_mask(frame, detection, surface.diagonal)
    answers = [_fitted(replace(pose, detection=found), surface, _seen(frame, found)),
               _fitted(pose, surface, seen), pose]
    agreements = [surface.agreement(answer.T_camera_object, seen) for answer in answers]
    return answers[int(np.nanargmax(agreements))] if np.isfinite(agreements).any() else pose


def _shown_pixels(surface: ModelSurface, T: FloatArray, frame: RGBDFrame) -> tuple[Pixels, Pixels]:
    """Return rows and columns of the pixels in which a pose shows the surface."""
    facing = surface.facing(T)
    columns, rows = np.unique(np.rint(frame.intrinsics.project(facing[facing[:, 2] > 0])).astype(
        np.intp), axis=0).T
    return rows, columns


def _known_share(frame: RGBDFrame, rows: Pixels, columns: Pixels) -> float:
    """Return in which share of the (N,) pixels there is depth; those outside the image are not."""
    assert frame.depth is not None
    inside = ((rows >= 0) & (rows < frame.depth.shape[0])
              & (columns >= 0) & (columns < frame.depth.shape[1]))
    depth = frame.depth[rows[inside], columns[inside]]
    return float((np.isfinite(depth) & (depth > 0)).mean()) if len(depth) else 0.0


def _seen(frame: RGBDFrame, detection: Detection) -> FloatArray:
    """Return (N, 3) points of a detection's pixels, camera optical frame, metres."""
    assert frame.depth is not None
    rows, columns = masked_pixels(frame, detection)
    return thinned(frame.intrinsics.back_project(
        np.stack([columns, rows], axis=1).astype(np.float64), frame.depth[rows, columns]),
        _MOST_POINTS)


def _fitted(pose: ObjectPose, surface: ModelSurface, seen: FloatArray) -> ObjectPose:
    """Return a pose fitted to (N, 3) points; the same one where they tell nothing."""
    if len(seen) < _FEWEST_POINTS:
        return pose
    given = pose.T_camera_object
    moved = _at_depth(given, surface, seen)
    if moved[2, 3] <= 0:
        return pose
    for start in (moved, given):
        fitted = _trusted_fit(surface, start, seen)
        if fitted is not None:
            deviation = max(_LEAST_DEVIATION, _SPACING * surface.diagonal)
            covariance = sight_covariance(fitted[:3, 3], deviation, deviation,
                                          max(_LEAST_TURN, deviation / surface.diagonal))
            return replace(pose, T_camera_object=fitted, covariance=with_unknown_spin(
                covariance, fitted[:3, :3], pose.symmetry))
    # The distance is better known than before all the same, unless something else is there. Where
    # all that is seen lies before the given pose, any agreement is more than it had.
    better = surface.agreement(moved, seen) > np.nan_to_num(surface.agreement(given, seen))
    return _moved(pose, moved, surface) if better else pose


def _moved(pose: ObjectPose, moved: FloatArray, surface: ModelSurface) -> ObjectPose:
    """Return a pose that depth has moved along its line of sight, with what is known there."""
    if pose.covariance is None:
        return replace(pose, T_camera_object=moved)
    before, position = pose.T_camera_object[:3, 3], pose.covariance[:3, :3]
    sight = before / np.linalg.norm(before)
    across = max((np.trace(position) - sight @ position @ sight) / 2.0, 0.0) ** 0.5
    # What is known of the middle's place says nothing about the rotation.
    covariance = np.zeros((6, 6))
    covariance[3:, 3:] = pose.covariance[3:, 3:]
    covariance[:3, :3] = sight_covariance(
        moved[:3, 3], _MOVED_DEVIATION * surface.diagonal,
        across * float(moved[2, 3] / before[2]), 0.0)[:3, :3]
    return replace(pose, T_camera_object=moved, covariance=covariance)


def _trusted_fit(surface: ModelSurface, start: FloatArray, seen: FloatArray) -> FloatArray | None:
    """Return the (4, 4) pose that fits (N, 3) points best near a first one, None if none does."""
    T = start
    for _ in range(_FITS):
        own = seen[surface.distances(T, seen) < _FARTHEST_POINT]
        T = np.linalg.inv(_fit(surface, T, own)) @ T
    shift = float(np.linalg.norm(T[:3, 3] - start[:3, 3]))
    turn = float(angle_between(T[:3, :3], start[:3, :3]))
    is_near = shift <= _FARTHEST_SHIFT * surface.diagonal and turn <= _FARTHEST_TURN
    return T if (is_near and T[2, 3] > 0 and surface.agreement(T, seen) >= _LEAST_NEAR
                 and (surface.distances(T, seen) < _NEAR).mean() >= _LEAST_OWN) else None


def _at_depth(T: FloatArray, surface: ModelSurface, seen: FloatArray) -> FloatArray:
    """Return the pose moved along its line of sight to where the points are, in the median.

    Points are compared where both were seen, cell by cell of the image, the nearest of a cell
    each: behind it a model may have as many points as it likes.
    """
    cell = _cell(surface, T)
    expected, found = _nearest_by_cell(surface.facing(T), cell), _nearest_by_cell(seen, cell)
    shared = expected.keys() & found.keys()
    moved = T.copy()
    if shared:
        ratio = float(np.median([found[key] / expected[key] for key in shared]))
        moved[:3, 3] *= 1.0 + (ratio - 1.0) * np.median(
            [expected[key] for key in shared]) / T[2, 3]
    return moved


def _cell(surface: ModelSurface, T: FloatArray) -> float:
    """Return the width of a cell of the image plane at a distance of 1, for an object there."""
    return float(_CELL * surface.diagonal / T[2, 3])


def _cells(points: FloatArray, cell: float) -> Iterator[tuple[int, int]]:
    """Return the cell of the image plane in which each of (N, 3) points lies."""
    columns, rows = np.floor(points[:, :2] / points[:, 2:] / cell).astype(int).T
    return zip(columns.tolist(), rows.tolist(), strict=True)


def _nearest_by_cell(points: FloatArray, cell: float) -> dict[tuple[int, int], float]:
    """Return the least depth of (N, 3) points in each cell of the image plane."""
    points = points[points[:, 2] > 0]
    nearest: dict[tuple[int, int], float] = {}
    for key, depth in zip(_cells(points, cell), points[:, 2].tolist(), strict=True):
        if depth < nearest.get(key, np.inf):
            nearest[key] = depth
    return nearest


def _fit(surface: ModelSurface, start: FloatArray, seen: FloatArray) -> FloatArray:
    """Return the (4, 4) motion of points that were seen to those of the model at `start`."""
    import small_gicp

    if len(seen) < _FEWEST_FITTED:
        return np.eye(4)
    spacing = _SPACING * surface.diagonal
    target, tree = small_gicp.preprocess_points(surface.facing(start),
                                                downsampling_resolution=spacing)
    source, _ = small_gicp.preprocess_points(seen, downsampling_resolution=spacing)
    if min(target.size(), source.size()) < _FEWEST_FITTED:
        return np.eye(4)
    return np.asarray(small_gicp.align(
        target, source, tree, registration_type='GICP',
        max_correspondence_distance=_REACH * surface.diagonal, max_iterations=_MOST_ITERATIONS,
        translation_epsilon=1e-5).T_target_source)
