"""From the numbers that MRC-Net gives to poses: coarse ones, final ones, the best of copies.

Source: MRC-Net (CVPR 2024), sections 3.2 to 3.4; facts in spec sections 1.4 and 1.7.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pose_estimation_ros.core.rotation import rotation_from_6d
from pose_estimation_ros.core.se3 import make_transform
from pose_estimation_ros.core.site_translation import TranslationGrid

FloatArray = NDArray[np.float64]
Outputs = Mapping[str, NDArray[Any]]


@dataclass(frozen=True, eq=False)
class PoseGrid:
    """The classes of a network's answers.

    Attributes:
        rotations: (K, 3, 3) rotations of the bins.
        translation: Cells and depth bins.
        cells: (C, 2) x and y of the cells.
        depths: (Z,) metres per pixel of the crop, of the depth bins.
    """

    rotations: FloatArray
    translation: TranslationGrid
    cells: FloatArray
    depths: FloatArray

    @classmethod
    def of(cls, rotations: FloatArray, translation: TranslationGrid) -> PoseGrid:
        """Return the classes of a grid of rotations and one of translations."""
        return cls(rotations, translation, translation.cell_centers(),
                   translation.depth_centers())


@dataclass(frozen=True, eq=False)
class CoarsePoses:
    """What a regression starts from: poses of N views, in the cameras of the views.

    Attributes:
        R: (N, 3, 3) rotations.
        tau: (N, 3) translations as the crops see them, see `TranslationGrid`.
        t: (N, 3) translations, metres.
        rotation_logit: (N,) of the class of rotation that they come from.
        depth_logit: (N,) of that of depth.
    """

    R: FloatArray
    tau: FloatArray
    t: FloatArray
    rotation_logit: FloatArray
    depth_logit: FloatArray

    @property
    def T(self) -> FloatArray:
        """(N, 4, 4) poses, metres."""
        return make_transform(self.R, self.t)

    @property
    def is_usable(self) -> NDArray[np.bool_]:
        """(N,) whether a pose is finite and in front of the camera."""
        return np.isfinite(self.T).all(axis=(1, 2)) & (self.t[:, 2] > 0)

    def where(self, taken: NDArray[np.bool_], others: CoarsePoses) -> CoarsePoses:
        """Return these poses where (N,) `taken` says so, elsewhere the others."""
        return CoarsePoses(*(
            np.where(taken.reshape(-1, *[1] * (mine.ndim - 1)), mine, other) for mine, other in (
                (getattr(self, field.name), getattr(others, field.name))
                for field in fields(self))))

    def rows(self, chosen: NDArray[np.intp]) -> CoarsePoses:
        """Return some of the poses."""
        return CoarsePoses(self.R[chosen], self.tau[chosen], self.t[chosen],
                           self.rotation_logit[chosen], self.depth_logit[chosen])


def coarse_poses(output: Outputs, grid: PoseGrid, K: FloatArray) -> CoarsePoses:
    """Return the likeliest classes of N views.

    Args:
        output: 'rotation' (N, K), 'depth' (N, Z) and 'xy' (N, C) logits of the classifier.
        grid: What the classes mean.
        K: (N, 3, 3) cameras of the views, pixels.
    """
    best = output['rotation'].argmax(axis=1)
    depth = output['depth'].argmax(axis=1)
    tau = np.concatenate([grid.cells[output['xy'].argmax(axis=1)], grid.depths[depth][:, None]],
                         axis=1)
    row = np.arange(len(best))
    return CoarsePoses(grid.rotations[best], tau, grid.translation.decode(tau, K),
                       output['rotation'][row, best].astype(np.float64),
                       output['depth'][row, depth].astype(np.float64))


def with_rotations(coarse: CoarsePoses, bins: NDArray[np.intp], output: Outputs,
                   grid: PoseGrid) -> CoarsePoses:
    """Return N c poses: each of N with c other rotations, one after another.

    Args:
        coarse: Of N views.
        bins: (N, c) of the rotations.
        output: As of `coarse_poses`.
        grid: What the classes mean.
    """
    views = np.repeat(np.arange(len(bins)), bins.shape[1])
    logits = np.take_along_axis(output['rotation'], bins, axis=1).astype(np.float64)
    return CoarsePoses(grid.rotations[bins.ravel()], coarse.tau[views], coarse.t[views],
                       logits.ravel(), coarse.depth_logit[views])


def corrected(coarse: CoarsePoses, residual: Outputs, grid: PoseGrid,
              K: FloatArray) -> CoarsePoses:
    """Return poses with what the regressor adds.

    Args:
        coarse: Of N views.
        residual: 'rotation' (N, 6), 'depth' (N, 1) metres per pixel of the crop, and 'xy' (N, 2)
            shares of the crop, of the regressor.
        grid: Of the translations.
        K: (N, 3, 3) cameras of the views, pixels.

    Returns:
        Not finite where the residual is none.
    """
    with np.errstate(invalid='ignore', divide='ignore'):
        R = rotation_from_6d(residual['rotation']) @ coarse.R
    tau = coarse.tau + np.concatenate([residual['xy'], residual['depth']], axis=1)
    return CoarsePoses(R, tau, grid.translation.decode(tau, K), coarse.rotation_logit,
                       coarse.depth_logit)


def best_copies(coarse: CoarsePoses, copies: int,
                choice: str) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Return the views that give rotation and translation of each object.

    Args:
        coarse: Of the views, the copies of an object one after another.
        copies: Views of each object.
        choice: 'joint' or 'separate', see `MRCOptions`.

    Returns:
        Two (B,) arrays of indices of views: that of the rotation, that of the translation.
    """
    first = np.arange(0, len(coarse.R), copies)
    by_rotation = first + coarse.rotation_logit.reshape(-1, copies).argmax(axis=1)
    if choice == 'joint':
        return by_rotation, by_rotation
    return by_rotation, first + coarse.depth_logit.reshape(-1, copies).argmax(axis=1)
