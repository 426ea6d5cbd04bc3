"""VSD, the visible surface discrepancy of BOP: how much of what can be seen lies elsewhere.

Models are rendered at the true and at the estimated pose. Where the surfaces that the scene does
not hide differ by `tau` or more, or only one of them is there, pixels count as wrong.

Source: specs/mrc_c2f_disp6d.md, section 4 (bop_toolkit cea62d6).
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

import numpy as np
from numpy.typing import NDArray

from pose_estimation_ros.core.camera import CameraIntrinsics
from pose_estimation_ros.core.errors import InvalidInputError
from pose_estimation_ros.core.se3 import inverse, transform_points
from pose_estimation_ros.evaluation.bop_model import CadModel
from pose_estimation_ros.rendering.renderer import RayCaster, Window, camera_rays

FloatArray = NDArray[np.float64]

# Vertices nearer than this to the camera's plane have no usable projection, metres.
_NEAREST = 1e-3


class MissingDepth(Enum):
    """What is assumed where the sensor saw no depth."""

    VISIBLE = 'bop19'
    HIDDEN = 'bop18'


@dataclass(frozen=True)
class VsdSettings:
    """What counts as visible.

    Attributes:
        delta: How far a surface may lie behind the scene's, metres.
        missing_depth: What is assumed where the scene's depth is unknown.
    """

    delta: float = 0.015
    missing_depth: MissingDepth = MissingDepth.VISIBLE

    @classmethod
    def of_data_set(cls, name: str) -> VsdSettings:
        """Return what BOP takes for the data set of that name: 5 mm for 'itodd', else 15 mm."""
        return cls(0.005) if name == 'itodd' else cls()


@dataclass(frozen=True, eq=False)
class Scene:
    """What the depth camera saw.

    Attributes:
        intrinsics: Of the image, without distortion.
        distance: (H, W) float64 distances from the camera's centre, metres; NaN = unknown.
    """

    intrinsics: CameraIntrinsics
    distance: FloatArray

    @classmethod
    def of(cls, depth: NDArray[np.float32] | None, intrinsics: CameraIntrinsics) -> Scene:
        """Return the scene of an (H, W) depth image, metres along z, NaN = unknown.

        Raises:
            InvalidInputError: If there is no depth or the image is distorted.
        """
        if depth is None:
            raise InvalidInputError('VSD compares with the scene\'s depth, and the frame has '
                                    'none; leave VSD out or use a data set with depth')
        if intrinsics.is_distorted:
            raise InvalidInputError(f'VSD renders without lens distortion, the image has D = '
                                    f'{intrinsics.D.tolist()}; undistort the data set first')
        pixels = np.arange(depth.size)
        per_depth = _distance_per_depth(intrinsics, pixels).reshape(depth.shape)
        return cls(intrinsics, depth * per_depth)


@dataclass(frozen=True, eq=False)
class Surface:
    """What would be seen of a model alone.

    Attributes:
        pixels: (P,) indices into the flattened image, ascending.
        distance: (P,) float64 distances from the camera's centre, metres.
    """

    pixels: NDArray[np.intp]
    distance: FloatArray


def render_surface(caster: RayCaster, corners: FloatArray, T_camera_object: FloatArray,
                   intrinsics: CameraIntrinsics) -> Surface:
    """Render a model alone.

    Args:
        caster: Of the model, in its own frame.
        corners: (C, 3) points whose convex hull holds the model, such as its vertices, metres.
        T_camera_object: (4, 4) pose.
        intrinsics: Camera, without distortion.

    Returns:
        The surface that faces the camera.
    """
    # BOP's renderer samples pixels half a pixel to the right and below of their index, while
    # distances are counted as if at the index.
    shifted = CameraIntrinsics.pinhole(intrinsics.width, intrinsics.height, intrinsics.fx,
                                       intrinsics.fy, intrinsics.cx - 0.5, intrinsics.cy - 0.5)
    window = _window(transform_points(T_camera_object, corners), shifted)
    if window.width <= 0 or window.height <= 0:
        return Surface(np.zeros(0, dtype=np.intp), np.zeros(0))
    depth = caster.distances(camera_rays(shifted, inverse(T_camera_object), window))
    rows, columns = np.nonzero(np.isfinite(depth))
    pixels = (rows + window.y) * intrinsics.width + columns + window.x
    return Surface(pixels, depth[rows, columns] * _distance_per_depth(intrinsics, pixels))


def visible_surface_discrepancy(
        estimate: Surface, truth: Surface, scene: Scene, taus: FloatArray,
        settings: VsdSettings) -> FloatArray:
    """Return VSD for every misalignment tolerance.

    Args:
        estimate: The model at the estimated pose.
        truth: The model at the true pose.
        scene: What the camera saw.
        taus: (T,) distances from which on a pixel is wrong, metres.
        settings: What counts as visible.

    Returns:
        (T,) shares of the visible pixels that are wrong; 1 where nothing is visible.
    """
    true_visible = _in_view(truth, scene, settings)
    visible = _in_view(estimate, scene, settings)
    _, in_truth, in_estimate = np.intersect1d(truth.pixels, estimate.pixels, assume_unique=True,
                                              return_indices=True)
    # Where the true surface is visible, an estimate there is too, even if it lies behind it.
    both = true_visible[in_truth]
    visible[in_estimate] |= both
    union = int(true_visible.sum() + visible.sum() - both.sum())
    if union == 0:
        return np.ones(len(taus))
    apart = np.abs(truth.distance[in_truth] - estimate.distance[in_estimate])[both]
    wrong = apart.size - np.searchsorted(np.sort(apart), taus, side='left')
    return np.asarray((wrong + union - apart.size) / union)


def vsd_errors(estimates: FloatArray, truths: FloatArray, model: CadModel, scene: Scene,
               taus: FloatArray, settings: VsdSettings) -> FloatArray:
    """Return VSD of every estimate with every true pose.

    Args:
        estimates: (E, 4, 4) estimated poses.
        truths: (G, 4, 4) true poses.
        model: What is at these poses.
        scene: What the camera saw.
        taus: (T,) distances from which on a pixel is wrong, metres.
        settings: What counts as visible.

    Returns:
        (T, E, G) errors from 0 to 1. Where the bounding spheres do not meet in the image it is
        1, and nothing is rendered that is in no pair that does.
    """
    errors = np.ones((len(taus), len(estimates), len(truths)))
    meet = np.stack([spheres_overlap(estimates, truth, model.diameter) for truth in truths],
                    axis=-1) if len(truths) else np.zeros((len(estimates), 0), dtype=np.bool_)
    true = {column: render_surface(model.caster, model.points, truths[column], scene.intrinsics)
            for column in np.flatnonzero(meet.any(axis=0))}
    for row in np.flatnonzero(meet.any(axis=1)):
        estimate = render_surface(model.caster, model.points, estimates[row], scene.intrinsics)
        for column in np.flatnonzero(meet[row]):
            errors[:, row, column] = visible_surface_discrepancy(
                estimate, true[column], scene, taus, settings)
    return errors


def spheres_overlap(estimates: FloatArray, truth: FloatArray, diameter: float
                    ) -> NDArray[np.bool_]:
    """Return whether the models' bounding spheres meet in the image, (E,).

    Args:
        estimates: (E, 4, 4) estimated poses.
        truth: (4, 4) true pose.
        diameter: Of the model, metres.
    """
    origins = np.concatenate([truth[None, :3, 3], estimates[:, :3, 3]])
    in_front = origins[:, 2] > 0
    z = np.where(in_front, origins[:, 2], 1.0)
    centres, radii = origins[:, :2] / z[:, None], diameter / 2 / z
    near = np.linalg.norm(centres[1:] - centres[0], axis=1) < radii[1:] + radii[0]
    return np.asarray(near & in_front[1:] & in_front[0])


def _in_view(surface: Surface, scene: Scene, settings: VsdSettings) -> NDArray[np.bool_]:
    """Return which (P,) pixels of a surface the scene does not hide."""
    seen = scene.distance.ravel()[surface.pixels]
    # A comparison with NaN is false.
    visible = surface.distance - seen <= settings.delta
    if settings.missing_depth is MissingDepth.VISIBLE:
        visible |= np.isnan(seen)
    return np.asarray(visible)


def _distance_per_depth(intrinsics: CameraIntrinsics, pixels: NDArray[np.intp]) -> FloatArray:
    """Return how much longer the ray to each flat pixel index is than its depth."""
    rows, columns = np.divmod(pixels, intrinsics.width)
    x = (columns - intrinsics.cx) / intrinsics.fx
    y = (rows - intrinsics.cy) / intrinsics.fy
    return np.asarray(np.sqrt(1.0 + x * x + y * y))


def _window(corners: FloatArray, intrinsics: CameraIntrinsics) -> Window:
    """Return the pixels that the convex hull of points in the camera's frame can cover."""
    if (corners[:, 2] < _NEAREST).any():
        return Window.full(intrinsics)
    pixels = intrinsics.project(corners)
    size = np.array([intrinsics.width, intrinsics.height])
    first = np.clip(np.floor(pixels.min(axis=0)).astype(int), 0, size)
    last = np.clip(np.ceil(pixels.max(axis=0)).astype(int) + 1, 0, size)
    (x, y), (width, height) = first.tolist(), (last - first).tolist()
    return Window(x, y, width, height)
