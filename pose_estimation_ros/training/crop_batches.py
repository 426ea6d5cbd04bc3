"""Batches of single-object point clouds for the point networks, augmented on the fly."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pose_estimation_ros.backends.point_preparation import normalize_points
from pose_estimation_ros.core.categories import CATEGORIES, Category
from pose_estimation_ros.core.errors import ConfigurationError
from pose_estimation_ros.synthetic.crop_samples import Crops, common_point_count
from pose_estimation_ros.training.category_traits import CategoryTraits, category_traits
from pose_estimation_ros.training.point_recoloring import recolored

# Sine of the smallest angle from which a camera looks down on an object.
_LEAST_DOWNWARDS = 0.15
_MIRROR_X = np.diag([-1.0, 1.0, 1.0])
_MIRROR_Z = np.diag([1.0, 1.0, -1.0])


@dataclass(frozen=True)
class PointBatch:
    """What one training step of a point network sees.

    Attributes:
        points: (B, N, 3) float32 normalised points in the view frame.
        condition: (B, 3) float32, see `NormalizedPoints`.
        category: (B,) int64.
        nocs: (B, N, 3) float32 targets, symmetric objects turned to their representative.
        member: (B, N) bool.
        shape: (B, M, 3) float32 target surface, turned likewise.
        color: (B, N, 9) float32 colours around the points, see `core.point_colors`; NaN where
            unknown.
        rotation: (B, 3, 3) float32 from the view frame to that of the targets.
    """

    points: Tensor
    condition: Tensor
    category: Tensor
    nocs: Tensor
    member: Tensor
    shape: Tensor
    color: Tensor
    rotation: Tensor

    def thinned(self, every: int) -> PointBatch:
        """Return the batch with every so many points only, from the first."""
        return replace(self, **{name: getattr(self, name)[:, ::every]
                                for name in ('points', 'nocs', 'member', 'color')})


@dataclass(frozen=True)
class CropAugmentation:
    """How strongly training views are varied.

    Attributes:
        stretch: Standard deviation of the logarithm of the object's stretch along its axes.
        tilt: Standard deviation of the error of the up direction, radians.
        unknown: Share of views whose up direction is not known.
        wrong: Share of views whose up direction is that of something else.
        tipped: Share of standing objects that are taken for lying ones: seen alone, a view of an
            object that stands is that of one that lies under a camera held otherwise.
        noise: Largest standard deviation of noise along the ray, metres.
        cut: Share of views of which a part is cut away, as by an occluder or a poor mask.
        deepest_cut: Largest share of the points that is cut away.
        stray: Share of views that get a few points far off, as by flying pixels.
    """

    stretch: float = 0.08
    tilt: float = 0.008
    unknown: float = 0.06
    wrong: float = 0.02
    tipped: float = 0.4
    noise: float = 0.0015
    cut: float = 0.3
    deepest_cut: float = 0.6
    stray: float = 0.3


def take(crops: Crops, index: NDArray[np.intp]) -> Crops:
    """Return the chosen samples."""
    return Crops(*(getattr(crops, field.name)[index] for field in fields(Crops)))


def join(parts: Sequence[Crops]) -> Crops:
    """Return all samples of several sets.

    Raises:
        ConfigurationError: If they have different numbers of points.
    """
    common_point_count([part.points.shape[1] for part in parts])
    return Crops(*(np.concatenate([getattr(part, field.name) for part in parts])
                   for field in fields(Crops)))


def training_batch(crops: Crops, index: NDArray[np.intp], points: int, shape_points: int,
                   augmentation: CropAugmentation | None, generator: np.random.Generator,
                   categories: tuple[Category, ...] = CATEGORIES) -> PointBatch:
    """Return an augmented batch.

    Args:
        crops: The stored views.
        index: (B,) which of them.
        points: Points per object, N.
        shape_points: Points of the target surface, M.
        augmentation: Strength of the variation; None takes the views as they are.
        generator: Source of everything random.
        categories: What the category indices of the views mean.

    Returns:
        Tensors on the CPU.

    Raises:
        ConfigurationError: If the views have fewer points.
    """
    if crops.points.shape[1] < points:
        raise ConfigurationError(f'crops have {crops.points.shape[1]} points per object, but the '
                                 f'network sees {points}; make them with --points {points}')
    traits = category_traits(categories)
    views = take(crops, np.sort(index))
    batch = len(views)
    keep = _chosen_points(views.points, points, augmentation, generator)
    rows = np.arange(batch)[:, None]
    cloud = views.points[rows, keep].astype(np.float64)
    nocs = views.nocs[rows, keep].astype(np.float64)
    member = views.member[rows, keep]
    surface = views.shape[:, generator.permutation(views.shape.shape[1])[:shape_points]]
    surface = surface.astype(np.float64)
    R = views.T_camera_object[:, :3, :3].copy()
    t = views.T_camera_object[:, :3, 3]
    up = views.up
    if augmentation is not None:
        cloud, nocs, surface, R = _stretched(cloud, nocs, surface, R, t, views, traits,
                                             augmentation, generator)
        cloud, nocs, surface, R, up = _mirrored(cloud, nocs, surface, R, up,
                                                traits.mirrors[views.category], generator)
        up = _tipped(up, R, cloud.mean(axis=1), augmentation, generator)
        up = _uncertain(up, augmentation, generator)
        cloud, member = _disturbed(cloud, member, augmentation, generator)
    color = np.where(views.colored[:, None, None], views.color[rows, keep] / np.float32(255.0),
                     np.float32(np.nan))
    if augmentation is not None:
        color = recolored(color, generator)
    prepared = normalize_points(cloud, up)
    R_view_object = prepared.R_view_camera @ R
    spin = traits.representative_turns(views.category, R_view_object)
    return PointBatch(
        torch.from_numpy(prepared.points),
        torch.from_numpy(prepared.condition),
        torch.from_numpy(views.category),
        torch.from_numpy((nocs @ spin).astype(np.float32)),
        torch.from_numpy(member),
        torch.from_numpy((surface @ spin).astype(np.float32)),
        torch.from_numpy(color.astype(np.float32)),
        torch.from_numpy(np.swapaxes(R_view_object @ spin, 1, 2).astype(np.float32)))


def _chosen_points(points: NDArray[np.float32], number: int,
                   augmentation: CropAugmentation | None,
                   generator: np.random.Generator) -> NDArray[np.intp]:
    """Return (B, number) indices in random order; a cut view repeats what is left of it.

    It keeps one side of a random plane that holds the line of sight, as behind an occluder.
    """
    batch, total = points.shape[:2]
    priority = generator.random((batch, total))
    left = np.full(batch, total)
    if augmentation is not None:
        direction = generator.standard_normal((batch, 2, 1))
        along = (points[..., :2] @ direction)[..., 0]
        share = np.where(generator.random(batch) < augmentation.cut,
                         generator.uniform(0.0, augmentation.deepest_cut, batch), 0.0)
        order = np.argsort(np.argsort(along, axis=1), axis=1) / total
        away = order < share[:, None]
        priority, left = priority + away, total - away.sum(axis=1)
    place = np.arange(number) % left[:, None]
    return np.take_along_axis(np.argsort(priority, axis=1), place, axis=1)


def _stretched(cloud: NDArray[np.float64], nocs: NDArray[np.float64],
               surface: NDArray[np.float64], R: NDArray[np.float64], t: NDArray[np.float64],
               views: Crops, traits: CategoryTraits, augmentation: CropAugmentation,
               generator: np.random.Generator) -> tuple[NDArray[np.float64], ...]:
    """Stretch each object along its own axes, about its origin: a new instance for nothing."""
    batch = len(views)
    factor = np.exp(generator.normal(0.0, augmentation.stretch, (batch, 3)))
    factor = np.take_along_axis(factor, traits.stretched_with[views.category], axis=1)
    # One common scale: small and large ones of the same shape.
    factor *= np.exp(generator.normal(0.0, augmentation.stretch, (batch, 1)))
    old = np.linalg.norm(views.size, axis=1)
    new = np.linalg.norm(views.size * factor, axis=1)
    relative = (factor * (old / new)[:, None])[:, None]
    local = np.einsum('bij,bni->bnj', R, cloud - t[:, None]) * factor[:, None]
    return (np.einsum('bij,bnj->bni', R, local) + t[:, None], nocs * relative,
            surface * relative, R)


def _mirrored(cloud: NDArray[np.float64], nocs: NDArray[np.float64],
              surface: NDArray[np.float64], R: NDArray[np.float64], up: NDArray[np.float64],
              may_mirror: NDArray[np.bool_],
              generator: np.random.Generator) -> tuple[NDArray[np.float64], ...]:
    """Mirror half of the views left to right; the object is mirrored in its own x-y plane."""
    flip = (generator.random(len(R)) < 0.5) & may_mirror
    flip = flip[:, None, None]
    return (np.where(flip, cloud @ _MIRROR_X, cloud), np.where(flip, nocs @ _MIRROR_Z, nocs),
            np.where(flip, surface @ _MIRROR_Z, surface),
            np.where(flip, _MIRROR_X @ R @ _MIRROR_Z, R),
            np.where(flip[:, 0], up @ _MIRROR_X, up))


def _tipped(up: NDArray[np.float64], R: NDArray[np.float64], center: NDArray[np.float64],
            augmentation: CropAugmentation,
            generator: np.random.Generator) -> NDArray[np.float64]:
    """Return up directions with which some of the standing objects lie on another side.

    The new up direction is near one of the object's axes, and such that the camera still looks
    down: from below a table, nothing could be seen.
    """
    batch = len(up)
    standing = (up * R[:, :, 1]).sum(axis=1) > 0.95
    turn = generator.uniform(0.0, 2.0 * np.pi, batch)
    onto_side = np.stack([np.cos(turn), np.zeros(batch), np.sin(turn)], axis=1)
    # Most objects have flat sides: half of them lie on one.
    along_axis = np.round(onto_side)
    side = np.where(generator.random((batch, 1)) < 0.5, along_axis, onto_side)
    side /= np.linalg.norm(side, axis=1, keepdims=True)
    upside_down = generator.random((batch, 1)) < 0.2
    local = np.where(upside_down, np.array([0.0, -1.0, 0.0]), side)
    local += 0.08 * generator.standard_normal((batch, 3)) * (generator.random((batch, 1)) < 0.5)
    tipped = np.einsum('bij,bj->bi', R, local)
    tipped /= np.linalg.norm(tipped, axis=1, keepdims=True)
    downwards = -(tipped * center).sum(axis=1) / np.linalg.norm(center, axis=1)
    chosen = standing & (downwards > _LEAST_DOWNWARDS) & (
        generator.random(batch) < augmentation.tipped)
    return np.where(chosen[:, None], tipped, up)


def _uncertain(up: NDArray[np.float64], augmentation: CropAugmentation,
               generator: np.random.Generator) -> NDArray[np.float64]:
    """Return up directions with the errors and gaps of those measured in a frame."""
    batch = len(up)
    sigma = np.where(generator.random((batch, 1)) < augmentation.wrong, 0.8, augmentation.tilt)
    up = up + generator.standard_normal((batch, 3)) * sigma
    up /= np.linalg.norm(up, axis=1, keepdims=True)
    return np.where(generator.random((batch, 1)) < augmentation.unknown, np.nan, up)


def _disturbed(cloud: NDArray[np.float64], member: NDArray[np.bool_],
               augmentation: CropAugmentation,
               generator: np.random.Generator) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Add noise along the rays and a few stray points, which are not members any more."""
    batch, number = member.shape
    sigma = generator.uniform(0.0, augmentation.noise, (batch, 1))
    shift = np.clip(generator.standard_normal((batch, number)), -3, 3) * sigma
    stray = ((generator.random((batch, 1)) < augmentation.stray)
             & (generator.random((batch, number)) < generator.uniform(0, 0.06, (batch, 1))))
    shift = np.where(stray, generator.normal(0.0, 0.06, (batch, number)), shift)
    distance = np.linalg.norm(cloud, axis=2)
    cloud = cloud * (1.0 + shift / np.maximum(distance, 0.1))[..., None]
    return cloud, member & ~(stray & (np.abs(shift) > 0.01))
